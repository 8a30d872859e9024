use burn::tensor::Tensor;
use glass_nets::blip2::{Blip2, Blip2Model};
use glass_nets::generate::{GenerateOptions, TokenBatch};
use serde_json::Value;

use super::searches::{check_sequences, read, tokens};
use crate::support::{check, device, goldens, noise, relative_error, tensors};

const CONFIGURATIONS: [&str; 2] = ["flan", "first"];

fn model(name: &str) -> Blip2Model {
    Blip2Model::load(goldens().join("blip2-t5").join(name), &device()).unwrap()
}

fn pixels(model: &Blip2Model) -> Tensor<4> {
    let side = model.config().vision_config.image_size;
    noise([6, 3, side, side])
}

#[test]
fn states_and_scores_agree_with_transformers() {
    for name in CONFIGURATIONS {
        let model = model(name);
        let golden = tensors(goldens().join("blip2-t5"), name);
        let image = model.network().image_tokens(pixels(&model)).unwrap();
        let states = model.network().query_states(image.clone()).unwrap();
        let text = tokens(&golden, "ids", Some("mask"));
        let queries = model.config().num_query_tokens;
        let written = tokens(&golden, "written", None);
        let logits = |text: &TokenBatch| model.logits(pixels(&model), text, Some(&written)).unwrap().narrow(0, 0, 3);
        // The same texts without placeholders: read without the pictures.
        let cut = |row: &Vec<u32>| row[queries..].to_vec();
        let cut_mask = |row: &Vec<bool>| row[queries..].to_vec();
        let blind = TokenBatch::new(text.ids().iter().map(cut).collect())
            .unwrap()
            .with_mask(text.mask().unwrap().iter().map(cut_mask).collect())
            .unwrap();
        let parts = [
            ("image_tokens", image.narrow(0, 0, 3)),
            ("query_states", states.narrow(0, 0, 3)),
            ("logits", logits(&text)),
            ("blind", logits(&blind)),
        ];
        for (what, found) in parts {
            let error = relative_error(&golden, what, found);
            check("blip2 t5", &format!("{name} {what}"), error);
        }
    }
}

#[test]
fn sequences_are_those_of_transformers() {
    for name in CONFIGURATIONS {
        let model = model(name);
        let tensors = tensors(goldens().join("blip2-t5"), name);
        let golden: Value = read(goldens().join(format!("blip2-t5/{name}.json")));
        let text = tokens(&tensors, "ids", Some("mask"));
        for (prompt, text) in [("alone", None), ("text", Some(&text))] {
            let network = format!("blip2 t5 {name}");
            check_sequences(&network, &golden, prompt, &pixels(&model), text, |p, t, o| {
                model.sequences(p, t, o).unwrap()
            });
        }
    }
}

#[test]
fn the_tokenizer_reads_and_writes_as_the_reference() {
    for name in CONFIGURATIONS {
        let folder = goldens().join("blip2-t5").join(name);
        let model = Blip2::load(folder, &device()).unwrap();
        let golden: Value = read(goldens().join(format!("blip2-t5/{name}.json")));
        let text = golden["tokenizer"]["text"].as_str().unwrap();
        let mut ids: Vec<u32> = serde_json::from_value(golden["tokenizer"]["ids"].clone()).unwrap();
        // The end of text, which prompts add.
        assert_eq!(ids.pop(), Some(1));
        assert_eq!(model.tokenizer().encode(text).unwrap(), ids);
        assert_eq!(model.tokenizer().decode(&ids).unwrap(), text);
    }
}

#[test]
fn a_caption_is_the_text_of_the_new_tokens() {
    let model = Blip2::load(goldens().join("blip2-t5/flan"), &device()).unwrap();
    let pixels = pixels(model.model());
    let options = GenerateOptions { prompt: "a photo of".to_owned(), max_new_tokens: 5, ..Default::default() };
    let tokens = model.generate(pixels.clone(), &options).unwrap();
    let captions = model.caption(pixels, &options).unwrap();
    for (tokens, caption) in tokens.iter().zip(captions) {
        let words: Vec<u32> = tokens.iter().copied().filter(|id| ![0, 1, 55, 119, 133, 202].contains(id)).collect();
        assert_eq!(caption, model.tokenizer().decode(&words).unwrap().trim());
    }
}

#[test]
fn scores_without_decoder_ids_are_refused() {
    let model = model("first");
    let text = TokenBatch::new(vec![vec![5, 1]; 6]).unwrap();
    let error = model.logits(pixels(&model), &text, None).unwrap_err();
    assert!(error.to_string().contains("`decoder_input_ids`"), "{error}");
}

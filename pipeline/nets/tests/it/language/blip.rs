use burn::tensor::Tensor;
use glass_nets::blip::{Blip, BlipModel};
use glass_nets::generate::{GenerateOptions, TokenBatch};
use serde_json::Value;

use super::searches::{check_sequences, read, tokens};
use crate::support::{check, device, goldens, noise, relative_error, tensors};

const CONFIGURATIONS: [&str; 2] = ["base", "wide"];

fn model(name: &str) -> BlipModel {
    BlipModel::load(goldens().join("blip").join(name), &device()).unwrap()
}

fn pixels(model: &BlipModel) -> Tensor<4> {
    let side = model.config().vision_config.image_size;
    noise([6, 3, side, side])
}

#[test]
fn states_and_scores_agree_with_transformers() {
    for name in CONFIGURATIONS {
        let model = model(name);
        let golden = tensors(goldens().join("blip"), name);
        let side = model.config().vision_config.image_size;
        let image = model.image_tokens(pixels(&model)).unwrap();
        let larger = model.image_tokens(noise([2, 3, side + 16, side])).unwrap();
        let logits = |ids: &str, mask: Option<&str>| {
            let text = tokens(&golden, ids, mask);
            model.logits(pixels(&model), &text).unwrap().narrow(0, 0, 3)
        };
        let parts = [
            ("image_tokens", image.narrow(0, 0, 3)),
            ("larger", larger),
            ("logits", logits("ids", Some("mask"))),
            ("left_logits", logits("left", Some("left_mask"))),
            ("plain_logits", logits("ids", None)),
        ];
        for (what, found) in parts {
            let error = relative_error(&golden, what, found);
            check("blip", &format!("{name} {what}"), error);
        }
    }
}

#[test]
fn sequences_are_those_of_transformers() {
    for name in CONFIGURATIONS {
        let model = model(name);
        let tensors = tensors(goldens().join("blip"), name);
        let golden: Value = read(goldens().join(format!("blip/{name}.json")));
        let texts = [
            ("alone", None),
            ("text", Some(tokens(&tensors, "ids", Some("mask")))),
            ("left", Some(tokens(&tensors, "left", Some("left_mask")))),
            ("unmasked", Some(tokens(&tensors, "ids", None))),
        ];
        for (prompt, text) in texts {
            let network = format!("blip {name}");
            let text = text.as_ref();
            check_sequences(&network, &golden, prompt, &pixels(&model), text, |p, t, o| {
                model.sequences(p, t, o).unwrap()
            });
        }
    }
}

#[test]
fn both_kinds_of_tokenizer_files_read_and_write_as_the_reference() {
    for name in CONFIGURATIONS {
        let model = Blip::load(goldens().join("blip").join(name), &device()).unwrap();
        let golden: Value = read(goldens().join(format!("blip/{name}.json")));
        let text = golden["tokenizer"]["text"].as_str().unwrap();
        let ids: Vec<u32> = serde_json::from_value(golden["tokenizer"]["ids"].clone()).unwrap();
        assert_eq!(model.tokenizer().encode(&text.to_uppercase()).unwrap(), ids);
        assert_eq!(model.tokenizer().decode(&ids).unwrap(), text);
    }
}

#[test]
fn a_caption_leaves_out_its_prompt() {
    let model = Blip::load(goldens().join("blip/base"), &device()).unwrap();
    let options = GenerateOptions { prompt: "a photo of".to_owned(), max_new_tokens: 5, ..Default::default() };
    let pixels = pixels(model.model());
    let captions = model.caption(pixels.clone(), &options).unwrap();
    let tokens = model.generate(pixels, &options).unwrap();
    let end = 121;
    let words: Vec<u32> = tokens[2].iter().copied().filter(|id| *id != end && *id != 0).collect();
    assert!(!words.is_empty());
    assert_eq!(captions[2], model.tokenizer().decode(&words).unwrap().trim());
}

#[test]
fn texts_that_are_too_long_or_too_short_are_refused() {
    let model = model("base");
    let text = |tokens: usize| TokenBatch::new(vec![vec![5; tokens]; 6]).unwrap();
    let options = GenerateOptions::default();
    let error = model.sequences(pixels(&model), Some(&text(1)), &options).unwrap_err();
    assert!(error.to_string().contains("first and a last token"), "{error}");
    let error = model.sequences(pixels(&model), Some(&text(12)), &options).unwrap_err();
    assert!(error.to_string().contains("40 positions"), "{error}");
    let error = model.logits(pixels(&model), &text(41)).unwrap_err();
    assert!(error.to_string().contains("40 positions"), "{error}");
}

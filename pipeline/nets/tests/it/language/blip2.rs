use std::collections::BTreeMap;
use std::path::PathBuf;

use burn::tensor::{Tensor, s};
use glass_nets::blip2::{Blip2, Blip2Model};
use glass_nets::generate::{GenerateOptions, TokenBatch};
use glass_nets::image::{ImageProcessor, RgbImage, decode};
use serde_json::Value;

use super::searches::{Search, check_sequences, read, tokens};
use crate::support::{assets, check, device, goldens, noise, relative_error, tensors};

const CONFIGURATIONS: [&str; 3] = ["mini", "sparse", "dense"];

fn checkpoint(name: &str) -> PathBuf {
    match name {
        "mini" => assets().join("mini/blip2-opt"),
        name => goldens().join("blip2").join(name),
    }
}

/// Sixteen scenes as the network's pixels; for the random networks from the bytes that the reference saw.
fn scenes(name: &str) -> Tensor<4> {
    let processor = ImageProcessor::load(checkpoint(name)).unwrap();
    let golden = tensors(goldens().join("blip2"), name);
    let pictures: Vec<RgbImage> = match golden.shape("scenes") {
        Some(&[_, side, _, _]) => golden
            .bytes("scenes")
            .unwrap()
            .chunks_exact(side * side * 3)
            .map(|bytes| RgbImage::from_raw(side as u32, side as u32, bytes.to_vec()).unwrap())
            .collect(),
        _ => (0..16)
            .map(|index| assets().join(format!("scenes/val/{index:05}.jpg")))
            .map(|path| decode(&std::fs::read(path).unwrap()).unwrap())
            .collect(),
    };
    processor.batch(&pictures, &device()).unwrap()
}

fn searches(name: &str) -> BTreeMap<String, Search> {
    read(goldens().join(format!("blip2/{name}.json")))
}

#[test]
fn hidden_states_agree_with_transformers() {
    for name in CONFIGURATIONS {
        let model = Blip2::load(checkpoint(name), &device()).unwrap();
        let golden = tensors(goldens().join("blip2"), name);
        let side = model.config().vision_config.image_size;
        let pixels = noise([2, 3, side, side]);
        let image = model.network().image_tokens(pixels.clone()).unwrap();
        let states = model.network().query_states(image.clone()).unwrap();
        let scores = model.first_scores(pixels, "").unwrap();
        check("blip2 vision", name, relative_error(&golden, "image_tokens", image));
        check("blip2 q-former", name, relative_error(&golden, "query_states", states));
        check("blip2 opt", name, relative_error(&golden, "first_scores", scores));
    }
}

#[test]
fn a_batch_is_captioned_with_the_tokens_that_transformers_finds_one_by_one() {
    for name in CONFIGURATIONS {
        let model = Blip2::load(checkpoint(name), &device()).unwrap();
        let pixels = scenes(name);
        for (search, golden) in searches(name) {
            let found = model.generate(pixels.clone(), &golden.options(24)).unwrap();
            let same = found.iter().zip(&golden.sequences).filter(|(a, b)| a == b).count();
            println!("captions | blip2 {name} | {search} | {same}/16 token-identical");
            assert_eq!(found, golden.sequences, "{name} {search}");
        }
    }
}

#[test]
fn a_picture_alone_gets_the_caption_it_gets_in_a_batch() {
    for name in CONFIGURATIONS {
        let model = Blip2::load(checkpoint(name), &device()).unwrap();
        let pixels = scenes(name);
        for (search, golden) in searches(name) {
            let options = golden.options(24);
            let together = model.generate(pixels.clone(), &options).unwrap();
            for (index, tokens) in together.iter().enumerate() {
                let alone = model.generate(pixels.clone().narrow(0, index, 1), &options).unwrap();
                assert_eq!(&alone[0], tokens, "{name} {search} scene {index}");
            }
        }
    }
}

#[test]
fn scores_are_the_same_to_the_bit_in_every_batch() {
    // Not `dense`: a product of at most 64 x 64 is cut into other pieces than a larger one, and a network
    // of only 40 channels crosses that line with the size of the batch.
    for name in ["mini", "sparse"] {
        let model = Blip2::load(checkpoint(name), &device()).unwrap();
        let pixels = scenes(name);
        let scores = |first: usize, count: usize| {
            let scores = model.first_scores(pixels.clone().narrow(0, first, count), "").unwrap();
            scores.into_data().try_to_vec::<f32>().unwrap()
        };
        let together = scores(0, 16);
        for count in [1, 2, 5] {
            let apart: Vec<f32> =
                (0..16).step_by(count).flat_map(|first| scores(first, count.min(16 - first))).collect();
            assert_eq!(apart, together, "{name} in batches of {count}");
        }
    }
}

#[test]
fn captions_say_what_is_in_the_scenes() {
    let model = Blip2::load(checkpoint("mini"), &device()).unwrap();
    let pixels = scenes("mini").narrow(0, 0, 2);
    let captions = model.caption(pixels, &GenerateOptions::default()).unwrap();
    assert_eq!(captions[0], "a photo of a bird and two cats among autumn leaves");
    assert_eq!(captions[1], "a photo of a cow, a boat and a plant on the grass");
}

#[test]
fn both_kinds_of_tokenizer_files_read_and_write_the_same_text() {
    for name in CONFIGURATIONS {
        let model = Blip2::load(checkpoint(name), &device()).unwrap();
        let text = "a photo of two cats, a zebra and \u{e9}t\u{e9}\n";
        let tokens = model.tokenizer().encode(text).unwrap();
        assert_eq!(tokens[..2], [68, 268], "{name}");
        assert_eq!(model.tokenizer().decode(&tokens).unwrap(), text, "{name}");
    }
}

#[test]
fn a_caption_may_continue_a_given_text() {
    let model = Blip2::load(checkpoint("mini"), &device()).unwrap();
    let pixels = scenes("mini").narrow(0, 0, 1);
    let options = GenerateOptions { prompt: "a photo of".to_owned(), ..Default::default() };
    assert_eq!(model.caption(pixels, &options).unwrap(), ["a bird and two cats among autumn leaves"]);
}

#[test]
fn a_caption_longer_than_the_model_can_write_is_refused() {
    let model = Blip2::load(checkpoint("mini"), &device()).unwrap();
    let options = GenerateOptions { max_new_tokens: 56, ..Default::default() };
    let error = model.caption(scenes("mini"), &options).unwrap_err().to_string();
    assert!(error.contains("64 positions"), "{error}");
}

/// Checkpoints whose references are given texts beside the pictures.
fn with_texts(name: &str) -> (Blip2Model, PathBuf) {
    let folder = match name {
        "mini" => assets().join("mini/blip2-opt"),
        name => goldens().join("blip2").join(name),
    };
    let model = Blip2Model::load(folder, &device()).unwrap();
    (model, goldens().join(format!("blip2/{name}-texts.json")))
}

#[test]
fn scores_of_padded_texts_agree_with_transformers() {
    for name in ["mini", "untied"] {
        let (model, _) = with_texts(name);
        let golden = tensors(goldens().join("blip2"), &format!("{name}-texts"));
        let side = model.config().vision_config.image_size;
        let pixels: Tensor<4> = noise([6, 3, side, side]);
        // Without placeholders the pictures are not read.
        let blind = TokenBatch::new((0..6).map(|row| vec![2, 60 + row]).collect()).unwrap();
        let unmasked = tokens(&golden, "ids", None);
        let cases = [
            ("logits", tokens(&golden, "ids", Some("mask"))),
            ("right_logits", tokens(&golden, "right", Some("right_mask"))),
            ("blind", blind),
            ("unmasked", unmasked),
        ];
        for (what, text) in cases {
            let found = model.logits(pixels.clone(), &text, None).unwrap();
            let found = match what {
                "unmasked" => found.slice([s![..3], s![..;3], s![..]]),
                _ => found.narrow(0, 0, 3),
            };
            let error = relative_error(&golden, what, found);
            check("blip2 opt texts", &format!("{name} {what}"), error);
        }
    }
}

#[test]
fn sequences_of_padded_texts_are_those_of_transformers() {
    for name in ["mini", "untied"] {
        let (model, path) = with_texts(name);
        let tensors = tensors(goldens().join("blip2"), &format!("{name}-texts"));
        let golden: Value = read(path);
        let side = model.config().vision_config.image_size;
        let pixels = noise([6, 3, side, side]);
        let texts = [
            ("alone", None),
            ("left", Some(tokens(&tensors, "ids", Some("mask")))),
            ("right", Some(tokens(&tensors, "right", Some("right_mask")))),
            ("unmasked", Some(tokens(&tensors, "ids", None))),
        ];
        for (prompt, text) in texts {
            let network = format!("blip2 opt {name}");
            check_sequences(&network, &golden, prompt, &pixels, text.as_ref(), |p, t, o| {
                model.sequences(p, t, o).unwrap()
            });
        }
    }
}

#[test]
fn texts_that_do_not_fit_are_refused() {
    let (model, _) = with_texts("untied");
    let pixels: Tensor<4> = noise([2, 3, 32, 32]);
    let error = |rows: Vec<Vec<u32>>| {
        let text = TokenBatch::new(rows).unwrap();
        model.logits(pixels.clone(), &text, None).unwrap_err().to_string()
    };
    assert_eq!(error(vec![vec![2]]), "the text has 1 rows, expected 2");
    assert_eq!(
        error(vec![vec![374, 374, 374, 2], vec![374, 374, 2, 2]]),
        "text 1 has 2 placeholders of a picture, expected 3"
    );
    assert_eq!(error(vec![vec![375]; 2]), "token 375 is not one of the language model's 375");
    assert_eq!(error(vec![vec![2; 65]; 2]), "a text of 65 tokens exceeds the language model's 64 positions");
    let uneven = TokenBatch::new(vec![vec![1, 2], vec![3]]).unwrap_err();
    assert!(uneven.to_string().contains("same length"), "{uneven}");
}

#[test]
fn where_a_configuration_knows_no_placeholder_the_picture_comes_first() {
    let from = goldens().join("blip2/untied");
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::copy(from.join("model.safetensors"), folder.path().join("model.safetensors")).unwrap();
    let mut config: Value = read(from.join("config.json"));
    config["image_token_index"] = Value::Null;
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let (new, _) = with_texts("untied");
    let old = Blip2Model::load(folder.path(), &device()).unwrap();
    let pixels: Tensor<4> = noise([2, 3, 32, 32]);
    let text = |row: &[u32]| TokenBatch::new(vec![row.to_vec(); 2]).unwrap();
    let difference = new.logits(pixels.clone(), &text(&[374, 374, 374, 2, 7]), None).unwrap()
        - old.logits(pixels.clone(), &text(&[2, 7]), None).unwrap();
    assert_eq!(difference.abs().max().into_scalar::<f32>(), 0.0);
    let options = GenerateOptions::default();
    let tokens = |model: &Blip2Model| model.sequences(pixels.clone(), None, &options).unwrap();
    let (new, old) = (tokens(&new), tokens(&old));
    assert_eq!(new[0][3..], old[0]);
    assert_eq!(new[1][3..], old[1]);
}

use std::collections::BTreeMap;
use std::path::PathBuf;

use burn::tensor::Tensor;
use glass_nets::blip2::{Blip2, EarlyStopping, GenerateOptions};
use glass_nets::image::{ImageProcessor, RgbImage, decode};
use serde::Deserialize;
use serde_json::Value;

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

#[derive(Deserialize)]
struct Search {
    options: BTreeMap<String, Value>,
    sequences: Vec<Vec<u32>>,
}

impl Search {
    fn options(&self) -> GenerateOptions {
        let number = |name: &str, default: f64| {
            self.options
                .get(name)
                .map_or(default, |v| v.as_f64().unwrap())
        };
        GenerateOptions {
            num_beams: number("num_beams", 1.0) as usize,
            max_new_tokens: 24,
            length_penalty: number("length_penalty", 1.0) as f32,
            early_stopping: match self.options.get("early_stopping") {
                Some(Value::Bool(true)) => EarlyStopping::WhenFull,
                Some(Value::String(_)) => EarlyStopping::Never,
                _ => EarlyStopping::Heuristic,
            },
            repetition_penalty: number("repetition_penalty", 1.0) as f32,
            prompt: String::new(),
        }
    }
}

fn searches(name: &str) -> BTreeMap<String, Search> {
    let text = std::fs::read_to_string(goldens().join(format!("blip2/{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn hidden_states_agree_with_transformers() {
    for name in CONFIGURATIONS {
        let model = Blip2::load(checkpoint(name), &device()).unwrap();
        let golden = tensors(goldens().join("blip2"), name);
        let side = model.config().vision_config.image_size;
        let pixels = noise([2, 3, side, side]);
        let image = model.network().image_tokens(pixels.clone()).unwrap();
        let states = model.network().query_states(image.clone());
        let scores = model.first_scores(pixels, "").unwrap();
        check(
            "blip2 vision",
            name,
            relative_error(&golden, "image_tokens", image),
        );
        check(
            "blip2 q-former",
            name,
            relative_error(&golden, "query_states", states),
        );
        check(
            "blip2 opt",
            name,
            relative_error(&golden, "first_scores", scores),
        );
    }
}

#[test]
fn a_batch_is_captioned_with_the_tokens_that_transformers_finds_one_by_one() {
    for name in CONFIGURATIONS {
        let model = Blip2::load(checkpoint(name), &device()).unwrap();
        let pixels = scenes(name);
        for (search, golden) in searches(name) {
            let found = model.generate(pixels.clone(), &golden.options()).unwrap();
            let same = found
                .iter()
                .zip(&golden.sequences)
                .filter(|(a, b)| a == b)
                .count();
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
            let options = golden.options();
            let together = model.generate(pixels.clone(), &options).unwrap();
            for (index, tokens) in together.iter().enumerate() {
                let alone = model
                    .generate(pixels.clone().narrow(0, index, 1), &options)
                    .unwrap();
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
            let scores = model
                .first_scores(pixels.clone().narrow(0, first, count), "")
                .unwrap();
            scores.into_data().try_to_vec::<f32>().unwrap()
        };
        let together = scores(0, 16);
        for count in [1, 2, 5] {
            let apart: Vec<f32> = (0..16)
                .step_by(count)
                .flat_map(|first| scores(first, count.min(16 - first)))
                .collect();
            assert_eq!(apart, together, "{name} in batches of {count}");
        }
    }
}

#[test]
fn captions_say_what_is_in_the_scenes() {
    let model = Blip2::load(checkpoint("mini"), &device()).unwrap();
    let pixels = scenes("mini").narrow(0, 0, 2);
    let captions = model.caption(pixels, &GenerateOptions::default()).unwrap();
    assert_eq!(
        captions[0],
        "a photo of a bird and two cats among autumn leaves"
    );
    assert_eq!(
        captions[1],
        "a photo of a cow, a boat and a plant on the grass"
    );
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
    let options = GenerateOptions {
        prompt: "a photo of".to_owned(),
        ..Default::default()
    };
    assert_eq!(
        model.caption(pixels, &options).unwrap(),
        ["a bird and two cats among autumn leaves"]
    );
}

#[test]
fn a_caption_longer_than_the_model_can_write_is_refused() {
    let model = Blip2::load(checkpoint("mini"), &device()).unwrap();
    let options = GenerateOptions {
        max_new_tokens: 56,
        ..Default::default()
    };
    let error = model
        .caption(scenes("mini"), &options)
        .unwrap_err()
        .to_string();
    assert!(error.contains("64 positions"), "{error}");
}

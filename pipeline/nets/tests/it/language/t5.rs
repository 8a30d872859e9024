use burn::tensor::s;
use glass_nets::generate::TokenBatch;
use glass_nets::t5::T5Encoder;
use serde::Deserialize;

use super::searches::read;
use crate::support::{check, device, goldens, relative_error, tensors};

#[derive(Deserialize)]
struct Texts {
    ids: Vec<Vec<u32>>,
    mask: Vec<Vec<u8>>,
    long: Vec<Vec<u32>>,
}

impl Texts {
    /// Two texts of unequal length, or their mirror images, whose padding is on the left.
    fn padded(&self, mirrored: bool) -> TokenBatch {
        let turn = |row: &Vec<u32>| match mirrored {
            true => row.iter().rev().copied().collect(),
            false => row.clone(),
        };
        let visible = |row: &Vec<u8>| {
            let row = row.iter().map(|value| *value == 1);
            match mirrored {
                true => row.rev().collect(),
                false => row.collect(),
            }
        };
        TokenBatch::new(self.ids.iter().map(turn).collect())
            .unwrap()
            .with_mask(self.mask.iter().map(visible).collect())
            .unwrap()
    }
}

#[test]
fn encoders_agree_with_transformers() {
    let texts: Texts = read(goldens().join("t5/ids.json"));
    for name in ["encoder", "whole", "silu"] {
        let model = T5Encoder::load(goldens().join("t5").join(name), &device()).unwrap();
        let golden = tensors(goldens().join("t5"), name);
        let padded = model.forward(&texts.padded(false)).unwrap();
        let left = model.forward(&texts.padded(true)).unwrap();
        let long = TokenBatch::new(texts.long.clone()).unwrap();
        let long = model.forward(&long).unwrap().slice([s![..], s![..;10], s![..]]);
        for (what, found) in [("padded", padded), ("left", left), ("long", long)] {
            let error = relative_error(&golden, what, found);
            check("t5 encoder", &format!("{name} {what}"), error);
        }
    }
}

#[test]
fn a_token_outside_the_vocabulary_is_refused() {
    let model = T5Encoder::load(goldens().join("t5/silu"), &device()).unwrap();
    let text = TokenBatch::new(vec![vec![1, 64]]).unwrap();
    let error = model.forward(&text).unwrap_err().to_string();
    assert_eq!(error, "token 64 is not one of the language model's 64");
}

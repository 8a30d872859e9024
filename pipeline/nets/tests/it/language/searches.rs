//! Sequences that transformers found, and the options it was given.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{Int, Tensor, TensorData};
use glass_nets::Weights;
use glass_nets::generate::{EarlyStopping, GenerateOptions, TokenBatch};
use serde::Deserialize;
use serde_json::Value;

use crate::support::device;

#[derive(Deserialize)]
pub struct Search {
    options: BTreeMap<String, Value>,
    pub sequences: Vec<Vec<u32>>,
}

impl Search {
    pub fn options(&self, max_new_tokens: usize) -> GenerateOptions {
        let number = |name: &str, default: f64| self.options.get(name).map_or(default, |v| v.as_f64().unwrap());
        GenerateOptions {
            num_beams: number("num_beams", 1.0) as usize,
            max_new_tokens,
            length_penalty: number("length_penalty", 1.0) as f32,
            early_stopping: match self.options.get("early_stopping") {
                Some(Value::Bool(true)) => EarlyStopping::WhenFull,
                Some(Value::String(_)) => EarlyStopping::Never,
                _ => EarlyStopping::Heuristic,
            },
            repetition_penalty: number("repetition_penalty", 1.0) as f32,
            ..GenerateOptions::default()
        }
    }
}

pub fn read<T: serde::de::DeserializeOwned>(path: impl AsRef<Path>) -> T {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The searches of one kind of prompt in a golden of `nets_language.py`.
pub fn searches(golden: &Value, prompt: &str) -> BTreeMap<String, Search> {
    serde_json::from_value(golden[prompt].clone()).unwrap()
}

/// Integers of a golden, `[rows, tokens]`.
fn integers(golden: &Weights, name: &str) -> Tensor<2, Int> {
    let values: Vec<i64> =
        golden.bytes(name).unwrap().as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect();
    let shape: [usize; 2] = golden.shape(name).unwrap().try_into().unwrap();
    Tensor::from_data(TensorData::new(values, shape), &device())
}

/// Token ids of a golden, with the mask of that name.
pub fn tokens(golden: &Weights, ids: &str, mask: Option<&str>) -> TokenBatch {
    let mask = mask.map(|name| integers(golden, name));
    TokenBatch::from_tensors(integers(golden, ids), mask).unwrap()
}

/// Checks the sequences of a whole batch under every search of `prompt`, and those of each row alone.
pub fn check_sequences(
    network: &str,
    golden: &Value,
    prompt: &str,
    pixels: &Tensor<4>,
    text: Option<&TokenBatch>,
    run: impl Fn(Tensor<4>, Option<&TokenBatch>, &GenerateOptions) -> Vec<Vec<u32>>,
) {
    for (name, search) in searches(golden, prompt) {
        let options = search.options(14);
        let found = run(pixels.clone(), text, &options);
        let rows = search.sequences.len();
        println!("sequences | {network} | {prompt} {name} | {rows} rows");
        assert_eq!(found, search.sequences, "{network} {prompt} {name}");
        for (row, together) in found.iter().enumerate() {
            let text = text.map(|text| only(text, row));
            let alone = run(pixels.clone().narrow(0, row, 1), text.as_ref(), &options);
            // What is missing is the filling up to the longest row.
            let (own, filled) = together.split_at(alone[0].len());
            assert_eq!(alone[0], own, "{network} {prompt} {name} row {row}");
            assert!(filled.windows(2).all(|pair| pair[0] == pair[1]));
        }
    }
}

/// One row of a batch, with its padding.
pub fn only(text: &TokenBatch, row: usize) -> TokenBatch {
    let one = TokenBatch::new(vec![text.ids()[row].clone()]).unwrap();
    match text.mask() {
        Some(mask) => one.with_mask(vec![mask[row].clone()]).unwrap(),
        None => one,
    }
}

//! Agreement with ci/reference/metrics.py, a transcription of the published formulas with one-hot
//! masks and scipy.

use glass_metrics::{
    Contingency, EmptyLabels, IGNORE, LabelMap, OVERLAP, Objects, Points, adjusted_rand_index, overlap_scores,
};
use serde_json::Value;

use crate::maps::close;

const GOLDENS: &str = include_str!("../goldens/metrics.json");

#[test]
fn scores_equal_the_published_formulas() {
    let pictures: Vec<Value> = serde_json::from_str(GOLDENS).unwrap();
    let (mut compared, mut worst) = (0, 0.0_f64);
    for (index, picture) in pictures.iter().enumerate() {
        let width = picture["width"].as_u64().unwrap() as usize;
        let read = |name: &str| read(picture[name].as_str().unwrap(), width);
        let table = Contingency::new(&read("truth"), &read("prediction")).unwrap();
        for (protocol, empty) in [("oclf", EmptyLabels::Skip), ("slotdiffusion", EmptyLabels::Count)] {
            let Some(expected) = picture.get(protocol) else { continue };
            let found = scores(&table, empty);
            let expected = flatten(expected);
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                match (found, expected) {
                    (Some(a), Some(b)) => {
                        worst = worst.max((a - b).abs());
                        assert!(close(*a, *b), "picture {index}, {protocol}: {a} instead of {b}");
                    }
                    (None, None) => {}
                    other => panic!("picture {index}, {protocol}: {other:?}"),
                }
                compared += 1;
            }
        }
    }
    println!("{compared} scores of {} pictures, largest difference {worst:.1e}", pictures.len());
    assert!(compared > 3000);
}

fn read(digits: &str, width: usize) -> LabelMap {
    let label = |digit: char| match digit.to_digit(16).unwrap() {
        15 => IGNORE,
        14 => OVERLAP,
        label => label as u16,
    };
    LabelMap::new(width, digits.len() / width, digits.chars().map(label).collect()).unwrap()
}

fn scores(table: &Contingency, empty: EmptyLabels) -> Vec<Option<f64>> {
    let mut scores =
        vec![Some(adjusted_rand_index(table, Points::All)), Some(adjusted_rand_index(table, Points::Foreground))];
    for objects in [Objects::WithBackground, Objects::WithoutBackground] {
        match overlap_scores(table, objects, empty).unwrap() {
            Some(s) => scores.extend([s.miou, s.mbo, s.recovery, s.corloc].map(Some)),
            None => scores.extend([None; 4]),
        }
    }
    scores
}

fn flatten(expected: &Value) -> Vec<Option<f64>> {
    let mut scores = Vec::new();
    for value in expected.as_array().unwrap() {
        match value {
            Value::Array(values) => scores.extend(values.iter().map(Value::as_f64)),
            Value::Null => scores.extend([None; 4]),
            number => scores.push(number.as_f64()),
        }
    }
    scores
}

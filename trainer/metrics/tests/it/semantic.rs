//! Agreement with ci/reference/semantic.py, the accumulated confusion matrix in numpy.

use glass_metrics::{Confusion, IGNORE, LabelMap, MetricsError, Objects};
use serde_json::Value;

use crate::maps::close;

const GOLDENS: &str = include_str!("../goldens/semantic.json");

fn read(digits: &Value, width: &Value) -> LabelMap {
    let label = |digit: char| match digit.to_digit(16).unwrap() {
        15 => IGNORE,
        label => label as u16,
    };
    let labels: Vec<u16> = digits.as_str().unwrap().chars().map(label).collect();
    let width = width.as_u64().unwrap() as usize;
    LabelMap::new(width, labels.len() / width, labels).unwrap()
}

#[test]
fn numbers_of_a_set_equal_the_accumulated_histogram() {
    let sets: Vec<Value> = serde_json::from_str(GOLDENS).unwrap();
    assert_eq!(sets.len(), 12);
    let mut absent = 0;
    for set in &sets {
        let classes = set["classes"].as_u64().unwrap() as usize;
        let mut whole = Confusion::new(classes);
        for picture in set["pictures"].as_array().unwrap() {
            let mut one = Confusion::new(classes);
            let [truth, prediction] = ["truth", "prediction"].map(|name| read(&picture[name], &picture["width"]));
            one.add(&truth, &prediction).unwrap();
            whole.merge(&one);
        }
        let equal = |name: &str, found: Option<f64>| {
            let expected = set[name].as_f64().unwrap();
            assert!(close(found.unwrap(), expected), "{name}: {found:?} instead of {expected}");
        };
        equal("miou", whole.mean_iou(Objects::WithBackground));
        equal("miou_without_background", whole.mean_iou(Objects::WithoutBackground));
        equal("mean_accuracy", whole.mean_accuracy());
        equal("pixel_accuracy", whole.pixel_accuracy());
        equal("judged", whole.judged());
        for (found, expected) in whole.iou().into_iter().zip(set["iou"].as_array().unwrap()) {
            match (found, expected.as_f64()) {
                (Some(found), Some(expected)) => assert!(close(found, expected)),
                (None, None) => absent += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(absent > 0);
}

#[test]
fn nothing_was_counted_before_the_first_picture() {
    let none = Confusion::new(3);
    assert_eq!((none.mean_iou(Objects::WithBackground), none.judged()), (None, None));
}

#[test]
fn labels_that_are_no_classes_and_maps_of_two_sizes_are_refused() {
    let mut confusion = Confusion::new(3);
    let (good, wrong) = (LabelMap::filled(2, 2, 2), LabelMap::filled(2, 2, 3));
    assert_eq!(confusion.add(&good, &wrong), Err(MetricsError::Class { label: 3, classes: 3 }));
    assert!(matches!(confusion.add(&good, &LabelMap::filled(2, 3, 0)), Err(MetricsError::Size { .. })));
    assert_eq!(confusion, Confusion::new(3));
}

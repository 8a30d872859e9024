//! Masks as pycocotools reads them.

use glass_metrics::{Bounds, Connectivity, Mask, Rle, Segmentation, polygon_runs};
use proptest::prelude::*;
use serde_json::Value;

const GOLDENS: &str = include_str!("../goldens/coco.json");

fn side(value: &Value, name: &str) -> usize {
    value[name].as_u64().unwrap() as usize
}

#[test]
fn polygons_become_the_pixels_pycocotools_gives() {
    let goldens: Value = serde_json::from_str(GOLDENS).unwrap();
    for (index, golden) in goldens["polygons"].as_array().unwrap().iter().enumerate() {
        let (width, height) = (side(golden, "width"), side(golden, "height"));
        let polygon: Vec<f64> = golden["polygon"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        let expected = Rle::from_compressed(golden["counts"].as_str().unwrap(), width, height).unwrap();
        let runs = polygon_runs(&polygon, width, height).unwrap();
        assert_eq!(runs, expected.counts(), "polygon {index}");
        let segmentation = Segmentation::Polygons(vec![polygon]);
        assert_eq!(segmentation.mask(width, height).unwrap(), expected.decode());
    }
}

#[test]
fn masks_are_packed_as_pycocotools_packs_them() {
    let goldens: Value = serde_json::from_str(GOLDENS).unwrap();
    for golden in goldens["masks"].as_array().unwrap() {
        let (width, height) = (side(golden, "width"), side(golden, "height"));
        let bits = golden["bits"].as_str().unwrap().chars().map(|bit| bit == '1').collect();
        let mask = Mask::new(width, height, bits).unwrap();
        let packed = golden["counts"].as_str().unwrap();
        assert_eq!(Rle::encode(&mask).to_compressed(), packed);
        assert_eq!(Rle::from_compressed(packed, width, height).unwrap().decode(), mask);
        let bounds = mask.bounds().map_or([0; 4], |b| [b.x, b.y, b.width, b.height]);
        let expected = golden["bounds"].as_array().unwrap().iter();
        let expected: Vec<usize> = expected.map(|v| v.as_u64().unwrap() as usize).collect();
        assert_eq!(bounds.as_slice(), expected);
    }
}

#[test]
fn all_three_forms_of_a_segmentation_are_read() {
    for json in [
        r#"[[0, 0, 2, 0, 2, 2, 0, 2]]"#,
        r#"{"size": [3, 4], "counts": [0, 2, 1, 2, 7]}"#,
        r#"{"size": [3, 4], "counts": "02106"}"#,
    ] {
        let segmentation: Segmentation = serde_json::from_str(json).unwrap();
        let mask = segmentation.mask(4, 3).unwrap();
        assert_eq!(mask.bounds(), Some(Bounds { x: 0, y: 0, width: 2, height: 2 }), "{json}");
        assert_eq!(mask.area(), 4);
    }
}

#[test]
fn damaged_encodings_are_refused_and_never_panic() {
    for (text, problem) in [
        ("0", "covers 0 pixels"),
        ("P", "ends inside a number"),
        ("!", "has a character outside its alphabet"),
        ("\u{7f}", "has a character outside its alphabet"),
        ("PPPPPPPPPPPPP1", "has a run that is too long"),
        ("O1", "has a negative run"),
    ] {
        let error = Rle::from_compressed(text, 4, 3).unwrap_err().to_string();
        assert!(error.ends_with(problem), "{text}: {error}");
    }
    assert!(Segmentation::Counts { size: [2, 2], counts: vec![4] }.mask(3, 2).is_err());
    assert!(polygon_runs(&[0.0, 1.0, 2.0], 4, 4).is_err());
    assert!(polygon_runs(&[f64::NAN; 6], 4, 4).is_err());
    assert!(polygon_runs(&[], 4, 4).is_err());
}

#[test]
fn components_touch_at_corners_only_if_asked() {
    let bits = "110 001 001".chars().filter(|c| *c != ' ').map(|bit| bit == '1').collect();
    let mask = Mask::new(3, 3, bits).unwrap();
    let (labels, areas) = mask.components(Connectivity::Four).unwrap();
    assert_eq!((labels.labels(), areas.as_slice()), ([1, 1, 0, 0, 0, 2, 0, 0, 2].as_slice(), [2, 2].as_slice()));
    assert_eq!(mask.components(Connectivity::Eight).unwrap().1, vec![4]);
    assert!(Mask::empty(0, 0).components(Connectivity::Four).unwrap().1.is_empty());
}

#[test]
fn boxes_are_clipped_to_the_picture() {
    let mask = Mask::of_box(4, 3, [-2.0, 0.6, 2.5, 9.0]);
    assert_eq!(mask.bounds(), Some(Bounds { x: 0, y: 1, width: 2, height: 2 }));
    assert_eq!(Mask::of_box(4, 3, [3.0, 2.0, 1.0, 1.0]).area(), 0);
}

proptest! {
    #[test]
    fn run_lengths_give_the_mask_back((width, height, bits) in (1_usize..20, 1_usize..20)
        .prop_flat_map(|(w, h)| (Just(w), Just(h), proptest::collection::vec(any::<bool>(), w * h))))
    {
        let mask = Mask::new(width, height, bits).unwrap();
        let rle = Rle::encode(&mask);
        prop_assert_eq!(&rle.decode(), &mask);
        prop_assert_eq!(Rle::from_compressed(&rle.to_compressed(), width, height).unwrap(), rle);
    }

    #[test]
    fn any_text_is_a_mask_or_an_error(text in ".{0,24}") {
        let _ = Rle::from_compressed(&text, 5, 4);
    }

    #[test]
    fn any_polygon_covers_the_picture(polygon in proptest::collection::vec(-50.0..80.0_f64, 6..26)) {
        let even = &polygon[..polygon.len() / 2 * 2];
        let runs = polygon_runs(even, 30, 20).unwrap();
        prop_assert_eq!(runs.iter().sum::<u32>(), 600);
    }
}

#[test]
fn an_outline_of_two_points_is_refused() {
    for outline in [vec![], vec![0.0, 0.0, 2.0, 2.0]] {
        let error = Segmentation::Polygons(vec![outline]).mask(4, 3).unwrap_err();
        assert!(error.to_string().contains("fewer than three points"), "{error}");
    }
}

//! Localisation by boxes against torchvision (`ci/reference/boxes.py`).

use glass_metrics::{Corners, LabelMap, box_scores};
use serde::Deserialize;

const GOLDENS: &str = include_str!("../goldens/boxes.json");

#[derive(Deserialize)]
struct File {
    side: usize,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    labels: Vec<u16>,
    boxes: Vec<Corners>,
    mbo: Option<f64>,
    recovery: Option<f64>,
    corloc: Option<f64>,
}

#[test]
fn boxes_around_segments_are_scored_as_torchvision_scores_them() {
    let File { side, cases } = serde_json::from_str(GOLDENS).unwrap();
    assert!(cases.iter().any(|case| case.corloc == Some(1.0)) && cases.iter().any(|case| case.boxes.is_empty()));
    for case in cases {
        let map = LabelMap::new(side, side, case.labels).unwrap();
        let found = box_scores(&case.boxes, &map);
        assert_eq!(found.is_some(), case.mbo.is_some());
        let Some(found) = found else { continue };
        // Sums of a few numbers.
        for (found, expected) in
            [(found.best_overlap, case.mbo), (found.recovery, case.recovery), (found.corloc, case.corloc)]
        {
            assert!((found - expected.unwrap()).abs() < 1e-12, "{found} {expected:?}");
        }
    }
}

//! Brute force per mask, and what must hold for any picture.

use std::collections::BTreeSet;

use glass_metrics::{Contingency, EmptyLabels, IGNORE, LabelMap, Objects, Points, adjusted_rand_index, overlap_scores};
use proptest::prelude::*;

use crate::maps::close;

const SIDE: usize = 8;

fn pictures() -> impl Strategy<Value = (LabelMap, LabelMap)> {
    let truth = proptest::collection::vec(prop_oneof![9 => 0..7_u16, 1 => Just(IGNORE)], SIDE * SIDE);
    let prediction = proptest::collection::vec(0..6_u16, SIDE * SIDE);
    (truth, prediction).prop_map(|(truth, prediction)| {
        (LabelMap::new(SIDE, SIDE, truth).unwrap(), LabelMap::new(SIDE, SIDE, prediction).unwrap())
    })
}

/// Pixel pairs, one by one: share of pairs on which both groupings agree, adjusted for chance by
/// Hubert and Arabie.
fn ari_by_pairs(truth: &[u16], prediction: &[u16], keep: impl Fn(u16) -> bool) -> f64 {
    let points: Vec<(u16, u16)> =
        truth.iter().copied().zip(prediction.iter().copied()).filter(|(t, _)| keep(*t)).collect();
    let (mut both, mut in_truth, mut in_prediction, mut all) = (0.0, 0.0, 0.0, 0.0);
    for (index, a) in points.iter().enumerate() {
        for b in &points[..index] {
            all += 1.0;
            in_truth += f64::from(u8::from(a.0 == b.0));
            in_prediction += f64::from(u8::from(a.1 == b.1));
            both += f64::from(u8::from(a == b));
        }
    }
    let expected = if all > 0.0 { in_truth * in_prediction / all } else { 0.0 };
    let maximum = (in_truth + in_prediction) / 2.0;
    if maximum - expected < 1e-9 { 1.0 } else { (both - expected) / (maximum - expected) }
}

fn iou_by_masks(truth: &[u16], prediction: &[u16], object: u16, slot: u16) -> f64 {
    let (mut shared, mut either) = (0.0, 0.0);
    for (&t, &p) in truth.iter().zip(prediction).filter(|(t, _)| **t != IGNORE) {
        shared += f64::from(u8::from(t == object && p == slot));
        either += f64::from(u8::from(t == object || p == slot));
    }
    if either > 0.0 { shared / either } else { 0.0 }
}

fn best_sum(rows: &[Vec<f64>], used: u32) -> f64 {
    let Some((row, rest)) = rows.split_first() else { return 0.0 };
    let skip = best_sum(rest, used);
    row.iter()
        .enumerate()
        .filter(|(slot, _)| used & (1 << slot) == 0)
        .map(|(slot, value)| value + best_sum(rest, used | (1 << slot)))
        .fold(skip, f64::max)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn scores_equal_brute_force((truth, prediction) in pictures()) {
        let table = Contingency::new(&truth, &prediction).unwrap();
        let (t, p) = (truth.labels(), prediction.labels());
        prop_assert!(close(adjusted_rand_index(&table, Points::All), ari_by_pairs(t, p, |label| label != IGNORE)));
        let foreground = ari_by_pairs(t, p, |label| label != IGNORE && label != 0);
        prop_assert!(close(adjusted_rand_index(&table, Points::Foreground), foreground));
        for (objects, first) in [(Objects::WithBackground, 0), (Objects::WithoutBackground, 1)] {
            let labels: BTreeSet<u16> = t.iter().copied().filter(|&l| l != IGNORE && l >= first).collect();
            let rows: Vec<Vec<f64>> =
                labels.iter().map(|&o| (0..6).map(|slot| iou_by_masks(t, p, o, slot)).collect()).collect();
            let scores = overlap_scores(&table, objects, EmptyLabels::Skip).unwrap().unwrap();
            prop_assert_eq!(scores.objects, rows.len());
            let best: Vec<f64> = rows.iter().map(|row| row.iter().copied().fold(0.0, f64::max)).collect();
            prop_assert!(close(scores.mbo, best.iter().sum::<f64>() / rows.len() as f64));
            prop_assert!(close(scores.miou, best_sum(&rows, 0) / rows.len() as f64));
            let found = best.iter().filter(|&&value| value > 0.5).count();
            prop_assert!(close(scores.recovery, found as f64 / rows.len() as f64));
            prop_assert!(close(scores.corloc, f64::from(u8::from(found > 0))));
        }
    }

    #[test]
    fn miou_never_exceeds_mbo_of_the_same_objects((truth, prediction) in pictures()) {
        let table = Contingency::new(&truth, &prediction).unwrap();
        for objects in [Objects::WithBackground, Objects::WithoutBackground] {
            for empty in [EmptyLabels::Skip, EmptyLabels::Count] {
                if let Some(scores) = overlap_scores(&table, objects, empty).unwrap() {
                    prop_assert!(scores.miou <= scores.mbo + 1e-12);
                    prop_assert!((0.0..=1.0).contains(&scores.miou) && scores.recovery <= scores.corloc);
                }
            }
        }
    }

    #[test]
    fn slots_can_be_renamed(
        (truth, prediction) in pictures(),
        names in Just((0..6_u16).map(|slot| slot * 7 + 1).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let renamed = prediction.labels().iter().map(|&slot| names[usize::from(slot)]).collect();
        let renamed = LabelMap::new(SIDE, SIDE, renamed).unwrap();
        let before = Contingency::new(&truth, &prediction).unwrap();
        let after = Contingency::new(&truth, &renamed).unwrap();
        for points in [Points::All, Points::Foreground] {
            prop_assert!(close(adjusted_rand_index(&before, points), adjusted_rand_index(&after, points)));
        }
        for objects in [Objects::WithBackground, Objects::WithoutBackground] {
            let [a, b] = [&before, &after]
                .map(|table| overlap_scores(table, objects, EmptyLabels::Skip).unwrap().unwrap());
            prop_assert!(close(a.miou, b.miou) && close(a.mbo, b.mbo));
        }
    }

    #[test]
    fn contiguous_labels_group_the_same_pixels((truth, _) in pictures()) {
        let renumbered = truth.contiguous();
        let table = Contingency::new(&truth, &renumbered).unwrap();
        prop_assert!(close(adjusted_rand_index(&table, Points::All), 1.0));
        let labels: Vec<u16> = renumbered.distinct().into_iter().filter(|&label| label != IGNORE).collect();
        prop_assert!(labels.iter().enumerate().all(|(index, &label)| usize::from(label) == index));
    }
}

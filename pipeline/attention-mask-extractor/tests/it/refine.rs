use glass_attention_mask_extractor::refine::{
    Bicubic, GROUND, Interval, Plane, Spread, Sweep, UNCERTAIN, area_share, intersection_over_union, label_adaptively,
    label_pixels, min_max, normalised_entropy, peak, propagate,
};
use proptest::prelude::*;

const INTERVAL: Interval = Interval { low: 0.5, high: 0.6 };

fn same_size(side: usize) -> Bicubic {
    Bicubic::new(Plane::square(side), Plane::square(side))
}

/// `torch.nn.functional.interpolate([[0, 1], [2, 5]], (4, 3), mode="bicubic")`, torch 2.
#[test]
fn bicubic_equals_torch() {
    let resized = Bicubic::new(Plane::square(2), Plane { width: 3, height: 4 }).resize(&[0.0, 1.0, 2.0, 5.0]);
    let expected = [
        -0.2794326, 0.1835938, 0.6466199, 0.3269857, 1.1796875, 2.0323892, 1.3257924, 2.8203125, 4.3148327, 1.9322108,
        3.8164062, 5.700_602,
    ];
    for (found, expected) in resized.iter().zip(expected) {
        assert!((found - expected).abs() < 2e-6, "{found} instead of {expected}");
    }
}

#[test]
fn bicubic_leaves_the_range_of_its_source() {
    let step = [0.0, 0.0, 1.0, 1.0];
    let resized = Bicubic::new(Plane { width: 4, height: 1 }, Plane { width: 16, height: 1 }).resize(&step);
    assert!(resized.iter().any(|&value| value < 0.0) && resized.iter().any(|&value| value > 1.0));
}

#[test]
fn a_resize_to_the_same_size_changes_nothing() {
    let map: Vec<f32> = (0..25).map(|i| (i * 7 % 11) as f32).collect();
    assert_eq!(same_size(5).resize(&map), map);
}

#[test]
fn a_single_pixel_fills_the_image() {
    let resized = Bicubic::new(Plane::square(1), Plane { width: 7, height: 3 }).resize(&[0.25]);
    assert!(resized.iter().all(|value| (value - 0.25).abs() < 1e-6));
}

#[test]
fn a_map_without_contrast_becomes_zero_and_never_nan() {
    for value in [0.0, 0.3, -2.0] {
        let mut map = [value; 4];
        assert_eq!(min_max(&mut map), Spread::Flat);
        assert_eq!(map, [0.0; 4]);
    }
    let mut map = [1.0, 3.0, 2.0];
    assert_eq!(min_max(&mut map), Spread::Full);
    assert_eq!(map, [0.0, 1.0, 0.5]);
    assert_eq!(min_max(&mut []), Spread::Flat);
}

#[test]
fn thresholds_belong_to_the_interval_above_them() {
    let map = vec![0.49, 0.5, 0.599, 0.6, 1.0, f32::from_bits(0.5_f32.to_bits() - 1), 0.0, -1.0, 2.0];
    let labels = label_pixels(&[map], &[9], &same_size(3), INTERVAL);
    let (g, u) = (GROUND, UNCERTAIN);
    assert_eq!(labels, [g, u, u, 9, 9, g, g, g, 9]);
}

#[test]
fn the_first_of_equally_strong_classes_wins() {
    let labels = label_pixels(&[vec![0.7], vec![0.7], vec![0.8]], &[4, 5, 6], &same_size(1), INTERVAL);
    assert_eq!(labels, [6]);
    let labels = label_pixels(&[vec![0.7], vec![0.7]], &[4, 5], &same_size(1), INTERVAL);
    assert_eq!(labels, [4]);
}

#[test]
fn without_a_class_everything_is_ground() {
    assert_eq!(label_pixels(&[], &[], &same_size(2), INTERVAL), [GROUND; 4]);
}

#[test]
fn power_zero_leaves_maps_alone() {
    assert_eq!(propagate(&[0.0; 4], &[3.0, 4.0], 2, 0), [3.0, 4.0]);
}

#[test]
fn signals_have_their_extremes() {
    assert_eq!(peak(&[0.1, 0.4, 0.2]), 0.4);
    assert!((normalised_entropy(&[0.5; 16]) - 1.0).abs() < 1e-6);
    assert!(normalised_entropy(&[0.0, 1.0, 0.0, 0.0]) < 1e-6);
    assert_eq!(normalised_entropy(&[0.0; 4]), 1.0);
    assert_eq!(normalised_entropy(&[]), 1.0);
    assert_eq!(area_share(&[1, 1, 2, 0], 1), 0.5);
    assert_eq!(intersection_over_union(&[1, 1, 0], &[0, 1, 1], 1), 1.0 / 3.0);
    assert_eq!(intersection_over_union(&[0, 0], &[0, 0], 1), 0.0);
}

proptest! {
    /// Power of the matrix first, as published, and products with the map only, as here, are one
    /// thing.
    #[test]
    fn products_with_the_map_equal_the_power_of_the_matrix(
        raw in proptest::collection::vec(0.01..1.0_f64, 36),
        map in proptest::collection::vec(0.0..1.0_f32, 12),
        power in 0_u32..6,
    ) {
        let n = 6;
        let rows: Vec<f64> = raw.chunks(n).flat_map(|row| {
            let total: f64 = row.iter().sum();
            row.iter().map(move |value| value / total).collect::<Vec<_>>()
        }).collect();
        let mut matrix: Vec<f64> = (0..n * n).map(|i| f64::from(u8::from(i / n == i % n))).collect();
        for _ in 0..power {
            matrix = (0..n * n)
                .map(|i| (0..n).map(|k| matrix[i / n * n + k] * rows[k * n + i % n]).sum())
                .collect();
        }
        for row in matrix.chunks(n) {
            prop_assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-9, "rows go on summing to 1");
        }
        let single: Vec<f32> = rows.iter().map(|&value| value as f32).collect();
        let found = propagate(&single, &map, n, power);
        for (class, chunk) in map.chunks(n).enumerate() {
            for (query, row) in matrix.chunks(n).enumerate() {
                let expected: f64 = row.iter().zip(chunk).map(|(a, &b)| a * f64::from(b)).sum();
                prop_assert!((f64::from(found[class * n + query]) - expected).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn bicubic_weights_sum_to_one(source in 1_usize..20, target in 1_usize..50) {
        let resize = Bicubic::new(Plane::square(source), Plane::square(target));
        for value in resize.resize(&vec![0.7; source * source]) {
            prop_assert!((value - 0.7).abs() < 1e-5);
        }
    }
}

const SWEEP: Sweep = Sweep { low: 0.35, high: 0.54 };

#[test]
fn an_adaptive_threshold_falls_between_the_two_levels_of_a_map() {
    let thresholds = SWEEP.thresholds();
    assert_eq!(thresholds.len(), 20);
    assert!((thresholds[19] - 0.54).abs() < 1e-6);
    let levels = |low: f32, high: f32| [vec![low; 30], vec![high; 10]].concat();
    // Any threshold above the lower level and not above the higher one separates them: the first is taken.
    let chosen = SWEEP.choose(&levels(0.402, 0.9));
    assert!((chosen - 0.41).abs() < 1e-6, "{chosen}");
    assert_eq!(SWEEP.choose(&levels(0.1, 0.9)), 0.35);
    // Nothing is separated: the lowest stands.
    assert_eq!(SWEEP.choose(&[0.9; 8]), 0.35);
}

#[test]
fn adaptive_labels_know_no_uncertain_pixel_and_take_the_strongest_class_above_its_own_threshold() {
    // The first map separates at 0.41, so that its 0.402 is ground although it beats the second map there.
    let maps = [vec![0.402, 0.402, 0.9, 0.9], vec![0.1, 0.395, 0.8, 0.95]];
    assert_eq!(label_adaptively(&maps, &[3, 7], SWEEP), [GROUND, GROUND, 3, 7]);
}

//! Scores of generated pictures against scikit-image, pytorch-fid's and torchmetrics' formulas.

use glass_metrics::{
    FeatureSample, FeatureStatistics, PerceptualLayer, Planes, Products, cosine_score, kernel_distance,
    kernel_inception_distance, kernel_of_products, perceptual_distance, psnr, squared_error, ssim, subset,
};
use serde_json::Value;

const GOLDENS: &str = include_str!("../goldens/generation.json");
/// Relative; sums of a few hundred numbers in another order.
const SUM_TOLERANCE: f64 = 1e-12;
/// Relative to the traces: square roots of eigenvalues that should be zero.
const ROOT_TOLERANCE: f64 = 2e-7;

fn goldens(kind: &str) -> Vec<Value> {
    let goldens: Value = serde_json::from_str(GOLDENS).unwrap();
    goldens[kind].as_array().unwrap().clone()
}

fn floats(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

fn near(found: f64, expected: &Value, tolerance: f64) {
    let expected = expected.as_f64().unwrap();
    let error = (found - expected).abs() / expected.abs().max(1.0);
    assert!(error <= tolerance, "{found} instead of {expected}: {error:.1e}");
}

fn statistics(features: &[f32], dim: usize) -> FeatureStatistics {
    let mut statistics = FeatureStatistics::new(dim);
    for rows in features.chunks(3 * dim) {
        statistics.add(rows).unwrap();
    }
    statistics
}

#[test]
fn pixels_score_as_in_scikit_image() {
    for golden in goldens("pictures") {
        let (width, height) = (golden["width"].as_u64().unwrap(), golden["height"].as_u64().unwrap());
        let (a, b) = (floats(&golden["a"]), floats(&golden["b"]));
        let planes = |values| Planes::new(values, width as usize, height as usize).unwrap();
        near(psnr(planes(&a), planes(&b), 1.0).unwrap(), &golden["psnr"], SUM_TOLERANCE);
        near(squared_error(planes(&a), planes(&b)).unwrap(), &golden["squared_error"], SUM_TOLERANCE);
        near(ssim(planes(&a), planes(&b), 1.0).unwrap(), &golden["ssim"], SUM_TOLERANCE);
        assert_eq!(psnr(planes(&a), planes(&a), 1.0).unwrap(), f64::INFINITY);
        assert!((ssim(planes(&a), planes(&a), 1.0).unwrap() - 1.0).abs() < SUM_TOLERANCE);
    }
}

#[test]
fn features_are_as_far_apart_as_published_formulas_say() {
    let mut singular = 0;
    for golden in goldens("features") {
        let dim = golden["dim"].as_u64().unwrap() as usize;
        let (a, b) = (floats(&golden["a"]), floats(&golden["b"]));
        near(kernel_distance(&a, &b, dim).unwrap(), &golden["kernel"], SUM_TOLERANCE);
        let (first, second) = (statistics(&a, dim), statistics(&b, dim));
        assert_eq!(first.count() as usize, a.len() / dim);
        singular += usize::from(a.len() / dim <= dim);
        if !golden["frechet"].is_null() {
            let distance = first.frechet_distance(&second).unwrap();
            near(distance, &golden["frechet"], ROOT_TOLERANCE);
            let turned = second.frechet_distance(&first).unwrap();
            assert!((distance - turned).abs() < ROOT_TOLERANCE * distance);
        }
        assert!(first.frechet_distance(&first).unwrap().abs() < 1e-6);
    }
    assert!(singular >= 2);
}

#[test]
fn in_one_dimension_the_distance_is_that_of_two_normal_distributions() {
    let (a, b) = ([0.0, 2.0, 4.0_f32], [10.0, 11.0_f32]);
    let distance = statistics(&a, 1).frechet_distance(&statistics(&b, 1)).unwrap();
    let (sd_a, sd_b) = (2.0, 0.5_f64.sqrt());
    assert!((distance - (8.5 * 8.5 + (sd_a - sd_b) * (sd_a - sd_b))).abs() < 1e-12);
}

#[test]
fn subsets_are_drawn_without_repetition_and_the_whole_set_is_one_of_them() {
    let golden = &goldens("features")[1];
    let dim = golden["dim"].as_u64().unwrap() as usize;
    let (a, b) = (floats(&golden["a"]), floats(&golden["b"]));
    let mut state = 1_u64;
    let mut draw = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % bound
    };
    let whole = kernel_inception_distance(&a, &b, dim, 4, 1000, &mut draw).unwrap();
    near(whole.mean, &golden["kernel"], SUM_TOLERANCE);
    assert!(whole.sd < SUM_TOLERANCE);
    let parts = kernel_inception_distance(&a, &b, dim, 2000, 20, &mut draw).unwrap();
    let error = 4.0 * parts.sd / 2000_f64.sqrt();
    assert!((parts.mean - golden["kernel"].as_f64().unwrap()).abs() < error, "{parts:?}");
}

#[test]
fn layers_are_as_far_apart_as_lpips_says() {
    for golden in goldens("perceptual") {
        let layers: Vec<[Vec<f32>; 3]> = golden["layers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|layer| ["first", "second", "weights"].map(|name| floats(&layer[name])))
            .collect();
        let layers: Vec<PerceptualLayer<'_>> =
            layers.iter().map(|[first, second, weights]| PerceptualLayer { first, second, weights }).collect();
        // The package computes in f32.
        near(perceptual_distance(&layers).unwrap(), &golden["distance"], 1e-6);
        let same = PerceptualLayer { second: layers[0].first, ..layers[0] };
        assert_eq!(perceptual_distance(&[same]).unwrap(), 0.0);
    }
}

#[test]
fn embeddings_score_their_cosine() {
    for golden in goldens("cosine") {
        let (a, b) = (floats(&golden["a"]), floats(&golden["b"]));
        near(cosine_score(&a, &b).unwrap(), &golden["score"], SUM_TOLERANCE);
    }
    assert_eq!(cosine_score(&[1.0, 0.0], &[-2.0, 0.0]).unwrap(), -100.0);
    assert!(cosine_score(&[0.0, 0.0], &[1.0, 0.0]).is_err());
    assert!(cosine_score(&[1.0], &[1.0, 0.0]).is_err());
}

#[test]
fn scalar_products_give_the_same_kernel_distance() {
    let golden = &goldens("features")[1];
    let dim = golden["dim"].as_u64().unwrap() as usize;
    let (a, b) = (floats(&golden["a"]), floats(&golden["b"]));
    let rows = a.len() / dim;
    let product = |x: &[f32], y: &[f32]| -> Vec<f32> {
        let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(a, b)| a * b).sum();
        let right = |x: &[f32]| y.chunks_exact(dim).map(|y| dot(x, y)).collect::<Vec<f32>>();
        x.chunks_exact(dim).flat_map(right).collect()
    };
    let [first, second, across] = [product(&a, &a), product(&b, &b), product(&a, &b)];
    let products = Products { first: &first, second: &second, across: &across };
    let distance = kernel_of_products(products, rows, dim).unwrap();
    // Products are summed in f32 here.
    near(distance, &golden["kernel"], 1e-5);
    assert!(kernel_of_products(products, rows - 1, dim).is_err());
}

#[test]
fn statistics_can_be_kept_and_taken_up_again() {
    let golden = &goldens("features")[0];
    let dim = golden["dim"].as_u64().unwrap() as usize;
    let (a, b) = (floats(&golden["a"]), floats(&golden["b"]));
    let whole = statistics(&a, dim);
    let half = statistics(&a[..a.len() / 2 / dim * dim], dim);
    let covariance = half.covariance().unwrap();
    let mut kept = FeatureStatistics::from_parts(half.count(), half.mean().to_vec(), &covariance).unwrap();
    kept.add(&a[a.len() / 2 / dim * dim..]).unwrap();
    let (one, other) = (whole.frechet_distance(&statistics(&b, dim)), kept.frechet_distance(&statistics(&b, dim)));
    assert!((one.unwrap() - other.unwrap()).abs() < 1e-9);
    assert!(FeatureStatistics::from_parts(1, vec![0.0], &[1.0]).is_err());
    assert!(FeatureStatistics::from_parts(3, vec![0.0; 2], &[1.0]).is_err());
    assert!(FeatureStatistics::from_parts(3, vec![0.0], &[f64::NAN]).is_err());
    assert!(FeatureStatistics::new(2).covariance().is_err());
}

#[test]
fn a_sample_of_a_stream_does_not_depend_on_its_order() {
    let key = |row: u64| row.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let rows: Vec<[f32; 2]> = (0..100).map(|row| [row as f32, 1.0]).collect();
    let kept = |order: &mut dyn Iterator<Item = usize>| {
        let mut sample = FeatureSample::new(2, 10);
        order.for_each(|row| sample.offer(key(row as u64), &rows[row]).unwrap());
        assert_eq!((sample.len(), sample.is_empty(), sample.dim()), (10, false, 2));
        sample.rows().map(|row| row[0]).collect::<Vec<_>>()
    };
    let forward = kept(&mut (0..100));
    assert_eq!(forward, kept(&mut (0..100).rev()));
    assert_eq!(forward, kept(&mut (0..100).map(|row| row * 37 % 100)));
    assert!(forward.iter().any(|&row| row > 50.0) && forward.iter().any(|&row| row < 50.0));
    assert!(FeatureSample::new(2, 1).offer(0, &[1.0; 4]).is_err());
    assert_eq!(subset(5, 9, &mut |_| 0), [0, 1, 2, 3, 4]);
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let values = [0.0_f32; 12 * 12];
    assert!(Planes::new(&values, 12, 11).is_err() && Planes::new(&[], 0, 0).is_err());
    let planes = |width, height| Planes::new(&values, width, height).unwrap();
    assert!(psnr(planes(12, 12), planes(6, 24), 1.0).is_err());
    assert!(ssim(planes(6, 24), planes(6, 24), 1.0).is_err());
    let mut features = FeatureStatistics::new(3);
    assert!(features.add(&[1.0; 4]).is_err() && features.add(&[f32::NAN; 3]).is_err());
    features.add(&[1.0; 3]).unwrap();
    assert!(features.frechet_distance(&features).is_err());
    assert!(statistics(&[0.0; 6], 3).frechet_distance(&statistics(&[0.0; 4], 2)).is_err());
    assert!(kernel_distance(&[1.0; 3], &[1.0; 6], 3).is_err());
    assert!(kernel_inception_distance(&[1.0; 6], &[1.0; 6], 3, 0, 2, |_| 0).is_err());
    let layer = |first, second, weights| [PerceptualLayer { first, second, weights }];
    assert!(perceptual_distance(&layer(&[1.0; 6], &[1.0; 4], &[1.0; 2])).is_err());
    assert!(perceptual_distance(&layer(&[1.0; 6], &[1.0; 6], &[1.0; 4])).is_err());
    assert!(perceptual_distance(&layer(&[], &[], &[])).is_err());
}

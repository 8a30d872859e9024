use glass_schemas::seeds::{Purpose, Stream};

#[test]
fn a_stream_depends_on_seed_subject_and_purpose_only() {
    let base = Stream::new(1, "sample", Purpose::Latent).normal(8);
    assert_eq!(base, Stream::new(1, "sample", Purpose::Latent).normal(8));
    assert_ne!(base, Stream::new(2, "sample", Purpose::Latent).normal(8));
    assert_ne!(base, Stream::new(1, "other", Purpose::Latent).normal(8));
    assert_ne!(base, Stream::new(1, "sample", Purpose::Noise).normal(8));
}

#[test]
fn asking_for_more_numbers_keeps_the_first_ones() {
    let stream = Stream::new(3, 4, Purpose::Noise);
    assert_eq!(stream.normal(7), stream.normal(100)[..7]);
    assert_ne!(stream.at(0).normal(7), stream.at(1).normal(7));
    assert_ne!(stream.normal(7), stream.at(0).normal(7));
}

#[test]
fn normal_numbers_have_mean_zero_and_variance_one() {
    let numbers = Stream::new(5, "moments", Purpose::Noise).normal(200_000);
    let n = numbers.len() as f64;
    let mean = numbers.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
    let variance = numbers.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n;
    // Five standard errors of each estimate.
    assert!(mean.abs() < 5.0 / n.sqrt(), "{mean}");
    assert!((variance - 1.0).abs() < 5.0 * (2.0 / n).sqrt(), "{variance}");
}

#[test]
fn a_shuffle_is_a_permutation_and_bounds_hold() {
    let stream = Stream::new(6, "order", Purpose::DataOrder);
    let mut items: Vec<u32> = (0..1000).collect();
    stream.shuffle(&mut items);
    assert_ne!(items, (0..1000).collect::<Vec<_>>());
    items.sort_unstable();
    assert_eq!(items, (0..1000).collect::<Vec<_>>());
    assert!((0..1000).all(|i| stream.below(i, 7) < 7));
    assert!(stream.uniform(1000).iter().all(|x| (0.0..1.0).contains(x)));
}

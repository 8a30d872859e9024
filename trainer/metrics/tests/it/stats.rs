use glass_metrics::{Mean, bootstrap_interval, mean_sd};

use crate::maps::close;

#[test]
fn spread_is_that_of_a_sample() {
    let spread = mean_sd(&[2.0, 4.0, 6.0]).unwrap();
    assert!(close(spread.mean, 4.0) && close(spread.sd, 2.0));
    assert!(close(mean_sd(&[3.0]).unwrap().sd, 0.0));
    assert_eq!(mean_sd(&[]), None);
}

#[test]
fn pictures_that_take_no_part_leave_the_mean_alone() {
    let mut mean = Mean::default();
    assert_eq!(mean.value(), None);
    for value in [Some(1.0), None, Some(3.0)] {
        mean.add(value);
    }
    assert_eq!((mean.value(), mean.count()), (Some(2.0), 2));
}

#[test]
fn the_bootstrap_interval_holds_the_mean_and_can_be_repeated() {
    let values: Vec<f64> = (0..50).map(f64::from).collect();
    let interval = |seed: u64| {
        let mut state = seed;
        bootstrap_interval(&values, 500, 0.95, move |n| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % n
        })
    };
    let (low, high) = interval(1).unwrap();
    assert!(low < 24.5 && high > 24.5 && high - low < 12.0);
    assert_eq!(interval(1), interval(1));
    assert_eq!(bootstrap_interval(&[], 10, 0.95, |_| 0), None);
}

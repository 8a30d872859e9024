//! Learning rates of the published schedules, and the orders of an autoregressive decoder.

use glass_schemas::spec::trainer::{Orders, PhaseSpec, Schedule};
use glass_trainer::decoders::token_orders;
use glass_trainer::optim::learning_rate;

fn rates(phase: &PhaseSpec, steps: &[u64]) -> Vec<f64> {
    steps.iter().map(|&step| learning_rate(phase, step)).collect()
}

fn close(found: &[f64], expected: &[f64]) {
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
    }
}

#[test]
fn a_halving_rate_halves_after_the_warm_up() {
    let schedule = Schedule::Halving;
    let phase = PhaseSpec { steps: 100, warmup: 10, schedule, half_life: 20, ..PhaseSpec::default() };
    close(&rates(&phase, &[0, 5, 10, 30, 50]), &[0.0, 0.5, 1.0, 0.5, 0.25]);
}

#[test]
fn spots_cosine_begins_after_its_warm_up_and_ends_above_its_floor() {
    let schedule = Schedule::CosineAfterWarmup;
    let phase = PhaseSpec { steps: 25, warmup: 5, schedule, floor: 0.2, ..PhaseSpec::default() };
    // numpy.linspace(0, 1, 5), then 0.2 + 0.4 (1 + cos(π i / 20)).
    close(&rates(&phase, &[0, 1, 4, 5, 15]), &[0.0, 0.25, 1.0, 1.0, 0.6]);
    assert!(learning_rate(&phase, 24) > 0.2);
}

#[test]
fn a_cosine_of_the_whole_phase_falls_to_its_floor() {
    let phase = PhaseSpec { steps: 10, warmup: 0, schedule: Schedule::Cosine, floor: 0.5, ..PhaseSpec::default() };
    close(&rates(&phase, &[0, 5, 10]), &[1.0, 0.75, 0.5]);
}

#[test]
fn nine_orders_visit_every_token_once_and_begin_where_their_names_say() {
    let orders = token_orders(Orders::Nine, 4);
    let first_two = orders.iter().map(|order| [order.tokens()[0], order.tokens()[1]]);
    let expected = [[0, 1], [0, 4], [3, 7], [3, 2], [15, 11], [15, 14], [12, 8], [12, 13], [5, 9]];
    assert_eq!(first_two.collect::<Vec<_>>(), expected);
    for order in &orders {
        let mut tokens = order.tokens().to_vec();
        tokens.sort_unstable();
        assert_eq!(tokens, (0..16).collect::<Vec<_>>());
    }
    // The spiral from the top right corner, backwards.
    assert_eq!(orders[8].tokens(), [5, 9, 10, 6, 2, 1, 0, 4, 8, 12, 13, 14, 15, 11, 7, 3]);
    assert_eq!(token_orders(Orders::Standard, 3).len(), 1);
}

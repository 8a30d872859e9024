//! What holds for any weights.

use burn::tensor::{Tensor, TensorData};
use glass_schemas::seeds::{Purpose, Stream};
use glass_schemas::spec::trainer::{Position, SlotsSpec};
use glass_trainer::grouping::{SlotAttention, SlotAttentionConfig, Slots, slot_noise};
use glass_trainer::layers::Initial;

use crate::support::{FEATURE_SIZE, SIDE, device, small_spec};

fn attention(slots: &SlotsSpec) -> SlotAttention {
    SlotAttentionConfig::new(FEATURE_SIZE, slots).init(&Initial::new(5, &device()))
}

fn features() -> Tensor<3> {
    let shape = [2, SIDE * SIDE, FEATURE_SIZE];
    let numbers = Stream::new(2, "features", Purpose::Noise).normal(shape.iter().product());
    Tensor::from_data(TensorData::new(numbers, shape), &device())
}

fn noise(slots: usize, size: usize) -> Tensor<3> {
    let streams = [0, 1].map(|i| Stream::new(3, i, Purpose::SlotInit));
    slot_noise(&streams, slots, size, &device())
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

fn assert_close(a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len());
    assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5));
}

#[test]
fn attention_sums_to_one_over_the_slots() {
    for (heads, position) in [(1, Position::None), (2, Position::Grid)] {
        let spec = SlotsSpec { heads, position, ..small_spec().slots };
        let found = attention(&spec).forward(features(), noise(3, 8));
        let sums = numbers(found.attention.sum_dim(1));
        assert_close(&sums, &vec![1.0; sums.len()]);
    }
}

#[test]
fn slots_that_start_in_another_order_end_in_that_order() {
    let model = attention(&small_spec().slots);
    let start = noise(3, 8);
    let order = Tensor::from_data([2, 0, 1], &device());
    let Slots { slots, attention, .. } = model.forward(features(), start.clone());
    let moved = model.forward(features(), start.select(1, order.clone()));
    assert_close(&numbers(slots.select(1, order.clone())), &numbers(moved.slots));
    assert_close(&numbers(attention.select(1, order)), &numbers(moved.attention));
}

#[test]
fn any_number_of_slots_can_start_from_the_gaussian() {
    let found = attention(&small_spec().slots).forward(features(), noise(5, 8));
    assert_eq!(found.slots.dims(), [2, 5, 10]);
    assert_eq!(found.attention.dims(), [2, 5, SIDE * SIDE]);
}

#[test]
fn a_sample_does_not_depend_on_its_neighbours_in_the_batch() {
    let model = attention(&small_spec().slots);
    let both = model.forward(features(), noise(3, 8));
    let one = model.forward(features().narrow(0, 0, 1), noise(3, 8).narrow(0, 0, 1));
    assert_close(&numbers(both.slots.narrow(0, 0, 1)), &numbers(one.slots));
}

#[test]
fn initial_weights_are_a_function_of_the_seed() {
    let slots = |seed| {
        let initial = Initial::new(seed, &device());
        let model = SlotAttentionConfig::new(FEATURE_SIZE, &small_spec().slots).init(&initial);
        numbers(model.forward(features(), noise(3, 8)).slots)
    };
    assert_eq!(slots(1), slots(1));
    assert_ne!(slots(1), slots(2));
}

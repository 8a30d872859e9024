//! Edits of slots.

use burn::tensor::{Device, Tensor, TensorData};
use glass_metrics::LabelMap;
use glass_schemas::spec::evaluation::{Edit, Exchange};
use glass_trainer::generate::compose::apply;
use glass_trainer::generate::exchange::sources;
use glass_trainer::generate::objects::{object_slots, random_slot};
use glass_trainer::generate::scene::Scene;
use image::RgbImage;

/// A scene of three slots with values `base`, `base + 1`, `base + 2`; slot `object` covers the middle, another one
/// the border.
fn scene(base: f32, object: u16) -> Scene {
    let slots: Vec<f32> = (0..3).flat_map(|slot| [base + slot as f32; 2]).collect();
    let ground = u16::from(object == 0);
    let labels = (0..36).map(|i| if (1..5).contains(&(i % 6)) && (1..5).contains(&(i / 6)) { object } else { ground });
    let slots = Tensor::from_data(TensorData::new(slots, [3, 2]), &Device::flex());
    Scene {
        name: format!("{base}"),
        pixels: RgbImage::new(6, 6),
        raw: slots.clone(),
        slots,
        masks: LabelMap::new(6, 6, labels.collect()).unwrap(),
    }
}

fn rows(slots: &Tensor<2>) -> Vec<f32> {
    slots.clone().into_data().try_to_vec::<f32>().unwrap().chunks(2).map(|row| row[0]).collect()
}

fn edited(edit: Edit) -> [Vec<f32>; 2] {
    apply(edit, &scene(10.0, 2), &scene(20.0, 1), 1).map(|edited| rows(&edited.unwrap().slots))
}

#[test]
fn swap_exchanges_both_slots() {
    assert_eq!(edited(Edit::Swap), [vec![10.0, 11.0, 21.0], vec![20.0, 12.0, 22.0]]);
}

#[test]
fn swap_twice_is_no_change() {
    let (a, b) = (scene(10.0, 2), scene(20.0, 1));
    let [first, second] = apply(Edit::Swap, &a, &b, 1).map(Option::unwrap);
    let (a, b) = (Scene { slots: first.slots, ..a }, Scene { slots: second.slots, ..b });
    let [first, second] = apply(Edit::Swap, &a, &b, 1).map(Option::unwrap);
    assert_eq!(rows(&first.slots), [10.0, 11.0, 12.0]);
    assert_eq!(rows(&second.slots), [20.0, 21.0, 22.0]);
}

#[test]
fn remove_leaves_the_slot_out_and_zeroing_keeps_its_place() {
    assert_eq!(edited(Edit::Remove), [vec![10.0, 11.0], vec![20.0, 22.0]]);
    assert_eq!(edited(Edit::RemoveZeroed), [vec![10.0, 11.0, 0.0], vec![20.0, 0.0, 22.0]]);
}

#[test]
fn add_brings_the_other_pictures_object() {
    assert_eq!(edited(Edit::Add), [vec![10.0, 11.0, 12.0, 21.0], vec![20.0, 21.0, 22.0, 12.0]]);
}

#[test]
fn a_picture_of_one_slot_has_no_object_to_edit() {
    let mut whole = scene(10.0, 2);
    whole.masks = LabelMap::filled(6, 6, 1);
    assert_eq!(object_slots(&whole.masks), Vec::<usize>::new());
    let [first, second] = apply(Edit::Swap, &whole, &scene(20.0, 1), 1);
    assert!(first.is_none() && second.is_none());
    let [first, second] = apply(Edit::Add, &whole, &scene(20.0, 1), 1);
    assert!(first.is_some() && second.is_none());
}

#[test]
fn objects_come_with_the_largest_mask_first_and_without_the_ground() {
    let mut labels = vec![3_u16; 100];
    for (i, label) in labels.iter_mut().enumerate() {
        let (x, y) = (i % 10, i / 10);
        if (2..8).contains(&x) && (1..4).contains(&y) {
            *label = 0;
        } else if (2..4).contains(&x) && (6..8).contains(&y) {
            *label = 5;
        }
    }
    assert_eq!(object_slots(&LabelMap::new(10, 10, labels).unwrap()), [0, 5]);
}

#[test]
fn edits_of_the_release_change_the_second_picture_only() {
    for (edit, places) in [(Edit::ReleaseAdd, 0..3), (Edit::ReleaseSwap, 0..1)] {
        let (a, b) = (scene(10.0, 2), scene(20.0, 1));
        let [first, second] = apply(edit, &a, &b, 5);
        let second = second.unwrap();
        assert!(first.is_none());
        let (to, from) = (second.slot.unwrap(), second.other_slot.unwrap());
        assert!(places.contains(&to) && from < 2, "the highest slot is never drawn");
        let mut expected = vec![20.0, 21.0, 22.0];
        expected[to] = 10.0 + from as f32;
        assert_eq!(rows(&second.slots), expected);
    }
}

#[test]
fn the_release_draws_any_slot_but_the_highest() {
    let masks = scene(0.0, 2).masks;
    let drawn: std::collections::BTreeSet<usize> =
        (0..50).map(|picture| random_slot(&masks, 3, &picture.to_string())).collect();
    assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [0, 1]);
    assert_eq!(random_slot(&LabelMap::filled(6, 6, 0), 3, "a"), 0);
}

/// What `slots[:, i] = cat([slots[i:, i], slots[:i, i]])` gives for every `i`.
#[test]
fn a_shift_takes_slot_k_from_the_picture_k_places_on() {
    let from = sources(Exchange::Shift, 3, 4, 9, 0);
    assert_eq!(from, [[0, 1, 2, 0], [1, 2, 0, 1], [2, 0, 1, 2]]);
    assert_eq!(from, sources(Exchange::Shift, 3, 4, 1, 7));
}

#[test]
fn a_shuffle_uses_every_slot_once() {
    let from = sources(Exchange::Shuffle, 20, 5, 9, 0);
    for slot in 0..5 {
        let mut column: Vec<usize> = from.iter().map(|row| row[slot]).collect();
        assert_ne!(column, (0..20).collect::<Vec<_>>());
        column.sort_unstable();
        assert_eq!(column, (0..20).collect::<Vec<_>>());
    }
    assert!(from.iter().any(|row| row[0] != row[1]), "slots are shuffled apart from each other");
    assert_eq!(from, sources(Exchange::Shuffle, 20, 5, 9, 0));
    assert_ne!(from, sources(Exchange::Shuffle, 20, 5, 9, 1));
}

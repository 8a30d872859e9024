//! Slot usage on attention made by hand.

use glass_trainer::track::SlotUsage;

#[test]
fn shares_count_the_tokens_that_a_slot_wins() {
    // Two samples of three slots and four tokens: slot 0 wins all of the first, slots 1 and 2 two each of the second.
    let first = [[0.8; 4], [0.1; 4], [0.1; 4]].concat();
    let second = [[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]].concat();
    let usage = SlotUsage::of(&[first, second].concat(), 3, 4).unwrap();
    assert_eq!(usage.shares, [0.5, 0.25, 0.25]);
    assert_eq!((usage.used, usage.largest), (1.5, 0.75));
    let expected = -(0.8 * 0.8_f64.ln() + 2.0 * 0.1 * 0.1_f64.ln()) / 3.0_f64.ln() / 2.0;
    assert!((usage.entropy - expected).abs() < 1e-6, "{}", usage.entropy);
    let names: Vec<String> = usage.named().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names[..2], ["slots/share/00", "slots/share/01"]);
    assert!(names.contains(&"attention/entropy".to_owned()));
}

#[test]
fn undecided_attention_has_all_the_entropy_and_one_winner() {
    let usage = SlotUsage::of(&[0.25; 4 * 9], 4, 9).unwrap();
    assert!((usage.entropy - 1.0).abs() < 1e-6);
    assert_eq!((usage.used, usage.largest), (1.0, 1.0));
}

#[test]
fn one_slot_is_sure_and_no_attention_is_nothing() {
    assert_eq!(SlotUsage::of(&[1.0; 5], 1, 5).unwrap().entropy, 0.0);
    assert_eq!(SlotUsage::of(&[], 3, 5), None);
    assert_eq!(SlotUsage::of(&[1.0; 7], 3, 5), None);
}

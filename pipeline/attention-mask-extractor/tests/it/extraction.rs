//! Masks, quality signals and dropping rules on small maps made by hand.

use std::borrow::Cow;

use glass_attention_mask_extractor::extractors::CrossOnly;
use glass_attention_mask_extractor::refine::{Interval, Plane};
use glass_attention_mask_extractor::{
    Attention, Cutting, DropRules, Dropped, ExtractError, Extraction, Parts, Threshold, extract,
};

const SIDE: u32 = 4;

/// A class on the left three columns, strongly; one asked for and never drawn: faint noise, highest
/// in the last or the first.
fn maps(faint: [f32; 4]) -> Attention<'static> {
    let strong = [0.3, 0.3, 0.3, 0.01].repeat(4);
    let mut attention = Attention::new(2);
    attention.insert_cross(SIDE, Cow::Owned([strong, faint.repeat(4)].concat())).unwrap();
    attention
}

fn parts() -> Parts<'static> {
    let all = maps([0.010, 0.0105, 0.011, 0.013]);
    Parts { all, halves: Some([maps([0.010, 0.0105, 0.011, 0.013]), maps([0.013, 0.010, 0.011, 0.0105])]) }
}

fn run(parts: &Parts<'_>, drop: DropRules, ids: &[u32]) -> Result<Extraction, ExtractError> {
    let extractor = CrossOnly { cross: vec![SIDE], resolution: SIDE };
    let cutting = Cutting::new(Threshold::Interval(Interval { low: 0.5, high: 0.6 }), drop)?;
    extract(&extractor, &cutting, parts, ids, Plane::square(4))
}

#[test]
fn a_phantom_class_is_in_the_mask_unless_a_rule_drops_it() {
    let kept = run(&parts(), DropRules::default(), &[3, 8]).unwrap();
    assert!(kept.labels.contains(&8), "min-max lifts it to 1 like any other");
    assert!(kept.quality.iter().all(|class| class.dropped == Dropped::No));
    for drop in [
        DropRules { peak: Some(0.05), ..DropRules::default() },
        DropRules { agreement: Some(0.9), ..DropRules::default() },
        DropRules { area: Some(0.5), ..DropRules::default() },
    ] {
        let dropped = run(&parts(), drop, &[3, 8]).unwrap();
        assert_eq!(dropped.quality[0].dropped, Dropped::No, "{drop:?}");
        assert_eq!(dropped.quality[1].dropped, Dropped::Yes, "{drop:?}");
        assert!(!dropped.labels.contains(&8));
        assert_eq!(&dropped.labels[..4], &[3, 3, 3, 0]);
    }
}

#[test]
fn signals_tell_the_drawn_class_from_the_phantom() {
    let [drawn, phantom] = run(&parts(), DropRules::default(), &[3, 8]).unwrap().quality[..] else {
        unreachable!("two classes were asked for")
    };
    assert!(drawn.peak > 0.29 && phantom.peak < 0.02);
    assert!(drawn.entropy < phantom.entropy);
    assert!(drawn.agreement > 0.99 && phantom.agreement < 0.5);
    assert_eq!((drawn.area, phantom.area), (0.75, 0.25));
}

#[test]
fn sample_agreement_is_the_mean_over_the_classes_in_the_mask() {
    let extraction = run(&parts(), DropRules::default(), &[3, 8]).unwrap();
    let mean = (extraction.quality[0].agreement + extraction.quality[1].agreement) / 2.0;
    assert_eq!(extraction.agreement, mean);
    let rules = DropRules { peak: Some(0.05), ..DropRules::default() };
    let extraction = run(&parts(), rules, &[3, 8]).unwrap();
    assert_eq!(extraction.agreement, extraction.quality[0].agreement);
}

#[test]
fn without_halves_agreement_is_unknown_and_drops_nothing() {
    let parts = Parts { halves: None, ..parts() };
    let rules = DropRules { agreement: Some(0.9), ..DropRules::default() };
    let extraction = run(&parts, rules, &[3, 8]).unwrap();
    assert!(extraction.agreement.is_nan());
    assert!(extraction.quality.iter().all(|class| class.agreement.is_nan() && class.dropped == Dropped::No));
}

#[test]
fn dropping_every_class_leaves_ground() {
    let rules = DropRules { peak: Some(2.0), ..DropRules::default() };
    assert_eq!(run(&parts(), rules, &[3, 8]).unwrap().labels, [0; 16]);
}

#[test]
fn a_flat_map_does_not_spoil_the_other_class() {
    let parts = Parts { all: maps([0.0; 4]), halves: None };
    let extraction = run(&parts, DropRules::default(), &[3, 8]).unwrap();
    assert_eq!(&extraction.labels[..4], &[3, 3, 3, 0]);
    assert_eq!(extraction.quality[1].peak, 0.0);
}

#[test]
fn ids_that_no_pixel_can_hold_are_refused() {
    for id in [0, 255, 300] {
        let error = run(&parts(), DropRules::default(), &[3, id]).unwrap_err();
        assert_eq!(error, ExtractError::ClassId { id });
    }
}

#[test]
fn maps_of_wrong_length_or_with_nan_are_refused() {
    let mut attention = Attention::new(1);
    let error = attention.insert_cross(4, Cow::Owned(vec![0.0; 15])).unwrap_err();
    assert_eq!(error.to_string(), "cross-attention of resolution 4 has 15 values, expected 16");
    let error = attention.insert_self(1, Cow::Owned(vec![f32::NAN])).unwrap_err();
    assert_eq!(error.to_string(), "self-attention of resolution 1 has a value that is not finite");
}

#[test]
fn thresholds_in_the_wrong_order_are_refused() {
    let error = Cutting::new(Threshold::Interval(Interval { low: 0.7, high: 0.6 }), DropRules::default()).unwrap_err();
    assert_eq!(error.to_string(), "`masks.low` is 0.7, above `masks.high` = 0.6");
}

use glass_attention_mask_extractor::ExtractError;
use glass_attention_mask_extractor::extractors::{Choice, Extractor, SHIPPED, SelfRefined, by_name};

use crate::formula;

fn choice(name: &str) -> Choice {
    Choice { name: name.into(), cross: vec![8, 16], working: 16, power: 2 }
}

#[test]
fn every_shipped_name_is_an_extractor_that_reads_only_what_it_says() {
    for name in SHIPPED {
        let extractor = by_name(&choice(name)).unwrap();
        let needs = extractor.needs();
        let attention = formula::attention(5, 2, &needs.cross, needs.self_attention);
        let maps = extractor.heat_maps(&attention).unwrap();
        assert_eq!(maps.classes.len(), 2, "{name}");
        assert!(maps.classes.iter().all(|map| map.len() == (maps.resolution * maps.resolution) as usize));
        assert!(!extractor.describe().is_empty());
    }
}

#[test]
fn the_preset_overrides_the_maps_of_the_spec() {
    let needs = by_name(&choice("dataset-diffusion")).unwrap().needs();
    assert_eq!((needs.cross, needs.self_attention), (vec![16], Some(32)));
}

#[test]
fn power_zero_needs_no_self_attention_and_equals_cross_only() {
    let refined = SelfRefined { cross: vec![8, 16], resolution: 16, power: 0 };
    assert_eq!(refined.needs().self_attention, None);
    let attention = formula::attention(1, 2, &[8, 16], None);
    let plain = by_name(&choice("cross-only")).unwrap();
    assert_eq!(refined.heat_maps(&attention).unwrap(), plain.heat_maps(&attention).unwrap());
}

#[test]
fn every_resolution_weighs_the_same() {
    let attention = formula::attention(2, 1, &[8, 16], None);
    let map = |cross: Vec<u32>| {
        let choice = Choice { cross, ..choice("cross-only") };
        by_name(&choice).unwrap().heat_maps(&attention).unwrap().classes.remove(0)
    };
    let (both, coarse, fine) = (map(vec![8, 16]), map(vec![8]), map(vec![16]));
    for ((both, coarse), fine) in both.iter().zip(coarse).zip(fine) {
        assert!((both - (coarse + fine) / 2.0).abs() < 1e-7);
    }
}

#[test]
fn a_map_that_is_not_stored_is_named_with_those_that_are() {
    let attention = formula::attention(1, 1, &[8], None);
    let error = by_name(&choice("cross-only")).unwrap().heat_maps(&attention).unwrap_err();
    assert_eq!(error.to_string(), "no cross-attention of resolution 16 is stored, only [8]");
}

#[test]
fn settings_that_fit_no_sample_are_refused() {
    let refused = |choice: Choice| match by_name(&choice) {
        Err(ExtractError::Settings { field, .. }) => field,
        _ => "accepted",
    };
    assert_eq!(refused(choice("watershed")), "extractor");
    assert_eq!(refused(Choice { cross: vec![], ..choice("daam") }), "cross_resolutions");
    assert_eq!(refused(Choice { working: 0, ..choice("self-refined") }), "self_resolution");
}

use glass_attention_mask_extractor::ExtractError;
use glass_attention_mask_extractor::extractors::from_spec;
use glass_schemas::spec::{ExtractorChoice, MasksSpec};

use crate::formula;

const ALL: [ExtractorChoice; 4] =
    [ExtractorChoice::SelfRefined, ExtractorChoice::CrossOnly, ExtractorChoice::Daam, ExtractorChoice::DiffuMask];

fn spec(extractor: ExtractorChoice) -> MasksSpec {
    MasksSpec { extractor, cross_resolutions: vec![8, 16], self_resolution: 16, power: 2, ..MasksSpec::default() }
}

#[test]
fn every_extractor_reads_only_what_it_says() {
    for choice in ALL {
        let extractor = from_spec(&spec(choice)).unwrap();
        let needs = extractor.needs();
        let attention = formula::attention(5, 2, &needs.cross, needs.self_attention);
        let maps = extractor.heat_maps(&attention).unwrap();
        assert_eq!(maps.finest().len(), 2, "{choice:?}");
        for scale in &maps.scales {
            assert!(extractor.needs().cross.contains(&scale.resolution), "{choice:?}");
            let positions = (scale.resolution * scale.resolution) as usize;
            assert!(scale.classes.iter().all(|map| map.len() == positions));
        }
        assert!(maps.finest().iter().all(|map| map.len() == 256));
        assert!(extractor.describe().contains("[8, 16]"));
    }
}

#[test]
fn the_defaults_are_those_of_dataset_diffusion() {
    let extractor = from_spec(&MasksSpec::default()).unwrap();
    assert_eq!(extractor.describe(), "self-refined cross=[16] self=32 power=4");
    let (low, high) = (MasksSpec::default().low, MasksSpec::default().high);
    assert_eq!((low, high), (0.5, 0.6));
}

#[test]
fn power_zero_needs_no_self_attention_and_equals_cross_only() {
    let refined = MasksSpec { power: 0, ..spec(ExtractorChoice::SelfRefined) };
    let refined = from_spec(&refined).unwrap();
    assert_eq!(refined.needs().self_attention, None);
    let attention = formula::attention(1, 2, &[8, 16], None);
    let plain = from_spec(&spec(ExtractorChoice::CrossOnly)).unwrap();
    assert_eq!(refined.heat_maps(&attention).unwrap(), plain.heat_maps(&attention).unwrap());
}

#[test]
fn every_resolution_weighs_the_same() {
    let attention = formula::attention(2, 1, &[8, 16], None);
    let map = |cross_resolutions: Vec<u32>| {
        let spec = MasksSpec { cross_resolutions, ..spec(ExtractorChoice::CrossOnly) };
        from_spec(&spec).unwrap().heat_maps(&attention).unwrap().scales.remove(0).classes.remove(0)
    };
    let (both, coarse, fine) = (map(vec![8, 16]), map(vec![8]), map(vec![16]));
    for ((both, coarse), fine) in both.iter().zip(coarse).zip(fine) {
        assert!((both - (coarse + fine) / 2.0).abs() < 1e-7);
    }
}

#[test]
fn weights_of_resolutions_are_those_of_a_weighted_mean() {
    let attention = formula::attention(2, 1, &[8, 16], None);
    let map = |cross_resolutions: Vec<u32>, cross_weights: Vec<f32>| {
        let spec = MasksSpec { cross_resolutions, cross_weights, ..spec(ExtractorChoice::Daam) };
        from_spec(&spec).unwrap().heat_maps(&attention).unwrap().scales.remove(0).classes.remove(0)
    };
    let (both, coarse, fine) = (map(vec![8, 16], vec![3.0, 1.0]), map(vec![8], vec![]), map(vec![16], vec![]));
    for ((both, coarse), fine) in both.iter().zip(coarse).zip(fine) {
        assert!((both - (3.0 * coarse + fine) / 4.0).abs() < 1e-7);
    }
}

#[test]
fn a_map_that_is_not_stored_is_named_with_those_that_are() {
    let attention = formula::attention(1, 1, &[8], None);
    let extractor = from_spec(&spec(ExtractorChoice::CrossOnly)).unwrap();
    let error = extractor.heat_maps(&attention).unwrap_err();
    assert_eq!(error.to_string(), "no cross-attention of resolution 16 is stored, only [8]");
}

#[test]
fn settings_that_fit_no_sample_are_refused() {
    let refused = |spec: MasksSpec| match from_spec(&spec) {
        Err(ExtractError::Settings { field, .. }) => field,
        _ => "accepted",
    };
    let usual = || spec(ExtractorChoice::SelfRefined);
    assert_eq!(refused(MasksSpec { cross_resolutions: vec![], ..usual() }), "cross_resolutions");
    assert_eq!(refused(MasksSpec { cross_resolutions: vec![0], ..usual() }), "cross_resolutions");
    assert_eq!(refused(MasksSpec { self_resolution: 0, ..usual() }), "self_resolution");
}

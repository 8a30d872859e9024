//! Semantic guidance.

use glass_schemas::spec::trainer::{GuidanceSpec, Switch};
use glass_trainer::guidance::{Bilinear, Guidance, PseudoMask, components, nearest};

const SIDE: usize = 4;

fn guidance(background: Switch) -> Guidance {
    let spec = GuidanceSpec { background, resolution: SIDE as u32, ..GuidanceSpec::default() };
    Guidance::new(&spec, SIDE)
}

/// Left half ground, right half an object.
fn halves() -> Vec<u8> {
    (0..SIDE * SIDE).map(|i| if i % SIDE < 2 { 0 } else { 9 }).collect()
}

/// `certainty` for the right slot, the rest shared by the others.
fn attention(labels: &[u8], order: &[u8], certainty: f32) -> Vec<f32> {
    let others = (1.0 - certainty) / (order.len() - 1) as f32;
    order.iter().flat_map(|&slot| labels.iter().map(move |&l| if l == slot { certainty } else { others })).collect()
}

#[test]
fn a_perfect_attention_has_no_loss() {
    let labels = halves();
    let masks = [PseudoMask { labels: &labels, weight: 1.0 }];
    let perfect = attention(&labels, &[0, 9, 77], 1.0);
    let term = guidance(Switch::On).term(&perfect, 3, &masks).unwrap();
    assert!(term.value < 1e-5, "{}", term.value);
    assert_eq!((term.pairs, term.overlap), (2, 1.0));
}

#[test]
fn the_order_of_slots_does_not_matter() {
    let labels = halves();
    let masks = [PseudoMask { labels: &labels, weight: 1.0 }];
    let value = |order: &[u8]| {
        let attention = attention(&labels, order, 0.8);
        guidance(Switch::On).term(&attention, 3, &masks).unwrap().value
    };
    assert_eq!(value(&[0, 9, 77]), value(&[77, 9, 0]));
}

#[test]
fn uncertain_pixels_give_no_gradient() {
    let mut labels = halves();
    labels[5] = 255;
    labels[6] = 255;
    let masks = [PseudoMask { labels: &labels, weight: 1.0 }];
    let attention = attention(&halves(), &[0, 9], 0.7);
    let term = guidance(Switch::On).term(&attention, 2, &masks).unwrap();
    for (index, gradient) in term.gradient.iter().enumerate() {
        let uncertain = labels[index % labels.len()] == 255;
        assert_eq!(*gradient == 0.0, uncertain, "pixel {index}");
    }
}

#[test]
fn the_gradient_is_the_slope_of_the_loss() {
    let labels: Vec<u8> = nearest(&halves(), SIDE, 8);
    let spec = GuidanceSpec { resolution: 8, ..GuidanceSpec::default() };
    let guidance = Guidance::new(&spec, SIDE);
    let masks = [PseudoMask { labels: &labels, weight: 1.0 }];
    let attention = attention(&halves(), &[0, 9], 0.7);
    let term = guidance.term(&attention, 2, &masks).unwrap();
    for index in [0, 5, 6, 17, 31] {
        let at = |delta: f32| {
            let mut moved = attention.clone();
            moved[index] += delta;
            f64::from(guidance.term(&moved, 2, &masks).unwrap().value)
        };
        let slope = (at(1e-2) - at(-1e-2)) / 2e-2;
        let gradient = f64::from(term.gradient[index]);
        assert!((slope - gradient).abs() < 2e-3, "{index}: {slope} and {gradient}");
    }
}

#[test]
fn surplus_components_and_surplus_slots_have_no_loss() {
    let labels: Vec<u8> = (0..16).map(|i| i / 4).collect();
    let masks = [PseudoMask { labels: &labels, weight: 1.0 }];
    let two = attention(&labels, &[0, 1], 0.9);
    assert_eq!(guidance(Switch::On).term(&two, 2, &masks).unwrap().pairs, 2);
    let six = attention(&labels, &[0, 1, 2, 3, 90, 91], 0.9);
    let term = guidance(Switch::On).term(&six, 6, &masks).unwrap();
    assert_eq!(term.pairs, 4);
    assert!(term.gradient[64..].iter().all(|&g| g == 0.0));
}

#[test]
fn the_ground_is_a_component_only_where_asked_and_uncertain_pixels_never_are() {
    let labels = [0, 3, 255, 3];
    let found = |background| components(&labels, background).len();
    assert_eq!((found(Switch::On), found(Switch::Off)), (2, 1));
    assert!(components(&[255, 255], Switch::On).is_empty());
}

#[test]
fn a_batch_without_known_pixels_has_no_loss() {
    let labels = [255; 16];
    let masks = [PseudoMask { labels: &labels, weight: 1.0 }];
    let term = guidance(Switch::On).term(&[0.5; 32], 2, &masks).unwrap();
    assert_eq!((term.value, term.pairs), (0.0, 0));
    assert!(term.gradient.iter().all(|&g| g == 0.0));
}

#[test]
fn a_sample_counts_by_its_weight() {
    let (good, bad) = (halves(), vec![9u8; 16]);
    let attention: Vec<f32> = [attention(&good, &[0, 9], 0.9), attention(&good, &[0, 9], 0.9)].concat();
    let value = |weights: [f32; 2]| {
        let masks = [PseudoMask { labels: &good, weight: weights[0] }, PseudoMask { labels: &bad, weight: weights[1] }];
        guidance(Switch::On).term(&attention, 2, &masks).unwrap().value
    };
    let mean = 0.5 * (value([1.0, 0.0]) + value([0.0, 1.0]));
    assert!((value([1.0, 1.0]) - mean).abs() < 1e-6);
    assert!(value([1.0, 0.1]) < value([1.0, 1.0]));
}

#[test]
fn enlarging_and_gathering_are_adjoint() {
    let enlarge = Bilinear::new(3, 7);
    let map: Vec<f32> = (0..9).map(|i| (i as f32).sin()).collect();
    let large: Vec<f32> = (0..49).map(|i| (i as f32).cos()).collect();
    let mut up = vec![0.0; 49];
    enlarge.enlarge(&map, &mut up);
    let mut down = vec![0.0; 9];
    enlarge.gather(&large, &mut down);
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    assert!((dot(&up, &large) - dot(&map, &down)).abs() < 1e-4);
}

//! Properties read from slots: training and scores against PyTorch and scikit-learn (`ci/reference/probe.py`).

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use glass_metrics::LabelMap;
use glass_schemas::spec::probe::{ProbeSpec, Property};
use glass_trainer::layers::{Linear, Mlp};
use glass_trainer::probe::fit::{classifier, cross_entropy, one_hot, regressor, squared_error, table};
use glass_trainer::probe::job::outcomes;
use glass_trainer::probe::matching::matched;
use glass_trainer::probe::report::{accuracy, r2};
use glass_trainer::probe::split::{rows, scaled, split};
use glass_trainer::probe::{Fit, Objects};
use serde_json::Value;

const GOLDEN: &str = include_str!("../../goldens/probe.json");
/// Relative, after 300 steps in f32: the order of sums, and AdamW divides by roots of small squares.
const TOLERANCE: f64 = 1e-3;
const SLOT: usize = 6;

fn golden() -> Value {
    serde_json::from_str(GOLDEN).unwrap()
}

fn floats(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

fn places(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect()
}

fn device() -> Device {
    Device::flex().autodiff()
}

/// PyTorch keeps `[outputs, inputs]`.
fn set(layer: Linear, weights: &Value, name: &str) -> Linear {
    let [inputs, outputs] = layer.weight.dims();
    let data = |key: &str| floats(&weights[format!("{name}{key}")]);
    let weight = Tensor::<2>::from_data(TensorData::new(data("weight"), [outputs, inputs]), &device()).transpose();
    let bias = Tensor::<1>::from_data(TensorData::new(data("bias"), [outputs]), &device());
    Linear {
        weight: Param::initialized(layer.weight.id, weight.require_grad()),
        bias: layer.bias.map(|old| Param::initialized(old.id, bias.require_grad())),
    }
}

fn linear(weights: &Value) -> Linear {
    set(classifier(SLOT, 3, 1, &device()), weights, "")
}

fn mlp(weights: &Value) -> Mlp {
    let Mlp { first, second } = regressor(SLOT, 4, 1, &device());
    Mlp { first: set(first, weights, "0."), second: set(second, weights, "2.") }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

fn near(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(f32::MIN_POSITIVE, |scale, v| scale.max(v.abs()));
    let error = found.iter().zip(expected).fold(0.0_f32, |error, (a, b)| error.max((a - b).abs())) / scale;
    println!("| probe | {what} | {error:.1e} |");
    assert!(f64::from(error) <= TOLERANCE, "{what}: {error:.1e}");
}

#[test]
fn training_and_scores_agree_with_pytorch_and_scikit_learn() {
    let golden = golden();
    let train = golden["train"].as_u64().unwrap() as usize;
    let steps = golden["steps"].as_u64().unwrap() as u32;
    let (slots, classes) = (floats(&golden["slots"]), places(&golden["classes"]));
    let first: Vec<usize> = (0..train).collect();
    let rest: Vec<usize> = (train..classes.len()).collect();
    let x = table(rows(&slots, SLOT, &first), SLOT, &device());
    let held = table(rows(&slots, SLOT, &rest), SLOT, &device());
    let fit = |steps| Fit { steps, learning_rate: 1e-3, weight_decay: 1e-2 };

    let truth = one_hot(&classes[..train], 3, &device());
    let loss = |probe: &Linear| cross_entropy(probe.forward(x.clone()), truth.clone());
    for (steps, place) in [(1, 0), (2, 1), (steps, steps as usize - 1)] {
        let (_, last) = fit(steps).run(linear(&golden["linear"]), loss, || false);
        near(&format!("cross entropy of step {steps}"), &[last], &floats(&golden["linear_losses"])[place..=place]);
    }
    let (probe, _) = fit(steps).run(linear(&golden["linear"]), loss, || false);
    let after = linear(&golden["linear_after"]);
    near("linear weights", &values(probe.weight.val()), &values(after.weight.val()));
    let scores = values(probe.forward(held.clone()));
    let best = |row: &[f32]| (0..3).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
    let found: Vec<usize> = scores.chunks_exact(3).map(best).collect();
    assert_eq!(accuracy(&found, &classes[train..]), golden["accuracy"].as_f64().unwrap());

    let target = scaled(&floats(&golden["boxes"]), 4);
    near("boxes in [-1, 1]", &target, &floats(&golden["scaled"]));
    let truth = table(rows(&target, 4, &first), 4, &device());
    let loss = |probe: &Mlp| squared_error(probe.forward(x.clone()), truth.clone());
    let (probe, last) = fit(steps).run(mlp(&golden["mlp"]), loss, || false);
    near("squared error of the last step", &[last], &floats(&golden["mlp_losses"])[steps as usize - 1..]);
    let after = mlp(&golden["mlp_after"]);
    near("mlp weights, first", &values(probe.first.weight.val()), &values(after.first.weight.val()));
    near("mlp weights, second", &values(probe.second.weight.val()), &values(after.second.weight.val()));
    let found = values(probe.forward(held));
    let scored = rows(&target, 4, &rest);
    let columns: Vec<f32> = r2(&found, &scored, 4).into_iter().map(|v| v as f32).collect();
    near("R²", &columns, &floats(&golden["r2"]));
    let squares: f32 = found.iter().zip(&scored).map(|(a, b)| (a - b) * (a - b)).sum();
    near("squared error", &[squares / scored.len() as f32], &[golden["squared_error"].as_f64().unwrap() as f32]);
}

#[test]
fn objects_are_matched_as_with_scipy() {
    let mut shared = 0;
    for golden in golden()["matches"].as_array().unwrap() {
        let side = golden["side"].as_u64().unwrap() as usize;
        let count = golden["count"].as_u64().unwrap() as usize;
        let map = |name: &str| {
            let labels = places(&golden[name]).into_iter().map(|label| label as u16).collect();
            LabelMap::new(side, side, labels).unwrap()
        };
        let (instances, slots) = (map("instances"), map("slots"));
        let found = matched(&instances, &instances, &slots, count).unwrap();
        let expected: Vec<(usize, usize)> = places(&golden["objects"]).into_iter().zip(places(&golden["of"])).collect();
        assert_eq!(found.len(), expected.len());
        // Assignments may differ where costs are equal; their sum may not.
        let cost = |object: usize, slot: usize| {
            let of_object = instances.labels().iter().filter(|&&l| usize::from(l) == object).count() as f64;
            let of_slot = slots.labels().iter().filter(|&&l| usize::from(l) == slot).count() as f64;
            let pairs = instances.labels().iter().zip(slots.labels());
            let both = pairs.filter(|(a, b)| (usize::from(**a), usize::from(**b)) == (object, slot)).count() as f64;
            1.0 - both / (of_object * of_slot).sqrt().max(1e-8)
        };
        let sum: f64 = found.iter().map(|m| cost(usize::from(m.instance), m.slot)).sum();
        assert!((sum - golden["cost"].as_f64().unwrap()).abs() < 1e-9);
        shared += usize::from(found.iter().zip(&expected).all(|(m, e)| (usize::from(m.instance), m.slot) == *e));
    }
    assert!(shared > 15, "{shared}");
}

#[test]
fn a_box_is_that_of_the_visible_pixels() {
    let mut labels = vec![0_u16; 100];
    for (x, y) in (2..6).flat_map(|x| (4..9).map(move |y| (x, y))) {
        labels[y * 10 + x] = 7;
    }
    let instances = LabelMap::new(10, 10, labels.clone()).unwrap();
    let classes = LabelMap::new(10, 10, labels.iter().map(|&l| if l == 7 { 3 } else { 0 }).collect()).unwrap();
    let found = matched(&instances, &classes, &LabelMap::filled(10, 10, 1), 2).unwrap();
    let [object] = found[..] else { panic!("{found:?}") };
    assert_eq!((object.instance, object.class, object.slot), (7, 3, 1));
    assert_eq!(object.bounds, [0.4, 0.65, 0.4, 0.5]);
    assert!(matched(&instances, &classes, &LabelMap::filled(9, 10, 1), 2).is_err());
}

#[test]
fn what_slots_hold_is_found_and_what_they_do_not_is_not() {
    let stream = glass_schemas::seeds::Stream::new(1, "slots", glass_schemas::seeds::Purpose::Latent);
    let noise = stream.normal(400 * 5);
    let mut objects = Objects { slot_size: 5, ..Objects::default() };
    for (at, row) in noise.chunks_exact(5).enumerate() {
        let class = 1 + (at % 3) as u16;
        objects.slots.extend([row[0], row[1], row[2] + 4.0 * f32::from(class), row[3], row[4]]);
        objects.classes.push(class);
        objects.boxes.push([0.5 + 0.1 * row[0], 0.5 + 0.1 * row[1], stream.at(9).uniform(400)[at], 0.3]);
    }
    let spec = ProbeSpec { steps: 1500, learning_rate: 5e-3, ..ProbeSpec::default() };
    let outcomes = outcomes(&objects, &spec, &Device::flex(), &|| false).unwrap();
    let [category, bounds] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert!(category.accuracy.unwrap() > 0.9 && category.most_frequent.unwrap() < 0.6, "{category:?}");
    assert_eq!((category.trained, category.tested), (332, 68));
    let columns = bounds.r2_columns.as_ref().unwrap();
    // Two columns stand in the slot, one does not, one never changes.
    assert!(columns[0] > 0.9 && columns[1] > 0.9 && columns[2] < 0.3, "{columns:?}");

    let few = Objects { slots: vec![0.0; 5], classes: vec![1], boxes: vec![[0.0; 4]], slot_size: 5, seen: 1 };
    let spec = ProbeSpec { properties: vec![Property::Category], ..ProbeSpec::default() };
    let error = glass_trainer::probe::job::outcomes(&few, &spec, &Device::flex(), &|| false).unwrap_err();
    assert!(error.to_string().contains("evaluation.probe.train_share"), "{error}");
}

#[test]
fn a_split_is_the_same_every_time_and_leaves_nothing_out() {
    let parts = split(100, 0.83, 666);
    assert_eq!((parts.train.len(), parts.test.len()), (83, 17));
    assert_eq!(parts, split(100, 0.83, 666));
    assert_ne!(parts, split(100, 0.83, 667));
    let mut all = [parts.train, parts.test].concat();
    all.sort_unstable();
    assert_eq!(all, (0..100).collect::<Vec<_>>());
}

#[test]
fn a_column_of_one_value_scores_as_in_scikit_learn() {
    assert_eq!(r2(&[1.0, 1.0], &[1.0, 1.0], 1), [1.0]);
    assert_eq!(r2(&[1.0, 2.0], &[1.0, 1.0], 1), [0.0]);
    assert_eq!(scaled(&[0.0, 5.0, 2.0, 5.0], 2), [-1.0, -1.0, 1.0, -1.0]);
}

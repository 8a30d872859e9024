//! Numbers of a whole pass: they are those of the protocol, and nothing but the data, the seeds and the networks
//! decides them.

use burn::tensor::Device;
use glass_metrics::Protocol;
use glass_schemas::spec::evaluation::{Baseline, EvaluationSpec, MaskSource};
use glass_trainer::eval::coco::ValidationSet;
use glass_trainer::eval::collect::{Collected, Collector};
use glass_trainer::eval::predict::Networks;
use glass_trainer::eval::run::{Plan, evaluate};
use glass_trainer::eval::{Method, Table, protocols, scores};

use crate::toy::{Data, MeanColour, RandomColours, SIDE};

fn spec(names: &[&str]) -> EvaluationSpec {
    EvaluationSpec {
        protocols: names.iter().map(ToString::to_string).collect(),
        input_size: Some(SIDE),
        mask_size: Some(SIDE),
        ..EvaluationSpec::default()
    }
}

fn run(data: &Data, names: &[&str], batch: usize) -> Collected<Vec<u8>> {
    let set = ValidationSet::open(data.folder(), &data.instances(), None).unwrap();
    let protocols = protocols::resolve(&spec(names)).unwrap();
    let plan = Plan {
        protocols: protocols.clone(),
        methods: vec![
            Method::Slots(MaskSource::SlotAttention),
            Method::Baseline(Baseline::Blocks),
            Method::Baseline(Baseline::KMeans),
            Method::Baseline(Baseline::Ceiling),
        ],
        seeds: vec![3, 4, 5],
        slots: 3,
        batch,
    };
    let networks =
        Networks { encoder: &MeanColour, trained: Some(&RandomColours), untrained: Vec::new(), device: Device::flex() };
    let mut collector =
        Collector::new(&protocols, 2, Some(Vec::new()), |_| std::ops::ControlFlow::Continue(())).unwrap();
    evaluate(&set, &networks, &plan, &mut collector).unwrap();
    collector.finish().unwrap()
}

#[test]
fn numbers_do_not_depend_on_the_batch() {
    let data = Data::new(7);
    let names = ["glass-release", "spot", "oclf", "slotdiffusion"];
    let [one, four, all] = [1, 4, 100].map(|batch| serde_json::to_value(run(&data, &names, batch).summary).unwrap());
    assert_eq!(one, four);
    assert_eq!(one, all);
}

#[test]
fn numbers_of_a_picture_do_not_depend_on_the_other_pictures() {
    let (mut data, all) = (Data::new(4), Data::new(4));
    data.document["images"].as_array_mut().unwrap().reverse();
    data.save();
    let [reversed, straight] = [&data, &all].map(|data| run(data, &["glass-release"], 3).summary);
    for (a, b) in reversed[0].methods.iter().zip(&straight[0].methods) {
        for (metric, spread) in &a.metrics {
            assert!((spread.mean - b.metrics[metric].mean).abs() < 1e-12, "{metric}");
        }
    }
}

#[test]
fn clusters_of_colours_find_coloured_squares() {
    let summary = run(&Data::new(5), &["glass-release"], 2).summary;
    let id = format!("glass-release@{SIDE}/{SIDE}");
    let of = |method, metric| scores::find(&summary, &id, method, metric).unwrap();
    let (kmeans, blocks) = (Method::Baseline(Baseline::KMeans), Method::Baseline(Baseline::Blocks));
    assert!(of(kmeans, "mbo_i") > of(blocks, "mbo_i") + 0.2);
    assert!(of(Method::Baseline(Baseline::Ceiling), "mbo_i") >= of(kmeans, "mbo_i") - 0.02);
}

#[test]
fn every_block_of_the_printed_table_has_its_protocol() {
    let summary = run(&Data::new(2), &["glass-release", "spot"], 2).summary;
    let text = Table(&summary).to_string();
    assert!(text.contains("protocol glass-release@32/32") && text.contains("protocol spot@32/32"), "{text}");
    assert!(text.contains("±"), "{text}");
}

#[test]
fn pictures_of_the_report_come_with_an_index() {
    let samples = run(&Data::new(3), &["glass-release"], 2).samples;
    let names: Vec<&str> = samples.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[0], "samples.json");
    let index: serde_json::Value = serde_json::from_slice(&samples[0].1).unwrap();
    assert_eq!(index["samples"].as_array().unwrap().len(), 2);
    for view in index["samples"][1]["views"].as_array().unwrap() {
        assert!(names.contains(&view["file"].as_str().unwrap()), "{view}");
    }
}

#[test]
fn every_protocol_file_is_the_shipped_protocol() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../manifests/eval");
    for id in Protocol::SHIPPED {
        let path = format!("{folder}/{id}.toml");
        let named = EvaluationSpec { protocols: vec![path], ..EvaluationSpec::default() };
        assert_eq!(protocols::resolve(&named).unwrap(), [Protocol::shipped(id).unwrap()]);
    }
}

#[test]
fn an_unknown_protocol_is_refused_with_the_ones_there_are() {
    let error = protocols::resolve(&spec(&["glass"])).unwrap_err();
    assert!(error.to_string().contains("`glass`"));
    assert!(error.hint().unwrap().contains("glass-release"));
    assert!(protocols::resolve(&spec(&["spot", "spot"])).is_err());
}

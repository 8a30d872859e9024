//! Pictures from slots, drawn by the embedded checkpoint in two steps.

use std::path::PathBuf;

use burn::tensor::{Device, Tensor, TensorData};
use glass_schemas::seeds::{Purpose, Stream};
use glass_schemas::spec::SchedulerChoice;
use glass_schemas::spec::trainer::{DiffusionDecoderSpec, TrainerSpec};
use glass_trainer::decoders::{ImageDecoder, Painter, Sampling};
use image::RgbImage;

fn folder() -> PathBuf {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../assets/mini/stable-diffusion").into()
}

fn sampling(guidance_scale: f32) -> Sampling {
    Sampling { scheduler: SchedulerChoice::DpmSolver, steps: 2, guidance_scale, size: 64, seed: 1 }
}

fn painter(sampling: &Sampling) -> Box<dyn Painter> {
    let device = Device::flex();
    let diffusion = DiffusionDecoderSpec { weights: folder(), ..DiffusionDecoderSpec::default() };
    let spec = TrainerSpec { diffusion, ..TrainerSpec::default() };
    let decoder = ImageDecoder::new(&spec, 0, &device).unwrap().unwrap();
    decoder.painter(&spec, sampling, &device).unwrap()
}
/// Slots as wide as the checkpoint's text states.
fn slots(pictures: usize, count: usize) -> Tensor<3> {
    let config = std::fs::read_to_string(folder().join("unet/config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    let dim = config["cross_attention_dim"].as_u64().unwrap() as usize;
    let draw = |picture| Stream::new(picture, "slots", Purpose::SlotInit).normal(count * dim);
    let values: Vec<f32> = (0..pictures as u64).flat_map(draw).collect();
    Tensor::from_data(TensorData::new(values, [pictures, count, dim]), &Device::flex())
}

fn largest_difference(a: &RgbImage, b: &RgbImage) -> u8 {
    a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

#[test]
fn a_picture_does_not_depend_on_its_neighbours() {
    let sampling = sampling(1.3);
    let painter = painter(&sampling);
    let both = painter.draw(slots(2, 4), &["a", "b"], &sampling).unwrap();
    let alone = painter.draw(slots(2, 4).narrow(0, 1, 1), &["b"], &sampling).unwrap();
    assert_eq!(both[0].dimensions(), (64, 64));
    assert!(largest_difference(&both[1], &alone[0]) <= 1);
    assert!(largest_difference(&both[0], &both[1]) > 10);
}

#[test]
fn any_number_of_slots_can_be_drawn_with_guidance() {
    let sampling = sampling(2.0);
    let painter = painter(&sampling);
    for count in [1, 2, 7] {
        assert_eq!(painter.draw(slots(1, count), &["a"], &sampling).unwrap().len(), 1);
    }
}

#[test]
fn guidance_of_one_does_not_look_at_the_empty_prompt() {
    let (plain, guided) = (sampling(1.0), sampling(3.0));
    let draw = |sampling| painter(sampling).draw(slots(1, 3), &["a"], sampling).unwrap().remove(0);
    assert!(largest_difference(&draw(&plain), &draw(&guided)) > 2);
}

//! Image encoders.

use anyhow::ensure;
use burn::tensor::{Tensor, TensorData};
use glass_metrics::{PerceptualLayer, perceptual_distance};
use glass_nets::clip::ClipVisionModel;
use glass_nets::dinov2::Dinov2Model;
use glass_nets::inception::{InceptionInput, InceptionV3};
use glass_nets::perceptual::Perceptual;

use super::tensors::Outputs;
use super::{Job, explained};

pub(super) fn dinov2(job: &Job<'_>) -> anyhow::Result<Outputs> {
    let pixels = job.inputs()?.floats::<4>("pixel_values")?;
    job.timed(
        || Dinov2Model::load(&job.args.weights, &job.device),
        |network| {
            let hidden = network.forward(pixels.clone()).map_err(explained)?;
            Outputs::new().tensor("last_hidden_state", hidden)
        },
    )
}

pub(super) fn clip(job: &Job<'_>) -> anyhow::Result<Outputs> {
    let pixels = job.inputs()?.floats::<4>("pixel_values")?;
    job.timed(
        || ClipVisionModel::load(&job.args.weights, &job.device),
        |network| {
            let hidden = network.forward(pixels.clone()).map_err(explained)?;
            Outputs::new().tensor("last_hidden_state", hidden.clone())?.tensor("image_embeds", network.embed(hidden))
        },
    )
}

pub(super) fn inception(job: &Job<'_>) -> anyhow::Result<Outputs> {
    let inputs = job.inputs()?;
    let prepared = if inputs.contains("bytes") {
        InceptionInput::TorchFidelity.prepare_bytes(inputs.floats::<4>("bytes")?)
    } else {
        InceptionInput::PytorchFid.prepare_bytes(inputs.floats::<4>("inp")? * 255.0)
    };
    ensure!(prepared.dims()[1] == 3, "pictures have {} channels, expected 3", prepared.dims()[1]);
    job.timed(
        || InceptionV3::load(&job.args.weights, &job.device),
        |network| Outputs::new().tensor("features", network.forward(prepared.clone())),
    )
}

pub(super) fn lpips(job: &Job<'_>) -> anyhow::Result<Outputs> {
    let inputs = job.inputs()?;
    let pair = [inputs.floats::<4>("in0")?, inputs.floats::<4>("in1")?];
    let [first, second] = pair.each_ref().map(Tensor::dims);
    ensure!(first == second, "`in0` {first:?} and `in1` {second:?} differ in shape");
    job.timed(
        || Perceptual::load(&job.args.weights, job.args.heads.as_deref(), &job.device),
        |network| {
            let [layers, others] = pair.clone().map(|pictures| network.forward(pictures));
            let (layers, others) = (layers.map_err(explained)?, others.map_err(explained)?);
            let distances = (0..first[0])
                .map(|row| Ok(distance(network, &layers, &others, row)? as f32))
                .collect::<anyhow::Result<Vec<f32>>>()?;
            let mut outputs = Outputs::new().floats("distance", &distances, vec![first[0]]);
            for (at, layer) in layers.into_iter().enumerate() {
                outputs = outputs.tensor(&format!("relu{}", at + 1), layer)?;
            }
            Ok(outputs)
        },
    )
}

/// The distance of one pair in a batch.
fn distance(network: &Perceptual, first: &[Tensor<4>], second: &[Tensor<4>], row: usize) -> anyhow::Result<f64> {
    let values = |layer: &Tensor<4>| {
        let data: TensorData = layer.clone().narrow(0, row, 1).into_data().convert::<f32>();
        data.try_to_vec::<f32>().map_err(|error| anyhow::anyhow!("{error:?}"))
    };
    let all = |layers: &[Tensor<4>]| layers.iter().map(values).collect::<anyhow::Result<Vec<_>>>();
    let (first, second) = (all(first)?, all(second)?);
    let layers: Vec<PerceptualLayer<'_>> = first
        .iter()
        .zip(&second)
        .zip(network.heads())
        .map(|((first, second), weights)| PerceptualLayer { first, second, weights })
        .collect();
    Ok(perceptual_distance(&layers)?)
}

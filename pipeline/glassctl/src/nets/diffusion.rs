//! The networks and samplers of Stable Diffusion.

use anyhow::{Context as _, ensure};
use burn::tensor::Tensor;
use glass_nets::schedulers::{Scheduler, SchedulerChoice, guide};
use glass_nets::unet::UNet2DConditionModel;
use glass_nets::unet::capture::{
    Attention, Capture, CaptureOptions, CapturedMap, ClassContext, ClassPrompt, Division, MapKind, Plain,
};
use glass_nets::vae::AutoencoderKl;

use super::tensors::Outputs;
use super::{Job, explained};

pub(super) fn unet(job: &Job<'_>) -> anyhow::Result<Outputs> {
    let inputs = job.inputs()?;
    let sample = inputs.floats::<4>("sample")?;
    let context = inputs.floats::<3>("encoder_hidden_states")?;
    let batch = sample.dims()[0];
    ensure!(
        context.dims()[0] == batch,
        "`encoder_hidden_states` has {} rows for a batch of {batch}",
        context.dims()[0]
    );
    let timesteps = inputs.per_row("timestep", batch)?;
    let sides = &job.args.capture;
    job.timed(
        || UNet2DConditionModel::load(&job.args.weights, &job.device),
        |network| {
            let mut capture = words_capture(sides, &context).map_err(explained)?;
            let attention: &mut dyn Attention = match &mut capture {
                Some(capture) => capture,
                None => &mut Plain,
            };
            let tokens = context.dims()[1];
            let output = network.forward(sample.clone(), &timesteps, context.clone(), attention);
            let outputs = Outputs::new().tensor("sample", output)?;
            match capture {
                Some(capture) => Ok(maps(outputs, &capture.finish().map_err(explained)?, sides, tokens)),
                None => Ok(outputs),
            }
        },
    )
}

/// Watches every word of every row: each row of the batch is its own prompt, and each word a class.
fn words_capture(sides: &[usize], context: &Tensor<3>) -> Result<Option<Capture>, glass_nets::NetsError> {
    if sides.is_empty() {
        return Ok(None);
    }
    let [batch, tokens, _] = context.dims();
    let options =
        CaptureOptions { cross: sides.to_vec(), self_attention: sides.to_vec(), division: Division::Together };
    let prompt = |sample| ClassPrompt { sample, positions: (0..tokens).map(|t| vec![t]).collect() };
    let classes = ClassContext { prompts: (0..batch).map(prompt).collect(), states: context.clone() };
    Capture::new(options, batch, Some(classes)).map(Some)
}

/// Adds `cross_N` `[batch, positions, tokens]` and `self_N` `[batch, positions, positions]`.
fn maps(mut outputs: Outputs, samples: &[Vec<CapturedMap>], sides: &[usize], tokens: usize) -> Outputs {
    for &side in sides {
        let positions = side * side;
        for (kind, name, width) in [(MapKind::Cross, "cross", tokens), (MapKind::SelfAttention, "self", positions)] {
            let mut values = Vec::with_capacity(samples.len() * positions * width);
            let wanted = |map: &&CapturedMap| map.kind == kind && map.resolution == side;
            for map in samples.iter().filter_map(|maps| maps.iter().find(wanted)) {
                match kind {
                    // Kept word by word, written position by position.
                    MapKind::Cross => {
                        values.extend((0..positions).flat_map(|at| map.values.iter().skip(at).step_by(positions)))
                    }
                    MapKind::SelfAttention => values.extend_from_slice(&map.values),
                }
            }
            outputs = outputs.floats(&format!("{name}_{side}"), &values, vec![samples.len(), positions, width]);
        }
    }
    outputs
}

pub(super) fn vae_encode(job: &Job<'_>) -> anyhow::Result<Outputs> {
    let image = job.inputs()?.floats::<4>("sample")?;
    job.timed(
        || AutoencoderKl::load(&job.args.weights, &job.device),
        |vae| {
            let [_, _, height, width] = image.dims();
            let multiple = vae.downscale();
            ensure!(
                height.is_multiple_of(multiple) && width.is_multiple_of(multiple),
                "pictures of {width}x{height} pixels: both sides must be multiples of {multiple}"
            );
            let posterior = vae.encode(image.clone());
            Outputs::new().tensor("mean", posterior.mean)?.tensor("logvar", posterior.logvar)
        },
    )
}

pub(super) fn vae_decode(job: &Job<'_>) -> anyhow::Result<Outputs> {
    let latents = job.inputs()?.floats::<4>("latents")?;
    job.timed(
        || AutoencoderKl::load(&job.args.weights, &job.device),
        |vae| {
            let latents = latents.clone();
            let picture = if job.args.tiled { vae.decode_tiled(latents) } else { vae.decode(latents) };
            Outputs::new().tensor("sample", picture)
        },
    )
}

/// Steps of diffusers' own default.
const PIPELINE_STEPS: usize = 50;

pub(super) fn pipeline(job: &Job<'_>) -> anyhow::Result<Outputs> {
    let inputs = job.inputs()?;
    let noise = inputs.floats::<4>("latents")?;
    let conditional = inputs.floats::<3>("prompt_embeds")?;
    let unconditional = inputs.floats::<3>("negative_prompt_embeds")?;
    let batch = noise.dims()[0];
    ensure!(
        conditional.dims() == unconditional.dims() && conditional.dims()[0] == batch,
        "`prompt_embeds` {:?} and `negative_prompt_embeds` {:?} do not fit a batch of {batch}",
        conditional.dims(),
        unconditional.dims()
    );
    let (folder, device) = (&job.args.weights, &job.device);
    let context = Tensor::cat(vec![unconditional, conditional], 0);
    let steps = job.args.steps.unwrap_or(PIPELINE_STEPS);
    job.timed(
        || {
            let scheduler = Scheduler::from_config(folder.join("scheduler"), SchedulerChoice::Checkpoint)?;
            let unet = UNet2DConditionModel::load(folder.join("unet"), device)?;
            Ok((scheduler.deterministic()?, unet, AutoencoderKl::load(folder.join("vae"), device)?))
        },
        |(scheduler, unet, vae)| {
            let run = scheduler.trajectory(steps).map_err(explained)?;
            let latents = run.run(noise.clone(), |latents, timestep| {
                let twice = latents.repeat_dim(0, 2);
                guide(unet.forward(twice, &[timestep], context.clone(), &mut Plain), job.args.guidance_scale)
            });
            // One picture at a time, as decoding needs the most memory.
            let pictures = (0..batch).map(|i| vae.decode(latents.clone().narrow(0, i, 1) / vae.scaling_factor()));
            let pictures = Tensor::cat(pictures.collect(), 0).clamp(-1.0, 1.0);
            Outputs::new().tensor("latents", latents)?.tensor("images", pictures)
        },
    )
}

pub(super) fn schedule(job: &Job<'_>) -> anyhow::Result<Outputs> {
    let steps = job.args.steps.context("`schedule` needs --steps")?;
    let inputs = job.inputs()?;
    let outputs = inputs.floats::<5>("model_outputs")?;
    let mut sample = inputs.floats::<4>("sample")?;
    ensure!(
        outputs.dims()[1..] == sample.dims(),
        "`model_outputs` {:?} is not a list of tensors like `sample` {:?}",
        outputs.dims(),
        sample.dims()
    );
    let scheduler = Scheduler::from_config(&job.args.weights, SchedulerChoice::Checkpoint).map_err(explained)?;
    let mut run = scheduler.trajectory(steps).map_err(explained)?;
    let timesteps = run.timesteps().to_vec();
    ensure!(
        outputs.dims()[0] >= timesteps.len(),
        "{steps} steps make {} calls, but `model_outputs` holds {}",
        timesteps.len(),
        outputs.dims()[0]
    );
    // Without noise, DDPM's means.
    let noise = match run.next_noise() > 0.0 && inputs.contains("variance_noise") {
        true => Some(inputs.floats::<5>("variance_noise")?),
        false => None,
    };
    if let Some(noise) = &noise {
        ensure!(
            noise.dims()[1..] == sample.dims() && noise.dims()[0] >= timesteps.len(),
            "`variance_noise` {:?} does not hold a tensor like `sample` {:?} for each of {} calls",
            noise.dims(),
            sample.dims(),
            timesteps.len()
        );
    }
    let mut samples = vec![sample.clone()];
    for call in 0..timesteps.len() {
        let of_call = |all: &Tensor<5>| all.clone().narrow(0, call, 1).squeeze_dim::<4>(0);
        let sigma = run.next_noise();
        sample = run.step(of_call(&outputs), sample);
        if let Some(noise) = noise.as_ref().filter(|_| sigma > 0.0) {
            sample = sample + of_call(noise) * sigma;
        }
        samples.push(sample.clone());
    }
    let count = timesteps.len();
    Outputs::new().floats("timesteps", &timesteps, vec![count]).tensor("samples", Tensor::stack::<5>(samples, 0))
}

//! A training state as the objects of a checkpoint.

use std::collections::BTreeMap;

use glass_schemas::spec::trainer::TrainerSpec;
use serde::{Deserialize, Serialize};

use super::layout::{feature_names, slot_names, unet_names};
use super::tensors::{Named, collect, from_safetensors, restore, to_safetensors};
use crate::error::{Result, TrainerError};
use crate::grouping::grid;
use crate::optim::{Ema, GroupOptimizer};
use crate::phases::{DriftState, Networks, Optimizers, TrainState};
use crate::track::{History, Window};

/// Objects by name.
pub type Objects = BTreeMap<String, Vec<u8>>;

/// Names of the objects. Folders are those of the published checkpoints, so that a checkpoint's
/// folder can be given to their code.
mod names {
    pub const SLOTS: &str = "multiheadstevesa/diffusion_pytorch_model.safetensors";
    pub const SLOTS_CONFIG: &str = "multiheadstevesa/config.json";
    pub const FEATURES: &str = "mlpdecoder/model.safetensors";
    pub const UNET: &str = "unet2dconditionmodel/diffusion_pytorch_model.safetensors";
    pub const UNET_CONFIG: &str = "unet2dconditionmodel/config.json";
    pub const OPTIMIZERS: [&str; 3] = [
        "optimizer/slots.bpk",
        "optimizer/features.bpk",
        "optimizer/unet.bpk",
    ];
    pub const EMA: &str = "ema.safetensors";
    pub const STATE: &str = "state.json";
    pub const METRICS: &str = "metrics.jsonl";
}

/// The position buffer of the published layout, saved beside its projection.
const POSITION_BUFFER: &str = "pos.pe";
const POSITION_WEIGHT: &str = "pos.projection.weight";

#[derive(Debug, Serialize, Deserialize)]
struct Progress {
    step: u64,
    drift: DriftState,
    window: Window,
    tokens: usize,
}

/// Packs a state.
///
/// # Errors
/// [`TrainerError::State`].
pub fn pack(state: &TrainState, spec: &TrainerSpec) -> Result<Objects> {
    let networks = &state.networks;
    let tokens = networks.features.tokens();
    let mut slots = collect(&networks.slots, slot_names);
    publish_position(&mut slots, tokens.isqrt());
    let features = collect(&networks.features, feature_names);
    let progress = Progress {
        step: state.step,
        drift: state.drift,
        window: state.window.clone(),
        tokens,
    };
    let optimizers = &state.optimizers;
    let mut objects = Objects::from([
        (
            names::SLOTS.to_owned(),
            to_safetensors(&slots, names::SLOTS)?,
        ),
        (
            names::SLOTS_CONFIG.to_owned(),
            slots_config(spec, networks, tokens)?,
        ),
        (
            names::FEATURES.to_owned(),
            to_safetensors(&features, names::FEATURES)?,
        ),
        (names::STATE.to_owned(), json(names::STATE, &progress)?),
        (
            names::METRICS.to_owned(),
            state.history.to_json_lines()?.into_bytes(),
        ),
        (
            names::OPTIMIZERS[0].to_owned(),
            optimizers.slots.to_bytes()?,
        ),
        (
            names::OPTIMIZERS[1].to_owned(),
            optimizers.features.to_bytes()?,
        ),
    ]);
    if let Some(diffusion) = &networks.diffusion
        && spec.phase2.learning_rate.unet > 0.0
        && state.step > spec.phase1.steps
    {
        let mut unet = collect(&diffusion.unet, unet_names);
        publish_projections(&mut unet, &diffusion.config);
        objects.insert(
            names::UNET_CONFIG.to_owned(),
            json(names::UNET_CONFIG, &diffusion.config)?,
        );
        objects.insert(names::UNET.to_owned(), to_safetensors(&unet, names::UNET)?);
        objects.insert(names::OPTIMIZERS[2].to_owned(), optimizers.unet.to_bytes()?);
    }
    if spec.optimizer.ema > 0.0 {
        let averages = state.ema.averages().iter();
        let named: Named = averages
            .map(|(id, numbers)| (id.to_string(), (vec![numbers.len()], numbers.clone())))
            .collect();
        objects.insert(names::EMA.to_owned(), to_safetensors(&named, names::EMA)?);
    }
    Ok(objects)
}

/// Puts a saved state into freshly made networks.
///
/// # Errors
/// [`TrainerError::State`] naming the object and the tensor that does not fit.
pub fn unpack(objects: &Objects, spec: &TrainerSpec, networks: Networks) -> Result<TrainState> {
    let object = |name: &str| {
        objects
            .get(name)
            .ok_or_else(|| TrainerError::state(name, "missing"))
    };
    let tensors = |name: &str| from_safetensors(object(name)?, name);
    let progress: Progress = serde_json::from_slice(object(names::STATE)?)
        .map_err(|error| TrainerError::state(names::STATE, error))?;
    let mut slots = tensors(names::SLOTS)?;
    absorb_position(&mut slots);
    let mut networks = Networks {
        slots: restore(networks.slots, slots, slot_names, names::SLOTS)?,
        features: restore(
            networks.features,
            tensors(names::FEATURES)?,
            feature_names,
            names::FEATURES,
        )?,
        diffusion: networks.diffusion,
    };
    let optimizer = |name: &str| match objects.get(name) {
        Some(bytes) => GroupOptimizer::restore(&spec.optimizer, bytes),
        None => Ok(GroupOptimizer::new(&spec.optimizer)),
    };
    if let (Some(diffusion), true) = (&mut networks.diffusion, objects.contains_key(names::UNET)) {
        let mut unet = tensors(names::UNET)?;
        absorb_projections(&mut unet);
        diffusion.unet = restore(diffusion.unet.clone(), unet, unet_names, names::UNET)?;
    }
    let averages = match objects.get(names::EMA) {
        Some(bytes) => from_safetensors(bytes, names::EMA)?,
        None => Named::new(),
    };
    let averages = averages
        .into_iter()
        .filter_map(|(id, (_, numbers))| id.parse().ok().map(|id| (id, numbers)))
        .collect();
    let metrics = std::str::from_utf8(object(names::METRICS)?)
        .map_err(|error| TrainerError::state(names::METRICS, error))?;
    let mut state = TrainState {
        step: progress.step,
        optimizers: Optimizers {
            slots: optimizer(names::OPTIMIZERS[0])?,
            features: optimizer(names::OPTIMIZERS[1])?,
            unet: optimizer(names::OPTIMIZERS[2])?,
        },
        ema: Ema::restore(spec.optimizer.ema, averages),
        drift: progress.drift,
        history: History::parse(metrics)?,
        window: progress.window,
        networks,
    };
    state.freeze_if_drifted();
    Ok(state)
}

/// Checkpoints without `use_linear_projection` keep the projections of a transformer as 1 × 1
/// convolutions; the numbers are the same.
fn publish_projections(unet: &mut Named, config: &serde_json::Value) {
    if config["use_linear_projection"] == serde_json::Value::Bool(true) {
        return;
    }
    for (shape, _) in projections(unet) {
        shape.extend([1, 1]);
    }
}

fn absorb_projections(unet: &mut Named) {
    for (shape, _) in projections(unet) {
        shape.truncate(2);
    }
}

fn projections(unet: &mut Named) -> impl Iterator<Item = &mut (Vec<usize>, Vec<f32>)> {
    let named = unet.iter_mut();
    named.filter_map(|(name, value)| {
        (name.ends_with("proj_in.weight") || name.ends_with("proj_out.weight")).then_some(value)
    })
}

/// A 1 × 1 convolution and its input, as published.
fn publish_position(slots: &mut Named, side: usize) {
    let Some((shape, _)) = slots.get_mut(POSITION_WEIGHT) else {
        return;
    };
    shape.extend([1, 1]);
    let pixels = side * side;
    let rows = grid(side);
    let planes = (0..4)
        .flat_map(|channel| rows.iter().skip(channel).step_by(4).copied())
        .collect();
    debug_assert_eq!(rows.len(), 4 * pixels);
    slots.insert(POSITION_BUFFER.to_owned(), (vec![1, 4, side, side], planes));
}

fn absorb_position(slots: &mut Named) {
    slots.remove(POSITION_BUFFER);
    if let Some((shape, _)) = slots.get_mut(POSITION_WEIGHT) {
        shape.truncate(2);
    }
}

/// `config.json` of `MultiHeadSTEVESA`.
fn slots_config(spec: &TrainerSpec, networks: &Networks, tokens: usize) -> Result<Vec<u8>> {
    use glass_schemas::spec::trainer::{InitialSlots, Position};
    let slots = &spec.slots;
    json(
        names::SLOTS_CONFIG,
        &serde_json::json!({
            "_class_name": "MultiHeadSTEVESA",
            "num_iterations": slots.iterations,
            "num_slots": slots.count,
            "num_heads": slots.heads,
            "input_size": networks.slots.input_size(),
            "out_size": slots.out_size,
            "slot_size": slots.size,
            "mlp_hidden_size": slots.mlp_size,
            "input_resolution": tokens.isqrt(),
            "epsilon": slots.epsilon,
            "learnable_slot_init": slots.initial == InitialSlots::Learned,
            "bi_level": false,
            "position": slots.position == Position::Grid,
        }),
    )
}

fn json(part: &str, value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec_pretty(value).map_err(|error| TrainerError::state(part, error))
}

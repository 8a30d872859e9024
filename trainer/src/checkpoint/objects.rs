//! A training state as the objects of a checkpoint.

use std::collections::BTreeMap;

use burn::module::Module;
use glass_schemas::spec::trainer::TrainerSpec;
use serde::{Deserialize, Serialize};

use super::tensors::{Named, collect, from_safetensors, restore, to_safetensors};
use crate::error::{Result, TrainerError};
use crate::optim::{Ema, GroupOptimizer};
use crate::parts::{Group, Layout, Origin, PartMapper, PartVisitor};
use crate::phases::{DriftState, Networks, Optimizers, TrainState};
use crate::track::{History, Window};

/// Objects by name.
pub type Objects = BTreeMap<String, Vec<u8>>;

/// Names of the objects that are no part's. Folders are those of the published checkpoints, so that
/// a checkpoint's folder can be given to their code.
mod names {
    pub const SLOTS_CONFIG: &str = "multiheadstevesa/config.json";
    pub const EMA: &str = "ema.safetensors";
    pub const STATE: &str = "state.json";
    pub const METRICS: &str = "metrics.jsonl";
}

/// The name of a part's optimiser state.
fn optimizer_name(group: Group) -> String {
    format!("optimizer/{}.bpk", group.name())
}

#[derive(Debug, Serialize, Deserialize)]
struct Progress {
    step: u64,
    drift: DriftState,
    window: Window,
    tokens: usize,
}

/// Packs a state: every part that training has changed or that can be had nowhere else.
///
/// # Errors
/// [`TrainerError::State`].
pub fn pack(state: &TrainState, spec: &TrainerSpec) -> Result<Objects> {
    let networks = &state.networks;
    let tokens = networks.feature_shape[0];
    let progress = Progress { step: state.step, drift: state.drift, window: state.window.clone(), tokens };
    let mut parts = Pack { state, spec, objects: Ok(Objects::new()) };
    networks.visit(&mut parts);
    let mut objects = parts.objects?;
    for (name, value) in documents(networks, &objects) {
        objects.insert(name.to_owned(), json(name, &value)?);
    }
    objects.insert(names::SLOTS_CONFIG.to_owned(), slots_config(spec, networks, tokens)?);
    objects.insert(names::STATE.to_owned(), json(names::STATE, &progress)?);
    objects.insert(names::METRICS.to_owned(), state.history.to_json_lines()?.into_bytes());
    if spec.optimizer.ema > 0.0 {
        let averages = state.ema.averages().iter();
        let named: Named =
            averages.map(|(id, numbers)| (id.to_string(), (vec![numbers.len()], numbers.clone()))).collect();
        objects.insert(names::EMA.to_owned(), to_safetensors(&named, names::EMA)?);
    }
    Ok(objects)
}

/// The documents of encoder and image decoder, where their weights are saved.
fn documents(networks: &Networks, objects: &Objects) -> Vec<(&'static str, serde_json::Value)> {
    struct Saved<'a>(&'a Objects, bool);
    impl PartVisitor for Saved<'_> {
        fn visit<M: Module>(&mut self, layout: &Layout, _: &M) {
            self.1 = self.0.contains_key(layout.object);
        }
    }
    let mut documents = Vec::new();
    if let Some(encoder) = &networks.encoder {
        let mut saved = Saved(objects, false);
        encoder.visit(&mut saved);
        documents.extend(encoder.documents().into_iter().filter(|_| saved.1));
    }
    if let Some(image) = &networks.image {
        let mut saved = Saved(objects, false);
        image.visit(&mut saved);
        documents.extend(image.documents().into_iter().filter(|_| saved.1));
    }
    documents
}

struct Pack<'a> {
    state: &'a TrainState,
    spec: &'a TrainerSpec,
    objects: Result<Objects>,
}

impl Pack<'_> {
    fn objects_of<M: Module>(&self, layout: &Layout, part: &M) -> Result<Objects> {
        let trained = layout.group.trained_before(self.spec, self.state.step);
        if layout.origin == Origin::Pretrained && !trained {
            return Ok(Objects::new());
        }
        let mut named = collect(part, layout.rename);
        (layout.publish)(&mut named, self.state.networks.feature_shape[0]);
        let weights = to_safetensors(&named, layout.object)?;
        let mut objects = Objects::from([(layout.object.to_owned(), weights)]);
        if let Some(optimizer) = self.state.optimizers.get(layout.group) {
            objects.insert(optimizer_name(layout.group), optimizer.to_bytes()?);
        }
        Ok(objects)
    }
}

impl PartVisitor for Pack<'_> {
    fn visit<M: Module>(&mut self, layout: &Layout, part: &M) {
        let more = self.objects_of(layout, part);
        if let Ok(objects) = &mut self.objects {
            match more {
                Ok(more) => objects.extend(more),
                Err(fault) => self.objects = Err(fault),
            }
        }
    }
}

/// Puts a saved state into freshly made networks.
///
/// # Errors
/// [`TrainerError::State`] naming the object and the tensor that does not fit.
pub fn unpack(objects: &Objects, spec: &TrainerSpec, networks: Networks) -> Result<TrainState> {
    let object = |name: &str| objects.get(name).ok_or_else(|| TrainerError::state(name, "missing"));
    let progress: Progress =
        serde_json::from_slice(object(names::STATE)?).map_err(|error| TrainerError::state(names::STATE, error))?;
    let mut parts = Unpack { objects, spec, optimizers: Optimizers::new(spec, &networks), fault: None };
    let networks = networks.map(&mut parts);
    if let Some(fault) = parts.fault {
        return Err(fault);
    }
    let averages = match objects.get(names::EMA) {
        Some(bytes) => from_safetensors(bytes, names::EMA)?,
        None => Named::new(),
    };
    let averages =
        averages.into_iter().filter_map(|(id, (_, numbers))| id.parse().ok().map(|id| (id, numbers))).collect();
    let metrics =
        std::str::from_utf8(object(names::METRICS)?).map_err(|error| TrainerError::state(names::METRICS, error))?;
    let mut state = TrainState {
        step: progress.step,
        optimizers: parts.optimizers,
        ema: Ema::restore(spec.optimizer.ema, averages),
        drift: progress.drift,
        history: History::parse(metrics)?,
        window: progress.window,
        networks,
    };
    state.freeze_if_drifted();
    Ok(state)
}

struct Unpack<'a> {
    objects: &'a Objects,
    spec: &'a TrainerSpec,
    optimizers: Optimizers,
    fault: Option<TrainerError>,
}

impl Unpack<'_> {
    /// The part with its saved weights; its optimiser is put in place.
    fn restored<M: Module>(&mut self, layout: &Layout, part: M) -> Result<M> {
        let Some(bytes) = self.objects.get(layout.object) else {
            return match layout.origin {
                Origin::Pretrained => Ok(part),
                Origin::Seed => Err(TrainerError::state(layout.object, "missing")),
            };
        };
        let mut named = from_safetensors(bytes, layout.object)?;
        (layout.absorb)(&mut named);
        if let Some(bytes) = self.objects.get(&optimizer_name(layout.group)) {
            let optimizer = GroupOptimizer::restore(&self.spec.optimizer, bytes)?;
            self.optimizers.set(layout.group, optimizer);
        }
        restore(part, named, layout.rename, layout.object)
    }
}

impl PartMapper for Unpack<'_> {
    fn map<M: Module>(&mut self, layout: &Layout, part: M) -> M {
        if self.fault.is_some() {
            return part;
        }
        match self.restored(layout, part.clone()) {
            Ok(restored) => restored,
            Err(fault) => {
                self.fault = Some(fault);
                part
            }
        }
    }
}

/// `config.json` of `MultiHeadSTEVESA`.
fn slots_config(spec: &TrainerSpec, networks: &Networks, tokens: usize) -> Result<Vec<u8>> {
    use glass_schemas::spec::trainer::{InitialSlots, Position, Truncation};
    let slots = &spec.slots;
    json(
        names::SLOTS_CONFIG,
        &serde_json::json!({
            "_class_name": "MultiHeadSTEVESA",
            "num_iterations": slots.iterations,
            "num_slots": slots.count,
            "num_heads": slots.heads,
            "input_size": networks.slots.input_size(),
            "out_size": slots.decoded_size(),
            "slot_size": slots.size,
            "mlp_hidden_size": slots.mlp_size,
            "input_resolution": tokens.isqrt(),
            "epsilon": slots.epsilon,
            "learnable_slot_init": matches!(slots.initial, InitialSlots::Learned | InitialSlots::Normal),
            "bi_level": slots.truncation == Truncation::BiLevel,
            "init_mlp": slots.initial == InitialSlots::Boxes,
            "position": slots.position == Position::Grid,
        }),
    )
}

fn json(part: &str, value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec_pretty(value).map_err(|error| TrainerError::state(part, error))
}

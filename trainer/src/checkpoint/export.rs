//! A checkpoint of ours in the layout that GLASS and Latent Slot Diffusion publish, for their evaluation code.

use burn::module::Module;
use burn::tensor::Device;
use glass_schemas::spec::trainer::{InitialSlots, Position, Switch, TokenWidth};
use serde::Deserialize;

use super::layout::{SLOTS_LAYOUT, publish_position};
use super::objects::{Objects, unpack};
use super::run::RunDocument;
use super::tensors::{Named, collect, to_safetensors};
use crate::error::{Result, TrainerError};
use crate::parts::{Layout, PartVisitor};
use crate::phases::Networks;

const CONFIG: &str = "multiheadstevesa/config.json";
/// What a checkpoint keeps of the UNet, word for word what diffusers writes.
const UNET: &str = "unet2dconditionmodel/";

/// The files of the published layout, by path: `multiheadstevesa/`, `unet2dconditionmodel/` where it was trained, and
/// `mlpdecoder/`, which no release has. Averaged weights are taken where the run keeps them.
///
/// # Errors
/// [`TrainerError::Data`] for slots that the published class cannot hold.
pub fn export(objects: &Objects, document: &RunDocument, run: &str, device: &Device) -> Result<Objects> {
    let slots = &document.spec.slots;
    let refuse = |message: &str| {
        Err(TrainerError::Data { dataset: run.to_owned(), message: format!("cannot be exported: {message}") })
    };
    if slots.tokens != TokenWidth::Features {
        return refuse("the published class lets slots compete for tokens as wide as the features");
    }
    if slots.output == Switch::Off {
        return refuse("the published class has an output layer behind the slots");
    }
    let config = objects.get(CONFIG).ok_or_else(|| TrainerError::state(CONFIG, "missing"))?;
    let mut config: serde_json::Value =
        serde_json::from_slice(config).map_err(|error| TrainerError::state(CONFIG, error))?;
    let sizes: Sizes = Deserialize::deserialize(&config).map_err(|error| TrainerError::state(CONFIG, error))?;
    let tokens = sizes.input_resolution.pow(2);
    let networks = Networks::new(&document.spec, [tokens, sizes.input_size], document.seed, device);
    let networks = unpack(objects, &document.spec, networks)?.into_judged(&document.spec);
    let mut files =
        Files { tokens, files: Ok(Objects::new()), fill: &|named| complete(named, document, sizes, tokens) };
    networks.visit(&mut files);
    let mut files = files.files?;
    if let Some(config) = config.as_object_mut() {
        // Ours alone: what it says is in the weights now.
        config.remove("position");
        config.insert("_diffusers_version".to_owned(), "0.21.4".into());
    }
    let config = serde_json::to_vec_pretty(&config).map_err(|error| TrainerError::state(CONFIG, error))?;
    files.insert(CONFIG.to_owned(), config);
    let unet = objects.iter().filter(|(name, _)| name.starts_with(UNET));
    files.extend(unet.map(|(name, bytes)| (name.clone(), bytes.clone())));
    Ok(files)
}

#[derive(Clone, Copy, Deserialize)]
struct Sizes {
    input_size: usize,
    input_resolution: usize,
}

/// The published class always has a position embedding and, unless they are learned, Gaussian starts: those that the
/// run does without are zero.
fn complete(named: &mut Named, document: &RunDocument, sizes: Sizes, tokens: usize) {
    let slots = &document.spec.slots;
    let zeros = |shape: Vec<usize>| (shape.clone(), vec![0.0; shape.iter().product()]);
    if slots.position == Position::None {
        named.insert("pos.projection.weight".to_owned(), zeros(vec![sizes.input_size, 4]));
        named.insert("pos.projection.bias".to_owned(), zeros(vec![sizes.input_size]));
        publish_position(named, tokens);
    }
    if slots.initial == InitialSlots::Boxes {
        for start in ["slot_mu", "slot_log_sigma"] {
            named.insert(start.to_owned(), zeros(vec![1, 1, slots.size]));
        }
    }
}

/// Every part as a file.
struct Files<'a> {
    tokens: usize,
    files: Result<Objects>,
    fill: &'a dyn Fn(&mut Named),
}

impl PartVisitor for Files<'_> {
    fn visit<M: Module>(&mut self, layout: &Layout, part: &M) {
        let mut named = collect(part, layout.rename);
        (layout.publish)(&mut named, self.tokens);
        if layout.object == SLOTS_LAYOUT.object {
            (self.fill)(&mut named);
        }
        let written = to_safetensors(&named, layout.object);
        if let Ok(files) = &mut self.files {
            match written {
                Ok(bytes) => drop(files.insert(layout.object.to_owned(), bytes)),
                Err(fault) => self.files = Err(fault),
            }
        }
    }
}

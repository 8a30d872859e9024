//! `multiheadstevesa/` as diffusers saves it: Latent Slot Diffusion, Stable-LSD, GLASS, and what `trainer export` writes.

use std::path::{Path, PathBuf};

use glass_nets::Weights;
use glass_nets::weights::folder_digest;
use glass_schemas::ids::Digest;
use glass_schemas::spec::trainer::{
    EncoderKind, FeatureDecoderKind, ImageDecoderKind, InitialSlots, KnownCount, Position, SlotsSpec, Switch,
    TokenWidth, TrainerSpec, Truncation,
};
use serde::Deserialize;

use super::{Parts, Translated, renamed, shape};
use crate::checkpoint::SLOTS_LAYOUT;
use crate::decoders::MLP_LAYOUT;
use crate::encoders::UNET_LAYOUT;
use crate::error::{Result, TrainerError};

/// Folder of slot attention.
const SLOTS: &str = "multiheadstevesa";
/// Folder of our feature decoder, which no release has.
const FEATURES: &str = "mlpdecoder";
/// Folder of the encoder that Latent Slot Diffusion trains from nothing (MOVi).
const ENCODER: &str = "unetencoder";
/// Folders of the UNet: Stable Diffusion's of GLASS and Stable-LSD, the one with positions of MOVi.
const UNETS: [&str; 2] = ["unet2dconditionmodel", "unet2dconditionmodelwithpos"];

/// `config.json`; what an old one leaves out has the value that its class gives.
#[derive(Deserialize)]
struct Config {
    num_iterations: usize,
    num_slots: usize,
    num_heads: usize,
    input_size: usize,
    out_size: usize,
    slot_size: usize,
    mlp_hidden_size: usize,
    input_resolution: usize,
    #[serde(default = "epsilon")]
    epsilon: f64,
    #[serde(default)]
    learnable_slot_init: bool,
    #[serde(default)]
    bi_level: bool,
    #[serde(default)]
    init_mlp: bool,
}

fn epsilon() -> f64 {
    1e-8
}

impl Config {
    fn slots(&self, known_count: KnownCount) -> SlotsSpec {
        SlotsSpec {
            count: self.num_slots,
            iterations: self.num_iterations,
            heads: self.num_heads,
            size: self.slot_size,
            mlp_size: self.mlp_hidden_size,
            out_size: self.out_size,
            epsilon: self.epsilon,
            initial: match (self.learnable_slot_init, self.init_mlp) {
                (true, _) => InitialSlots::Learned,
                (false, true) => InitialSlots::Boxes,
                (false, false) => InitialSlots::Gaussian,
            },
            position: Position::Grid,
            tokens: TokenWidth::Features,
            output: Switch::On,
            truncation: if self.bi_level { Truncation::BiLevel } else { Truncation::None },
            known_count,
            ..SlotsSpec::default()
        }
    }
}

/// The folder that holds `multiheadstevesa/`, for a path to it, to its parent, or to itself.
pub(super) fn folder(path: &Path) -> Option<PathBuf> {
    let places = [path.to_owned(), path.join("checkpoint"), path.parent()?.to_owned()];
    places.into_iter().find(|place| place.join(SLOTS).join("config.json").is_file())
}

pub(super) fn read(folder: &Path, run: &TrainerSpec) -> Result<(Translated, Digest)> {
    let path = folder.join(SLOTS).join("config.json");
    let refuse = |message: String| TrainerError::Release { path: path.clone(), message };
    let text = std::fs::read(&path).map_err(TrainerError::file(&path))?;
    let config: Config = serde_json::from_slice(&text).map_err(|error| refuse(error.to_string()))?;
    if config.num_heads == 0 || !config.slot_size.is_multiple_of(config.num_heads) {
        return Err(refuse(format!(
            "`slot_size` {} is no multiple of `num_heads` {}",
            config.slot_size, config.num_heads
        )));
    }
    let mut spec = run.clone();
    spec.slots = config.slots(run.slots.known_count);
    spec.encoder.train_from = None;
    spec.image.kind = ImageDecoderKind::None;
    let weights = Weights::open(folder.join(SLOTS), "diffusion_pytorch_model")?;
    // With slots that start from boxes or learned vectors the other starts stay in the file, unused.
    let unused = |name: &str| match spec.slots.initial {
        InitialSlots::Gaussian => false,
        InitialSlots::Learned | InitialSlots::Normal => name == "slot_log_sigma",
        InitialSlots::Boxes => matches!(name, "slot_mu" | "slot_log_sigma"),
    };
    let slots = renamed(&weights, |name| (!unused(name)).then(|| name.to_owned()))?;
    let mut parts = Parts::from([(SLOTS_LAYOUT.object, slots)]);
    let tokens = config.input_resolution.pow(2);
    spec.features.kind = FeatureDecoderKind::None;
    if folder.join(FEATURES).is_dir() {
        let weights = Weights::open(folder.join(FEATURES), "model")?;
        let layers = super::count(&weights, "layers.", ".weight");
        spec.features.kind = FeatureDecoderKind::Mlp;
        spec.features.layers = layers.saturating_sub(1);
        spec.features.size = shape::<2>(&weights, "layers.0.weight")?[0];
        parts.insert(MLP_LAYOUT.object, renamed(&weights, |name| Some(name.to_owned()))?);
    }
    if folder.join(ENCODER).is_dir() && run.encoder.kind == EncoderKind::UnetEncoder {
        let weights = Weights::open(folder.join(ENCODER), "diffusion_pytorch_model")?;
        parts.insert(UNET_LAYOUT.object, renamed(&weights, |name| Some(name.to_owned()))?);
    } else if folder.join(ENCODER).is_dir() {
        let folder = folder.join(ENCODER);
        tracing::warn!(folder = %folder.display(), "the encoder beside the slots is not read: `[trainer.encoder]` is");
    }
    let digest = folder_digest(folder.join(SLOTS))?.parse()?;
    let unet = UNETS.map(|name| folder.join(name)).into_iter().find(|place| place.is_dir());
    Ok((Translated { spec, feature_shape: [tokens, config.input_size], parts, unet }, digest))
}

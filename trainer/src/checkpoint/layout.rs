//! The names of the published checkpoints (`multiheadstevesa/` of Latent Slot Diffusion and GLASS).

use super::tensors::Named;
use crate::grouping::grid;
use crate::parts::{Group, Layout, Origin};

/// How slot attention is saved.
pub const SLOTS_LAYOUT: Layout = Layout {
    publish: publish_position,
    absorb: absorb_position,
    ..Layout::plain(Group::Slots, Origin::Seed, "multiheadstevesa/diffusion_pytorch_model.safetensors", slot_names)
};

/// The position buffer of the published layout, saved beside its projection.
const POSITION_BUFFER: &str = "pos.pe";
const POSITION_WEIGHT: &str = "pos.projection.weight";

/// A 1 × 1 convolution and its input, as published.
pub(super) fn publish_position(slots: &mut Named, tokens: usize) {
    let Some((shape, _)) = slots.get_mut(POSITION_WEIGHT) else {
        return;
    };
    shape.extend([1, 1]);
    let side = tokens.isqrt();
    let rows = grid(side);
    let planes = (0..4).flat_map(|channel| rows.iter().skip(channel).step_by(4).copied()).collect();
    slots.insert(POSITION_BUFFER.to_owned(), (vec![1, 4, side, side], planes));
}

fn absorb_position(slots: &mut Named) {
    slots.remove(POSITION_BUFFER);
    if let Some((shape, _)) = slots.get_mut(POSITION_WEIGHT) {
        shape.truncate(2);
    }
}

/// The name of a parameter of [`crate::grouping::SlotAttention`].
pub fn slot_names(path: &str) -> String {
    let path = match path.strip_prefix("initializer.") {
        // The socket's variant has no name of its own.
        Some(rest) => rest.split_once('.').map_or(rest, |(_, name)| name).to_owned(),
        None => path.to_owned(),
    };
    let path = match path.strip_prefix("pos.").and_then(|rest| rest.split_once('.')) {
        Some(("Grid", rest)) => format!("pos.projection.{rest}"),
        Some((_, rest)) => format!("pos.{rest}"),
        None => path,
    };
    sequence(&path)
}

/// The name of a parameter of [`crate::decoders::MlpDecoder`]; GLASS does not publish this one.
pub fn feature_names(path: &str) -> String {
    sequence(path)
}

/// `torch.nn.Sequential` counts the ReLU between two linear maps.
fn sequence(path: &str) -> String {
    path.replace(".first.", ".0.").replace(".second.", ".2.")
}

/// The name of a parameter of [`crate::decoders::UNet`] in diffusers.
pub fn unet_names(path: &str) -> String {
    const PARTS: [(&str, &str); 6] = [
        ("position", "pos_emb.1"),
        ("downsampler", "downsamplers.0.conv"),
        ("upsampler", "upsamplers.0.conv"),
        ("ff_in", "ff.net.0.proj"),
        ("ff_out", "ff.net.2"),
        ("to_out", "to_out.0"),
    ];
    let renamed = |part: &str| match PARTS.iter().find(|(ours, _)| *ours == part) {
        Some((_, published)) => (*published).to_owned(),
        None => part.to_owned(),
    };
    let name: Vec<String> = path.split('.').map(renamed).collect();
    norm_names(name.join("."))
}

/// The name of a parameter of a vector-quantised autoencoder in diffusers.
pub fn vqvae_names(path: &str) -> String {
    let resampler = match path.starts_with("encoder") {
        true => "downsamplers.0.conv",
        false => "upsamplers.0.conv",
    };
    let name = path
        .replace("resample", resampler)
        .replace("mid_block.first", "mid_block.resnets.0")
        .replace("mid_block.second", "mid_block.resnets.1")
        .replace("mid_block.attention", "mid_block.attentions.0")
        .replace("to_out", "to_out.0")
        .replace("quantize.embedding", "quantize.embedding.weight");
    norm_names(name)
}

/// burn's names for the scale and shift of a normalisation.
pub fn norm_names(name: String) -> String {
    match name.rsplit_once('.') {
        Some((layer, "gamma")) => format!("{layer}.weight"),
        Some((layer, "beta")) => format!("{layer}.bias"),
        _ => name,
    }
}

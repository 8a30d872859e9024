//! SPOT's `checkpoint.pt.tar` and `best_model.pt`, turned into safetensors.

use glass_nets::Weights;
use glass_schemas::spec::trainer::{
    FeatureDecoderKind, ImageDecoderKind, InitialSlots, Orders, Position, Switch, TokenWidth, TrainerSpec,
    TransformerBlocks,
};

use super::{Parts, Translated, begun, count, renamed, shape, thirds};
use crate::checkpoint::SLOTS_LAYOUT;
use crate::checkpoint::tensors::Named;
use crate::decoders::{MLP_LAYOUT, TRANSFORMER_LAYOUT};
use crate::encoders::BLOCKS_LAYOUT;
use crate::error::{Result, TrainerError};

/// A tensor that no other layout has.
pub(super) const MARK: &str = "slot_attn.slot_attention.norm_inputs.weight";
/// Learned starts, a row a slot.
const STARTS: &str = "slot_attn.slots_init.weight";
/// First tokens, one an order.
const BEGIN: &str = "bos_tokens";
/// What old files call the decoder.
const OLD_DECODER: &str = "tf_dec.";

pub(super) fn read(weights: &Weights, run: &TrainerSpec) -> Result<Translated> {
    let [features] = shape(weights, "slot_attn.layer_norm.weight")?;
    let mut spec = run.clone();
    let slots = &mut spec.slots;
    [slots.mlp_size, slots.size] = shape(weights, "slot_attn.slot_attention.mlp.0.weight")?;
    slots.position = Position::None;
    slots.tokens = TokenWidth::Features;
    slots.output = Switch::Off;
    slots.initial = InitialSlots::Gaussian;
    if weights.contains(STARTS) {
        [slots.count, _] = shape(weights, STARTS)?;
        slots.initial = InitialSlots::Learned;
    }
    spec.image.kind = ImageDecoderKind::None;
    let mut parts = Parts::from([(SLOTS_LAYOUT.object, slot_tensors(weights)?)]);
    let tokens = if weights.contains("dec.pos_embed") {
        mlp_decoder(weights, &mut spec, &mut parts)?
    } else {
        transformer(weights, &mut spec, &mut parts)?
    };
    if let Some(first) = spec.encoder.train_from {
        parts.insert(BLOCKS_LAYOUT.object, encoder_blocks(weights, first)?);
    }
    Ok(Translated { spec, feature_shape: [tokens, features], parts, unet: None })
}

fn slot_tensors(weights: &Weights) -> Result<Named> {
    let mut slots = renamed(weights, |name| {
        if name == STARTS {
            return Some("slot_mu".to_owned());
        }
        let name = name.strip_prefix("slot_attn.")?;
        Some(match name.strip_prefix("slot_attention.") {
            Some(inner) => inner.to_owned(),
            // The network between features and slots.
            None => name.replace("layer_norm.", "in_layer_norm.").replace("mlp.", "in_mlp."),
        })
    })?;
    if let Some((shape, _)) = slots.get_mut("slot_mu").filter(|(shape, _)| shape.len() == 2) {
        shape.insert(0, 1);
    }
    Ok(slots)
}

/// Fills in the autoregressive decoder and returns the number of tokens.
fn transformer(weights: &Weights, spec: &mut TrainerSpec, parts: &mut Parts) -> Result<usize> {
    let head = if weights.contains("tf_dec.layer_norm.weight") { OLD_DECODER } else { "dec." };
    let [orders, _, _, _] = shape(weights, BEGIN)?;
    let features = &mut spec.features;
    features.kind = FeatureDecoderKind::Transformer;
    features.blocks = TransformerBlocks::Spot;
    features.layers = count(weights, &format!("{head}blocks."), ".ffn.0.weight");
    [features.size, _] = shape(weights, &format!("{head}blocks.0.ffn.0.weight"))?;
    features.orders = match orders {
        1 => Orders::Standard,
        9 => Orders::Nine,
        other => {
            return Err(TrainerError::Release {
                path: weights.path().to_owned(),
                message: format!("`{BEGIN}` begins {other} orders, SPOT has 1 or 9"),
            });
        }
    };
    let [tokens, _] = shape(weights, &format!("{head}blocks.0.self_attn_mask"))?;
    let decoder = renamed(weights, |name| {
        if name.ends_with(".self_attn_mask") {
            // Which tokens come before which follows from their number.
            return None;
        }
        if let Some(rest) = name.strip_prefix(head) {
            return Some(format!("dec.{rest}"));
        }
        let ours = [BEGIN, "input_proj.", "slot_proj."];
        ours.iter().any(|ours| name.starts_with(ours)).then(|| name.to_owned())
    })?;
    parts.insert(TRANSFORMER_LAYOUT.object, decoder);
    Ok(tokens)
}

/// SPOT with the MLP decoder, whose slots are projected first.
fn mlp_decoder(weights: &Weights, spec: &mut TrainerSpec, parts: &mut Parts) -> Result<usize> {
    if weights.contains("slot_proj.0.weight") {
        return Err(TrainerError::Release {
            path: weights.path().to_owned(),
            message: "has an MLP decoder behind a projection of the slots, which is no decoder here".to_owned(),
        });
    }
    let [_, tokens, _] = shape(weights, "dec.pos_embed")?;
    let layers = (0..).take_while(|layer| weights.contains(&format!("dec.decoder.{}.weight", 2 * layer))).count();
    let features = &mut spec.features;
    features.kind = FeatureDecoderKind::Mlp;
    features.layers = layers.saturating_sub(1);
    [features.size, _] = shape(weights, "dec.decoder.0.weight")?;
    parts.insert(MLP_LAYOUT.object, renamed(weights, |name| super::dinosaur::mlp_name(name.strip_prefix("dec.")?))?);
    Ok(tokens)
}

/// The blocks that the student has trained, in the names that they are saved under here.
fn encoder_blocks(weights: &Weights, first: usize) -> Result<Named> {
    const PARTS: [(&str, &str); 5] = [
        ("norm1.", "norm1."),
        ("attn.proj.", "attention.output."),
        ("norm2.", "norm2."),
        ("mlp.fc1.", "mlp.fc1."),
        ("mlp.fc2.", "mlp.fc2."),
    ];
    let block = |name: &str| -> Option<(usize, String)> {
        let (number, rest) = name.strip_prefix("encoder.blocks.")?.split_once('.')?;
        let number: usize = number.parse().ok()?;
        (number >= first).then(|| (number - first, rest.to_owned()))
    };
    let mut blocks = renamed(weights, |name| {
        let (number, rest) = block(name)?;
        let (ours, end) = begun(&PARTS, &rest)?;
        Some(format!("blocks.{number}.{ours}{end}"))
    })?;
    for name in weights.names() {
        let Some((number, rest)) = block(name) else { continue };
        let Some(end) = rest.strip_prefix("attn.qkv.") else { continue };
        let stacked = (weights.shape(name).unwrap_or_default().to_vec(), weights.floats(name)?);
        for (part, third) in ["query", "key", "value"].iter().zip(thirds(&stacked)) {
            blocks.insert(format!("blocks.{number}.attention.{part}.{end}"), third);
        }
    }
    if blocks.is_empty() {
        return Err(TrainerError::Release {
            path: weights.path().to_owned(),
            message: format!("has no block {first} of an encoder, which `trainer.encoder.train_from` asks for"),
        });
    }
    Ok(blocks)
}

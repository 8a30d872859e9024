//! The `state_dict` of a Lightning checkpoint of the object-centric learning framework, turned into safetensors.

use glass_nets::Weights;
use glass_schemas::spec::trainer::{
    FeatureDecoderKind, ImageDecoderKind, InitialSlots, Orders, Position, Switch, TokenWidth, TrainerSpec,
    TransformerBlocks,
};

use super::{Parts, Translated, begun, count, renamed, shape, thirds};
use crate::checkpoint::SLOTS_LAYOUT;
use crate::checkpoint::tensors::Named;
use crate::decoders::{MLP_LAYOUT, TRANSFORMER_LAYOUT};
use crate::error::{Result, TrainerError};

/// A tensor that no other layout has.
pub(super) const MARK: &str = "models.perceptual_grouping.slot_attention.norm_input.weight";
const GROUPING: &str = "models.perceptual_grouping.slot_attention";
/// Layer norm and MLP between features and slots, behind a position embedding without weights.
const BEFORE: &str = "models.perceptual_grouping.positional_embedding.layers.1.";
const DECODER: &str = "models.object_decoder.";

pub(super) fn read(weights: &Weights, run: &TrainerSpec) -> Result<Translated> {
    let [width] = shape(weights, &format!("{BEFORE}0.weight"))?;
    let mut spec = run.clone();
    let slots = &mut spec.slots;
    [slots.mlp_size, slots.size] = shape(weights, &format!("{GROUPING}.ff_mlp.module.1.weight"))?;
    slots.initial = InitialSlots::Gaussian;
    slots.position = Position::None;
    slots.tokens = TokenWidth::Slots;
    slots.output = Switch::Off;
    spec.image.kind = ImageDecoderKind::None;
    spec.encoder.train_from = None;
    let mut parts = Parts::from([(SLOTS_LAYOUT.object, renamed(weights, slot_name)?)]);
    let position = format!("{DECODER}pos_embed");
    let tokens = if weights.contains(&position) && !weights.contains(&format!("{DECODER}bos_token")) {
        let decoder = renamed(weights, |name| mlp_name(name.strip_prefix(DECODER)?))?;
        let features = &mut spec.features;
        features.kind = FeatureDecoderKind::Mlp;
        features.layers = decoder.keys().filter(|name| name.ends_with(".weight")).count().saturating_sub(1);
        [features.size, _] = shape(weights, &format!("{DECODER}decoder.0.weight"))?;
        parts.insert(MLP_LAYOUT.object, decoder);
        shape::<3>(weights, &position)?[1]
    } else {
        let (decoder, tokens) = transformer(weights, &mut spec)?;
        parts.insert(TRANSFORMER_LAYOUT.object, decoder);
        tokens
    };
    Ok(Translated { spec, feature_shape: [tokens, width], parts, unet: None })
}

/// The autoregressive decoder in the form of the published configurations, and the number of its tokens.
fn transformer(weights: &Weights, spec: &mut TrainerSpec) -> Result<(Named, usize)> {
    let has = |name: &str| weights.contains(&format!("{DECODER}{name}"));
    let refuse =
        |message: &str| Err(TrainerError::Release { path: weights.path().to_owned(), message: message.to_owned() });
    if has("pos_embed") || has("outp_transform.weight") {
        return refuse("has a decoder with a position embedding or an output layer, which the published ones have not");
    }
    if !has("bos_token") || !has("inp_transform.0.weight") || !has("cond_transform.0.weight") {
        return refuse("has a decoder without a first token, an input or a slot layer, which the published ones have");
    }
    let features = &mut spec.features;
    features.kind = FeatureDecoderKind::Transformer;
    features.blocks = TransformerBlocks::Torch;
    features.orders = Orders::Standard;
    features.layers = count(weights, &format!("{DECODER}decoder.layers."), ".linear1.weight");
    [features.size, _] = shape(weights, &format!("{DECODER}decoder.layers.0.linear1.weight"))?;
    let [tokens, _] = shape(weights, &format!("{DECODER}mask"))?;
    let mut decoder = renamed(weights, |name| decoder_name(name.strip_prefix(DECODER)?))?;
    if let Some((shape, _)) = decoder.get_mut("bos_tokens") {
        // One order.
        shape.insert(0, 1);
    }
    let stacked: Vec<String> = decoder.keys().filter(|name| name.contains(".in_proj_")).cloned().collect();
    for name in stacked {
        let (Some((head, end)), Some(values)) = (name.split_once("in_proj_"), decoder.remove(&name)) else { continue };
        for (part, third) in ["q", "k", "v"].iter().zip(thirds(&values)) {
            decoder.insert(format!("{head}proj_{part}.{end}"), third);
        }
    }
    Ok((decoder, tokens))
}

fn decoder_name(name: &str) -> Option<String> {
    const NAMES: [(&str, &str); 9] = [
        ("self_attn.out_proj.", "self_attn.proj_o."),
        ("self_attn.", "self_attn."),
        ("multihead_attn.out_proj.", "encoder_decoder_attn.proj_o."),
        ("multihead_attn.", "encoder_decoder_attn."),
        ("norm1.", "self_attn_layer_norm."),
        ("norm2.", "encoder_decoder_attn_layer_norm."),
        ("norm3.", "ffn_layer_norm."),
        ("linear1.", "ffn.0."),
        ("linear2.", "ffn.2."),
    ];
    if name == "bos_token" {
        return Some("bos_tokens".to_owned());
    }
    if let Some((ours, end)) = begun(&[("inp_transform.", "input_proj."), ("cond_transform.", "slot_proj.")], name) {
        return Some(format!("{ours}{end}"));
    }
    // Which tokens come before which follows from their number: the mask has no name here.
    let (block, rest) = name.strip_prefix("decoder.layers.")?.split_once('.')?;
    let (ours, end) = begun(&NAMES, rest)?;
    Some(format!("dec.blocks.{block}.{ours}{end}"))
}

fn slot_name(name: &str) -> Option<String> {
    const NAMES: [(&str, &str); 8] = [
        ("to_q.", "project_q."),
        ("to_k.", "project_k."),
        ("to_v.", "project_v."),
        ("norm_input.", "norm_inputs."),
        ("norm_slots.", "norm_slots."),
        ("gru.", "gru."),
        ("ff_mlp.module.0.", "norm_mlp."),
        ("ff_mlp.module.", "mlp."),
    ];
    match name {
        "models.conditioning.slots_mu" => return Some("slot_mu".to_owned()),
        "models.conditioning.slots_logsigma" => return Some("slot_log_sigma".to_owned()),
        _ => {}
    }
    if let Some(rest) = name.strip_prefix(BEFORE) {
        return Some(match rest.strip_prefix("0.") {
            Some(end) => format!("in_layer_norm.{end}"),
            None => format!("in_mlp.{}", one_less(rest)?),
        });
    }
    let rest = name.strip_prefix(GROUPING)?.strip_prefix('.')?;
    let (ours, end) = begun(&NAMES, rest)?;
    // A layer norm comes first in the sequence here, apart from it there.
    Some(if ours == "mlp." { format!("mlp.{}", one_less(end)?) } else { format!("{ours}{end}") })
}

/// `3.weight` → `2.weight`
fn one_less(name: &str) -> Option<String> {
    let (number, end) = name.split_once('.')?;
    Some(format!("{}.{end}", number.parse::<usize>().ok()?.checked_sub(1)?))
}

/// The name of a tensor of the MLP decoder, for its name within `object_decoder` (also SPOT's).
pub(super) fn mlp_name(name: &str) -> Option<String> {
    if name == "pos_embed" {
        return Some("pos".to_owned());
    }
    let (number, end) = name.strip_prefix("decoder.")?.split_once('.')?;
    Some(format!("layers.{}.{end}", number.parse::<usize>().ok()? / 2))
}

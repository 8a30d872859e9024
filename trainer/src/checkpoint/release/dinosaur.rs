//! The `state_dict` of a Lightning checkpoint of the object-centric learning framework, turned into safetensors.

use glass_nets::Weights;
use glass_schemas::spec::trainer::{
    FeatureDecoderKind, ImageDecoderKind, InitialSlots, Position, Switch, TokenWidth, TrainerSpec,
};

use super::{Parts, Translated, renamed, shape};
use crate::checkpoint::SLOTS_LAYOUT;
use crate::decoders::MLP_LAYOUT;
use crate::error::Result;

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
        // Its Transformer is torch's, with biases that SPOT's has not.
        tracing::warn!("the autoregressive decoder of this checkpoint is not read: masks come from slot attention");
        spec.features.kind = FeatureDecoderKind::None;
        shape::<2>(weights, &format!("{DECODER}mask"))?[0]
    };
    Ok(Translated { spec, feature_shape: [tokens, width], parts })
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
    let (theirs, ours) = NAMES.iter().find(|(theirs, _)| rest.starts_with(theirs))?;
    let end = &rest[theirs.len()..];
    // A layer norm comes first in the sequence here, apart from it there.
    Some(if *ours == "mlp." { format!("mlp.{}", one_less(end)?) } else { format!("{ours}{end}") })
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

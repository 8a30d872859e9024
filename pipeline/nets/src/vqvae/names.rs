//! The names that the original code gives to the same tensors (taming-transformers, which SlotDiffusion's
//! autoencoder is).

/// A name of the original code as diffusers writes it, in a network of so many levels. `None` for what is
/// no part of the network, such as the training loss's.
pub(super) fn of_original(name: &str, levels: usize) -> Option<String> {
    let parts: Vec<&str> = name.split('.').collect();
    Some(match parts.as_slice() {
        [half @ ("encoder" | "decoder"), "mid", part, rest @ ..] => {
            format!("{half}.mid_block.{}", middle(part, rest)?)
        }
        [half @ "encoder", "down", level, rest @ ..] => {
            format!("{half}.down_blocks.{level}.{}", stage(rest)?)
        }
        // The original counts the finest level as 0 on the way up too.
        [half @ "decoder", "up", level, rest @ ..] => {
            let level = levels.checked_sub(1 + level.parse::<usize>().ok()?)?;
            format!("{half}.up_blocks.{level}.{}", stage(rest)?)
        }
        [half @ ("encoder" | "decoder"), "norm_out", kind] => {
            format!("{half}.conv_norm_out.{kind}")
        }
        ["loss", ..] => return None,
        _ => name.to_owned(),
    })
}

/// A part of a level.
fn stage(rest: &[&str]) -> Option<String> {
    match rest {
        ["block", index, rest @ ..] => Some(format!("resnets.{index}.{}", block(rest))),
        ["downsample", rest @ ..] => Some(format!("downsamplers.0.{}", rest.join("."))),
        ["upsample", rest @ ..] => Some(format!("upsamplers.0.{}", rest.join("."))),
        _ => None,
    }
}

/// A part of the middle.
fn middle(part: &str, rest: &[&str]) -> Option<String> {
    Some(match part {
        "block_1" => format!("resnets.0.{}", block(rest)),
        "block_2" => format!("resnets.1.{}", block(rest)),
        "attn_1" => {
            let (layer, kind) = (rest.first()?, rest.get(1)?);
            let layer = match *layer {
                "norm" => "group_norm",
                "q" => "to_q",
                "k" => "to_k",
                "v" => "to_v",
                "proj_out" => "to_out.0",
                _ => return None,
            };
            format!("attentions.0.{layer}.{kind}")
        }
        _ => return None,
    })
}

/// A part of a residual block.
fn block(rest: &[&str]) -> String {
    rest.join(".").replace("nin_shortcut", "conv_shortcut")
}

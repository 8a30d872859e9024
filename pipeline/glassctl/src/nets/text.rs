//! Text encoders and tokenizers.

use anyhow::{Context as _, ensure};
use burn::tensor::{Int, Tensor, TensorData};
use glass_nets::NetsError;
use glass_nets::clip::{ClipTextModel, ClipTokenizer};
use glass_nets::tokenizer::{PaddedTokens, TextTokenizer, TokenizerKind};

use super::tensors::Outputs;
use super::{Job, explained};

pub(super) fn clip_text(job: &Job<'_>) -> anyhow::Result<Outputs> {
    let inputs = job.inputs()?;
    let (ids, shape) = inputs.table("input_ids")?;
    job.timed(
        || ClipTextModel::load(&job.args.weights, &job.device),
        |network| {
            network.check(&ids, shape).map_err(explained)?;
            let data = TensorData::new(ids.clone(), shape);
            let hidden = network.forward(Tensor::<2, Int>::from_data(data, inputs.device()));
            let pooled = network.pooled(hidden.clone(), &ids).map_err(explained)?;
            Outputs::new().tensor("last_hidden_state", hidden)?.tensor("pooler_output", pooled)
        },
    )
}

pub(super) fn tokenize(job: &Job<'_>) -> anyhow::Result<Outputs> {
    let path = job.args.text.as_ref().context("`tokenize` needs --text")?;
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let lines: Vec<&str> = text.lines().collect();
    ensure!(!lines.is_empty(), "`{}` holds no line", path.display());
    let folder = &job.args.weights;
    let tokens = match TokenizerKind::of(folder).map_err(explained)? {
        Some(kind) => TextTokenizer::load(folder, kind).and_then(|tokenizer| tokenizer.encode_padded(&lines)),
        None => ClipTokenizer::load(folder).and_then(|tokenizer| prompts(&tokenizer, &lines)),
    };
    let tokens = tokens.map_err(explained)?;
    let shape = vec![lines.len(), tokens.ids.first().map_or(0, Vec::len)];
    let flat = |rows: Vec<Vec<u32>>| -> Vec<i64> { rows.into_iter().flatten().map(i64::from).collect() };
    Ok(Outputs::new().integers("input_ids", &flat(tokens.ids), shape.clone()).integers(
        "attention_mask",
        &flat(tokens.mask),
        shape,
    ))
}

/// CLIP's prompts, which always have its full length.
fn prompts(tokenizer: &ClipTokenizer, lines: &[&str]) -> Result<PaddedTokens, NetsError> {
    let prompts = lines.iter().map(|line| tokenizer.encode(line)).collect::<Result<Vec<_>, _>>()?;
    let mask = |length| (0..tokenizer.max_length()).map(|at| u32::from(at < length)).collect();
    Ok(PaddedTokens {
        mask: prompts.iter().map(|prompt| mask(prompt.length())).collect(),
        ids: prompts.into_iter().map(|prompt| prompt.ids).collect(),
    })
}

//! Text encoders and tokenizers.

use anyhow::{Context as _, ensure};
use burn::tensor::{Int, Tensor, TensorData};
use glass_nets::clip::{ClipTextModel, ClipTokenizer};

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
    let tokenizer = ClipTokenizer::load(&job.args.weights).map_err(explained)?;
    let length = tokenizer.max_length();
    let (mut ids, mut mask) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let prompt = tokenizer.encode(line).map_err(explained)?;
        ids.extend(prompt.ids.iter().map(|id| i64::from(*id)));
        mask.extend((0..length).map(|at| i64::from(at < prompt.length())));
    }
    ensure!(!ids.is_empty(), "`{}` holds no line", path.display());
    let shape = vec![ids.len() / length, length];
    Ok(Outputs::new()
        .integers("input_ids", &ids, shape.clone())
        .integers("attention_mask", &mask, shape))
}

//! The captioners: BLIP-2 and BLIP, and T5's encoder.

use burn::tensor::{Tensor, TensorData};
use glass_nets::NetsError;
use glass_nets::blip::BlipModel;
use glass_nets::blip2::{Blip2Model, Blip2Queries, Blip2Vision};
use glass_nets::generate::{GenerateOptions, TokenBatch};
use glass_nets::t5::T5Encoder;

use super::tensors::{Inputs, Outputs};
use super::{Job, explained};

pub(super) fn t5_encode(job: &Job<'_>) -> anyhow::Result<Outputs> {
    let text = text(&job.inputs()?, "input_ids", "attention_mask")?;
    job.timed(
        || T5Encoder::load(&job.args.weights, &job.device),
        |network| Outputs::new().tensor("last_hidden_state", network.forward(&text).map_err(explained)?),
    )
}

pub(super) fn blip2_vision(job: &Job<'_>) -> anyhow::Result<Outputs> {
    let pixels = job.inputs()?.floats::<4>("pixel_values")?;
    job.timed(
        || Blip2Vision::load(&job.args.weights, &job.device),
        |network| {
            let hidden = network.forward(pixels.clone()).map_err(explained)?;
            Outputs::new().tensor("last_hidden_state", hidden)
        },
    )
}

pub(super) fn blip2_qformer(job: &Job<'_>) -> anyhow::Result<Outputs> {
    let inputs = job.inputs()?;
    let image = inputs.floats::<3>("encoder_hidden_states")?;
    let queries = inputs.contains("query_embeds").then(|| inputs.floats::<3>("query_embeds")).transpose()?;
    job.timed(
        || Blip2Queries::load(&job.args.weights, &job.device),
        |network| {
            let hidden = network.forward(image.clone(), queries.clone()).map_err(explained)?;
            Outputs::new().tensor("last_hidden_state", hidden)
        },
    )
}

pub(super) fn blip2_logits(job: &Job<'_>) -> anyhow::Result<Outputs> {
    let inputs = job.inputs()?;
    let pixels = inputs.floats::<4>("pixel_values")?;
    let read = text(&inputs, "input_ids", "attention_mask")?;
    let written = inputs
        .contains("decoder_input_ids")
        .then(|| text(&inputs, "decoder_input_ids", "decoder_attention_mask"))
        .transpose()?;
    job.timed(
        || Blip2Model::load(&job.args.weights, &job.device),
        |network| {
            let logits = network.logits(pixels.clone(), &read, written.as_ref()).map_err(explained)?;
            Outputs::new().tensor("logits", logits)
        },
    )
}

pub(super) fn blip2_generate(job: &Job<'_>) -> anyhow::Result<Outputs> {
    generate(
        job,
        || Blip2Model::load(&job.args.weights, &job.device),
        |network, pixels, text, options| network.sequences(pixels, text, options),
    )
}

pub(super) fn blip_generate(job: &Job<'_>) -> anyhow::Result<Outputs> {
    generate(
        job,
        || BlipModel::load(&job.args.weights, &job.device),
        |network, pixels, text, options| network.sequences(pixels, text, options),
    )
}

/// Writes `sequences` `[rows, tokens]` for pictures and, where there is one, a text.
fn generate<N>(
    job: &Job<'_>,
    load: impl FnOnce() -> Result<N, NetsError>,
    sequences: impl Fn(&N, Tensor<4>, Option<&TokenBatch>, &GenerateOptions) -> Result<Vec<Vec<u32>>, NetsError>,
) -> anyhow::Result<Outputs> {
    let inputs = job.inputs()?;
    let pixels = inputs.floats::<4>("pixel_values")?;
    let text = inputs.contains("input_ids").then(|| text(&inputs, "input_ids", "attention_mask")).transpose()?;
    let options = job.args.generation.options();
    job.timed(load, |network| {
        let rows = sequences(network, pixels.clone(), text.as_ref(), &options).map_err(explained)?;
        let shape = vec![rows.len(), rows.first().map_or(0, Vec::len)];
        let ids: Vec<i64> = rows.into_iter().flatten().map(i64::from).collect();
        Ok(Outputs::new().integers("sequences", &ids, shape))
    })
}

/// Token ids with their mask, where the file has one.
fn text(inputs: &Inputs<'_>, ids: &str, mask: &str) -> anyhow::Result<TokenBatch> {
    let table = |name| -> anyhow::Result<_> {
        let (values, shape) = inputs.table(name)?;
        Ok(Tensor::from_data(TensorData::new(values, shape), inputs.device()))
    };
    let mask = inputs.contains(mask).then(|| table(mask)).transpose()?;
    TokenBatch::from_tensors(table(ids)?, mask).map_err(explained)
}

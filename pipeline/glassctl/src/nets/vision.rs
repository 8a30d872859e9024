//! Image encoders.

use glass_nets::dinov2::Dinov2Model;

use super::tensors::Outputs;
use super::{Job, explained};

pub(super) fn dinov2(job: &Job<'_>) -> anyhow::Result<Outputs> {
    let pixels = job.inputs()?.floats::<4>("pixel_values")?;
    job.timed(
        || Dinov2Model::load(&job.args.weights, &job.device),
        |network| {
            let hidden = network.forward(pixels.clone()).map_err(explained)?;
            Outputs::new().tensor("last_hidden_state", hidden)
        },
    )
}

//! The stage: identity, job, run.

use std::collections::BTreeMap;

use burn::tensor::Device;
use glass_dataset::Dataset;
use glass_nets::device_in;
use glass_nets::weights::folder_digest;
use glass_schemas::ids::{DatasetKind, Digest};
use glass_schemas::manifest::{Identity, IdentityParts};
use glass_schemas::plan::Plan;
use glass_schemas::spec::RunSpec;
use glass_stage::{
    Context, EXIT_CODES, ErrorClass, ExitStatus, Explain, Failure, Job, ProcessArgs, SpecArgs, StageArgs, Worker,
    earlier_of_upstream, licences,
};

use crate::draw::{Drawing, Generator, Request};
use crate::encode::encode;
use crate::source::Prompts;

/// Draws prompts with Stable Diffusion and keeps the attention means that find the objects.
#[derive(clap::Parser)]
#[command(
    name = "sd-generator",
    version,
    after_help = format!("Example:\n  sd-generator --spec manifests/runs/mini/demo.toml --store demo-out\n\n{EXIT_CODES}")
)]
pub struct Args {
    #[command(flatten)]
    stage: StageArgs,
}

impl AsRef<ProcessArgs> for Args {
    fn as_ref(&self) -> &ProcessArgs {
        &self.stage.process
    }
}

/// Runs the stage to completion.
///
/// # Errors
/// The user's (spec, weights, store, no captions yet) and the store's.
pub async fn generate(args: Args, context: Context) -> anyhow::Result<ExitStatus> {
    let spec = args.stage.spec.load()?;
    let store = SpecArgs::open_store(&spec)?;
    let captions = args.stage.upstream(&store, &spec, DatasetKind::Captions).await?;
    let output = args.stage.output(&store, &spec)?;
    let mut datasets = Vec::new();
    // The last one's commits count, so attention is committed first.
    let weights = folder_digest(&spec.generator.weights).blame_user()?.parse()?;
    for kind in [DatasetKind::Attention, DatasetKind::Generations] {
        let identity = identity(&spec, &captions, kind, weights);
        datasets.push(Dataset::create(&output, &identity).await?);
    }
    let replicates = spec.generator.replicates.max(1);
    let rows = spec.source.rows_per_shard.saturating_mul(replicates);
    let shards = captions.identity().shards;
    let device = device(&spec).blame_user()?;
    let (seed, format) = (spec.seed, spec.generator.image_format);
    let generator = spec.generator.clone();
    let earlier = earlier_of_upstream(&datasets, &captions, replicates).await?;
    let job = Job {
        datasets,
        earlier,
        plan: Plan::new(u64::from(shards) * u64::from(rows), rows),
        source: Prompts { captions, replicates },
        worker: Box::new(move || Ok(Artist(Generator::load(&generator, seed, device).blame_user()?))),
        encode: Box::new(move |drawn| encode(drawn, seed, format)),
        options: args.stage.options(&spec.execution, spec.execution.generate_batch)?,
    };
    let summary = glass_stage::run(job, &context).await?;
    Ok(summary.answer(&args.stage)?)
}

fn identity(spec: &RunSpec, captions: &Dataset, kind: DatasetKind, weights: Digest) -> Identity {
    Identity::new(IdentityParts {
        kind,
        stage: "sd-generator".to_owned(),
        run_seed: spec.seed,
        spec: spec.identity_of(kind),
        upstream: vec![captions.id().clone()],
        weights: BTreeMap::from([("stable-diffusion".to_owned(), weights)]),
        shards: captions.identity().shards,
    })
    .with_licences(licences(
        spec,
        Some(captions.identity()),
        None,
        Some(("generator", spec.generator.weights.as_ref())),
    ))
}

struct Artist(Generator);

impl Worker for Artist {
    type Item = Request;
    type Output = (Request, Drawing);

    fn process(&mut self, batch: Vec<Request>) -> Vec<Result<Self::Output, Failure>> {
        match self.0.draw(&batch) {
            Ok(drawings) => batch.into_iter().zip(drawings).map(finite).collect(),
            // One prompt may be at fault: find it by drawing each alone.
            Err(_) if batch.len() > 1 => batch.into_iter().flat_map(|request| self.process(vec![request])).collect(),
            Err(error) => batch
                .into_iter()
                .map(|request| Err(failure(&request, ErrorClass::Failed, &error.to_string())))
                .collect(),
        }
    }
}

/// Refuses a drawing with NaN or infinity in its latent.
fn finite((request, drawing): (Request, Drawing)) -> Result<(Request, Drawing), Failure> {
    if drawing.latent.iter().all(|value| value.is_finite()) {
        return Ok((request, drawing));
    }
    Err(failure(&request, ErrorClass::NonFinite, "the latent is not finite"))
}

fn failure(request: &Request, class: ErrorClass, message: &str) -> Failure {
    Failure::new(request.name(), class, message)
        .with_sample(request.sample_id)
        .with_inputs(request.caption.prompt.clone())
}

/// Where and in what the networks compute.
fn device(spec: &RunSpec) -> glass_nets::Result<Device> {
    device_in(spec.execution.device.parse()?, spec.generator.precision.as_str().parse()?)
}

//! The stage: identity, job, run.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use futures::stream::{self, StreamExt, TryStreamExt};
use glass_dataset::{Columns, Dataset};
use glass_schemas::dataset::{AttentionRow, MaskRow, Row};
use glass_schemas::ids::{DatasetKind, SampleId, ShardIndex};
use glass_schemas::manifest::{Identity, IdentityParts};
use glass_schemas::plan::Plan;
use glass_schemas::spec::{GeneratorSpec, RunSpec};
use glass_stage::{
    Context, EXIT_CODES, ErrorClass, ExitStatus, Explain, Failure, ItemStream, Job, ProcessArgs, Source, SpecArgs,
    StageArgs, StageError, Worker, earlier_of_upstream, licences,
};
use rayon::prelude::*;

use crate::extractors::{Needs, from_spec};
use crate::{Cutting, ExtractError, MaskMaker};

/// Turns attention means into pseudo-masks with quality signals; needs no network.
#[derive(clap::Parser)]
#[command(
    name = "attention-mask-extractor",
    version,
    after_help = format!(
        "Example:\n  attention-mask-extractor --spec manifests/runs/mini/demo.toml --store demo-out\n\n{EXIT_CODES}"
    )
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
/// The user's (spec, store, maps that the generator was not asked to keep) and the store's.
pub async fn extract_masks(args: Args, context: Context) -> anyhow::Result<ExitStatus> {
    let spec = args.stage.spec.load()?;
    let maker = MaskMaker {
        extractor: from_spec(&spec.masks).blame_user()?,
        cutting: Cutting::from_spec(&spec.masks).blame_user()?,
        side: (spec.masks.size > 0).then_some(spec.masks.size),
    };
    check_maps(&maker.extractor.needs(), &spec.generator)
        .blame_user()
        .hint("list the resolution in `[generator]` and draw again, or use one that is listed")?;
    let store = SpecArgs::open_store(&spec)?;
    let attention = args.stage.upstream(&store, &spec, DatasetKind::Attention).await?;
    let dataset = Dataset::create(&args.stage.output(&store, &spec)?, &identity(&spec, &attention)).await?;
    let rows = spec.source.rows_per_shard.saturating_mul(spec.generator.replicates.max(1));
    let shards = attention.identity().shards;
    let datasets = vec![dataset];
    let job = Job {
        earlier: earlier_of_upstream(&datasets, &attention, 1).await?,
        datasets,
        plan: Plan::new(u64::from(shards) * u64::from(rows), rows),
        source: Means { attention },
        worker: Box::new(move || Ok(maker)),
        encode: Box::new(|rows| Ok(vec![MaskRow::encode(&rows)?])),
        options: args.stage.options(&spec.execution, spec.execution.mask_batch)?,
    };
    let summary = glass_stage::run(job, &context).await?;
    Ok(summary.answer(&args.stage)?)
}

fn identity(spec: &RunSpec, attention: &Dataset) -> Identity {
    Identity::new(IdentityParts {
        kind: DatasetKind::Masks,
        stage: "attention-mask-extractor".to_owned(),
        // Nothing is drawn at random here; the attention's own seed is in its id.
        run_seed: 0,
        spec: spec.identity_of(DatasetKind::Masks),
        upstream: vec![attention.id().clone()],
        weights: BTreeMap::new(),
        shards: attention.identity().shards,
    })
    .with_licences(licences(spec, Some(attention.identity()), None, None))
}

/// Refuses a spec whose masks need maps that its generator does not keep, before any work.
fn check_maps(needs: &Needs, generator: &GeneratorSpec) -> Result<(), ExtractError> {
    let own = needs.self_attention.as_slice();
    check_kept("cross-attention", &needs.cross, &generator.cross_resolutions)?;
    check_kept("self-attention", own, &generator.self_resolutions)
}

fn check_kept(kind: &'static str, wanted: &[u32], kept: &[u32]) -> Result<(), ExtractError> {
    match wanted.iter().find(|resolution| !kept.contains(resolution)) {
        Some(&resolution) => Err(ExtractError::MissingMap { kind, resolution, stored: kept.to_vec() }),
        None => Ok(()),
    }
}

/// The attention means of the upstream shard with the same number.
struct Means {
    attention: Dataset,
}

impl Source for Means {
    type Item = AttentionRow;

    fn load(&self, shard: ShardIndex) -> ItemStream<'_, AttentionRow> {
        stream::once(self.attention.stream_shard(shard, Columns::All))
            .try_flatten()
            .map_err(StageError::from)
            .and_then(|batch| async move { Ok(AttentionRow::decode(&batch)?) })
            .map_ok(|rows| stream::iter(rows.into_iter().map(|row| Ok(Ok(row)))))
            .try_flatten()
            .boxed()
    }

    fn name(&self, row: &AttentionRow) -> (String, SampleId) {
        (row.sample_id.to_string(), row.sample_id)
    }

    fn inputs(&self, shard: ShardIndex) -> BoxFuture<'_, Result<Option<u64>, StageError>> {
        Box::pin(async move {
            let parts = self.attention.parts(shard).await?;
            Ok(Some(parts.iter().map(|part| part.rows).sum()))
        })
    }
}

impl Worker for MaskMaker {
    type Item = AttentionRow;
    type Output = MaskRow;

    fn process(&mut self, batch: Vec<AttentionRow>) -> Vec<Result<MaskRow, Failure>> {
        let maker = &*self;
        batch.into_par_iter().map(|row| maker.make_or_fail(row)).collect()
    }
}

impl MaskMaker {
    fn make_or_fail(&self, row: AttentionRow) -> Result<MaskRow, Failure> {
        let (sample, caption) = (row.sample_id, row.caption.clone());
        let fail = |class, message: String| {
            Err(Failure::new(sample.to_string(), class, message).with_sample(sample).with_inputs(caption))
        };
        if row.classes.is_empty() {
            // A mask without a class would teach that everything in the picture is ground.
            return fail(ErrorClass::Rejected, "no class was asked for".to_owned());
        }
        self.make(row).or_else(|error| {
            let class = match error {
                ExtractError::NotFinite { .. } => ErrorClass::NonFinite,
                ExtractError::MissingMap { .. } | ExtractError::Length { .. } | ExtractError::ClassId { .. } => {
                    ErrorClass::Unsupported
                }
                _ => ErrorClass::Failed,
            };
            fail(class, error.to_string())
        })
    }
}

//! The stage: identity, job, run.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::Device;
use glass_dataset::{Dataset, Store, StoreOptions};
use glass_nets::device_in;
use glass_nets::image::ImageProcessor;
use glass_nets::weights::folder_digest;
use glass_schemas::dataset::{CaptionRow, Row};
use glass_schemas::ids::DatasetKind;
use glass_schemas::manifest::{Identity, IdentityParts, LISTING};
use glass_schemas::plan::Plan;
use glass_schemas::spec::{ClassSource, RunSpec};
use glass_stage::{
    Common, Context, EXIT_CODES, Earlier, ExitStatus, Explain, Job, ProcessArgs, SpecArgs, StageArgs, licences,
};

use crate::ground_truth::GroundTruth;
use crate::source::{Images, Listing};
use crate::vocabulary::Vocabulary;
use crate::worker::{CaptionWorker, Labeller};

/// Captions real images and turns their nouns into classes and prompts.
#[derive(clap::Parser)]
#[command(
    name = "captioner",
    version,
    after_help = format!("Example:\n  captioner --spec manifests/runs/mini/demo.toml --store demo-out\n\n{EXIT_CODES}")
)]
pub struct Args {
    #[command(flatten)]
    stage: StageArgs,
    /// Print how many images and shards the source has, as JSON, and stop
    #[arg(long)]
    list: bool,
}

impl AsRef<ProcessArgs> for Args {
    fn as_ref(&self) -> &ProcessArgs {
        &self.stage.process
    }
}

/// Runs the stage to completion.
///
/// # Errors
/// The user's (spec, source, weights, store) and the store's.
pub async fn caption(args: Args, context: Context) -> anyhow::Result<ExitStatus> {
    let spec = args.stage.spec.load()?;
    let store = SpecArgs::open_store(&spec)?;
    let labeller = Arc::new(labeller(&spec)?);
    let processor = ImageProcessor::load(&spec.captioner.weights).blame_user()?;
    let options = StoreOptions::from(&spec.store);
    let (images, listing) = Images::list(&spec.source, &options, processor.clone()).await?;
    if args.list {
        let plan = images.plan();
        println!("{}", serde_json::json!({ "images": listing.items(), "shards": plan.shards() }));
        return Ok(ExitStatus::Done);
    }
    let shards = images.plan().shards();
    let identity = match args.stage.looks_back() {
        false => identity(&spec, &labeller.vocabulary, &listing, shards)?,
        true => as_before(&store, &spec, shards).await?,
    };
    let dataset = Dataset::create(&args.stage.output(&store, &spec)?, &identity).await?;
    let device = device(&spec).blame_user()?;
    let earlier = earlier(&dataset, &listing).await?;
    let job = Job {
        datasets: vec![dataset],
        earlier,
        plan: images.plan(),
        source: images,
        // A checkpoint that does not load is the user's to mend.
        worker: Box::new(move || CaptionWorker::load(labeller, processor, device).blame_user()),
        encode: Box::new(|rows| Ok(vec![CaptionRow::encode(&rows)?])),
        options: args.stage.options(&spec.execution, spec.execution.caption_batch)?,
    };
    let summary = glass_stage::run(job, &context).await?;
    Ok(summary.answer(&args.stage)?)
}

fn labeller(spec: &RunSpec) -> anyhow::Result<Labeller> {
    let vocabulary = Vocabulary::load(&spec.captioner.vocabulary).blame_user()?;
    let ground_truth = match (spec.captioner.class_source, &spec.source.ground_truth) {
        (ClassSource::Caption, _) => GroundTruth::default(),
        (ClassSource::GroundTruth, Some(path)) => GroundTruth::load(path, &vocabulary)?,
        (ClassSource::GroundTruth, None) => {
            return Err(anyhow::anyhow!(
                "`captioner.class_source` is `ground-truth` and `source.ground_truth` is not set"
            ))
            .blame_user()
            .hint("set `source.ground_truth` to an instances.json in COCO format");
        }
    };
    Ok(Labeller { vocabulary, ground_truth, spec: spec.captioner.clone() })
}

/// The dataset that is there. A mended image changes the listing, and with it the identity that a
/// first pass would get; a retry belongs to the dataset whose samples failed.
async fn as_before(store: &Store, spec: &RunSpec, shards: u32) -> anyhow::Result<Identity> {
    let dataset = Dataset::find(store, DatasetKind::Captions, spec).await?;
    let made = dataset.identity();
    if made.shards == shards {
        return Ok(made.clone());
    }
    Err(anyhow::anyhow!("`{}` has {} shards, the source comes to {shards} now", made.id, made.shards))
        .blame_user()
        .hint("images were added or removed since: run the stage without --retry, which makes a new dataset")
}

/// The datasets whose images are the first ones of this listing, or more of them.
async fn earlier(dataset: &Dataset, listing: &Listing) -> anyhow::Result<Vec<Earlier>> {
    let mut found = Vec::new();
    if dataset.manifest().await?.is_some() {
        return Ok(found);
    }
    let mut shorter = Vec::new();
    for other in dataset.of_other_extent().await? {
        let identity = other.identity();
        let source = &identity.spec["source"];
        let rows = source["rows_per_shard"].as_u64().and_then(|rows| u32::try_from(rows).ok());
        let images = identity
            .weights
            .get(LISTING)
            .and_then(|digest| listing.images_of(digest, source["limit"].as_u64().unwrap_or(0)));
        let (Some(rows), Some(images)) = (rows, images) else {
            tracing::warn!(
                dataset = %other.id(),
                "images were added before the end of the source, removed or changed since this dataset was made: nothing of it is reused"
            );
            continue;
        };
        if images <= listing.items() {
            shorter.push(other.id().clone());
        }
        let common = Common::First(Plan::new(images, rows));
        found.push(Earlier { datasets: vec![other], common });
    }
    if !shorter.is_empty() {
        dataset.set_extends(shorter).await?;
    }
    Ok(found)
}

fn identity(spec: &RunSpec, vocabulary: &Vocabulary, listing: &Listing, shards: u32) -> anyhow::Result<Identity> {
    Ok(Identity::new(IdentityParts {
        kind: DatasetKind::Captions,
        stage: "captioner".to_owned(),
        // Captions are not drawn at random: runs that differ in their seed share them.
        run_seed: 0,
        spec: spec.identity_of(DatasetKind::Captions),
        upstream: Vec::new(),
        weights: BTreeMap::from([
            ("captioner".to_owned(), folder_digest(&spec.captioner.weights).blame_user()?.parse()?),
            ("vocabulary".to_owned(), vocabulary.digest()),
            (LISTING.to_owned(), listing.digest()),
        ]),
        shards,
    })
    .with_licences(licences(spec, None, Some("source"), Some(("captioner", spec.captioner.weights.as_ref())))))
}

/// Where and in what the networks compute.
fn device(spec: &RunSpec) -> glass_nets::Result<Device> {
    device_in(spec.execution.device.parse()?, spec.captioner.precision.as_str().parse()?)
}

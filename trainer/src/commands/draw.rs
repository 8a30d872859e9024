//! `trainer generate` and `trainer compose`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use glass_dataset::Store;
use glass_nets::Backend;
use glass_schemas::spec::RunSpec;
use glass_schemas::spec::trainer::ImageDecoderKind;
use glass_stage::{Context, ExitStatus, Explain, SpecArgs};
use tokio::runtime::Handle;

use super::RunOptions;
use super::options::{explained, explained_any};
use crate::checkpoint::release::Release;
use crate::eval::job::Candidate;
use crate::eval::trained::{Fetched, WithImage, published};
use crate::fidelity::Report;
use crate::generate::job::{Request, compose, composition_name, generate, generation_name};
use crate::generate::metrics::{Scoring, score_compositions, score_generated};
use crate::generate::shelf::Shelf;

/// Draw pictures from the slots of validation pictures.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Prints the folder below the store that the pictures and their scores (metrics.json) are in.

Example:
  trainer generate --run run-0123456789abcdef --spec run.toml --store demo-out
  trainer compose --run run-0123456789abcdef --spec run.toml --store demo-out --json")]
pub struct DrawArgs {
    /// Spec and store.
    #[command(flatten)]
    pub options: RunOptions,
    /// Run whose checkpoint is used
    #[arg(long, value_name = "RUN", required_unless_present = "checkpoint")]
    pub run: Option<String>,
    /// Checkpoint of that run [default: the newest]
    #[arg(long, value_name = "STEP", requires = "run")]
    pub step: Option<u64>,
    /// A published checkpoint in place of a run: a folder of GLASS or Latent Slot Diffusion with its UNet. Encoder,
    /// autoencoder and sampler are the spec's
    #[arg(long, value_name = "PATH", conflicts_with = "run")]
    pub checkpoint: Option<PathBuf>,
    /// Pictures drawn at once; never changes a picture
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub batch_size: usize,
    /// How to answer
    #[command(flatten)]
    pub json: super::JsonArgs,
}

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drawing {
    /// `[evaluation.generation]`: pictures from unedited slots.
    Reconstructions,
    /// `[evaluation.composition]`: pictures from edited slots.
    Compositions,
}

type Name = fn(&RunSpec, &Candidate) -> anyhow::Result<String>;
type Draw = fn(Request<'_>, &str, &mut dyn Shelf) -> anyhow::Result<()>;
type Judgement = fn(&Scoring<'_>, &mut dyn Shelf) -> anyhow::Result<Report>;

impl Drawing {
    fn parts(self) -> (Name, Draw, Judgement, &'static str) {
        match self {
            Self::Reconstructions => (generation_name, generate, score_generated, "generated.json"),
            Self::Compositions => (composition_name, compose, score_compositions, "compositions.json"),
        }
    }
}

/// A folder of the store. A signal is answered between two files.
struct StoreShelf<'a> {
    store: &'a Store,
    folder: &'a str,
    runtime: &'a Handle,
    context: &'a Context,
}

impl Shelf for StoreShelf<'_> {
    fn names(&self) -> anyhow::Result<BTreeSet<String>> {
        let keys = self.runtime.block_on(self.store.list_keys(self.folder))?;
        Ok(keys.iter().filter_map(|key| Some(key.rsplit_once('/')?.1.to_owned())).collect())
    }

    fn get(&self, name: &str) -> anyhow::Result<Vec<u8>> {
        Ok(self.runtime.block_on(self.store.get(&format!("{}/{name}", self.folder)))?.to_vec())
    }

    fn put(&mut self, name: &str, bytes: Vec<u8>) -> anyhow::Result<()> {
        if self.context.stop.is_set() {
            return Err(Interrupted.into());
        }
        Ok(self.runtime.block_on(self.store.put(&format!("{}/{name}", self.folder), bytes.into()))?)
    }
}

/// The signal that made a shelf refuse a file.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
struct Interrupted;

/// Draws into `runs/<run>/generated/<name>/` what is not there yet, compares it with the real pictures
/// (`metrics.json`), and prints that folder.
///
/// # Errors
/// The user's (spec, data, weights) and the store's.
pub async fn draw(drawing: Drawing, args: DrawArgs, context: Context) -> anyhow::Result<ExitStatus> {
    let spec = args.options.spec()?;
    let store = SpecArgs::open_store(&spec)?;
    let device = spec.execution.device.parse::<Backend>()?.device()?;
    let fetched = match &args.run {
        Some(run) => Some(Fetched::new(&store, run, args.step).await.blame_user()?),
        None => None,
    };
    fetched.iter().try_for_each(check_decoder)?;
    let runtime = tokio::runtime::Handle::current();
    let outcome = tokio::task::spawn_blocking(move || -> anyhow::Result<String> {
        let loaded = match (fetched, &args.checkpoint) {
            (Some(fetched), _) => explained_any(fetched.load(&spec.trainer, &device, WithImage::Yes))?,
            (None, Some(path)) => {
                let release = explained(Release::open(path, &spec.trainer))?;
                explained(published(release, &spec.trainer, &device, WithImage::Yes))?
            }
            (None, None) => anyhow::bail!("neither a run nor a checkpoint is named"),
        };
        let (name, draw, judge, index) = drawing.parts();
        let name = explained_any(name(&spec, &loaded.candidate))?;
        let folder = format!("runs/{}/generated/{name}", loaded.candidate.run);
        let mut shelf = StoreShelf { store: &store, folder: &folder, runtime: &runtime, context: &context };
        if runtime.block_on(store.get_if_there(&format!("{folder}/{index}")))?.is_none() {
            let (decoder, weights) = explained(loaded.decoder(&spec.trainer, &device))?;
            let request = Request {
                spec: &spec,
                candidate: &loaded.candidate,
                decoder: &decoder,
                weights,
                batch: args.batch_size,
                device: device.clone(),
            };
            explained_any(draw(request, &name, &mut shelf))?;
        }
        let scoring = Scoring { spec: &spec, batch: args.batch_size, device };
        let report = judge(&scoring, &mut shelf)?;
        for line in report.to_string().lines() {
            tracing::info!("{line}");
        }
        Ok(folder)
    })
    .await?;
    match outcome {
        Ok(folder) => {
            args.json.name("folder", folder)?;
            Ok(ExitStatus::Done)
        }
        Err(error) if error.is::<Interrupted>() => Ok(ExitStatus::Interrupted),
        Err(error) => Err(error),
    }
}

/// Refuses runs in which nothing draws.
fn check_decoder(fetched: &Fetched) -> anyhow::Result<()> {
    if fetched.document().spec.image.kind != ImageDecoderKind::None {
        return Ok(());
    }
    Err(anyhow::anyhow!("run `{}` has `trainer.image.kind = \"none\"`: nothing in it draws", fetched.run()))
        .blame_user()
        .hint("pictures are drawn from runs with `stable-diffusion`, `latent-diffusion` or `broadcast`")
}

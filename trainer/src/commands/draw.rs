//! `trainer generate` and `trainer compose`.

use glass_nets::Backend;
use glass_schemas::spec::RunSpec;
use glass_stage::{Context, ExitStatus, Explain, SpecArgs};

use super::RunOptions;
use crate::eval::job::Candidate;
use crate::eval::trained::{Fetched, WithImage};
use crate::generate::Denoiser;
use crate::generate::job::{Request, Sink, compose, composition_name, generate, generation_name};

/// Draw pictures from the slots of validation pictures.
#[derive(clap::Args, Clone, Debug)]
pub struct DrawArgs {
    /// Spec and store.
    #[command(flatten)]
    pub options: RunOptions,
    /// Run whose checkpoint is used
    #[arg(long, value_name = "RUN")]
    pub run: String,
    /// Checkpoint of that run [default: the newest]
    #[arg(long, value_name = "STEP")]
    pub step: Option<u64>,
    /// Pictures drawn at once; never changes a picture
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub batch_size: usize,
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
type Draw = fn(Request<'_>, &str, &mut Sink<'_>) -> anyhow::Result<()>;

impl Drawing {
    fn parts(self) -> (Name, Draw, &'static str) {
        match self {
            Self::Reconstructions => (generation_name, generate, "generated.json"),
            Self::Compositions => (composition_name, compose, "compositions.json"),
        }
    }
}

/// The signal that made a sink refuse a file.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
struct Interrupted;

/// Draws into `runs/<run>/generated/<name>/` and prints that folder. What was drawn before is left alone.
///
/// # Errors
/// The user's (spec, data, weights) and the store's.
pub async fn draw(drawing: Drawing, args: DrawArgs, context: Context) -> anyhow::Result<ExitStatus> {
    let spec = args.options.spec()?;
    let store = SpecArgs::open_store(&spec)?;
    let device = spec.execution.device.parse::<Backend>()?.device()?;
    let fetched = Fetched::new(&store, &args.run, args.step).await.blame_user()?;
    let runtime = tokio::runtime::Handle::current();
    let outcome = tokio::task::spawn_blocking(move || -> anyhow::Result<String> {
        let loaded = fetched.load(&spec.trainer, &device, WithImage::Yes)?;
        let (name, draw, index) = drawing.parts();
        let name = name(&spec, &loaded.candidate)?;
        let folder = format!("runs/{}/generated/{name}", loaded.candidate.run);
        if runtime.block_on(store.get_if_there(&format!("{folder}/{index}")))?.is_some() {
            return Ok(folder);
        }
        let request = Request {
            spec: &spec,
            candidate: &loaded.candidate,
            unet: loaded.unet().map(|unet| Box::new(unet) as Box<dyn Denoiser>),
            batch: args.batch_size,
            device,
        };
        draw(request, &name, &mut |file, bytes| {
            if context.stop.is_set() {
                return Err(Interrupted.into());
            }
            Ok(runtime.block_on(store.put(&format!("{folder}/{file}"), bytes.into()))?)
        })?;
        Ok(folder)
    })
    .await?;
    match outcome {
        Ok(folder) => {
            println!("{folder}");
            Ok(ExitStatus::Done)
        }
        Err(error) if error.is::<Interrupted>() => Ok(ExitStatus::Interrupted),
        Err(error) => Err(error),
    }
}

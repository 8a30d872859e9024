//! `glassctl models fetch`.

mod offline;
mod online;
mod pinning;
mod shards;

use std::path::PathBuf;
use std::time::Duration;

use glass_stage::{Context, ExitStatus};

use super::cache::Repository;
use super::hub::{Hub, HubError, Retry};
use super::lock::{NamedLock, Shelf};
use super::settings::Settings;
use crate::output::{self, Array};

pub(super) use offline::find as find_in_cache;
pub(super) use shards::named_by;

/// Download checkpoints into the cache of the Hugging Face hub
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Prints the folder of each checkpoint, to be named in a run spec. Downloads go on where they stopped.
The hub is asked with the token of HF_TOKEN or of `hf auth login`; HF_ENDPOINT, HF_HOME, HF_HUB_CACHE
and HF_HUB_OFFLINE mean what they mean to Hugging Face's own tools.

Example:
  glassctl models fetch stable-diffusion-2-1-base dinov2-base --yes")]
pub struct FetchArgs {
    /// Lock files, by name (see `glassctl models list`) or path
    #[arg(value_name = "NAME|FILE.toml", required = true)]
    pub names: Vec<String>,
    /// Use the cache only; missing files are an error
    #[arg(long)]
    pub offline: bool,
    /// Write commit and digests into lock files that lack them, without asking
    #[arg(long)]
    pub yes: bool,
    /// The hub's cache [default: HF_HUB_CACHE, or hub in HF_HOME]
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// Folder of the lock files [default: manifests/weights here or beside the programs]
    #[arg(long, value_name = "DIR")]
    pub manifests: Option<PathBuf>,
    /// Silence of the hub after which a request is tried again
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,
    /// How often a request is tried again while nothing arrives
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub retries: u32,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// A checkpoint that is there now.
#[derive(serde::Serialize)]
struct There<'a> {
    name: &'a str,
    folder: &'a std::path::Path,
}

/// Fetches every checkpoint asked for and prints its folder.
pub(super) async fn fetch(args: &FetchArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let shelf = Shelf::open(args.manifests.as_deref())?;
    let settings = Settings::from_environment(args.cache.as_deref())?;
    // A wrong name is found before the first download.
    let locks: Vec<NamedLock> = args.names.iter().map(|name| shelf.find(name)).collect::<anyhow::Result<_>>()?;
    let mut array = args.json.then(Array::printed);
    for named in &locks {
        let folder = match args.offline || settings.offline {
            true => offline::folder(named, &settings)?,
            false => match online(named, args, &settings, context).await? {
                Some(folder) => folder,
                None => return Ok(ExitStatus::Interrupted),
            },
        };
        match &mut array {
            Some(array) => array.add(&There { name: &named.name, folder: &folder })?,
            None => output::text(&format!("{}\n", folder.display()))?,
        }
        hint_at_conversion(named, &folder);
    }
    array.map_or(Ok(()), Array::finish)?;
    Ok(ExitStatus::Done)
}

/// The folder of a checkpoint after it was fetched; none if a signal came before.
async fn online(
    named: &NamedLock,
    args: &FetchArgs,
    settings: &Settings,
    context: &Context,
) -> anyhow::Result<Option<PathBuf>> {
    let lock = &named.lock;
    let cache = Repository::new(&settings.cache, &lock.repository);
    if let Some(folder) = offline::pinned_and_whole(lock, &cache) {
        tracing::info!(name = named.name, "already in the cache");
        return Ok(Some(folder));
    }
    let limit = Duration::from_secs(args.timeout);
    let hub = Hub::new(settings, lock, limit, Retry { retries: args.retries }, &context.stop)?;
    let session = online::Session { lock, cache: &cache, hub: &hub, context };
    match session.run().await {
        Ok(fetched) => {
            pinning::pin(named, &fetched, args.yes)?;
            Ok(Some(cache.snapshot(&fetched.commit)))
        }
        Err(HubError::Interrupted) => Ok(None),
        Err(error) => error.explained(),
    }
}

/// The loaders read safetensors only.
fn hint_at_conversion(named: &NamedLock, folder: &std::path::Path) {
    let has = |ending: &str| named.lock.files.iter().any(|file| file.path.ends_with(ending));
    let converted = folder.join("model.safetensors").exists();
    if has(".bin") && !has(".safetensors") && !has(".safetensors.index.json") && !converted {
        tracing::warn!("published as a PyTorch file: run `glassctl models convert {}`", folder.display());
    }
}

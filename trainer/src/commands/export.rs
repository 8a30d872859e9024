//! `trainer export`.

use std::path::PathBuf;

use anyhow::Context as _;
use burn::tensor::Device;
use glass_dataset::{Store, StoreOptions};
use glass_stage::{Context, ExitStatus, Explain as _, WholeFile};

use super::JsonArgs;
use super::options::explained;
use crate::checkpoint::export;
use crate::eval::trained::Fetched;

/// Write a checkpoint in the layout that GLASS and Latent Slot Diffusion publish.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Example:
  trainer export run-0123456789abcdef --store demo-out --out released")]
pub struct ExportArgs {
    /// The run
    #[arg(value_name = "RUN")]
    pub run: String,
    /// The store that the run is in: a folder, `s3://…`, `gs://…` or `az://…`
    #[arg(long, value_name = "URI")]
    pub store: String,
    /// Checkpoint of that run [default: the newest]
    #[arg(long, value_name = "STEP")]
    pub step: Option<u64>,
    /// Folder to write: `checkpoint/multiheadstevesa/` and what else there is go into it
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// How to answer
    #[command(flatten)]
    pub json: JsonArgs,
}

/// Writes the folder and prints the path of its `checkpoint`.
///
/// # Errors
/// The user's (no such run, slots that the layout cannot hold, a folder that cannot be written) and the store's.
pub async fn export_run(args: ExportArgs, _: Context) -> anyhow::Result<ExitStatus> {
    let store = Store::open(&args.store, &StoreOptions::default())?;
    let fetched = Fetched::new(&store, &args.run, args.step).await.blame_user()?;
    let files = tokio::task::spawn_blocking(move || {
        explained(export(fetched.objects(), fetched.document(), fetched.run(), &Device::flex()))
    })
    .await??;
    let folder = args.out.join("checkpoint");
    for (name, bytes) in files {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(&folder);
        std::fs::create_dir_all(parent)
            .with_context(|| format!("cannot create `{}`", parent.display()))
            .and_then(|()| Ok(WholeFile::write(&path, bytes)?))
            .blame_user()?;
    }
    args.json.name("folder", folder.display())?;
    Ok(ExitStatus::Done)
}

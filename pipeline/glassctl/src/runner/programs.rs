//! Where the stage binaries are.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context as _;
use glass_stage::{Context, Explain};

const NAMES: [&str; 4] = ["captioner", "sd-generator", "attention-mask-extractor", "trainer"];

/// The folder that holds `assets/`: the current one, or the checkout this was built from.
pub(crate) fn root() -> anyhow::Result<PathBuf> {
    let here = std::env::current_dir().context("cannot find the current folder")?;
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let checkout = crate_folder.ancestors().nth(2).unwrap_or(crate_folder).to_owned();
    [here, checkout]
        .into_iter()
        .find(|folder| folder.join("assets/mini/dinov2/config.json").is_file())
        .context("cannot find `assets/mini` with the embedded checkpoints")
        .blame_user()
        .hint("run the demo in a checkout of the repository")
}

/// The stage binaries, beside this one.
pub(crate) struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Finds the binaries. `cargo run --bin glassctl` builds this binary alone, so under cargo the
    /// others are built here; that does nothing when they are up to date.
    pub(crate) async fn find(root: &Path, context: &Context) -> anyhow::Result<Self> {
        let this = std::env::current_exe().context("cannot find this program's own file")?;
        let folder = this.parent().map(Path::to_owned).unwrap_or_default();
        if let Some(cargo) = std::env::var_os("CARGO") {
            build(&cargo, root, &folder, context).await?;
        }
        match NAMES.iter().find(|name| !folder.join(name).is_file()) {
            None => Ok(Self { folder }),
            Some(name) => Err(anyhow::anyhow!("`{name}` is not in `{}`", folder.display()))
                .blame_user()
                .hint("build all programs first: cargo build --release --workspace"),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

async fn build(cargo: &OsStr, root: &Path, folder: &Path, context: &Context) -> anyhow::Result<()> {
    let mut command = tokio::process::Command::new(cargo);
    command.current_dir(root).arg("build").stdin(Stdio::null()).kill_on_drop(true);
    if folder.ends_with("release") {
        command.arg("--release");
    }
    for name in NAMES {
        command.args(["--bin", name]);
    }
    let mut child = command.spawn().context("cannot start cargo")?;
    let status = tokio::select! {
        status = child.wait() => status?,
        () = context.stop.wait() => return Err(super::Stopped::INTERRUPTED.into()),
    };
    anyhow::ensure!(status.success(), "cargo could not build the stage programs");
    Ok(())
}

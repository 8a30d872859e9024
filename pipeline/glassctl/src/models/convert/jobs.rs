//! Which files are converted, and what they are called afterwards.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use glass_stage::Explain;

use super::names;

/// What is read.
#[derive(Debug)]
pub(super) enum Input {
    /// One file.
    File(PathBuf),
    /// The index of a checkpoint in several files.
    Index(PathBuf),
}

impl Input {
    fn of(path: PathBuf) -> Self {
        match names::is_index(&file_name(&path)) {
            true => Self::Index(path),
            false => Self::File(path),
        }
    }
}

/// One conversion.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) input: Input,
    pub(super) output: PathBuf,
}

/// The conversions that an input asks for.
pub(super) fn plan(input: &Path, out: Option<&Path>) -> anyhow::Result<Vec<Job>> {
    let found = std::fs::metadata(input).with_context(|| format!("cannot read `{}`", input.display())).blame_user()?;
    match found.is_dir() {
        true => folder(input, out),
        false => Ok(vec![file(input, out)?]),
    }
}

fn file(input: &Path, out: Option<&Path>) -> anyhow::Result<Job> {
    let name = file_name(input);
    if name.ends_with(".safetensors") {
        return Err(anyhow::anyhow!("`{}` is safetensors already", input.display())).blame_user();
    }
    let converted = names::converted(&name);
    let output = match out {
        None => input.with_file_name(converted),
        Some(out) if out.extension().is_some_and(|ending| ending == "safetensors") => out.to_owned(),
        Some(out) => out.join(converted),
    };
    if output.exists() {
        return Err(anyhow::anyhow!("`{}` is there already", output.display()))
            .blame_user()
            .hint("remove it, or give another place with --out");
    }
    Ok(Job { input: Input::of(input.to_owned()), output })
}

/// The checkpoint files of a folder and of the folders in it.
fn folder(folder: &Path, out: Option<&Path>) -> anyhow::Result<Vec<Job>> {
    let mut places = vec![PathBuf::new()];
    let entries = entries(folder)?;
    places.extend(entries.iter().filter(|name| folder.join(name).is_dir()).map(PathBuf::from));
    let (mut jobs, mut present) = (Vec::new(), 0);
    for place in places {
        for name in self::entries(&folder.join(&place))? {
            if !names::is_checkpoint(&name) {
                continue;
            }
            let output = out.unwrap_or(folder).join(&place).join(names::converted(&name));
            if output.exists() {
                tracing::info!(file = %output.display(), "there already");
                present += 1;
                continue;
            }
            jobs.push(Job { input: Input::of(folder.join(&place).join(&name)), output });
        }
    }
    if jobs.is_empty() && present == 0 {
        return Err(anyhow::anyhow!("`{}` holds no PyTorch checkpoint", folder.display()))
            .blame_user()
            .hint("in a folder `pytorch_model.bin` and `diffusion_pytorch_model.bin` are looked for; give other files by name");
    }
    Ok(jobs)
}

fn entries(folder: &Path) -> anyhow::Result<Vec<String>> {
    let unreadable = || format!("cannot list `{}`", folder.display());
    let entries = std::fs::read_dir(folder).with_context(unreadable).blame_user()?;
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry.with_context(unreadable)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

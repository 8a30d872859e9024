//! `glassctl models convert`: PyTorch files to safetensors, without running anything in them.
//!
//! A PyTorch file is a pickle, a small program that names Python functions to call. This reader
//! knows the six that a file of tensors needs, builds tensors from them itself, and refuses a file
//! that names any other; there is no interpreter here that could run one.

mod checkpoint;
mod container;
mod jobs;
mod legacy;
mod names;
mod pickle;
mod sharded;
mod tensor;
mod write;
mod zip;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use glass_stage::{Context, ExitStatus, Explain};

use checkpoint::Checkpoint;
use jobs::Input;

use crate::output::{self, Array};

/// Turn PyTorch files into safetensors, without running anything in them
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Types and names of the tensors stay as they are. In a folder, `pytorch_model.bin` becomes
`model.safetensors`, `diffusion_pytorch_model.bin` becomes `diffusion_pytorch_model.safetensors`, here and
in the folders in it, in one file or in shards; what has safetensors already is left alone.

Example:
  glassctl models convert weights/blip-image-captioning-base
  glassctl models convert dino_deitsmall8_pretrain.pth --out weights/dino/model.safetensors")]
pub struct ConvertArgs {
    /// A .bin, .pth, .pt or .ckpt file, or a folder
    #[arg(value_name = "FILE|FOLDER")]
    pub input: PathBuf,
    /// File or folder to write [default: beside the input]
    #[arg(long, value_name = "PATH")]
    pub out: Option<PathBuf>,
    /// The entry that holds the tensors, for a file that holds more, e.g. `state_dict`
    #[arg(long, value_name = "NAME")]
    pub key: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// A file that was written.
#[derive(serde::Serialize)]
struct Converted<'a> {
    file: &'a Path,
}

/// Converts what is asked for and prints the files written.
pub(super) fn convert(args: &ConvertArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let mut array = args.json.then(Array::printed);
    for job in jobs::plan(&args.input, args.out.as_deref())? {
        if context.stop.is_set() {
            return Ok(ExitStatus::Interrupted);
        }
        match &job.input {
            Input::File(file) => drop(one(file, &job.output, args.key.as_deref())?),
            Input::Index(index) => sharded::convert(index, &job.output, args.key.as_deref())?,
        }
        match &mut array {
            Some(array) => array.add(&Converted { file: &job.output })?,
            None => output::text(&format!("{}\n", job.output.display()))?,
        }
    }
    array.map_or(Ok(()), Array::finish)?;
    Ok(ExitStatus::Done)
}

/// Converts one file; gives the names of its tensors.
fn one(input: &Path, output: &Path, key: Option<&str>) -> anyhow::Result<Vec<String>> {
    let checkpoint = Checkpoint::open(input, key)?;
    tracing::info!(file = %input.display(), tensors = checkpoint.tensors.len(), "converting");
    write::safetensors(&checkpoint, output)
        .with_context(|| format!("cannot write `{}`", output.display()))
        .blame_user()?;
    Ok(checkpoint.tensors.into_keys().collect())
}

//! `trainer fidelity`.

use std::path::PathBuf;

use glass_nets::Backend;
use glass_schemas::spec::pictures::{InceptionInput, PictureMetricsSpec};
use glass_stage::{Context, ExitStatus};
use image::RgbImage;

use super::JsonArgs;
use super::judge::explained;
use crate::eval::EvalError;
use crate::fidelity::{Folder, Judge, Networks, Reference, Settings};

/// Compare drawn pictures with real ones: two folders, no spec and no run needed.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Example:
  trainer fidelity --drawn drawn --real real --inception pt_inception.safetensors --lpips alexnet.safetensors
  trainer fidelity --drawn drawn --statistics real.safetensors --dinov2 dinov2-base --json")]
pub struct FidelityArgs {
    /// Folder of drawn pictures
    #[arg(long, value_name = "DIR", required_unless_present = "save_statistics")]
    pub drawn: Option<PathBuf>,
    /// Folder of real pictures; those of one file stem with a drawn one are scored as pairs
    #[arg(long, value_name = "DIR", required_unless_present = "statistics")]
    pub real: Option<PathBuf>,
    /// Stored statistics of the real pictures, in place of their features: what --save-statistics wrote, or an `.npz` of
    /// pytorch-fid
    #[arg(long, value_name = "FILE", conflicts_with = "save_statistics")]
    pub statistics: Option<PathBuf>,
    /// Store the statistics of the real pictures here
    #[arg(long, value_name = "FILE", requires = "real")]
    pub save_statistics: Option<PathBuf>,
    /// InceptionV3 in the layout of the FID weights (safetensors): FID and KID
    #[arg(long, value_name = "FILE")]
    pub inception: Option<PathBuf>,
    /// With the resize of torch-fidelity and torchmetrics in place of pytorch-fid's
    #[arg(long, requires = "inception")]
    pub torch_fidelity: bool,
    /// Folder of a DINOv2, taken without --inception
    #[arg(long, value_name = "DIR", conflicts_with = "inception")]
    pub dinov2: Option<PathBuf>,
    /// Side in pixels of the pictures that DINOv2 gets
    #[arg(long, value_name = "N", default_value_t = 224)]
    pub side: u32,
    /// The state of lpips.LPIPS, or torchvision's AlexNet or VGG16 (safetensors)
    #[arg(long, value_name = "FILE")]
    pub lpips: Option<PathBuf>,
    /// The linear heads of LPIPS, where --lpips has none
    #[arg(long, value_name = "FILE", requires = "lpips")]
    pub lpips_heads: Option<PathBuf>,
    /// Folder of a CLIP
    #[arg(long, value_name = "DIR")]
    pub clip: Option<PathBuf>,
    /// KID: subsets
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub subsets: u32,
    /// KID: pictures of a subset, at most as many as there are
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub subset_size: u32,
    /// Pictures computed at once
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub batch_size: usize,
    /// Where to compute: flex (the processor), cuda, cuda:1 or wgpu
    #[arg(long, default_value = "flex")]
    pub device: Backend,
    /// How to answer
    #[command(flatten)]
    pub json: JsonArgs,
}

/// Prints a table of the numbers.
///
/// # Errors
/// The user's: pictures or weights that cannot be used.
pub async fn fidelity(args: FidelityArgs, context: Context) -> anyhow::Result<ExitStatus> {
    let report = tokio::task::spawn_blocking(move || run(&args, &context)).await?;
    match report {
        Ok(()) => Ok(ExitStatus::Done),
        Err(EvalError::Interrupted) => Ok(ExitStatus::Interrupted),
        Err(error) => explained(error),
    }
}

fn run(args: &FidelityArgs, context: &Context) -> Result<(), EvalError> {
    let settings = settings(args);
    let networks = Networks::load(&settings, &args.device.device()?)?;
    if networks.features.is_none() && args.save_statistics.is_some() {
        let problem = "needs --inception or --dinov2: statistics are of a network's features".into();
        return Err(EvalError::Spec { key: "generation.metrics.reference", problem });
    }
    let reference = args.statistics.as_deref().map(Reference::open).transpose()?;
    let mut judge = Judge::new(&networks, &settings.spec, reference)?;
    let real = args.real.as_deref().map(Folder::open).transpose()?;
    let drawn = args.drawn.as_deref().map(Folder::open).transpose()?;
    let stopped = || if context.stop.is_set() { Err(EvalError::Interrupted) } else { Ok(()) };
    let batch = args.batch_size.max(1);
    if let (Some(folder), true) = (&real, judge.wants_real()) {
        for names in folder.names().collect::<Vec<_>>().chunks(batch) {
            stopped()?;
            for_sizes(names, &folder.read(names)?, |names, pictures| judge.real(names, pictures))?;
        }
    }
    if let (Some(path), Some(reference)) = (&args.save_statistics, judge.reference()) {
        reference.save(path)?;
    }
    let Some(folder) = drawn else {
        let saved = args.save_statistics.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        return args.json.answer(&serde_json::json!({ "statistics": saved }), &format!("{saved}\n"));
    };
    judge.begin(None);
    let paired: std::collections::BTreeSet<&str> = real.iter().flat_map(Folder::names).collect();
    for names in folder.names().collect::<Vec<_>>().chunks(batch) {
        stopped()?;
        for_sizes(names, &folder.read(names)?, |names, pictures| {
            judge.drawn(names, pictures)?;
            let Some(real) = &real else { return Ok(()) };
            for (name, picture) in names.iter().zip(pictures).filter(|(name, _)| paired.contains(*name)) {
                let original = real.read(&[name])?;
                same_size(name, &original, picture, args)?;
                judge.pairs(&original, std::slice::from_ref(picture))?;
            }
            Ok(())
        })?;
    }
    let report = judge.finish()?;
    args.json.answer(&report, &report.to_string())
}

/// Refuses a pair of different sizes.
fn same_size(name: &str, original: &[RgbImage], picture: &RgbImage, args: &FidelityArgs) -> Result<(), EvalError> {
    let ([width, height], found) = ([picture.width(), picture.height()], original.first().map(RgbImage::dimensions));
    match found {
        Some(found) if found != (width, height) => Err(EvalError::Given {
            path: args.drawn.clone().unwrap_or_default(),
            field: format!("picture `{name}`"),
            problem: format!("is {width}×{height} pixels, the real one of that name {}×{}", found.0, found.1),
            hint: "bring real and drawn pictures to one size, or give them other names to compare the sets alone"
                .into(),
        }),
        _ => Ok(()),
    }
}

/// Hands pictures on in runs of one size.
fn for_sizes(
    names: &[&str],
    pictures: &[RgbImage],
    mut take: impl FnMut(&[&str], &[RgbImage]) -> Result<(), EvalError>,
) -> Result<(), EvalError> {
    let mut first = 0;
    for run in pictures.chunk_by(|a, b| a.dimensions() == b.dimensions()) {
        take(&names[first..first + run.len()], run)?;
        first += run.len();
    }
    Ok(())
}

fn settings(args: &FidelityArgs) -> Settings {
    let spec = PictureMetricsSpec {
        inception: args.inception.clone(),
        inception_input: match args.torch_fidelity {
            true => InceptionInput::TorchFidelity,
            false => InceptionInput::PytorchFid,
        },
        lpips: args.lpips.clone(),
        lpips_heads: args.lpips_heads.clone(),
        clip: args.clip.clone(),
        dinov2: args.dinov2.clone(),
        kernel_subsets: args.subsets,
        kernel_subset_size: args.subset_size,
        ..PictureMetricsSpec::default()
    };
    Settings { encoder: spec.dinov2.clone().map(|folder| (folder, args.side)), spec }
}

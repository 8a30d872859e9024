//! The lines of the checklist.

use std::path::Path;

use glass_dataset::conformance::{self, Depth};
use glass_dataset::{Store, StoreOptions};
use glass_nets::Backend;
use glass_schemas::spec::RunSpec;

use super::estimate::Estimate;
use super::measure::{Source, Stage};
use crate::runner::Programs;
use crate::text;

/// One thing that must be so.
#[derive(Debug, serde::Serialize)]
pub(super) struct Check {
    pub(super) name: String,
    pub(super) ok: bool,
    /// What was found.
    pub(super) found: String,
}

impl Check {
    fn new(name: impl Into<String>, outcome: Result<String, String>) -> Self {
        let (ok, found) = match outcome {
            Ok(found) => (true, found),
            Err(found) => (false, found),
        };
        Self { name: name.into(), ok, found }
    }
}

/// An error with its causes and hint in one line.
fn line(error: &anyhow::Error) -> String {
    glass_stage::render(error).lines().map(str::trim).collect::<Vec<_>>().join("; ")
}

pub(super) fn programs(found: &anyhow::Result<Programs>) -> Check {
    Check::new(
        "programs",
        match found {
            Ok(_) => Ok("captioner, sd-generator, attention-mask-extractor, trainer".to_owned()),
            Err(error) => Err(line(error)),
        },
    )
}

pub(super) fn device(spec: &RunSpec) -> Check {
    let name = &spec.execution.device;
    let found = name.parse::<Backend>().and_then(Backend::device);
    Check::new("device", found.map(|_| name.clone()).map_err(|error| error.to_string()))
}

/// Every folder of weights that the spec names: is it there, and is each of its files whole?
pub(super) fn weights(spec: &RunSpec) -> Vec<Check> {
    let folders = [("captioner.weights", &spec.captioner.weights), ("generator.weights", &spec.generator.weights)];
    let trainer = [
        ("trainer.encoder.weights", &spec.trainer.encoder.weights),
        ("trainer.diffusion.weights", &spec.trainer.diffusion.weights),
    ];
    let trainer = trainer.map(|(field, folder)| (field, folder.display().to_string()));
    let folders = folders.map(|(field, folder)| (field, folder.clone()));
    folders.into_iter().chain(trainer).map(|(field, folder)| Check::new(field, weight_files(field, &folder))).collect()
}

fn weight_files(field: &str, folder: &str) -> Result<String, String> {
    if folder.is_empty() {
        return Err(format!("`{field}` is not set"));
    }
    let mut files = Vec::new();
    collect(Path::new(folder), 1, &mut files)
        .map_err(|error| format!("`{folder}`: {error}; `glassctl models fetch` brings published checkpoints"))?;
    if files.is_empty() {
        return Err(format!("`{folder}` holds no safetensors; `glassctl models convert` reads PyTorch files"));
    }
    let mut bytes = 0;
    for file in &files {
        bytes += whole(file).map_err(|error| format!("`{}`: {error}", file.display()))?;
    }
    Ok(format!("`{folder}`, {} in {} safetensors", text::bytes(bytes), files.len()))
}

/// The safetensors of a folder and of its parts, as diffusers lays them out.
fn collect(folder: &Path, depth: usize, files: &mut Vec<std::path::PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && depth > 0 {
            collect(&path, depth - 1, files)?;
        } else if path.extension().is_some_and(|ending| ending == "safetensors") {
            files.push(path);
        }
    }
    Ok(())
}

/// The size of a file whose header describes exactly the bytes that it has.
fn whole(path: &Path) -> Result<u64, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    // SAFETY: the map is read only, here; a file that shrinks meanwhile ends this process, as it would
    // any other that loads it.
    let map = unsafe { memmap2::Mmap::map(&file) }.map_err(|error| error.to_string())?;
    safetensors::SafeTensors::deserialize(&map).map_err(|error| error.to_string())?;
    Ok(map.len() as u64)
}

/// What the store promises; the short form of the suite that every store is tested with.
pub(super) async fn store(spec: &RunSpec) -> Vec<Check> {
    let store = match Store::open(&spec.store.uri, &StoreOptions::from(&spec.store)) {
        Ok(store) => store,
        Err(error) => return vec![Check::new("store", Err(line(&error.into())))],
    };
    match conformance::check(&store, Depth::Short).await {
        Err(error) => vec![Check::new("store", Err(line(&error.into())))],
        Ok(report) => {
            let promise = |check: &conformance::Check| {
                let kept = check.broken.clone().map_or(Ok("kept".to_owned()), Err);
                Check::new(format!("store: {}", check.promise), kept)
            };
            report.checks.iter().map(promise).collect()
        }
    }
}

pub(super) fn source(listed: &anyhow::Result<Source>) -> Check {
    Check::new(
        "source",
        match listed {
            Ok(source) => Ok(format!("{} images in {} shards", source.images, source.shards)),
            Err(error) => Err(line(error)),
        },
    )
}

pub(super) fn measured(stages: &anyhow::Result<Vec<Stage>>) -> Check {
    Check::new(
        "a few samples through every stage",
        match stages {
            Ok(stages) => {
                let total: f64 = stages.iter().map(|stage| stage.loading_seconds + stage.computing_seconds).sum();
                Ok(format!("in {total:.1} s"))
            }
            Err(error) => Err(line(error)),
        },
    )
}

/// Whether memory and disk are large enough for what was measured.
pub(super) fn room(spec: &RunSpec, estimate: &Estimate) -> Vec<Check> {
    let mut checks = Vec::new();
    let needed = estimate.stages.iter().filter_map(|stage| stage.peak_memory).max();
    if let (Some(needed), Some(free)) = (needed, available_memory()) {
        checks.push(enough("memory of a worker", needed, free));
    }
    let folder = spec.store.uri.strip_prefix("file://").unwrap_or(&spec.store.uri);
    if let Some(free) = free_disk(Path::new(folder)).filter(|_| !folder.contains("://")) {
        checks.push(enough("disk", estimate.bytes, free));
    }
    checks
}

fn enough(name: &str, needed: u64, free: u64) -> Check {
    let found = format!("{} needed, {} free", text::bytes(needed), text::bytes(free));
    Check::new(name, if needed <= free { Ok(found) } else { Err(found) })
}

fn available_memory() -> Option<u64> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// Free bytes where a folder is or will be.
fn free_disk(folder: &Path) -> Option<u64> {
    use std::os::unix::ffi::OsStrExt;
    let folder = std::path::absolute(folder).ok()?;
    let there = folder.ancestors().find(|folder| folder.is_dir())?;
    let name = std::ffi::CString::new(there.as_os_str().as_bytes()).ok()?;
    let mut answer = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the name ends with a zero byte and the call fills the answer when it returns 0.
    let answer = unsafe { (libc::statvfs(name.as_ptr(), answer.as_mut_ptr()) == 0).then(|| answer.assume_init())? };
    Some(answer.f_bavail * answer.f_frsize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_to_be_made_has_the_space_of_its_parent() {
        let there = free_disk(Path::new(".")).unwrap_or_default();
        assert!(there > 0);
        assert!(free_disk(Path::new("./not/yet/made")).is_some_and(|free| free > 0));
    }

    #[test]
    fn too_little_is_not_enough() {
        assert!(enough("disk", 10, 10).ok);
        assert!(!enough("disk", 11, 10).ok);
    }
}

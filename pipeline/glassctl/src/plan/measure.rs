//! The real stages on a few samples, in a store of their own.

use std::process::Stdio;

use anyhow::{Context as _, bail};
use glass_dataset::{Dataset, Store, StoreOptions};
use glass_schemas::ids::DatasetKind;
use glass_schemas::spec::RunSpec;
use glass_stage::{Context, Explain, SpecArgs};

use crate::runner::{Programs, STAGES, Stopped};
use crate::scratch::Scratch;

/// What the source holds.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Source {
    pub(super) images: u64,
    pub(super) shards: u64,
}

/// What a stage needed for a few samples.
#[derive(Clone, Debug, serde::Deserialize)]
pub(super) struct Stage {
    #[serde(skip)]
    pub(super) name: &'static str,
    /// Until its networks were loaded.
    pub(super) loading_seconds: f64,
    /// Inside the networks.
    pub(super) computing_seconds: f64,
    /// Samples that went through them.
    pub(super) computed: u64,
    /// Of the whole process, bytes.
    pub(super) peak_memory: Option<u64>,
    /// Stored a sample, over all datasets of the stage.
    #[serde(skip)]
    pub(super) bytes_a_sample: f64,
    /// The generator's: what capturing attention adds.
    #[serde(skip)]
    pub(super) capture: Option<Capture>,
}

/// What capturing attention adds to a generation.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub(super) struct Capture {
    /// Seconds a sample.
    #[serde(rename = "seconds_per_sample")]
    pub(super) seconds_a_sample: f64,
    /// Bytes at the peak of the process.
    #[serde(rename = "memory_bytes")]
    pub(super) memory: Option<i64>,
}

/// Without these the generator watches nothing.
const NO_CAPTURE: [&str; 2] = ["generator.cross_resolutions=[]", "generator.self_resolutions=[]"];

/// What the stages are measured with.
pub(super) struct Bench<'a> {
    pub(super) programs: &'a Programs,
    pub(super) spec: &'a SpecArgs,
    pub(super) threads: Option<usize>,
    pub(super) context: &'a Context,
}

impl Bench<'_> {
    /// Counts the images.
    pub(super) async fn source(&self) -> anyhow::Result<Source> {
        let (printed, _) = self.run("captioner", &["--list".to_owned()], self.spec.store.as_deref()).await?;
        serde_json::from_str(&printed).context("`captioner --list` printed something else")
    }

    /// Runs every stage on the first `samples` images, the generator also without capture.
    pub(super) async fn measure(&self, samples: u32) -> anyhow::Result<Vec<Stage>> {
        let scratch = Scratch::new()?;
        let few = [format!("source.limit={samples}"), format!("source.rows_per_shard={samples}")];
        let mut stages = Vec::new();
        for (name, _, kinds) in STAGES {
            let folder = scratch.0.to_string_lossy();
            let mut stage = self.stage(name, &few, &folder).await?;
            stage.bytes_a_sample = self.bytes_a_sample(kinds, &few, &folder).await?;
            if name == "sd-generator" {
                let set: Vec<String> = few.iter().cloned().chain(NO_CAPTURE.map(str::to_owned)).collect();
                stage.capture = capture(&stage, &self.stage(name, &set, &folder).await?);
            }
            stages.push(stage);
        }
        Ok(stages)
    }

    async fn stage(&self, name: &'static str, set: &[String], store: &str) -> anyhow::Result<Stage> {
        let mut flags: Vec<String> =
            ["--log-format", "json", "--index", "0", "--count", "1"].map(str::to_owned).to_vec();
        flags.extend(set.iter().flat_map(|change| ["--set".to_owned(), change.clone()]));
        let (_, log) = self.run(name, &flags, Some(store)).await?;
        let ended = log
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .find(|line| line.get("message").is_some_and(|message| message == "ended"))
            .with_context(|| format!("`{name}` did not say what it did"))?;
        let stage: Stage = serde_json::from_value(ended).with_context(|| format!("`{name}` said something else"))?;
        Ok(Stage { name, ..stage })
    }

    /// Runs a program to its end; what it printed, and its log.
    async fn run(&self, name: &str, flags: &[String], store: Option<&str>) -> anyhow::Result<(String, String)> {
        let mut command = tokio::process::Command::new(self.programs.path(name));
        command.arg("--spec").arg(&self.spec.path);
        for change in &self.spec.set {
            command.args(["--set", change]);
        }
        if let Some(store) = store {
            command.args(["--store", store]);
        }
        if let Some(threads) = self.threads {
            command.args(["--threads", &threads.to_string()]);
        }
        command.args(flags).stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::select! {
            output = command.output() => output.with_context(|| format!("cannot start `{name}`"))?,
            () = self.context.stop.wait() => return Err(Stopped::INTERRUPTED.into()),
        };
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.code() {
            // Samples in quarantine are part of what a run meets.
            Some(0 | 3) => Ok((String::from_utf8_lossy(&output.stdout).into_owned(), log)),
            _ => Err(anyhow::anyhow!("{}", reason(&log)).context(format!("`{name}` failed"))).blame_user(),
        }
    }

    async fn bytes_a_sample(&self, kinds: &[DatasetKind], set: &[String], store: &str) -> anyhow::Result<f64> {
        let changes: Vec<String> = self.spec.set.iter().chain(set).cloned().collect();
        let spec = RunSpec::load_with(&self.spec.path, &changes)?;
        let store = Store::open(store, &StoreOptions::default())?;
        let mut bytes = 0.0;
        for kind in kinds {
            let manifest = Dataset::find(&store, *kind, &spec).await?.manifest().await?;
            let Some(manifest) = manifest.filter(|manifest| manifest.rows > 0) else {
                bail!("none of the samples gave {kind}; measure more of them");
            };
            let stored: u64 = manifest.shards.iter().map(|commit| commit.bytes).sum();
            bytes += stored as f64 / manifest.rows as f64;
        }
        Ok(bytes)
    }
}

fn capture(with: &Stage, without: &Stage) -> Option<Capture> {
    let rate = |stage: &Stage| stage.computing_seconds / stage.computed.max(1) as f64;
    let bytes = |stage: &Stage| stage.peak_memory.and_then(|bytes| i64::try_from(bytes).ok());
    Some(Capture {
        seconds_a_sample: rate(with) - rate(without),
        memory: bytes(with).zip(bytes(without)).map(|(with, without)| with - without),
    })
}

/// What a program that failed said last: its error with causes and hint, or the last line.
fn reason(log: &str) -> String {
    let failed = log
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find(|line| line.get("message").is_some_and(|message| message == "failed"));
    let Some(failed) = failed else {
        let rest: Vec<&str> = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        return rest.join("; ");
    };
    let text = |key: &str| failed.get(key).and_then(|value| value.as_str()).filter(|text| !text.is_empty());
    [text("error"), text("causes"), text("hint")].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programs_reason_is_its_error_or_what_it_said() {
        let log = "{\"level\":\"INFO\",\"message\":\"starting\"}\n{\"message\":\"failed\",\"error\":\"no weights\",\"hint\":\"fetch them\"}\n";
        assert_eq!(reason(log), "no weights; fetch them");
        assert_eq!(reason("error: x\n  hint: y\n"), "error: x; hint: y");
    }
}

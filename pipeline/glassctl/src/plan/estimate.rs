//! From a few samples to all of them.

use glass_schemas::spec::RunSpec;

use super::measure::{Capture, Stage};

/// What a whole run takes, if every image gives its samples.
#[derive(Debug, serde::Serialize)]
pub(super) struct Estimate {
    pub(super) stages: Vec<StageEstimate>,
    /// Of all datasets together.
    pub(super) bytes: u64,
    /// Of the stages one after the other.
    pub(super) seconds: f64,
}

/// What one stage takes.
#[derive(Debug, serde::Serialize)]
pub(super) struct StageEstimate {
    pub(super) stage: &'static str,
    pub(super) samples: u64,
    pub(super) bytes: u64,
    /// With all workers.
    pub(super) seconds: f64,
    /// Of one worker at the measured batch, bytes.
    #[serde(rename = "peak_memory_bytes")]
    pub(super) peak_memory: Option<u64>,
    /// What capturing attention adds, measured by leaving it out.
    pub(super) capture: Option<Capture>,
}

/// Scales what was measured to `images` images shared by `workers`.
pub(super) fn estimate(spec: &RunSpec, images: u64, workers: u64, measured: Vec<Stage>) -> Estimate {
    let replicates = u64::from(spec.generator.replicates.max(1));
    let stages: Vec<StageEstimate> = measured
        .into_iter()
        .map(|stage| {
            let samples = match stage.name {
                "captioner" => images,
                _ => images * replicates,
            };
            let each = stage.computing_seconds / stage.computed.max(1) as f64;
            StageEstimate {
                stage: stage.name,
                samples,
                bytes: (samples as f64 * stage.bytes_a_sample).ceil() as u64,
                seconds: stage.loading_seconds + each * samples.div_ceil(workers) as f64,
                peak_memory: stage.peak_memory,
                capture: stage.capture,
            }
        })
        .collect();
    Estimate {
        bytes: stages.iter().map(|stage| stage.bytes).sum(),
        seconds: stages.iter().map(|stage| stage.seconds).sum(),
        stages,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn stage(name: &'static str) -> Stage {
        Stage {
            name,
            loading_seconds: 3.0,
            computing_seconds: 8.0,
            computed: 4,
            peak_memory: Some(100),
            bytes_a_sample: 10.0,
            capture: None,
        }
    }

    #[test]
    fn replicates_multiply_what_follows_the_captions_and_workers_share_it() {
        let mut spec = RunSpec::parse("version = 1\nname = \"x\"", "x").unwrap();
        spec.generator.replicates = 3;
        let made = estimate(&spec, 100, 4, vec![stage("captioner"), stage("sd-generator")]);
        assert_eq!((made.stages[0].samples, made.stages[1].samples), (100, 300));
        assert_eq!(made.stages[0].seconds, 3.0 + 2.0 * 25.0);
        assert_eq!(made.stages[1].seconds, 3.0 + 2.0 * 75.0);
        assert_eq!(made.bytes, 4000);
        assert_eq!(made.seconds, 206.0);
    }
}

//! One evaluation: what decides it, its name, its files.

use std::ops::ControlFlow;
use std::path::Path;

use anyhow::Context as _;
use burn::tensor::Device;
use bytes::Bytes;
use glass_dataset::Store;
use glass_metrics::Protocol;
use glass_schemas::ids::Digest;
use glass_schemas::spec::RunSpec;
use glass_schemas::spec::evaluation::{Baseline, EvaluationSpec};
use glass_schemas::spec::trainer::EncoderSpec;
use serde::Serialize;

use super::coco::{ValidationSet, validation};
use super::collect::{Collected, Collector};
use super::frozen::FrozenEncoder;
use super::model::SlotModel;
use super::predict::Networks;
use super::run::Plan;
use super::scores::ProtocolSummary;
use super::{EvalError, Method, Table, Trained, label_maps, protocols, run};

/// Folder of evaluations that score no checkpoint.
const WITHOUT_RUN: &str = "baselines";

/// A checkpoint to be scored.
pub struct Candidate {
    /// The run it comes from.
    pub run: String,
    /// What identifies it: its key and digest.
    pub checkpoint: String,
    /// Its slots.
    pub slots: Box<dyn SlotModel + Send>,
    /// The encoder it was trained with; where its weights lie, the run spec says.
    pub encoder: EncoderSpec,
}

impl Candidate {
    /// The encoder it was trained with, its weights in a folder.
    pub fn encoder_at(&self, weights: &Path) -> EncoderSpec {
        EncoderSpec { weights: weights.to_owned(), ..self.encoder.clone() }
    }
}

/// Makes slot attention with initial weights, from a seed and the width of a token.
pub type Untrained<'a> = dyn Fn(u64, usize) -> Box<dyn SlotModel> + Send + Sync + 'a;

/// What an evaluation is asked to do.
pub struct Request<'a> {
    /// The run spec.
    pub spec: &'a RunSpec,
    /// The checkpoint, or only the methods beside it.
    pub candidate: Option<&'a Candidate>,
    /// Slot attention with initial weights.
    pub untrained: &'a Untrained<'a>,
    /// Slots a picture where the spec names no number.
    pub slots: usize,
    /// Pictures computed at once.
    pub batch: usize,
    /// Where to compute.
    pub device: Device,
}

/// `results.json`.
#[derive(Debug, Serialize)]
pub struct Results {
    /// Name of the evaluation: the digest of everything that decides its numbers.
    pub eval_id: String,
    /// The run.
    pub run: Option<String>,
    /// The checkpoint.
    pub checkpoint: Option<String>,
    /// sha256 of the encoder's weights.
    pub encoder: String,
    /// Where the annotations come from.
    pub instances: String,
    /// Digest of the annotation file and of the pictures' names and sizes.
    pub instances_digest: String,
    /// Pictures.
    pub pictures: usize,
    /// Slots a picture.
    pub slots: usize,
    /// Seeds.
    pub slot_seeds: Vec<u64>,
    /// Numbers, protocol by protocol.
    pub protocols: Vec<ProtocolSummary>,
}

/// An evaluation that is fully decided but not yet computed.
pub struct Prepared<'a> {
    request: Request<'a>,
    plan: Plan,
    data: ValidationSet,
    results: Results,
}

impl<'a> Prepared<'a> {
    /// Reads everything that decides the numbers, and so the evaluation's name.
    ///
    /// # Errors
    /// Where the data, a protocol or the spec cannot be used.
    pub fn new(request: Request<'a>) -> anyhow::Result<Self> {
        let spec = &request.spec.evaluation;
        let protocols = protocols::resolve(spec)?;
        if spec.slot_seeds.is_empty() {
            return Err(EvalError::Spec { key: "slot_seeds", problem: "is empty".into() }.into());
        }
        let data = validation(request.spec)?;
        let trained = if request.candidate.is_some() { Trained::Yes } else { Trained::No };
        let trained_slots = request.candidate.map_or(request.slots, |candidate| candidate.slots.trained_slots());
        let slots = spec.slots.map_or(trained_slots, |slots| slots as usize).max(1);
        let encoder = crate::encoders::digest(&request.spec.trainer.encoder)?;
        let mut results = Results {
            eval_id: String::new(),
            run: request.candidate.map(|candidate| candidate.run.clone()),
            checkpoint: request.candidate.map(|candidate| candidate.checkpoint.clone()),
            encoder,
            instances: data.annotations().path().display().to_string(),
            instances_digest: data.digest().to_string(),
            pictures: data.pictures().len(),
            slots,
            slot_seeds: spec.slot_seeds.clone(),
            protocols: Vec::new(),
        };
        results.eval_id = name(&results, spec, &protocols)?;
        let plan = Plan {
            protocols,
            methods: Method::asked(spec, trained),
            seeds: spec.slot_seeds.clone(),
            slots,
            batch: request.batch,
        };
        Ok(Self { request, plan, data, results })
    }

    /// Where the files of this evaluation lie in the store.
    pub fn folder(&self) -> String {
        folder(self.results.run.as_deref(), &self.results.eval_id)
    }

    /// Pictures to be scored.
    pub fn pictures(&self) -> usize {
        self.data.pictures().len()
    }

    /// Computes it; `progress` hears how many pictures each batch had and may break off. The files come in the order in which they
    /// are to be written: `results.json` last, as the sign that the others are there.
    ///
    /// # Errors
    /// Where a picture or a network cannot be used.
    pub fn compute(self, progress: impl FnMut(usize) -> ControlFlow<()>) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        let Self { request, plan, data, mut results } = self;
        let own = &request.spec.trainer.encoder;
        let encoder = request.candidate.map_or_else(|| own.clone(), |candidate| candidate.encoder_at(&own.weights));
        let encoder = FrozenEncoder::load(&encoder, &request.device).context("the encoder cannot be loaded")?;
        let expected = request.candidate.and_then(|candidate| candidate.slots.token_width());
        if let Some(expected) = expected.filter(|&expected| expected != encoder.dim()) {
            return Err(EvalError::Given {
                path: own.weights.clone(),
                field: "the encoder".into(),
                problem: format!("gives tokens of {} values, these slots take {expected}", encoder.dim()),
                hint: "`[trainer.encoder]` must name the encoder that the slots were trained with".into(),
            }
            .into());
        }
        let wanted = plan.methods.contains(&Method::Baseline(Baseline::Untrained));
        let seeds = plan.seeds.iter().filter(|_| wanted);
        let untrained: Vec<Box<dyn SlotModel>> = seeds.map(|&seed| (request.untrained)(seed, encoder.dim())).collect();
        let networks = Networks {
            encoder: &encoder,
            trained: request.candidate.map(|candidate| candidate.slots.as_ref() as &dyn SlotModel),
            untrained: untrained.iter().map(AsRef::as_ref).collect(),
            device: request.device.clone(),
        };
        let looks = request.spec.evaluation.samples as usize;
        let maps = request.candidate.map(|_| Vec::new());
        let mut collector = Collector::new(&plan.protocols, looks, Some(Vec::new()), progress)?.with_maps(maps)?;
        run::evaluate(&data, &networks, &plan, &mut collector)?;
        let Collected { summary, table, maps, samples } = collector.finish()?;
        let text = Table(&summary).to_string();
        results.protocols = summary;
        let mut files = vec![
            ("per-image.parquet".to_owned(), table.unwrap_or_default()),
            ("table.txt".to_owned(), text.into_bytes()),
        ];
        files.extend(maps.map(|maps| (label_maps::FILE.to_owned(), maps)));
        files.extend(samples.into_iter().map(|(name, bytes)| (format!("samples/{name}"), bytes)));
        files.push(("results.json".to_owned(), serde_json::to_vec_pretty(&results)?));
        Ok(files)
    }
}

/// Key of the folder of an evaluation.
pub fn folder(run: Option<&str>, eval_id: &str) -> String {
    format!("runs/{}/eval/{eval_id}", run.unwrap_or(WITHOUT_RUN))
}

/// The table of an evaluation that was computed before.
///
/// # Errors
/// Where the store does not answer.
pub async fn stored(store: &Store, folder: &str) -> anyhow::Result<Option<String>> {
    if store.get_if_there(&format!("{folder}/results.json")).await?.is_none() {
        return Ok(None);
    }
    let text = store.get_if_there(&format!("{folder}/table.txt")).await?;
    Ok(text.map(|text| String::from_utf8_lossy(&text).into_owned()))
}

/// Writes files below `folder`, in their order.
///
/// # Errors
/// Where the store does not take one.
pub async fn write(store: &Store, folder: &str, files: Vec<(String, Vec<u8>)>) -> anyhow::Result<()> {
    for (name, bytes) in files {
        store.put(&format!("{folder}/{name}"), Bytes::from(bytes)).await?;
    }
    Ok(())
}

/// `eval-` and the digest of everything that decides the numbers and pictures.
fn name(results: &Results, spec: &EvaluationSpec, protocols: &[Protocol]) -> anyhow::Result<String> {
    let deciding = (results, protocols, &spec.masks, &spec.baselines, spec.limit, spec.samples);
    Ok(format!("eval-{}", Digest::of(&serde_json::to_vec(&deciding)?).short(16)))
}

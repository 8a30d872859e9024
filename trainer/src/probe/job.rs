//! One probe: what decides it, its name, its numbers.

use burn::tensor::{Device, Tensor};
use glass_schemas::ids::Digest;
use glass_schemas::spec::RunSpec;
use glass_schemas::spec::evaluation::MaskSource;
use glass_schemas::spec::probe::{ProbeSpec, Property};

use super::collect::Objects;
use super::fit::{Fit, classifier, cross_entropy, one_hot, regressor, squared_error, table};
use super::report::{Outcome, Report, accuracy, r2};
use super::split::{Split, rows, scaled, split};
use crate::eval::EvalError;
use crate::eval::coco::validation;
use crate::eval::frozen::FrozenEncoder;
use crate::eval::job::Candidate;
use crate::eval::protocols;
use crate::generate::scene::SceneReader;

/// Numbers of a box: centre, width and height.
const BOX: usize = 4;

/// What a probe is asked to do.
pub struct Request<'a> {
    /// The run spec.
    pub spec: &'a RunSpec,
    /// The checkpoint.
    pub candidate: &'a Candidate,
    /// Pictures computed at once.
    pub batch: usize,
    /// Where to compute.
    pub device: Device,
}

impl Request<'_> {
    /// The folder of the probe below the store, a digest of everything that decides its numbers, and how many pictures
    /// there are.
    ///
    /// # Errors
    /// Where data or weights cannot be read.
    pub fn folder(&self) -> anyhow::Result<(String, usize)> {
        let evaluation = &self.spec.evaluation;
        let encoder = crate::encoders::digest(&self.spec.trainer.encoder)?;
        let data = validation(self.spec)?;
        let (data, pictures) = (data.digest().to_string(), data.pictures().len());
        let input =
            (&evaluation.protocols, evaluation.input_size, evaluation.slots, self.slot_seed(), evaluation.limit);
        let deciding = (&evaluation.probe, &self.candidate.checkpoint, encoder, data, input);
        let name = Digest::of(&serde_json::to_vec(&deciding)?).short(16);
        Ok((format!("runs/{}/eval/probe-{name}", self.candidate.run), pictures))
    }

    fn slot_seed(&self) -> u64 {
        self.spec.evaluation.slot_seeds.first().copied().unwrap_or_default()
    }

    /// Collects slots and fits the probes; `progress` hears of pictures and may break off, `stop` ends the fitting.
    ///
    /// # Errors
    /// Where a picture, an annotation or a network cannot be used, or there are too few objects.
    pub fn compute(
        &self,
        id: &str,
        progress: impl FnMut(usize) -> bool,
        stop: impl Fn() -> bool,
    ) -> anyhow::Result<Report> {
        let evaluation = &self.spec.evaluation;
        let data = validation(self.spec)?;
        let protocol = protocols::resolve(evaluation)?.swap_remove(0);
        let encoder = self.candidate.encoder_at(&self.spec.trainer.encoder.weights);
        let trained = self.candidate.slots.trained_slots();
        let reader = SceneReader {
            data: &data,
            protocol: &protocol,
            encoder: &FrozenEncoder::load(&encoder, &self.device)?,
            model: self.candidate.slots.as_ref(),
            slots: evaluation.slots.map_or(trained, |slots| slots as usize).max(1),
            seed: self.slot_seed(),
            masks: MaskSource::SlotAttention,
        };
        let objects = Objects::collect(&reader, self.batch, progress)?;
        let outcomes = outcomes(&objects, &evaluation.probe, &self.device, &stop)?;
        if stop() {
            return Err(EvalError::Interrupted.into());
        }
        Ok(Report {
            id: id.to_owned(),
            run: self.candidate.run.clone(),
            checkpoint: self.candidate.checkpoint.clone(),
            protocol: protocol.id.clone(),
            pictures: data.pictures().len(),
            objects: objects.seen,
            matched: objects.len(),
            slot_size: objects.slot_size,
            slot_seed: self.slot_seed(),
            settings: evaluation.probe.clone(),
            outcomes,
        })
    }
}

/// Fits and scores a probe for every property.
///
/// # Errors
/// [`EvalError::Spec`] where one of the two parts has no object.
pub fn outcomes(
    objects: &Objects,
    spec: &ProbeSpec,
    device: &Device,
    stop: &impl Fn() -> bool,
) -> Result<Vec<Outcome>, EvalError> {
    let parts = split(objects.len(), spec.train_share, spec.seed);
    if parts.train.is_empty() || parts.test.is_empty() {
        let problem = format!(
            "is {}: of {} objects {} are learned from and {} scored",
            spec.train_share,
            objects.len(),
            parts.train.len(),
            parts.test.len()
        );
        return Err(EvalError::Spec { key: "probe.train_share", problem });
    }
    let device = device.clone().autodiff();
    let inputs = |places: &[usize]| table(rows(&objects.slots, objects.slot_size, places), objects.slot_size, &device);
    let slots = [inputs(&parts.train), inputs(&parts.test)];
    let outcome = |property: &Property| match property {
        Property::Category => category(objects, &parts, &slots, spec, stop),
        Property::Box => bounds(objects, &parts, &slots, spec, stop),
    };
    spec.properties.iter().map(outcome).collect()
}

fn category(
    objects: &Objects,
    parts: &Split,
    [train, test]: &[Tensor<2>; 2],
    spec: &ProbeSpec,
    stop: &impl Fn() -> bool,
) -> Result<Outcome, EvalError> {
    let classes = |places: &[usize]| -> Vec<usize> {
        places.iter().map(|&place| usize::from(objects.classes[place]).saturating_sub(1)).collect()
    };
    let (learned, scored) = (classes(&parts.train), classes(&parts.test));
    let count = learned.iter().chain(&scored).max().map_or(1, |largest| largest + 1);
    let device = train.device();
    let truth = one_hot(&learned, count, &device);
    let probe = classifier(objects.slot_size, count, spec.seed, &device);
    let (probe, loss) =
        Fit::of(spec).run(probe, |probe| cross_entropy(probe.forward(train.clone()), truth.clone()), stop);
    let scores = floats(probe.forward(test.clone()))?;
    let best = |row: &[f32]| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]).then(b.cmp(&a))).unwrap_or(0);
    let found: Vec<usize> = scores.chunks_exact(count).map(best).collect();
    let mut frequency = vec![0_usize; count];
    learned.iter().for_each(|&class| frequency[class] += 1);
    let frequent = (0..count).max_by_key(|&class| (frequency[class], std::cmp::Reverse(class))).unwrap_or(0);
    Ok(Outcome {
        property: "category".to_owned(),
        probe: "linear".to_owned(),
        trained: learned.len(),
        tested: scored.len(),
        loss,
        accuracy: Some(accuracy(&found, &scored)),
        most_frequent: Some(accuracy(&vec![frequent; scored.len()], &scored)),
        squared_error: None,
        r2: None,
        r2_columns: None,
    })
}

fn bounds(
    objects: &Objects,
    parts: &Split,
    [train, test]: &[Tensor<2>; 2],
    spec: &ProbeSpec,
    stop: &impl Fn() -> bool,
) -> Result<Outcome, EvalError> {
    let all = scaled(&objects.boxes.concat(), BOX);
    let device = train.device();
    let truth = table(rows(&all, BOX, &parts.train), BOX, &device);
    let probe = regressor(objects.slot_size, BOX, spec.seed, &device);
    let (probe, loss) =
        Fit::of(spec).run(probe, |probe| squared_error(probe.forward(train.clone()), truth.clone()), stop);
    let found = floats(probe.forward(test.clone()))?;
    let scored = rows(&all, BOX, &parts.test);
    let squares: f64 = found.iter().zip(&scored).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    let columns = r2(&found, &scored, BOX);
    Ok(Outcome {
        property: "box".to_owned(),
        probe: "mlp".to_owned(),
        trained: parts.train.len(),
        tested: parts.test.len(),
        loss,
        accuracy: None,
        most_frequent: None,
        squared_error: Some(squares / scored.len().max(1) as f64),
        r2: Some(columns.iter().sum::<f64>() / columns.len() as f64),
        r2_columns: Some(columns),
    })
}

fn floats(tensor: Tensor<2>) -> Result<Vec<f32>, EvalError> {
    tensor.into_data().try_to_vec().map_err(|error| EvalError::Shape(format!("{error:?}")))
}

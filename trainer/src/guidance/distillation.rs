//! A trained teacher's decoder masks as labels for the student's slots (SPOT, `train_spot_2.py`).

use burn::tensor::{Tensor, TensorData, activation};
use glass_metrics::{Objective, assign};
use glass_schemas::seeds::{Purpose, Stream};
use glass_schemas::spec::trainer::SlotsSpec;

use super::semantic::host;
use crate::data::Batch;
use crate::decoders::{FeatureDecoder, FeatureDraw, MaskOrders};
use crate::error::{Result, TrainerError};
use crate::grouping::{Known, SlotAttention, Slots, slot_noise};

/// Cost of a teacher's mask without a token: it takes what is left.
const EMPTY: f64 = 1e3;
/// Keeps the teacher's draws apart from the student's.
const SUBJECT: &str = "teacher";

/// The frozen networks of a finished run.
#[derive(Debug, Clone)]
pub struct Teacher {
    slots: SlotAttention,
    decoder: FeatureDecoder,
    spec: SlotsSpec,
}

impl Teacher {
    /// Of networks without autodiff.
    ///
    /// # Errors
    /// [`TrainerError::Spec`] where the teacher has no feature decoder, or another number of slots
    /// than the student.
    pub fn new(
        slots: SlotAttention,
        decoder: Option<FeatureDecoder>,
        spec: &SlotsSpec,
        student: &SlotsSpec,
    ) -> Result<Self> {
        let fault = |message: String| TrainerError::Spec { field: "trainer.guidance.teacher", message };
        if spec.count != student.count {
            let message = format!("has {} slots, `trainer.slots.count` is {}", spec.count, student.count);
            return Err(fault(message));
        }
        let decoder = decoder.ok_or_else(|| fault("has no feature decoder".to_owned()))?;
        Ok(Self { slots, decoder, spec: spec.clone() })
    }

    /// The slot that the decoder gives each token, `[batch][tokens]`. Noise and order are the
    /// teacher's own draws.
    ///
    /// # Errors
    /// Where the batch lacks what the teacher needs to know.
    pub fn labels(&self, features: &Tensor<3>, batch: &Batch<'_>) -> Result<Vec<usize>> {
        let features = match batch.device.is_autodiff() {
            true => features.clone().inner(),
            false => features.clone(),
        };
        let device = features.device();
        let stream = |position| Stream::new(batch.seed, SUBJECT, Purpose::SlotInit).at(position);
        let streams: Vec<Stream> = batch.visits.iter().map(|v| stream(v.position)).collect();
        let noise = slot_noise(&streams, self.spec.count, self.spec.size, &device);
        let known = match Known::is_used(&self.spec) {
            true => Known::new(&self.spec, self.spec.count, &batch.boxes()?, &device),
            false => Known::default(),
        };
        let found = self.slots.forward_knowing(features.clone(), noise, &known);
        let draw = FeatureDraw { seed: batch.seed, step: batch.step, token_share: 1.0 };
        let order = MaskOrders::One(draw.order(self.decoder.orders(), SUBJECT));
        let masks = self.decoder.decode(found.slots, features, order).masks;
        let [_, slots, tokens] = masks.dims();
        let masks = host(masks);
        Ok(masks.chunks(slots * tokens).flat_map(|maps| owners(maps, tokens)).collect())
    }
}

/// Distillation of a teacher's masks.
#[derive(Debug, Clone)]
pub struct Distillation {
    /// Whose masks.
    pub teacher: Teacher,
}

impl Distillation {
    /// Cross entropy of the student's last logits, its slots matched to the teacher's masks by 1 −
    /// IoU; mean over tokens. Also the mean IoU of the matched masks that are not empty.
    ///
    /// `features` are those the teacher was trained on.
    ///
    /// # Errors
    /// As [`Teacher::labels`].
    pub fn loss(&self, slots: &Slots, features: &Tensor<3>, batch: &Batch<'_>) -> Result<(Tensor<1>, f32)> {
        let labels = self.teacher.labels(features, batch)?;
        let [samples, count, tokens] = slots.logits.dims();
        let attention = host(slots.attention.clone());
        let mut chosen = vec![0.0f32; samples * count * tokens];
        let (mut overlap, mut matched) = (0.0, 0);
        for (sample, labels) in labels.chunks(tokens).enumerate() {
            let own = owners(&attention[sample * count * tokens..][..count * tokens], tokens);
            let pairs = match_masks(&own, labels, count)?;
            for (token, &label) in labels.iter().enumerate() {
                chosen[(sample * count + pairs[label].slot) * tokens + token] = 1.0;
            }
            for pair in pairs.iter().filter(|pair| pair.area > 0) {
                overlap += pair.overlap;
                matched += 1;
            }
        }
        let shape = [samples, count, tokens];
        let chosen = Tensor::from_data(TensorData::new(chosen, shape), batch.device);
        let likely = activation::log_softmax(slots.logits.clone(), 1);
        let loss = (likely * chosen).sum() * (-1.0 / (samples * tokens) as f64);
        Ok((loss, (overlap / f64::from(matched.max(1))) as f32))
    }
}

/// What a teacher's mask is matched with.
#[derive(Debug, Clone, Copy)]
struct Pair {
    /// The student's slot.
    slot: usize,
    /// Their intersection over union.
    overlap: f64,
    /// Tokens of the teacher's mask.
    area: u32,
}

/// For each of the teacher's masks the student's slot, by the least total 1 − IoU.
fn match_masks(own: &[usize], labels: &[usize], count: usize) -> Result<Vec<Pair>> {
    let mut shared = vec![0u32; count * count];
    let (mut held, mut area) = (vec![0u32; count], vec![0u32; count]);
    for (&slot, &label) in own.iter().zip(labels) {
        shared[label * count + slot] += 1;
        held[slot] += 1;
        area[label] += 1;
    }
    let overlap = |label: usize, slot: usize| {
        let both = f64::from(shared[label * count + slot]);
        both / (f64::from(held[slot] + area[label]) - both).max(1e-6)
    };
    let cost: Vec<f64> = (0..count * count)
        .map(|index| match area[index / count] {
            0 => EMPTY,
            _ => 1.0 - overlap(index / count, index % count),
        })
        .collect();
    let slots = assign(&cost, count, count, Objective::Minimise)?;
    let pair = |(label, slot): (usize, Option<usize>)| {
        let slot = slot.unwrap_or(label);
        Pair { slot, overlap: overlap(label, slot), area: area[label] }
    };
    Ok(slots.into_iter().enumerate().map(pair).collect())
}

/// The largest of `maps [slots, tokens]` at each token; the first of equals.
fn owners(maps: &[f32], tokens: usize) -> Vec<usize> {
    crate::phases::owners(maps, tokens).into_iter().map(usize::from).collect()
}

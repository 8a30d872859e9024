//! The socket of guidance.

use burn::tensor::Tensor;
use glass_schemas::spec::trainer::{GuidanceSource, TrainerSpec};

use super::{Distillation, Guidance, PseudoMask, Teacher};
use crate::data::Batch;
use crate::encoders::Encoded;
use crate::error::{Result, TrainerError};
use crate::grouping::Slots;

/// What slots are guided by.
#[derive(Debug, Clone)]
pub enum Guide {
    /// Nothing.
    None,
    /// The pseudo-masks of the training set.
    PseudoMasks(Guidance),
    /// Masks painted from the boxes of annotated objects, at this side.
    BoxMasks(Guidance, usize),
    /// The masks of a teacher.
    Distillation(Box<Distillation>),
}

/// The guidance's loss of a batch.
#[derive(Debug, Clone)]
pub struct GuideTerm {
    /// A scalar with the loss's gradient; its value may be another.
    pub gradient: Tensor<1>,
    /// The loss.
    pub value: f32,
    /// Mean IoU of what was matched.
    pub overlap: f32,
}

impl Guide {
    /// What the spec asks for, for `token_side²` tokens; a loss without weight needs none.
    ///
    /// # Errors
    /// [`TrainerError::Spec`] where masks are to be distilled and there is no teacher.
    pub fn new(spec: &TrainerSpec, token_side: usize, teacher: Option<Teacher>) -> Result<Self> {
        if spec.loss.semantic <= 0.0 {
            return Ok(Self::None);
        }
        let masks = || Guidance::new(&spec.guidance, token_side);
        match (spec.guidance.source, teacher) {
            (GuidanceSource::None, _) => Ok(Self::None),
            (GuidanceSource::PseudoMasks, _) => Ok(Self::PseudoMasks(masks())),
            (GuidanceSource::BoxMasks, _) => Ok(Self::BoxMasks(masks(), spec.guidance.resolution as usize)),
            (GuidanceSource::Distillation, Some(teacher)) => Ok(Self::Distillation(Box::new(Distillation { teacher }))),
            (GuidanceSource::Distillation, None) => Err(TrainerError::Spec {
                field: "trainer.guidance.teacher",
                message: "the teacher is not there".to_owned(),
            }),
        }
    }

    /// The loss of a batch; none where nothing guides.
    ///
    /// # Errors
    /// Where the batch lacks the masks, or they do not fit the slots.
    pub fn loss(&self, slots: &Slots, encoded: &Encoded, batch: &Batch<'_>) -> Result<Option<GuideTerm>> {
        match self {
            Self::None => Ok(None),
            Self::PseudoMasks(guidance) => {
                let labels = batch.samples.masks(batch.visits)?;
                let weights = batch.samples.weights(batch.visits);
                of_masks(guidance, slots, &labels, &weights).map(Some)
            }
            Self::BoxMasks(guidance, side) => {
                let labels = batch.samples.box_masks(batch.visits, *side)?;
                of_masks(guidance, slots, &labels, &vec![1.0; batch.len()]).map(Some)
            }
            Self::Distillation(distillation) => {
                let (loss, overlap) = distillation.loss(slots, &encoded.target, batch)?;
                let value = super::host(loss.clone()).first().copied().unwrap_or(f32::NAN);
                Ok(Some(GuideTerm { gradient: loss, value, overlap }))
            }
        }
    }
}

fn of_masks(guidance: &Guidance, slots: &Slots, labels: &[u8], weights: &[f32]) -> Result<GuideTerm> {
    let masks: Vec<PseudoMask<'_>> = labels
        .chunks((labels.len() / weights.len().max(1)).max(1))
        .zip(weights)
        .map(|(labels, &weight)| PseudoMask { labels, weight })
        .collect();
    let (gradient, term) = guidance.loss(&slots.attention, &masks)?;
    Ok(GuideTerm { gradient, value: term.value, overlap: term.overlap })
}

//! The networks of a run, socket by socket.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use glass_schemas::spec::trainer::{PhaseSpec, TrainerSpec};

use crate::checkpoint::SLOTS_LAYOUT;
use crate::decoders::{FeatureDecoder, ImageDecoder};
use crate::encoders::{Encoded, TrainedEncoder};
use crate::grouping::{Known, SlotAttention, SlotAttentionConfig, Slots};
use crate::layers::Initial;
use crate::parts::{Layout, PartMapper, PartVisitor};

/// The networks of a run.
#[derive(Debug, Clone)]
pub struct Networks {
    /// Tokens of a picture and the width of their features.
    pub feature_shape: [usize; 2],
    /// The trained part of the encoder, where it has one.
    pub encoder: Option<TrainedEncoder>,
    /// Slot attention.
    pub slots: SlotAttention,
    /// The feature decoder, where the method has one.
    pub features: Option<FeatureDecoder>,
    /// The image decoder, where a phase of the run uses it.
    pub image: Option<ImageDecoder>,
    device: Device,
}

impl Networks {
    /// With initial weights, an encoder that is frozen as a whole and no image decoder;
    /// `feature_shape` is tokens and width.
    pub fn new(spec: &TrainerSpec, feature_shape: [usize; 2], seed: u64, device: &Device) -> Self {
        let initial = Initial::new(seed, device);
        Self {
            feature_shape,
            encoder: None,
            slots: SlotAttentionConfig::new(feature_shape[1], &spec.slots).init(&initial.scope("slots")),
            features: FeatureDecoder::new(spec, feature_shape, &initial.scope("features")),
            image: None,
            device: device.clone(),
        }
    }

    /// Where they live.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Slots and what they compete for, without autodiff.
    pub fn reader(&self) -> SlotReader {
        SlotReader { encoder: self.encoder.as_ref().map(TrainedEncoder::valid), slots: self.slots.valid() }
    }

    /// Shows every part.
    pub fn visit(&self, visitor: &mut impl PartVisitor) {
        if let Some(encoder) = &self.encoder {
            encoder.visit(visitor);
        }
        visitor.visit(&SLOTS_LAYOUT, &self.slots);
        if let Some(features) = &self.features {
            features.visit(visitor);
        }
        if let Some(image) = &self.image {
            image.visit(visitor);
        }
    }

    /// Changes every part.
    pub fn map(self, mapper: &mut impl PartMapper) -> Self {
        Self {
            encoder: self.encoder.map(|encoder| encoder.map(mapper)),
            slots: mapper.map(&SLOTS_LAYOUT, self.slots),
            features: self.features.map(|features| features.map(mapper)),
            image: self.image.map(|image| image.map(mapper)),
            ..self
        }
    }

    /// Trains of the image decoder what a phase trains.
    pub fn in_phase(mut self, spec: &TrainerSpec, phase: &PhaseSpec) -> Self {
        self.image = self.image.map(|image| image.in_phase(spec, phase));
        self
    }

    /// Everything that makes slots as `other` has it, frozen; the image decoder stays.
    pub fn with_frozen_slots(self, other: &Self) -> Self {
        let frozen = Self { image: None, ..other.clone() }.map(&mut Freeze);
        Self { image: self.image, ..frozen }
    }
}

struct Freeze;

impl PartMapper for Freeze {
    fn map<M: Module>(&mut self, layout: &Layout, part: M) -> M {
        match layout.group.shapes_slots() {
            true => part.no_grad(),
            false => part,
        }
    }
}

/// What finds slots in a picture.
#[derive(Debug, Clone)]
pub struct SlotReader {
    /// The trained part of the encoder.
    pub encoder: Option<TrainedEncoder>,
    /// Slot attention.
    pub slots: SlotAttention,
}

impl SlotReader {
    /// `states [batch, rows, size]` of the frozen encoder, `noise [batch, slots, size]`.
    pub fn read(&self, states: Tensor<3>, noise: Tensor<3>, known: &Known) -> (Encoded, Slots) {
        let encoded = encode(self.encoder.as_ref(), states);
        let found = self.slots.forward_knowing(encoded.features.clone(), noise, known);
        (encoded, found)
    }
}

/// Features and target of the frozen encoder's states.
pub fn encode(encoder: Option<&TrainedEncoder>, states: Tensor<3>) -> Encoded {
    match encoder {
        Some(encoder) => encoder.forward(states),
        None => Encoded::frozen(states),
    }
}

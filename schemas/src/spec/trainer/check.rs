//! Values of `[trainer]` that do not go together.

use super::{
    Crop, DataSource, FeatureDecoderKind, FeatureDecoderSpec, GuidanceSource, ImageDecoderKind, InitialSlots,
    NetworkStart, PhaseSpec, Schedule, Switch, TrainerSpec,
};
use crate::spec::{AnnotationFormat, Fault};

impl TrainerSpec {
    /// Refuses what no run can be made of.
    pub(in crate::spec) fn check(&self) -> Result<(), Fault> {
        self.check_slots()?;
        self.check_encoder()?;
        self.check_broadcast()?;
        self.features.check()?;
        self.check_guidance()?;
        self.check_data()?;
        for (phase, keys) in [
            (&self.phase1, ["trainer.phase1.batch", "trainer.phase1.floor", "trainer.phase1.half_life"]),
            (&self.phase2, ["trainer.phase2.batch", "trainer.phase2.floor", "trainer.phase2.half_life"]),
        ] {
            phase.check(keys)?;
        }
        if self.features.kind == FeatureDecoderKind::None && self.image.kind == ImageDecoderKind::None {
            let message = "is `none`, and so is `trainer.features.kind`: there is nothing to learn from";
            return Err(("trainer.image.kind", message.to_owned()));
        }
        Ok(())
    }

    fn check_slots(&self) -> Result<(), Fault> {
        let slots = &self.slots;
        for (key, value) in [
            ("trainer.slots.count", slots.count),
            ("trainer.slots.iterations", slots.iterations),
            ("trainer.slots.heads", slots.heads),
            ("trainer.slots.size", slots.size),
        ] {
            if value == 0 {
                return Err((key, "must be at least 1".to_owned()));
            }
        }
        if !slots.size.is_multiple_of(slots.heads) {
            let message = format!("is {}, which {} heads do not divide", slots.size, slots.heads);
            return Err(("trainer.slots.size", message));
        }
        Ok(())
    }

    fn check_encoder(&self) -> Result<(), Fault> {
        let encoder = &self.encoder;
        let convolutional = encoder.kind.is_convolutional();
        if encoder.start == NetworkStart::Scratch && !convolutional {
            let message = "is `scratch`, which only `resnet34` and `unet-encoder` can start from";
            return Err(("trainer.encoder.start", message.to_owned()));
        }
        if convolutional && encoder.train_from.is_some() {
            let message = "counts blocks of a vision transformer; this encoder is trained as a whole";
            return Err(("trainer.encoder.train_from", message.to_owned()));
        }
        if convolutional && self.features.kind != FeatureDecoderKind::None {
            let message = "must be `none`: the features of an encoder that is trained as a whole are no target";
            return Err(("trainer.features.kind", message.to_owned()));
        }
        Ok(())
    }

    fn check_broadcast(&self) -> Result<(), Fault> {
        let decoder = &self.broadcast;
        if self.image.kind != ImageDecoderKind::Broadcast {
            return Ok(());
        }
        if decoder.channels == 0 {
            return Err(("trainer.broadcast.channels", "must be at least 1".to_owned()));
        }
        if decoder.kernel.is_multiple_of(2) {
            let message = format!("must be odd, found {}", decoder.kernel);
            return Err(("trainer.broadcast.kernel", message));
        }
        let doubled = 1_u32.checked_shl(decoder.layers as u32).unwrap_or(0);
        if doubled == 0 || decoder.image_size == 0 || !decoder.image_size.is_multiple_of(doubled) {
            let message =
                format!("is {}, which {} doublings of a side do not give", decoder.image_size, decoder.layers);
            return Err(("trainer.broadcast.image_size", message));
        }
        Ok(())
    }

    fn check_guidance(&self) -> Result<(), Fault> {
        let guidance = &self.guidance;
        match (guidance.source, &guidance.teacher) {
            (GuidanceSource::Distillation, None) => {
                let message = "is missing: distillation needs the id of the run that teaches";
                Err(("trainer.guidance.teacher", message.to_owned()))
            }
            (GuidanceSource::Distillation, Some(_)) if self.slots.heads > 1 => {
                let message = "must be 1 where masks are distilled";
                Err(("trainer.slots.heads", message.to_owned()))
            }
            (source, Some(_)) if source != GuidanceSource::Distillation => {
                let message = "is given, but `trainer.guidance.source` is not `distillation`";
                Err(("trainer.guidance.teacher", message.to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// Real images have boxes and objects, generated ones pseudo-masks and latents.
    fn check_data(&self) -> Result<(), Fault> {
        let data = &self.data;
        if data.source == DataSource::Generated {
            return Ok(());
        }
        if data.images.uri.is_empty() {
            let message = "is missing: `trainer.data.source` is `images`";
            return Err(("trainer.data.images.uri", message.to_owned()));
        }
        if data.crop == Crop::Random && data.cache == Switch::On {
            let message = "is `on`, but `trainer.data.crop` is `random`: features differ at every visit and cannot be \
                           kept; write `off`";
            return Err(("trainer.data.cache", message.to_owned()));
        }
        if self.guidance.source == GuidanceSource::PseudoMasks && self.loss.semantic > 0.0 {
            let message = "is `pseudo-masks`, which real images do not have: write `none` or `box-masks`, or \
                           `trainer.loss.semantic = 0`";
            return Err(("trainer.guidance.source", message.to_owned()));
        }
        if self.needs_boxes() && data.images.format == AnnotationFormat::Pictures {
            let message = "is `pictures`, which come without the boxes that this method needs";
            return Err(("trainer.data.images.format", message.to_owned()));
        }
        Ok(())
    }

    /// Whether a step needs the boxes of annotated objects.
    pub fn needs_boxes(&self) -> bool {
        self.slots.initial == InitialSlots::Boxes
            || self.slots.known_count != super::KnownCount::Off
            || (self.guidance.source == GuidanceSource::BoxMasks && self.loss.semantic > 0.0)
    }
}

impl FeatureDecoderSpec {
    fn check(&self) -> Result<(), Fault> {
        if !(0.0..=1.0).contains(&self.token_share) {
            let message = format!("must be within 0 and 1, found {}", self.token_share);
            return Err(("trainer.features.token_share", message));
        }
        if self.kind == FeatureDecoderKind::Transformer {
            for (key, value) in [
                ("trainer.features.layers", self.layers),
                ("trainer.features.heads", self.heads),
                ("trainer.features.size", self.size),
            ] {
                if value == 0 {
                    return Err((key, "must be at least 1".to_owned()));
                }
            }
            if self.token_share < 1.0 {
                let message = "must be 1: the Transformer decodes every token";
                return Err(("trainer.features.token_share", message.to_owned()));
            }
        }
        Ok(())
    }
}

impl PhaseSpec {
    fn check(&self, [batch, floor, half_life]: [&'static str; 3]) -> Result<(), Fault> {
        if self.steps > 0 && self.batch == 0 {
            return Err((batch, "must be at least 1".to_owned()));
        }
        if !(0.0..=1.0).contains(&self.floor) {
            return Err((floor, format!("must be within 0 and 1, found {}", self.floor)));
        }
        if self.schedule == Schedule::Halving && self.half_life == 0 {
            return Err((half_life, "must be at least 1".to_owned()));
        }
        Ok(())
    }
}

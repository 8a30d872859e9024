//! Values of `[trainer]` that do not go together.

use super::{
    FeatureDecoderKind, FeatureDecoderSpec, GuidanceSource, ImageDecoderKind, InitialSlots,
    PhaseSpec, Schedule, TrainerSpec,
};
use crate::spec::Fault;

impl TrainerSpec {
    /// Refuses what no run can be made of.
    pub(in crate::spec) fn check(&self) -> Result<(), Fault> {
        self.check_slots()?;
        self.features.check()?;
        self.check_guidance()?;
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

//! Watching that phase 2 keeps phase 1's slots.
//!
//! "An excessively high learning rate can destroy the slot representations learned in Phase 1"
//! (GLASS, Limitations). The same few samples start from the same noise before and after; where
//! more than a stated share of tokens has gone to another slot, slots are too far from where
//! phase 1 left them.

use burn::tensor::{Device, Tensor};
use glass_schemas::seeds::{Purpose, Stream};
use glass_schemas::spec::trainer::{DriftAction, DriftSpec, SlotsSpec};
use serde::{Deserialize, Serialize};

use super::networks::SlotReader;
use crate::data::{Side, TrainingSet, Visit};
use crate::error::Result;
use crate::grouping::{Known, slot_noise};
use crate::guidance::host;

/// What was found so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct DriftState {
    /// The share of tokens in another slot at the last look.
    pub changed: f64,
    /// The step at which slots were frozen.
    pub frozen_at: Option<u64>,
}

impl DriftState {
    /// Whether slots have been frozen.
    pub fn frozen(&self) -> bool {
        self.frozen_at.is_some()
    }

    /// Whether a look that found this share calls for going back to phase 1's slots.
    pub fn exceeded(&self, spec: &DriftSpec) -> bool {
        spec.action == DriftAction::Freeze && !self.frozen() && self.changed > spec.threshold
    }
}

/// A fixed batch and the slots its tokens had after phase 1.
#[derive(Debug)]
pub struct DriftProbe {
    states: Tensor<3>,
    noise: Tensor<3>,
    known: Known,
    slots: usize,
    owners: Vec<u8>,
}

impl DriftProbe {
    /// The first samples of the set, and the slots that `anchor` gives their tokens. `device` is
    /// without autodiff.
    ///
    /// # Errors
    /// Where the samples cannot be read.
    pub fn new(
        samples: &dyn TrainingSet,
        anchor: &SlotReader,
        slots: &SlotsSpec,
        drift: &DriftSpec,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        let visits: Vec<Visit> = (0..drift.samples.min(samples.len()))
            .map(|sample| Visit { position: sample as u64, sample, side: Side::Plain })
            .collect();
        let streams: Vec<Stream> =
            visits.iter().map(|visit| Stream::new(seed, "probe", Purpose::SlotInit).at(visit.position)).collect();
        let mut probe = Self {
            states: samples.features(&visits, device)?,
            known: match Known::is_used(slots) {
                true => Known::new(slots, slots.count, &samples.boxes(&visits)?, device),
                false => Known::default(),
            },
            noise: slot_noise(&streams, slots.count, slots.size, device),
            slots: slots.count,
            owners: Vec::new(),
        };
        probe.owners = probe.owners_of(anchor);
        Ok(probe)
    }

    /// The share of tokens whose slot is another than after phase 1.
    pub fn changed(&self, slots: &SlotReader) -> f64 {
        let now = self.owners_of(slots);
        let changed = now.iter().zip(&self.owners).filter(|(a, b)| a != b).count();
        changed as f64 / now.len().max(1) as f64
    }

    fn owners_of(&self, slots: &SlotReader) -> Vec<u8> {
        let (_, found) = slots.read(self.states.clone(), self.noise.clone(), &self.known);
        let attention = found.attention;
        let tokens = attention.dims()[2];
        host(attention).chunks(self.slots * tokens).flat_map(|maps| owners(maps, tokens)).collect()
    }
}

/// The slot with the largest weight at each token; the first of equals.
pub(crate) fn owners(maps: &[f32], tokens: usize) -> Vec<u8> {
    (0..tokens)
        .map(|token| {
            let weight = |slot: usize| maps[slot * tokens + token];
            let mut best = 0;
            for slot in 1..maps.len() / tokens {
                if weight(slot) > weight(best) {
                    best = slot;
                }
            }
            best as u8
        })
        .collect()
}

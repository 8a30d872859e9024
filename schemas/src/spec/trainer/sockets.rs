//! What a method is made of: which kind fills each socket.

use std::fmt;

use serde::Serialize;

use super::TrainerSpec;
use crate::spec::baselines::{SHIPPED, trainer_of};

/// Sockets that runs fill otherwise than their method, for another size.
const CHANGED_BY_RUNS: [&str; 4] = ["encoder.kind", "slots.position", "slots.tokens", "slots.output"];

/// The kind in each socket of `[trainer]`, by key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sockets(Vec<(&'static str, String)>);

impl Sockets {
    /// Keys with the kinds that differ, these first: `key`, this one's, the other's.
    pub fn differences(&self, other: &Self) -> Vec<(&'static str, String, String)> {
        let pairs = self.0.iter().zip(&other.0);
        let different = pairs.filter(|(one, other)| one.1 != other.1);
        different.map(|(one, other)| (one.0, one.1.clone(), other.1.clone())).collect()
    }

    /// The shipped method that these are nearest to; none where what is decoded, what guides or how slots start is no
    /// method's. Encoder, position and widths may differ: runs change them with their size.
    pub fn method(&self) -> Option<&'static str> {
        let distance = |id: &str| {
            let different = self.differences(&trainer_of(id)?.sockets());
            different.iter().all(|(key, ..)| CHANGED_BY_RUNS.contains(key)).then_some(different.len())
        };
        let fitting = SHIPPED.iter().filter_map(|(id, _)| Some((distance(id)?, *id)));
        // The first of those that fit best.
        fitting.min_by_key(|(different, _)| *different).map(|(_, id)| id)
    }
}

impl fmt::Display for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.method() {
            Some(method) => write!(f, "`{method}`"),
            None => write!(f, "no shipped method"),
        }
    }
}

impl TrainerSpec {
    /// What fills its sockets.
    pub fn sockets(&self) -> Sockets {
        fn kind(value: &impl Serialize) -> String {
            let value = serde_json::to_value(value).unwrap_or_default();
            value.as_str().unwrap_or_default().to_owned()
        }
        Sockets(vec![
            ("encoder.kind", kind(&self.encoder.kind)),
            ("slots.initial", kind(&self.slots.initial)),
            ("slots.position", kind(&self.slots.position)),
            ("slots.tokens", kind(&self.slots.tokens)),
            ("slots.output", kind(&self.slots.output)),
            ("slots.known_count", kind(&self.slots.known_count)),
            ("features.kind", kind(&self.features.kind)),
            ("image.kind", kind(&self.image.kind)),
            ("guidance.source", kind(&self.guidance.source)),
        ])
    }

    /// The same with weights, configurations and images where `places` has them: where they lie is no part of what a
    /// run is.
    pub fn at_places_of(mut self, places: &Self) -> Self {
        self.encoder.weights.clone_from(&places.encoder.weights);
        self.diffusion.weights.clone_from(&places.diffusion.weights);
        let (own, there) = (&mut self.latent_diffusion, &places.latent_diffusion);
        own.config.clone_from(&there.config);
        own.autoencoder_weights.clone_from(&there.autoencoder_weights);
        self.data.images.clone_from(&places.data.images);
        self
    }
}

//! The timestep's embedding: upstream `Timesteps` and `TimestepEmbedding`.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData, activation};

use super::config::UNetConfig;
use crate::error::Result;
use crate::layers;
use crate::weights::Scope;

const MAX_PERIOD: f32 = 10_000.0;

#[derive(Module, Debug)]
pub(super) struct TimeEmbedding {
    linear_1: Linear,
    linear_2: Linear,
    #[module(skip)]
    width: usize,
    #[module(skip)]
    cosine_first: bool,
    #[module(skip)]
    freq_shift: f32,
}

impl TimeEmbedding {
    pub(super) fn from_scope(scope: &Scope<'_>, config: &UNetConfig, width: usize) -> Result<Self> {
        let inner = config.time_embedding_dim;
        Ok(Self {
            linear_1: layers::linear(scope, "linear_1", &LinearConfig::new(width, inner))?,
            linear_2: layers::linear(scope, "linear_2", &LinearConfig::new(inner, inner))?,
            width,
            cosine_first: config.flip_sin_to_cos,
            freq_shift: config.freq_shift,
        })
    }

    /// The embedding of each timestep, `[batch, time_embedding_dim]`.
    pub(super) fn forward(&self, timesteps: &[f32], device: &Device) -> Tensor<2> {
        let waves: Vec<f32> = timesteps.iter().flat_map(|t| self.waves(*t)).collect();
        let waves = Tensor::from_data(TensorData::new(waves, [timesteps.len(), self.width]), device);
        self.linear_2.forward(activation::silu(self.linear_1.forward(waves)))
    }

    /// Sines and cosines of one timestep; angles are rounded to f32 as upstream rounds them.
    fn waves(&self, timestep: f32) -> Vec<f32> {
        let half = self.width / 2;
        let angle = |i: usize| timestep * (-MAX_PERIOD.ln() * i as f32 / (half as f32 - self.freq_shift)).exp();
        let sines = (0..half).map(|i| angle(i).sin());
        let cosines = (0..half).map(|i| angle(i).cos());
        let mut waves: Vec<f32> =
            if self.cosine_first { cosines.chain(sines).collect() } else { sines.chain(cosines).collect() };
        waves.resize(self.width, 0.0);
        waves
    }
}

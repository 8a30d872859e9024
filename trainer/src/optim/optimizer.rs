//! One optimiser for one parameter group.

use burn::module::Module;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{AdamConfig, AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::Bytes;
use glass_schemas::spec::trainer::{OptimizerName, OptimizerSpec};

use crate::error::{Result, TrainerError};

/// burn's optimiser with the run's constants; groups differ in the rate they are stepped with.
#[derive(Clone)]
pub struct GroupOptimizer {
    optimizer: ModuleOptimizer,
}

impl GroupOptimizer {
    /// With empty moments.
    pub fn new(spec: &OptimizerSpec) -> Self {
        let [beta1, beta2, epsilon, decay] =
            [spec.beta1, spec.beta2, spec.epsilon, spec.weight_decay].map(|x| x as f32);
        let optimizer = match spec.name {
            OptimizerName::AdamW => AdamWConfig::new()
                .with_beta_1(beta1)
                .with_beta_2(beta2)
                .with_epsilon(epsilon)
                .with_weight_decay(decay)
                .init(),
            OptimizerName::Adam => {
                let config = AdamConfig::new().with_beta_1(beta1).with_beta_2(beta2).with_epsilon(epsilon);
                match decay {
                    0.0 => config.init(),
                    decay => config.with_weight_decay(Some(WeightDecayConfig::new(decay))).init(),
                }
            }
        };
        Self { optimizer }
    }

    /// One step of the group.
    pub fn step<M: Module>(&mut self, rate: f64, module: M, gradients: GradientsParams) -> M {
        self.optimizer.step(rate, module, gradients)
    }

    /// The moments, keyed by parameter id.
    ///
    /// # Errors
    /// [`TrainerError::State`] where they cannot be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let bytes = self
            .optimizer
            .into_bytes()
            .map_err(|error| TrainerError::State { part: "optimizer".to_owned(), message: error.to_string() })?;
        Ok(bytes.to_vec())
    }

    /// The same optimiser with saved moments.
    ///
    /// # Errors
    /// [`TrainerError::State`] where they cannot be read.
    pub fn restore(spec: &OptimizerSpec, bytes: &[u8]) -> Result<Self> {
        let optimizer = Self::new(spec)
            .optimizer
            .from_bytes(Bytes::from_bytes_vec(bytes.to_vec()))
            .map_err(|error| TrainerError::State { part: "optimizer".to_owned(), message: error.to_string() })?;
        Ok(Self { optimizer })
    }
}

//! Full-batch training of a probe.

use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData, activation};
use glass_schemas::spec::probe::ProbeSpec;

use crate::layers::{Bias, Initial, Linear, Mlp};

/// Constants of the training: AdamW with PyTorch's defaults but for what is named here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// Steps, each over all objects.
    pub steps: u32,
    /// Learning rate.
    pub learning_rate: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
}

impl Fit {
    /// As a spec says.
    pub fn of(spec: &ProbeSpec) -> Self {
        Self { steps: spec.steps, learning_rate: spec.learning_rate, weight_decay: spec.weight_decay }
    }

    /// Steps of AdamW on `loss`; `stop` is asked before each and ends it early. Gives the probe and its last loss.
    pub fn run<M: Module>(&self, mut probe: M, loss: impl Fn(&M) -> Tensor<1>, stop: impl Fn() -> bool) -> (M, f32) {
        let mut optimizer: ModuleOptimizer = AdamWConfig::new()
            .with_beta_1(0.9)
            .with_beta_2(0.999)
            .with_epsilon(1e-8)
            .with_weight_decay(self.weight_decay as f32)
            .init();
        let mut last = f32::NAN;
        for _ in 0..self.steps {
            if stop() {
                break;
            }
            let value = loss(&probe);
            last = value.clone().into_scalar();
            let gradients = GradientsParams::from_grads(value.backward(), &probe);
            probe = optimizer.step(self.learning_rate, probe, gradients);
        }
        (probe, last)
    }
}

/// A linear map to the classes.
pub fn classifier(inputs: usize, classes: usize, seed: u64, device: &Device) -> Linear {
    Linear::new(&Initial::new(seed, device), "category", inputs, classes, Bias::Uniform)
}

/// `inputs → inputs → outputs` with a ReLU between.
pub fn regressor(inputs: usize, outputs: usize, seed: u64, device: &Device) -> Mlp {
    Mlp::new(&Initial::new(seed, device), "box", [inputs, inputs, outputs])
}

/// Mean cross entropy of scores `[rows, classes]`; `truth` is one at the class of each row and zero elsewhere.
pub fn cross_entropy(scores: Tensor<2>, truth: Tensor<2>) -> Tensor<1> {
    let rows = scores.dims()[0].max(1);
    (activation::log_softmax(scores, 1) * truth).sum() * (-1.0 / rows as f64)
}

/// Mean squared difference over rows and columns.
pub fn squared_error(found: Tensor<2>, truth: Tensor<2>) -> Tensor<1> {
    (found - truth).square().mean()
}

/// `[rows, classes]`: one at the class of each row.
pub fn one_hot(classes: &[usize], count: usize, device: &Device) -> Tensor<2> {
    let mut values = vec![0.0_f32; classes.len() * count];
    for (row, &class) in values.chunks_exact_mut(count.max(1)).zip(classes) {
        row[class] = 1.0;
    }
    Tensor::from_data(TensorData::new(values, [classes.len(), count]), device)
}

/// Rows of numbers as a tensor.
pub fn table(values: Vec<f32>, width: usize, device: &Device) -> Tensor<2> {
    let rows = values.len() / width.max(1);
    Tensor::from_data(TensorData::new(values, [rows, width]), device)
}

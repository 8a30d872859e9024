//! A running average of the weights.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};

use crate::guidance::host;

/// Averaged weights by parameter id, kept on the host in f32.
#[derive(Debug, Clone, Default)]
pub struct Ema {
    decay: f64,
    averages: BTreeMap<u64, Vec<f32>>,
}

impl Ema {
    /// Starts empty; the first update copies.
    pub fn new(decay: f64) -> Self {
        Self { decay, averages: BTreeMap::new() }
    }

    /// `average ← decay · average + (1 − decay) · weight`; nothing for a decay of zero.
    pub fn update<M: Module>(&mut self, module: &M) {
        if self.decay > 0.0 {
            module.visit(&mut Update(self));
        }
    }

    /// The module with averaged weights where there are some.
    pub fn apply<M: Module>(&self, module: M) -> M {
        module.map(&mut Apply(self))
    }

    /// The averages by parameter id.
    pub fn averages(&self) -> &BTreeMap<u64, Vec<f32>> {
        &self.averages
    }

    /// With saved averages.
    pub fn restore(decay: f64, averages: BTreeMap<u64, Vec<f32>>) -> Self {
        Self { decay, averages }
    }
}

struct Update<'a>(&'a mut Ema);

impl ModuleVisitor for Update<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let weights = host(param.val());
        let decay = self.0.decay as f32;
        self.0
            .averages
            .entry(param.id.val())
            .and_modify(|averages| {
                for (average, weight) in averages.iter_mut().zip(&weights) {
                    *average += (1.0 - decay) * (weight - *average);
                }
            })
            .or_insert(weights);
    }
}

struct Apply<'a>(&'a Ema);

impl ModuleMapper for Apply<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(averages) = self.0.averages.get(&param.id.val()) else {
            return param;
        };
        param.map(|tensor| {
            let (shape, device) = (tensor.dims(), tensor.device());
            let tracked = tensor.is_require_grad();
            let average = Tensor::from_data(TensorData::new(averages.clone(), shape), &device);
            if tracked { average.require_grad() } else { average }
        })
    }
}

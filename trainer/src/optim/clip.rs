//! Norms of gradients and scaling by them (burn's own clipping looks at each parameter alone).

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

struct SumOfSquares<'a> {
    gradients: &'a GradientsParams,
    sum: f64,
}

impl ModuleVisitor for SumOfSquares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            self.sum += f64::from(gradient.square().sum().into_scalar::<f32>());
        }
    }
}

struct Largest<'a> {
    gradients: &'a GradientsParams,
    value: f64,
}

impl ModuleVisitor for Largest<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            let largest = f64::from(gradient.abs().max().into_scalar::<f32>());
            self.value = self.value.max(largest);
        }
    }
}

struct Scale<'a> {
    gradients: &'a mut GradientsParams,
    factor: f64,
}

impl ModuleVisitor for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            self.gradients.register::<D>(param.id, gradient * self.factor);
        }
    }
}

/// Sum of squares of a module's gradients; the root of the sum over modules is the global norm.
pub fn square_norm<M: Module>(module: &M, gradients: &GradientsParams) -> f64 {
    let mut visitor = SumOfSquares { gradients, sum: 0.0 };
    module.visit(&mut visitor);
    visitor.sum
}

/// The largest absolute value of a module's gradients.
pub fn largest<M: Module>(module: &M, gradients: &GradientsParams) -> f64 {
    let mut visitor = Largest { gradients, value: 0.0 };
    module.visit(&mut visitor);
    visitor.value
}

/// Multiplies a module's gradients.
pub fn scale<M: Module>(module: &M, gradients: &mut GradientsParams, factor: f64) {
    module.visit(&mut Scale { gradients, factor });
}

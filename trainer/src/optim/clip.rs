//! Clipping by the norm of all gradients together (burn's own clips each parameter alone).

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

struct Scale<'a> {
    gradients: &'a mut GradientsParams,
    factor: f64,
}

impl ModuleVisitor for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            self.gradients
                .register::<D>(param.id, gradient * self.factor);
        }
    }
}

/// Sum of squares of a module's gradients; the root of the sum over modules is the global norm.
pub fn square_norm<M: Module>(module: &M, gradients: &GradientsParams) -> f64 {
    let mut visitor = SumOfSquares {
        gradients,
        sum: 0.0,
    };
    module.visit(&mut visitor);
    visitor.sum
}

/// Multiplies a module's gradients so that a norm of `norm` becomes at most `limit`; a limit of 0
/// leaves them alone.
pub fn clip_global_norm<M: Module>(
    module: &M,
    gradients: &mut GradientsParams,
    norm: f64,
    limit: f64,
) {
    if limit > 0.0 && norm > limit {
        // PyTorch's `clip_grad_norm_` adds the same 1e-6.
        let factor = limit / (norm + 1e-6);
        module.visit(&mut Scale { gradients, factor });
    }
}

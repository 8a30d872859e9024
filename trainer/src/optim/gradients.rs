//! Gradients of all parts of a run, summed over batches.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Gradients as Graph, Tensor};
use glass_schemas::spec::trainer::ClipNorm;

use super::clip::{largest, scale, square_norm};
use crate::parts::{Group, Layout, PartVisitor};
use crate::phases::Networks;

/// Gradients by part.
#[derive(Default)]
pub struct Gradients {
    by_group: BTreeMap<Group, GradientsParams>,
}

impl Gradients {
    /// Adds what a backward pass found for every parameter.
    pub fn add(&mut self, networks: &Networks, graph: Graph) {
        networks.visit(&mut Add { graph, sums: self });
    }

    /// The norm of all gradients together.
    pub fn norm(&self, networks: &Networks, kind: ClipNorm) -> f64 {
        let mut norm = Norm { gradients: self, kind, value: 0.0 };
        networks.visit(&mut norm);
        match kind {
            ClipNorm::L2 => norm.value.sqrt(),
            ClipNorm::Infinity => norm.value,
        }
    }

    /// Multiplies all gradients so that a norm of `norm` becomes at most `limit`; a limit of 0 leaves
    /// them alone.
    pub fn clip(&mut self, networks: &Networks, norm: f64, limit: f64) {
        if limit > 0.0 && norm > limit {
            // PyTorch's `clip_grad_norm_` adds the same 1e-6.
            let factor = limit / (norm + 1e-6);
            networks.visit(&mut Scale { gradients: self, factor });
        }
    }

    /// [`Gradients::clip`] of every part by its own norm.
    pub fn clip_parts(&mut self, networks: &Networks, kind: ClipNorm, limit: f64) {
        if limit > 0.0 {
            networks.visit(&mut ScaleParts { gradients: self, kind, limit });
        }
    }

    /// The gradients of a part.
    pub fn of(&self, group: Group) -> Option<&GradientsParams> {
        self.by_group.get(&group)
    }

    /// The gradients of a part, taken out.
    pub fn take(&mut self, group: Group) -> GradientsParams {
        self.by_group.remove(&group).unwrap_or_default()
    }
}

struct Add<'a> {
    graph: Graph,
    sums: &'a mut Gradients,
}

impl PartVisitor for Add<'_> {
    fn visit<M: Module>(&mut self, layout: &Layout, part: &M) {
        let new = GradientsParams::from_module(&mut self.graph, part);
        match self.sums.by_group.remove(&layout.group) {
            None => self.sums.by_group.insert(layout.group, new),
            Some(sum) => {
                let mut sum = Sum { sum, new };
                part.visit(&mut sum);
                self.sums.by_group.insert(layout.group, sum.sum)
            }
        };
    }
}

struct Sum {
    sum: GradientsParams,
    new: GradientsParams,
}

impl ModuleVisitor for Sum {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(new) = self.new.remove::<D>(param.id) else {
            return;
        };
        let sum = match self.sum.remove::<D>(param.id) {
            Some(sum) => sum + new,
            None => new,
        };
        self.sum.register::<D>(param.id, sum);
    }
}

struct Norm<'a> {
    gradients: &'a Gradients,
    kind: ClipNorm,
    value: f64,
}

impl PartVisitor for Norm<'_> {
    fn visit<M: Module>(&mut self, layout: &Layout, part: &M) {
        let Some(gradients) = self.gradients.by_group.get(&layout.group) else {
            return;
        };
        match self.kind {
            ClipNorm::L2 => self.value += square_norm(part, gradients),
            ClipNorm::Infinity => self.value = self.value.max(largest(part, gradients)),
        }
    }
}

struct Scale<'a> {
    gradients: &'a mut Gradients,
    factor: f64,
}

impl PartVisitor for Scale<'_> {
    fn visit<M: Module>(&mut self, layout: &Layout, part: &M) {
        if let Some(gradients) = self.gradients.by_group.get_mut(&layout.group) {
            scale(part, gradients, self.factor);
        }
    }
}

struct ScaleParts<'a> {
    gradients: &'a mut Gradients,
    kind: ClipNorm,
    limit: f64,
}

impl PartVisitor for ScaleParts<'_> {
    fn visit<M: Module>(&mut self, layout: &Layout, part: &M) {
        let Some(gradients) = self.gradients.by_group.get_mut(&layout.group) else {
            return;
        };
        let norm = match self.kind {
            ClipNorm::L2 => square_norm(part, gradients).sqrt(),
            ClipNorm::Infinity => largest(part, gradients),
        };
        if norm > self.limit {
            scale(part, gradients, self.limit / (norm + 1e-6));
        }
    }
}

//! The trained networks of a run as parts that one loop goes over.
//!
//! A step, the optimisers, the averages and the checkpoint do to every part the same thing. What a
//! part is, which group it belongs to and how it is published, its socket says; so a new decoder is
//! trained, clipped, averaged and saved without a line anywhere else.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;
use glass_schemas::spec::trainer::{LearningRates, PhaseSpec, TrainerSpec};

use crate::checkpoint::{Named, Rename};
use crate::layers::parameter_id;

/// What shares a learning rate and an optimiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Slot attention.
    Slots,
    /// The feature decoder.
    Features,
    /// The pretrained UNet.
    Unet,
    /// The trained part of the encoder.
    Encoder,
    /// An image decoder that is trained from nothing.
    Image,
}

impl Group {
    /// Its name in the spec and in checkpoints.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Slots => "slots",
            Self::Features => "features",
            Self::Unet => "unet",
            Self::Encoder => "encoder",
            Self::Image => "image",
        }
    }

    /// Its highest learning rate.
    pub const fn rate(self, rates: &LearningRates) -> f64 {
        match self {
            Self::Slots => rates.slots,
            Self::Features => rates.features,
            Self::Unet => rates.unet,
            Self::Encoder => rates.encoder,
            Self::Image => rates.image,
        }
    }

    /// Whether slots are what it makes: such groups are frozen together when slots drift.
    pub const fn shapes_slots(self) -> bool {
        matches!(self, Self::Slots | Self::Features | Self::Encoder)
    }

    /// Whether a phase that has begun before `step` trains it.
    pub fn trained_before(self, spec: &TrainerSpec, step: u64) -> bool {
        let trains = |phase: &PhaseSpec| phase.steps > 0 && self.rate(&phase.learning_rate) > 0.0;
        (step > 0 && trains(&spec.phase1)) || (step > spec.phase1.steps && trains(&spec.phase2))
    }
}

/// Where the weights of a part come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// From the run's seed: a checkpoint always holds them.
    Seed,
    /// From a checkpoint made elsewhere: ours holds them once they have been trained.
    Pretrained,
}

/// How a part is grouped and published.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// Its parameter group; no two parts of a run share one.
    pub group: Group,
    /// Where its weights come from.
    pub origin: Origin,
    /// The object of a checkpoint that holds its weights.
    pub object: &'static str,
    /// The published name of a parameter.
    pub rename: Rename,
    /// Brings collected tensors to their published form; also given the number of tokens.
    pub publish: fn(&mut Named, usize),
    /// The inverse.
    pub absorb: fn(&mut Named),
}

impl Layout {
    /// Tensors that are published as they are.
    pub const fn plain(group: Group, origin: Origin, object: &'static str, rename: Rename) -> Self {
        Self { group, origin, object, rename, publish: |_, _| {}, absorb: |_| {} }
    }
}

/// Something that is done with every part.
pub trait PartVisitor {
    /// Visits one part.
    fn visit<M: Module>(&mut self, layout: &Layout, part: &M);
}

/// Something that is done to every part.
pub trait PartMapper {
    /// Changes one part.
    fn map<M: Module>(&mut self, layout: &Layout, part: M) -> M;
}

/// The module with parameter ids that are a function of `scope` and the parameter's path, so that a
/// saved optimiser state finds the parameters of a pretrained network again.
pub fn with_ids_by_path<M: Module>(module: M, scope: &str) -> M {
    module.map(&mut IdsByPath { path: vec![scope.to_owned()] })
}

struct IdsByPath {
    path: Vec<String>,
}

impl ModuleMapper for IdsByPath {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        Param::initialized(parameter_id(&self.path.join(".")), param.into_value())
    }
}

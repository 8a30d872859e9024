//! Everything a step changes.

use std::collections::BTreeMap;

use burn::module::Module;
use glass_schemas::spec::trainer::{OptimizerSpec, TrainerSpec};

use super::drift::DriftState;
use super::networks::Networks;
use crate::optim::{Ema, GroupOptimizer};
use crate::parts::{Group, Layout, PartMapper, PartVisitor};
use crate::track::{History, Window};

/// The optimiser of each part.
#[derive(Clone, Default)]
pub struct Optimizers {
    by_group: BTreeMap<Group, GroupOptimizer>,
}

impl Optimizers {
    /// With empty moments, one for each part of the networks.
    pub fn new(spec: &TrainerSpec, networks: &Networks) -> Self {
        struct Groups<'a>(&'a OptimizerSpec, Optimizers);
        impl PartVisitor for Groups<'_> {
            fn visit<M: Module>(&mut self, layout: &Layout, _: &M) {
                self.1.set(layout.group, GroupOptimizer::new(self.0));
            }
        }
        let mut groups = Groups(&spec.optimizer, Self::default());
        networks.visit(&mut groups);
        groups.1
    }

    /// Of a part.
    pub fn get(&self, group: Group) -> Option<&GroupOptimizer> {
        self.by_group.get(&group)
    }

    /// Of a part, to be stepped.
    pub fn get_mut(&mut self, group: Group) -> Option<&mut GroupOptimizer> {
        self.by_group.get_mut(&group)
    }

    /// Replaces that of a part.
    pub fn set(&mut self, group: Group, optimizer: GroupOptimizer) {
        self.by_group.insert(group, optimizer);
    }
}

/// What a checkpoint holds.
#[derive(Clone)]
pub struct TrainState {
    /// Steps done, over both phases.
    pub step: u64,
    /// The networks.
    pub networks: Networks,
    /// Their optimisers.
    pub optimizers: Optimizers,
    /// Averaged weights.
    pub ema: Ema,
    /// Whether slots still move in phase 2.
    pub drift: DriftState,
    /// Metrics so far.
    pub history: History,
    /// Metrics since the last line.
    pub window: Window,
}

impl TrainState {
    /// Slots that were frozen stay so.
    pub(crate) fn freeze_if_drifted(&mut self) {
        if self.drift.frozen() {
            let networks = self.networks.clone();
            self.networks = networks.clone().with_frozen_slots(&networks);
        }
    }

    /// Before the first step.
    pub fn new(spec: &TrainerSpec, networks: Networks) -> Self {
        Self {
            step: 0,
            optimizers: Optimizers::new(spec, &networks),
            networks,
            ema: Ema::new(spec.optimizer.ema),
            drift: DriftState::default(),
            history: History::default(),
            window: Window::default(),
        }
    }

    /// The networks as they are judged and published: with averaged weights where the run keeps them.
    pub fn into_judged(self, spec: &TrainerSpec) -> Networks {
        match spec.optimizer.ema > 0.0 {
            true => self.networks.map(&mut Averaged(&self.ema)),
            false => self.networks,
        }
    }
}

struct Averaged<'a>(&'a Ema);

impl PartMapper for Averaged<'_> {
    fn map<M: Module>(&mut self, _: &Layout, part: M) -> M {
        self.0.apply(part)
    }
}

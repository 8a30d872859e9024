//! One optimiser step.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use glass_schemas::seeds::Purpose;
use glass_schemas::spec::trainer::{ClipScope, PhaseSpec, Switch, TrainerSpec};

use super::networks::encode;
use super::state::{Optimizers, TrainState};
use crate::data::{Batch, Order, TrainingSet, Visit};
use crate::decoders::FeatureDraw;
use crate::error::{Result, TrainerError};
use crate::grouping::{Known, slot_noise};
use crate::guidance::{Guide, host};
use crate::losses::ramp;
use crate::optim::{Ema, Gradients, learning_rate};
use crate::parts::{Layout, PartMapper, PartVisitor};
use crate::track::SlotUsage;

/// The losses of one step, before they are weighted.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct StepLosses {
    /// The image decoder's.
    pub diffusion: Option<f32>,
    /// The guidance's.
    pub semantic: Option<f32>,
    /// Decoded features against features.
    pub instance: Option<f32>,
    /// Mean IoU of the matched slots and masks.
    pub overlap: Option<f32>,
    /// The weighted sum that was minimised.
    pub total: f32,
    /// Norm of all gradients before clipping.
    pub gradient_norm: f64,
}

impl StepLosses {
    /// Values by the name they are logged under.
    pub fn named(&self) -> Vec<(&'static str, f64)> {
        let optional = [
            ("loss/diffusion", self.diffusion),
            ("loss/semantic", self.semantic),
            ("loss/instance", self.instance),
            ("guidance/overlap", self.overlap),
        ];
        let mut named: Vec<_> =
            optional.into_iter().filter_map(|(name, value)| value.map(|value| (name, f64::from(value)))).collect();
        named.push(("loss/total", f64::from(self.total)));
        named.push(("gradient/norm", self.gradient_norm));
        named
    }
}

/// The phase a step belongs to: its number, its spec and the step within it. `None` after the last.
pub fn phase_of(spec: &TrainerSpec, step: u64) -> Option<(u8, &PhaseSpec, u64)> {
    if step < spec.phase1.steps {
        return Some((1, &spec.phase1, step));
    }
    let within = step - spec.phase1.steps;
    (within < spec.phase2.steps).then_some((2, &spec.phase2, within))
}

/// What a step needs besides its state.
pub struct Stepper<'a> {
    /// The run's constants.
    pub spec: &'a TrainerSpec,
    /// The run's seed.
    pub seed: u64,
    /// Where samples come from.
    pub samples: &'a dyn TrainingSet,
    /// Where networks live; an autodiff device.
    pub device: &'a Device,
    /// What slots are guided by.
    pub guidance: Guide,
    /// Which samples come when.
    pub order: Order,
    /// How slots shared the tokens of the last step, where a line is logged after it.
    pub usage: Option<SlotUsage>,
}

impl Stepper<'_> {
    /// Advances the state by one step; the state is unchanged where it fails.
    ///
    /// # Errors
    /// [`TrainerError::Diverged`]; data that cannot be read.
    pub fn step(&mut self, state: &mut TrainState) -> Result<StepLosses> {
        let (mut losses, gradients) = self.gradients(state)?;
        if let Some((_, phase, within)) = phase_of(self.spec, state.step) {
            self.apply(state, phase, within, gradients, &mut losses);
        }
        state.step += 1;
        Ok(losses)
    }

    /// What a step computes before anything is changed: its losses, and the gradients of every part,
    /// averaged over the batches of the step and not clipped.
    ///
    /// # Errors
    /// As [`Stepper::step`].
    pub fn gradients(&mut self, state: &TrainState) -> Result<(StepLosses, Gradients)> {
        let Some((_, phase, _)) = phase_of(self.spec, state.step) else {
            return Err(TrainerError::state("step", "the run is over"));
        };
        let micro_batches = self.spec.optimizer.accumulate.max(1);
        let mut gradients = Gradients::default();
        let mut losses = StepLosses::default();
        let mut seen = SeenAttention::default();
        for micro in 0..micro_batches {
            let position = self.position(state.step, micro);
            let visits = self.order.visits(position, phase.batch);
            let (part, attention) =
                self.backward(state, phase, &visits, 1.0 / f64::from(micro_batches), &mut gradients)?;
            losses = mean_of(losses, part, micro);
            if self.logged_after(state.step) {
                let [_, slots, tokens] = attention.dims();
                seen.shape = [slots, tokens];
                seen.attention.extend(host(attention));
            }
        }
        self.usage = SlotUsage::of(&seen.attention, seen.shape[0], seen.shape[1]);
        if !losses.total.is_finite() {
            return Err(TrainerError::Diverged { step: state.step, value: losses.total });
        }
        Ok((losses, gradients))
    }

    /// Whether a line is logged after the step that comes after `step` others.
    fn logged_after(&self, step: u64) -> bool {
        let every = self.spec.track.log_every;
        every > 0 && (step + 1).is_multiple_of(every)
    }

    /// The first sample of a step: both phases count on through one sequence of visits.
    pub(super) fn position(&self, step: u64, micro: u32) -> u64 {
        let accumulate = u64::from(self.spec.optimizer.accumulate.max(1));
        let first = self.spec.phase1.batch as u64;
        let second = self.spec.phase2.batch as u64;
        let (done1, batch) =
            if step < self.spec.phase1.steps { (step, first) } else { (self.spec.phase1.steps, second) };
        done1 * first * accumulate + (step - done1) * second * accumulate + u64::from(micro) * batch
    }

    /// Losses and slot attention `[batch, slots, tokens]` of one batch; adds its gradients.
    pub(super) fn backward(
        &self,
        state: &TrainState,
        phase: &PhaseSpec,
        visits: &[Visit],
        share: f64,
        gradients: &mut Gradients,
    ) -> Result<(StepLosses, Tensor<3>)> {
        let (networks, spec) = (&state.networks, self.spec);
        let batch = Batch { samples: self.samples, visits, seed: self.seed, step: state.step, device: self.device };
        let encoded = encode(networks.encoder.as_ref(), batch.states()?);
        let noise = slot_noise(&batch.streams(Purpose::SlotInit), spec.slots.count, spec.slots.size, self.device);
        let known = match Known::is_used(&spec.slots) {
            true => Known::new(&spec.slots, spec.slots.count, &batch.boxes()?, self.device),
            false => Known::default(),
        };
        let slots = networks.slots.forward_knowing(encoded.features.clone(), noise, &known);
        let attention = slots.attention.clone().detach();
        let mut sum = WeightedSum::new(share);

        if let (Some(decoder), true) = (&networks.features, spec.loss.instance > 0.0) {
            let draw = FeatureDraw { seed: self.seed, step: state.step, token_share: spec.features.token_share };
            let loss = decoder.loss(slots.slots.clone(), encoded.target.clone(), &draw);
            let value = scalar(&loss);
            sum.losses.instance = Some(value);
            sum.add(loss, value, spec.loss.instance);
        }
        if let Some(term) = self.guidance.loss(&slots, &encoded, &batch)? {
            let weight = spec.loss.semantic * ramp(spec.loss.semantic_ramp, state.step);
            sum.losses.semantic = Some(term.value);
            sum.losses.overlap = Some(term.overlap);
            // Even with a weight of zero: only going backward releases the graph.
            sum.add(term.gradient, term.value, weight);
        }
        if let (Switch::On, Some(decoder), true) = (phase.diffusion, &networks.image, spec.loss.diffusion > 0.0) {
            let loss = decoder.loss(slots.slots, &batch)?;
            let value = scalar(&loss);
            sum.losses.diffusion = Some(value);
            sum.add(loss, value, spec.loss.diffusion);
        }

        // With every network frozen there is nothing to differentiate.
        if let Some(total) = sum.total.filter(Tensor::is_tracked) {
            gradients.add(networks, total.backward());
        }
        Ok((sum.losses, attention))
    }

    /// Clips and steps every part.
    fn apply(
        &self,
        state: &mut TrainState,
        phase: &PhaseSpec,
        within: u64,
        mut gradients: Gradients,
        losses: &mut StepLosses,
    ) {
        let optimizer = &self.spec.optimizer;
        let norm = gradients.norm(&state.networks, optimizer.clip_norm);
        losses.gradient_norm = norm;
        match optimizer.clip_scope {
            ClipScope::All => gradients.clip(&state.networks, norm, optimizer.clip),
            ClipScope::Part => {
                gradients.clip_parts(&state.networks, optimizer.clip_norm, optimizer.clip);
            }
        }
        state.networks = state.networks.clone().map(&mut StepParts {
            phase,
            rate: learning_rate(phase, within),
            frozen: state.drift.frozen(),
            optimizers: &mut state.optimizers,
            gradients: &mut gradients,
        });
        state.networks.visit(&mut Average(&mut state.ema));
    }
}

/// The weighted sum of a batch's losses, as it is built.
struct WeightedSum {
    losses: StepLosses,
    total: Option<Tensor<1>>,
    share: f64,
}

impl WeightedSum {
    fn new(share: f64) -> Self {
        Self { losses: StepLosses::default(), total: None, share }
    }

    /// Adds a term; `value` is the loss it stands for.
    fn add(&mut self, term: Tensor<1>, value: f32, weight: f64) {
        self.losses.total += (weight * f64::from(value)) as f32;
        let term = term * (weight * self.share);
        self.total = Some(match self.total.take() {
            Some(total) => total + term,
            None => term,
        });
    }
}

/// Steps the optimiser of every part at its own rate.
struct StepParts<'a> {
    phase: &'a PhaseSpec,
    rate: f64,
    frozen: bool,
    optimizers: &'a mut Optimizers,
    gradients: &'a mut Gradients,
}

impl PartMapper for StepParts<'_> {
    fn map<M: Module>(&mut self, layout: &Layout, part: M) -> M {
        let group = layout.group;
        let gradients = self.gradients.take(group);
        let highest = group.rate(&self.phase.learning_rate);
        let still = highest == 0.0 || (self.frozen && group.shapes_slots());
        match self.optimizers.get_mut(group) {
            // Where only the schedule begins with a rate of zero, moments gather all the same.
            Some(optimizer) if !still => optimizer.step(highest * self.rate, part, gradients),
            _ => part,
        }
    }
}

/// Averages the weights of every part that slots are made of.
struct Average<'a>(&'a mut Ema);

impl PartVisitor for Average<'_> {
    fn visit<M: Module>(&mut self, layout: &Layout, part: &M) {
        if layout.group.shapes_slots() {
            self.0.update(part);
        }
    }
}

/// Running mean over the batches of a step.
fn mean_of(sum: StepLosses, part: StepLosses, before: u32) -> StepLosses {
    let mean = |a: f32, b: f32| a + (b - a) / (before + 1) as f32;
    let optional = |a: Option<f32>, b: Option<f32>| b.map(|b| mean(a.unwrap_or(0.0), b));
    StepLosses {
        diffusion: optional(sum.diffusion, part.diffusion),
        semantic: optional(sum.semantic, part.semantic),
        instance: optional(sum.instance, part.instance),
        overlap: optional(sum.overlap, part.overlap),
        total: mean(sum.total, part.total),
        gradient_norm: 0.0,
    }
}

/// Slot attention of all batches of a step, `[samples, slots, tokens]`.
#[derive(Default)]
struct SeenAttention {
    attention: Vec<f32>,
    /// Slots and tokens.
    shape: [usize; 2],
}

/// How slots share the tokens of `attention [batch, slots, tokens]`.
pub(super) fn usage_of(attention: Tensor<3>) -> Option<SlotUsage> {
    let [_, slots, tokens] = attention.dims();
    SlotUsage::of(&host(attention), slots, tokens)
}

fn scalar(loss: &Tensor<1>) -> f32 {
    host(loss.clone()).first().copied().unwrap_or(f32::NAN)
}

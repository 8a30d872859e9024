//! One optimiser step.

use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Tensor};
use glass_schemas::seeds::{Purpose, Stream};
use glass_schemas::spec::trainer::{PhaseSpec, Switch, TrainerSpec};

use super::state::{Networks, TrainState};
use crate::data::{Order, TrainingSet, Visit, step_tokens, visit_stream};
use crate::error::{Result, TrainerError};
use crate::grouping::slot_noise;
use crate::guidance::{Guidance, PseudoMask, host};
use crate::losses::{mean_square, ramp};
use crate::optim::{clip_global_norm, learning_rate, square_norm};

/// The losses of one step, before they are weighted.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct StepLosses {
    /// Denoising.
    pub diffusion: Option<f32>,
    /// Slot masks against pseudo-masks.
    pub semantic: Option<f32>,
    /// Decoded features against features.
    pub instance: Option<f32>,
    /// Mean IoU of the matched slots and components.
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
        let mut named: Vec<_> = optional
            .into_iter()
            .filter_map(|(name, value)| value.map(|value| (name, f64::from(value))))
            .collect();
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
    /// Semantic guidance.
    pub guidance: Guidance,
    /// Which samples come when.
    pub order: Order,
}

/// Gradients of the three groups, summed over batches.
struct Accumulated {
    slots: GradientsAccumulator<crate::grouping::SlotAttention>,
    features: GradientsAccumulator<crate::decoders::MlpDecoder>,
    unet: GradientsAccumulator<crate::decoders::UNet>,
}

impl Stepper<'_> {
    /// Advances the state by one step; the state is unchanged where it fails.
    ///
    /// # Errors
    /// [`TrainerError::Diverged`]; data that cannot be read.
    pub fn step(&mut self, state: &mut TrainState) -> Result<StepLosses> {
        let Some((_, phase, within)) = phase_of(self.spec, state.step) else {
            return Err(TrainerError::state("step", "the run is over"));
        };
        let micro_batches = self.spec.optimizer.accumulate.max(1);
        let mut gradients = Accumulated {
            slots: GradientsAccumulator::new(),
            features: GradientsAccumulator::new(),
            unet: GradientsAccumulator::new(),
        };
        let mut losses = StepLosses::default();
        for micro in 0..micro_batches {
            let position = self.position(state.step, micro);
            let visits = self.order.visits(position, phase.batch);
            let part = self.backward(
                state,
                phase,
                &visits,
                1.0 / f64::from(micro_batches),
                &mut gradients,
            )?;
            losses = mean_of(losses, part, micro);
        }
        if !losses.total.is_finite() {
            return Err(TrainerError::Diverged {
                step: state.step,
                value: losses.total,
            });
        }
        self.apply(state, phase, within, gradients, &mut losses);
        state.step += 1;
        Ok(losses)
    }

    /// The first sample of a step: both phases count on through one sequence of visits.
    fn position(&self, step: u64, micro: u32) -> u64 {
        let accumulate = u64::from(self.spec.optimizer.accumulate.max(1));
        let first = self.spec.phase1.batch as u64;
        let second = self.spec.phase2.batch as u64;
        let (done1, batch) = if step < self.spec.phase1.steps {
            (step, first)
        } else {
            (self.spec.phase1.steps, second)
        };
        done1 * first * accumulate + (step - done1) * second * accumulate + u64::from(micro) * batch
    }

    /// Losses of one batch; adds its gradients.
    fn backward(
        &self,
        state: &TrainState,
        phase: &PhaseSpec,
        visits: &[Visit],
        share: f64,
        gradients: &mut Accumulated,
    ) -> Result<StepLosses> {
        let networks = &state.networks;
        let features = self.samples.features(visits, self.device)?;
        let noise = slot_noise(
            &self.streams(visits, Purpose::SlotInit),
            self.spec.slots.count,
            self.spec.slots.size,
            self.device,
        );
        let slots = networks.slots.forward(features.clone(), noise);
        let mut losses = StepLosses::default();
        let mut terms: Vec<Tensor<1>> = Vec::new();

        let weight = self.spec.loss.instance;
        if weight > 0.0 {
            let [tokens, _] = self.samples.feature_shape();
            let choice = step_tokens(
                self.seed,
                state.step,
                tokens,
                self.spec.features.token_share,
            );
            let target = choice.select(features, self.device);
            let decoded = networks.features.forward(slots.slots.clone(), &choice);
            let loss = mean_square(decoded.features, target);
            losses.instance = Some(scalar(&loss));
            losses.total += (weight * f64::from(scalar(&loss))) as f32;
            terms.push(loss * (weight * share));
        }

        let weight = self.spec.loss.semantic * ramp(self.spec.loss.semantic_ramp, state.step);
        if self.spec.loss.semantic > 0.0 {
            let labels = self.samples.masks(visits)?;
            let masks = pseudo_masks(&labels, &self.samples.weights(visits));
            let (linear, term) = self.guidance.loss(&slots.attention, &masks)?;
            losses.semantic = Some(term.value);
            losses.overlap = Some(term.overlap);
            losses.total += (weight * f64::from(term.value)) as f32;
            // Even with a weight of zero: only going backward releases the graph.
            terms.push(linear * (weight * share));
        }

        let weight = self.spec.loss.diffusion;
        if let (Switch::On, Some(diffusion), true) =
            (phase.diffusion, &networks.diffusion, weight > 0.0)
        {
            let clean = self.samples.latents(visits, self.device)?;
            let streams = [Purpose::Timestep, Purpose::Noise].map(|p| self.streams(visits, p));
            let loss = diffusion.loss(clean, slots.slots, &streams[0], &streams[1])?;
            losses.diffusion = Some(scalar(&loss));
            losses.total += (weight * f64::from(scalar(&loss))) as f32;
            terms.push(loss * (weight * share));
        }

        // With every network frozen there is nothing to differentiate.
        let total = terms.into_iter().reduce(|a, b| a + b);
        if let Some(total) = total.filter(Tensor::is_tracked) {
            accumulate(networks, &total, gradients);
        }
        Ok(losses)
    }

    fn streams(&self, visits: &[Visit], purpose: Purpose) -> Vec<Stream> {
        visits
            .iter()
            .map(|visit| visit_stream(self.seed, purpose, visit))
            .collect()
    }

    /// Clips and steps every group.
    fn apply(
        &self,
        state: &mut TrainState,
        phase: &PhaseSpec,
        within: u64,
        mut gradients: Accumulated,
        losses: &mut StepLosses,
    ) {
        let clip = self.spec.optimizer.clip;
        let rate = learning_rate(phase, within);
        let moving = |rate: f64| if state.drift.frozen() { 0.0 } else { rate };
        let networks = state.networks.clone();
        let mut slots = gradients.slots.grads();
        let mut features = gradients.features.grads();
        let mut unet = gradients.unet.grads();
        let mut squares =
            square_norm(&networks.slots, &slots) + square_norm(&networks.features, &features);
        if let Some(diffusion) = &networks.diffusion {
            squares += square_norm(&diffusion.unet, &unet);
        }
        let norm = squares.sqrt();
        losses.gradient_norm = norm;
        clip_global_norm(&networks.slots, &mut slots, norm, clip);
        clip_global_norm(&networks.features, &mut features, norm, clip);

        let [slots_rate, features_rate, unet_rate] = [
            moving(phase.learning_rate.slots) * rate,
            moving(phase.learning_rate.features) * rate,
            phase.learning_rate.unet * rate,
        ];
        let optimizers = &mut state.optimizers;
        state.networks.slots = optimizers.slots.step(slots_rate, networks.slots, slots);
        state.networks.features =
            optimizers
                .features
                .step(features_rate, networks.features, features);
        if let Some(mut diffusion) = networks.diffusion {
            clip_global_norm(&diffusion.unet, &mut unet, norm, clip);
            diffusion.unet = optimizers.unet.step(unet_rate, diffusion.unet, unet);
            state.networks.diffusion = Some(diffusion);
        }
        state.ema.update(&state.networks.slots);
        state.ema.update(&state.networks.features);
    }
}

fn accumulate(networks: &Networks, total: &Tensor<1>, gradients: &mut Accumulated) {
    let mut all = total.backward();
    gradients.slots.accumulate(
        &networks.slots,
        GradientsParams::from_module(&mut all, &networks.slots),
    );
    gradients.features.accumulate(
        &networks.features,
        GradientsParams::from_module(&mut all, &networks.features),
    );
    if let Some(diffusion) = &networks.diffusion {
        gradients.unet.accumulate(
            &diffusion.unet,
            GradientsParams::from_module(&mut all, &diffusion.unet),
        );
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

fn pseudo_masks<'a>(labels: &'a [u8], weights: &[f32]) -> Vec<PseudoMask<'a>> {
    labels
        .chunks(labels.len() / weights.len().max(1))
        .zip(weights)
        .map(|(labels, &weight)| PseudoMask { labels, weight })
        .collect()
}

fn scalar(loss: &Tensor<1>) -> f32 {
    host(loss.clone()).first().copied().unwrap_or(f32::NAN)
}

//! Noise schedules and samplers, as diffusers' `scheduler_config.json` describes them.
//!
//! A [`Scheduler`] is read from a checkpoint and never changes; a [`Trajectory`] is one run of it from
//! noise to latent and holds what multi-step methods remember. A batch of samples steps through one
//! trajectory together: every operation is element-wise, so a sample's numbers do not depend on its
//! neighbours in the batch.

mod config;
mod ddim;
mod ddpm;
mod dpm_solver;
mod euler;
mod noise;
mod pndm;
mod singlestep;
mod timesteps;

use std::path::Path;

use burn::tensor::Tensor;

pub use config::{BetaSchedule, FinalSigma, Prediction, SchedulerConfig, SchedulerKind, TimestepSpacing, Variance};
pub use noise::NoiseSchedule;

use crate::error::{NetsError, Result};

/// Which sampler to run a checkpoint with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SchedulerChoice {
    /// The one that the checkpoint names in `_class_name`.
    #[default]
    Checkpoint,
    /// `DDIMScheduler` with η = 0.
    Ddim,
    /// `PNDMScheduler` with `skip_prk_steps` (PLMS): one call more than steps.
    Pndm,
    /// `DPMSolverMultistepScheduler`: DPM-Solver++ (2M), midpoint.
    DpmSolver {
        /// Where the last step lands.
        final_sigma: FinalSigma,
    },
    /// DPM-Solver++ (3S), of which no checkpoint speaks: its times are even in the schedule, whatever the
    /// file says of their spacing.
    DpmSolverSinglestep,
    /// `EulerDiscreteScheduler`.
    Euler,
}

/// A sampler with its noise schedule.
#[derive(Debug, Clone)]
pub struct Scheduler {
    config: SchedulerConfig,
    noise: NoiseSchedule,
}

impl Scheduler {
    /// Reads `scheduler_config.json` in `folder`.
    ///
    /// As upstream's `from_config`, a sampler other than the checkpoint's keeps the keys that the file
    /// states and takes its own defaults for the others (SD 2.1's file has no `timestep_spacing`: DDIM
    /// then runs with `leading`, DPM-Solver with `linspace`).
    ///
    /// # Errors
    /// When the file cannot be read, or asks for a variant that is not implemented: the field is named.
    pub fn from_config(folder: impl AsRef<Path>, choice: SchedulerChoice) -> Result<Self> {
        Self::new(SchedulerConfig::read(folder, choice)?)
    }

    /// Makes the scheduler of a configuration.
    ///
    /// # Errors
    /// When the betas do not make a schedule.
    pub fn new(config: SchedulerConfig) -> Result<Self> {
        let noise = NoiseSchedule::new(&config)?;
        Ok(Self { config, noise })
    }

    /// This sampler, if it can run from a sample's noise alone.
    ///
    /// # Errors
    /// For DDPM, which draws noise at every step: it serves to read a noise schedule for training.
    pub fn deterministic(self) -> Result<Self> {
        match self.config.kind {
            SchedulerKind::Ddpm => Err(NetsError::input(
                "this checkpoint's sampler, DDPM, draws noise at every step; choose `ddim`, `pndm`, `dpm-solver`, `dpm-solver-singlestep` or `euler` in its place",
            )),
            _ => Ok(self),
        }
    }

    /// What was read.
    pub fn config(&self) -> &SchedulerConfig {
        &self.config
    }

    /// The forward process: adding noise, and what a network is trained to predict.
    pub fn noise(&self) -> &NoiseSchedule {
        &self.noise
    }

    /// Starts a run of `steps` steps from noise of unit variance.
    ///
    /// # Errors
    /// When `steps` is zero or leads to a timestep outside the schedule.
    pub fn trajectory(&self, steps: usize) -> Result<Trajectory> {
        let timesteps = timesteps::timesteps(&self.config, steps)?;
        let stride = (self.config.num_train_timesteps / steps) as i64;
        let rule = match self.config.kind {
            SchedulerKind::Ddim => Rule::Ddim(ddim::Ddim::new(&self.config, &self.noise, stride)),
            SchedulerKind::Pndm => Rule::Pndm(pndm::Pndm::new(&self.config, &self.noise, stride)),
            SchedulerKind::DpmSolver => {
                Rule::DpmSolver(dpm_solver::DpmSolver::new(&self.config, &self.noise, &timesteps))
            }
            SchedulerKind::Euler => Rule::Euler(euler::Euler::new(&self.config, &self.noise, &timesteps)),
            SchedulerKind::Ddpm => Rule::Ddpm(ddpm::Ddpm::new(&self.config, &self.noise, &timesteps)),
            SchedulerKind::DpmSolverSinglestep => Rule::Singlestep(singlestep::Singlestep::new(&self.noise, steps)),
        };
        Ok(Trajectory {
            timesteps: match &rule {
                Rule::Singlestep(rule) => rule.timesteps(),
                _ => timesteps,
            },
            noise: self.noise.clone(),
            position: 0,
            rule,
        })
    }
}

#[derive(Debug, Clone)]
enum Rule {
    Ddim(ddim::Ddim),
    Pndm(pndm::Pndm),
    DpmSolver(dpm_solver::DpmSolver),
    Euler(euler::Euler),
    Ddpm(ddpm::Ddpm),
    Singlestep(singlestep::Singlestep),
}

/// One run from noise to latent.
#[derive(Debug, Clone)]
pub struct Trajectory {
    timesteps: Vec<f32>,
    noise: NoiseSchedule,
    position: usize,
    rule: Rule,
}

impl Trajectory {
    /// The timestep of every network call, in order; PNDM makes one call more than it was asked for.
    pub fn timesteps(&self) -> &[f32] {
        &self.timesteps
    }

    /// The timestep of the next call; `None` when the run is over.
    pub fn next_timestep(&self) -> Option<f32> {
        self.timesteps.get(self.position).copied()
    }

    /// What noise of unit variance is multiplied by to become the first sample.
    pub fn initial_sigma(&self) -> f64 {
        match &self.rule {
            Rule::Euler(rule) => rule.initial_sigma(),
            _ => 1.0,
        }
    }

    /// The sample as the network takes it at [`next_timestep`](Self::next_timestep) (upstream
    /// `scale_model_input`).
    pub fn network_input(&self, sample: Tensor<4>) -> Tensor<4> {
        match &self.rule {
            Rule::Euler(rule) => rule.network_input(self.position, sample),
            _ => sample,
        }
    }

    /// The standard deviation of the noise that upstream adds to what the next [`step`](Self::step) gives;
    /// zero for every sampler but DDPM, whose step gives the mean.
    pub fn next_noise(&self) -> f64 {
        match &self.rule {
            Rule::Ddpm(rule) if self.next_timestep().is_some() => rule.sigma(self.position),
            _ => 0.0,
        }
    }

    /// The whole run from noise of unit variance `[batch, channels, height, width]` to the clean sample;
    /// `predict` is the network: its input and the timestep to its output, guided if it likes.
    pub fn run(mut self, noise: Tensor<4>, mut predict: impl FnMut(Tensor<4>, f32) -> Tensor<4>) -> Tensor<4> {
        let mut sample = match self.initial_sigma() {
            1.0 => noise,
            sigma => noise * sigma,
        };
        while let Some(timestep) = self.next_timestep() {
            let output = predict(self.network_input(sample.clone()), timestep);
            sample = self.step(output, sample);
        }
        sample
    }

    /// As [`run`](Self::run), with the clean sample that each output tells replaced by `correct` of it: the
    /// nearest codes of a codebook, for latents that are quantised (SlotDiffusion, `vq_denoised`).
    pub fn run_correcting(
        self,
        noise: Tensor<4>,
        mut predict: impl FnMut(Tensor<4>, f32) -> Tensor<4>,
        correct: &dyn Fn(Tensor<4>) -> Tensor<4>,
    ) -> Tensor<4> {
        let schedule = self.noise.clone();
        self.run(noise, |input, timestep| {
            let output = predict(input.clone(), timestep);
            schedule.corrected(output, input, timestep, correct)
        })
    }

    /// Takes the network's output at [`next_timestep`](Self::next_timestep) and gives the next sample.
    /// Both tensors are `[batch, channels, height, width]`. After the last step the sample comes back
    /// unchanged.
    pub fn step(&mut self, output: Tensor<4>, sample: Tensor<4>) -> Tensor<4> {
        let Some(timestep) = self.next_timestep() else {
            return sample;
        };
        let position = self.position;
        self.position += 1;
        match &mut self.rule {
            Rule::Ddim(rule) => rule.step(output, timestep, sample),
            Rule::Pndm(rule) => rule.step(output, timestep, sample),
            Rule::DpmSolver(rule) => rule.step(output, position, sample),
            Rule::Euler(rule) => rule.step(output, position, sample),
            Rule::Ddpm(rule) => rule.step(output, position, sample),
            Rule::Singlestep(rule) => rule.step(output, position, sample),
        }
    }
}

/// Classifier-free guidance on one network's output `[2 · batch, …]`, unconditional half first:
/// u + scale · (c − u), `[batch, …]`.
pub fn guide(output: Tensor<4>, scale: f32) -> Tensor<4> {
    let batch = output.dims()[0] / 2;
    let unconditional = output.clone().narrow(0, 0, batch);
    let conditional = output.narrow(0, batch, batch);
    unconditional.clone() + (conditional - unconditional) * scale
}

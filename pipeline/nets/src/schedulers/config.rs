//! `scheduler_config.json`.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::SchedulerChoice;
use crate::config;
use crate::error::{NetsError, Result};

/// The sampler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchedulerKind {
    /// DDIM, η = 0.
    Ddim,
    /// PLMS.
    Pndm,
    /// DPM-Solver++ (2M).
    DpmSolver,
    /// DPM-Solver++ (3S).
    DpmSolverSinglestep,
    /// Euler's method on dx/dσ, without churn.
    Euler,
    /// Ancestral sampling, with noise at every step.
    Ddpm,
}

/// DDPM: the variance of the noise of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Variance {
    /// That of the posterior, β̃.
    #[default]
    FixedSmall,
    /// β.
    FixedLarge,
}

/// How β runs over the training timesteps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BetaSchedule {
    /// Linear in β.
    #[default]
    Linear,
    /// Linear in √β: latent diffusion.
    ScaledLinear,
    /// The cosine schedule, β capped at 0.999.
    #[serde(rename = "squaredcos_cap_v2")]
    SquaredCosine,
}

/// What the network predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prediction {
    /// The noise ε.
    #[default]
    Epsilon,
    /// v = √ā ε − √(1−ā) x₀.
    VPrediction,
}

/// How the timesteps of a run are picked ("Common Diffusion Noise Schedules", table 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimestepSpacing {
    /// Evenly between both ends.
    Linspace,
    /// Multiples of the stride from zero.
    Leading,
    /// Multiples of the stride down from the end.
    Trailing,
}

/// Where the last step of DPM-Solver and Euler lands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinalSigma {
    /// No noise left: diffusers from 0.25 on.
    #[default]
    Zero,
    /// The noise of timestep 0: older diffusers, and what GLASS's evaluation ran with.
    SigmaMin,
}

/// A sampler's configuration with the defaults of its class filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct SchedulerConfig {
    /// The sampler.
    pub kind: SchedulerKind,
    /// Length of the training schedule.
    pub num_train_timesteps: usize,
    /// β of the first timestep.
    pub beta_start: f64,
    /// β of the last timestep.
    pub beta_end: f64,
    /// The way between them.
    pub beta_schedule: BetaSchedule,
    /// Explicit β, in place of the three above.
    pub trained_betas: Option<Vec<f64>>,
    /// Rescale β so that the last timestep is pure noise.
    pub rescale_betas_zero_snr: bool,
    /// What the network predicts.
    pub prediction: Prediction,
    /// How timesteps are picked.
    pub timestep_spacing: TimestepSpacing,
    /// Added to `leading` timesteps.
    pub steps_offset: usize,
    /// The step past the last timestep goes to ā = 1 instead of ā₀.
    pub set_alpha_to_one: bool,
    /// DDIM and DDPM: clip the predicted x₀ to ± this.
    pub clip_sample: Option<f64>,
    /// DDPM: the variance of a step.
    pub variance: Variance,
    /// DPM-Solver and Euler: where the last step lands.
    pub final_sigma: FinalSigma,
    /// DPM-Solver: take the last step in first order when there are fewer than fifteen.
    pub lower_order_final: bool,
    /// DPM-Solver: take the last step in first order.
    pub euler_at_final: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    #[serde(rename = "_class_name")]
    class_name: String,
    num_train_timesteps: Option<usize>,
    beta_start: Option<f64>,
    beta_end: Option<f64>,
    beta_schedule: BetaSchedule,
    trained_betas: Option<Vec<f64>>,
    rescale_betas_zero_snr: bool,
    prediction_type: Prediction,
    timestep_spacing: Option<TimestepSpacing>,
    steps_offset: usize,
    set_alpha_to_one: Option<bool>,
    clip_sample: Option<bool>,
    clip_sample_range: Option<f64>,
    thresholding: bool,
    variance_type: Variance,
    skip_prk_steps: bool,
    final_sigmas_type: FinalSigma,
    lower_order_final: Option<bool>,
    euler_at_final: bool,
    solver_order: Option<usize>,
    solver_type: Option<String>,
    algorithm_type: Option<String>,
    interpolation_type: Option<String>,
    timestep_type: Option<String>,
    use_karras_sigmas: bool,
    use_exponential_sigmas: bool,
    use_beta_sigmas: bool,
    use_lu_lambdas: bool,
    use_flow_sigmas: bool,
}

impl SchedulerConfig {
    /// Reads `scheduler_config.json` in `folder` for the chosen sampler.
    ///
    /// # Errors
    /// When the file cannot be read or asks for a variant that is not implemented.
    pub fn read(folder: impl AsRef<Path>, choice: SchedulerChoice) -> Result<Self> {
        let path = folder.as_ref().join("scheduler_config.json");
        let file: File = config::read(&path)?;
        Reader { path, file }.finish(choice)
    }

    /// As [`read`](Self::read), from the text of a file; `origin` is named in errors.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(text: &str, origin: &Path, choice: SchedulerChoice) -> Result<Self> {
        let file = config::parse(text, origin)?;
        Reader { path: origin.to_owned(), file }.finish(choice)
    }
}

struct Reader {
    path: PathBuf,
    file: File,
}

impl Reader {
    fn refuse<T>(&self, field: &str, message: impl Into<String>) -> Result<T> {
        Err(NetsError::Config { path: self.path.clone(), field: field.to_owned(), message: message.into() })
    }

    fn kind(&self, choice: SchedulerChoice) -> Result<SchedulerKind> {
        match choice {
            SchedulerChoice::Ddim => Ok(SchedulerKind::Ddim),
            SchedulerChoice::Pndm => Ok(SchedulerKind::Pndm),
            SchedulerChoice::DpmSolver { .. } => Ok(SchedulerKind::DpmSolver),
            SchedulerChoice::DpmSolverSinglestep => Ok(SchedulerKind::DpmSolverSinglestep),
            SchedulerChoice::Euler => Ok(SchedulerKind::Euler),
            SchedulerChoice::Checkpoint => match self.file.class_name.as_str() {
                "DDIMScheduler" => Ok(SchedulerKind::Ddim),
                "PNDMScheduler" if self.file.skip_prk_steps => Ok(SchedulerKind::Pndm),
                "PNDMScheduler" => self.refuse("skip_prk_steps", "only `true` is implemented"),
                "DPMSolverMultistepScheduler" => Ok(SchedulerKind::DpmSolver),
                "EulerDiscreteScheduler" => Ok(SchedulerKind::Euler),
                "DDPMScheduler" => Ok(SchedulerKind::Ddpm),
                other => self.refuse(
                    "_class_name",
                    format!("`{other}` is not implemented; choose `ddim`, `pndm`, `dpm-solver`, `dpm-solver-singlestep` or `euler` in its place"),
                ),
            },
        }
    }

    fn check_dpm_solver(&self) -> Result<()> {
        if self.file.solver_order.is_some_and(|order| order != 2) {
            return self.refuse("solver_order", "only 2 is implemented");
        }
        self.only("solver_type", self.file.solver_type.as_deref(), "midpoint")?;
        let algorithm = self.file.algorithm_type.as_deref();
        self.only("algorithm_type", algorithm, "dpmsolver++")
    }

    fn check_euler(&self) -> Result<()> {
        let interpolation = self.file.interpolation_type.as_deref();
        self.only("interpolation_type", interpolation, "linear")?;
        let kind = self.file.timestep_type.as_deref();
        self.only("timestep_type", kind, "discrete")
    }

    fn only(&self, field: &str, value: Option<&str>, known: &str) -> Result<()> {
        match value {
            Some(value) if value != known => {
                self.refuse(field, format!("`{value}` is not implemented, only `{known}` is"))
            }
            _ => Ok(()),
        }
    }

    /// Other ways to space σ, which both samplers over σ know.
    fn check_sigmas(&self) -> Result<()> {
        let file = &self.file;
        let sigmas = [
            ("use_karras_sigmas", file.use_karras_sigmas),
            ("use_exponential_sigmas", file.use_exponential_sigmas),
            ("use_beta_sigmas", file.use_beta_sigmas),
            ("use_lu_lambdas", file.use_lu_lambdas),
            ("use_flow_sigmas", file.use_flow_sigmas),
        ];
        match sigmas.iter().find(|(_, on)| *on) {
            Some((field, _)) => self.refuse(field, "only `false` is implemented"),
            None => Ok(()),
        }
    }

    fn finish(self, choice: SchedulerChoice) -> Result<SchedulerConfig> {
        let kind = self.kind(choice)?;
        if self.file.thresholding {
            return self.refuse("thresholding", "only `false` is implemented");
        }
        match kind {
            SchedulerKind::DpmSolver => self.check_sigmas().and_then(|()| self.check_dpm_solver())?,
            SchedulerKind::Euler => self.check_sigmas().and_then(|()| self.check_euler())?,
            SchedulerKind::Ddim | SchedulerKind::Pndm | SchedulerKind::Ddpm | SchedulerKind::DpmSolverSinglestep => {}
        }
        let clips = matches!(kind, SchedulerKind::Ddim | SchedulerKind::Ddpm);
        let file = self.file;
        Ok(SchedulerConfig {
            kind,
            num_train_timesteps: file.num_train_timesteps.unwrap_or(1000),
            beta_start: file.beta_start.unwrap_or(0.0001),
            beta_end: file.beta_end.unwrap_or(0.02),
            beta_schedule: file.beta_schedule,
            trained_betas: file.trained_betas,
            rescale_betas_zero_snr: file.rescale_betas_zero_snr,
            prediction: file.prediction_type,
            timestep_spacing: file.timestep_spacing.unwrap_or(match kind {
                SchedulerKind::DpmSolver | SchedulerKind::Euler => TimestepSpacing::Linspace,
                _ => TimestepSpacing::Leading,
            }),
            steps_offset: file.steps_offset,
            set_alpha_to_one: file.set_alpha_to_one.unwrap_or(clips),
            variance: file.variance_type,
            clip_sample: (clips && file.clip_sample.unwrap_or(true)).then(|| file.clip_sample_range.unwrap_or(1.0)),
            final_sigma: match choice {
                SchedulerChoice::DpmSolver { final_sigma } => final_sigma,
                _ => file.final_sigmas_type,
            },
            lower_order_final: file.lower_order_final.unwrap_or(true),
            euler_at_final: file.euler_at_final,
        })
    }
}

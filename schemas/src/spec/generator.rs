//! `[generator]`: prompts → images and attention means.

use serde::{Deserialize, Serialize};

use super::{Fault, Precision};

/// The sampler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SchedulerChoice {
    /// The class named by the checkpoint's `scheduler_config.json`.
    #[default]
    Checkpoint,
    /// DDIM without added noise.
    Ddim,
    /// PNDM, the PLMS steps only.
    Pndm,
    /// DPM-Solver++ 2M.
    DpmSolver,
    /// DPM-Solver++ 3S, as many network calls as steps (SlotDiffusion).
    DpmSolverSinglestep,
    /// Euler's method over σ.
    Euler,
}

/// Whether each class is asked for alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassPromptMode {
    /// One prompt a class, each with its own softmax (GLASS).
    #[default]
    PerClass,
    /// All class names in one prompt (Dataset-Diffusion).
    Joint,
}

/// Whether even and odd calls are averaged apart, for the reliability signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reliability {
    /// Two means a map; the mean of all calls is derived from them.
    #[default]
    EvenOdd,
    /// One mean a map: half the bytes, no agreement column.
    Off,
}

/// How pictures are stored; both are lossless.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageFormat {
    /// PNG.
    #[default]
    Png,
    /// Lossless WebP.
    Webp,
}

/// The generator's constants. The defaults are Dataset-Diffusion's, which GLASS names as its tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GeneratorSpec {
    /// Folder of a Stable Diffusion checkpoint.
    pub weights: String,
    /// The sampler.
    pub scheduler: SchedulerChoice,
    /// What the networks compute in.
    pub precision: Precision,
    /// Inference steps (PNDM makes one call more).
    pub steps: usize,
    /// Classifier-free guidance; 1 is off.
    pub guidance_scale: f32,
    /// What the unconditional half is told.
    pub negative_prompt: String,
    /// Images per prompt.
    pub replicates: u32,
    /// Side of the image in pixels; 0 takes the checkpoint's.
    pub size: u32,
    /// How pictures are stored.
    pub image_format: ImageFormat,
    /// Prompt whose attention finds a class; `{class}` stands for its name.
    pub class_prompt: String,
    /// Whether each class is asked for alone.
    pub class_prompt_mode: ClassPromptMode,
    /// Resolutions at which cross-attention is averaged.
    pub cross_resolutions: Vec<u32>,
    /// Resolutions at which self-attention is averaged.
    pub self_resolutions: Vec<u32>,
    /// Whether even and odd calls are averaged apart.
    pub reliability: Reliability,
}

/// Dataset-Diffusion's negative prompt, its missing blanks included.
const NEGATIVE_PROMPT: &str = "ugly, tiling, poorly drawn hands, poorly drawn feet, poorly drawn face,out of frame, extra limbs, disfigured, deformed, body out of frame, bad anatomy,watermark, signature, cut off, low contrast, underexposed, overexposed, bad art, beginner, amateur, distorted face";

impl Default for GeneratorSpec {
    fn default() -> Self {
        Self {
            weights: String::new(),
            scheduler: SchedulerChoice::default(),
            precision: Precision::default(),
            steps: 100,
            guidance_scale: 7.5,
            negative_prompt: NEGATIVE_PROMPT.to_owned(),
            replicates: 1,
            size: 0,
            image_format: ImageFormat::default(),
            class_prompt: "{class}".to_owned(),
            class_prompt_mode: ClassPromptMode::default(),
            cross_resolutions: vec![16],
            self_resolutions: vec![32],
            reliability: Reliability::default(),
        }
    }
}

impl GeneratorSpec {
    pub(super) fn check(&self) -> Result<(), Fault> {
        if self.steps == 0 {
            return Err(("generator.steps", "must be at least 1".to_owned()));
        }
        if !self.class_prompt.contains("{class}") {
            let message = format!("must contain `{{class}}`, found `{}`", self.class_prompt);
            return Err(("generator.class_prompt", message));
        }
        Ok(())
    }
}

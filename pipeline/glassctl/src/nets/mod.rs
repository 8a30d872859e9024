//! `glassctl nets`: one network at work on tensors from a file.
//!
//! What the reference libraries compute and what this project computes can be compared on any checkpoint:
//! save inputs with the reference's own argument names, run the network here, compare the outputs under
//! the reference's own output names.

mod diffusion;
mod language;
mod tensors;
mod text;
mod vision;

use std::cell::Cell;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use burn::tensor::Device;
use glass_nets::generate::GenerateOptions;
use glass_nets::{Backend, NetsError, Precision, device_in};
use glass_stage::{ExitStatus, Explain, peak_memory};

use crate::output;
use tensors::{Inputs, Outputs};

/// Networks on tensors from a file
#[derive(clap::Args, Clone, Debug)]
pub struct NetsArgs {
    /// What to do
    #[command(subcommand)]
    command: NetsCommand,
}

#[derive(clap::Subcommand, Clone, Debug)]
enum NetsCommand {
    Run(RunArgs),
}

/// A network, a sampler or a tokenizer.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Net {
    /// `UNet2DConditionModel`: sample, timestep, encoder_hidden_states → sample (and with --capture
    /// cross_N, self_N)
    Unet,
    /// `AutoencoderKL.encode`: sample → mean, logvar
    VaeEncode,
    /// `AutoencoderKL.decode`: latents → sample
    VaeDecode,
    /// `CLIPTextModel`: input_ids → last_hidden_state, pooler_output
    ClipText,
    /// `T5EncoderModel`: input_ids, attention_mask → last_hidden_state
    T5Encode,
    /// `Dinov2Model`, with registers too, and DINO's `ViTModel`: pixel_values → last_hidden_state
    Dinov2,
    /// `CLIPVisionModelWithProjection`, alone or in a whole CLIP: pixel_values → last_hidden_state, image_embeds
    ClipVision,
    /// FID's InceptionV3, --weights is its file: inp (pytorch-fid, 0 to 1) or bytes (torch-fidelity, 0 to 255) →
    /// features
    Inception,
    /// `lpips.LPIPS`, --weights is its file or torchvision's with --heads beside: in0, in1 (from −1 to 1) →
    /// relu1 … relu5 of in0, distance
    Lpips,
    /// `Blip2VisionModel`, alone or in BLIP-2: pixel_values → last_hidden_state
    Blip2Vision,
    /// `Blip2QFormerModel`, alone (with query_embeds) or in BLIP-2: encoder_hidden_states →
    /// last_hidden_state
    Blip2Qformer,
    /// `Blip2ForConditionalGeneration`: pixel_values, input_ids, attention_mask (T5: decoder_input_ids)
    /// → logits
    Blip2Logits,
    /// Its `generate`: pixel_values and, if wanted, input_ids, attention_mask → sequences
    Blip2Generate,
    /// `BlipForConditionalGeneration.generate`: the same
    BlipGenerate,
    /// `StableDiffusionPipeline` from the text encoder on: latents, prompt_embeds, negative_prompt_embeds →
    /// latents, images (from −1 to 1); --weights is the whole checkpoint
    Pipeline,
    /// A sampler of `scheduler_config.json`: sample, model_outputs (DDPM: and variance_noise, else the means)
    /// → timesteps, samples
    Schedule,
    /// A tokenizer: lines of --text → input_ids, attention_mask
    Tokenize,
}

/// Run one network on tensors from a file
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Tensors have the names that diffusers and transformers give to arguments and outputs; each line of the
answer is one that was written, with its shape.

Example:
  glassctl nets run unet --weights sd/unet --inputs in.safetensors --outputs out.safetensors --capture 16,8
  glassctl nets run tokenize --weights sd/tokenizer --text prompts.txt --outputs ids.safetensors --json")]
pub struct RunArgs {
    /// What to run
    #[arg(value_enum)]
    pub net: Net,
    /// The folder that holds its config.json and weights, as `save_pretrained` writes it; or a file (see NET)
    #[arg(long, value_name = "DIR")]
    pub weights: PathBuf,
    /// Tensors to run on (safetensors)
    #[arg(long, value_name = "FILE", required_unless_present = "text")]
    pub inputs: Option<PathBuf>,
    /// Where to write what comes out (safetensors)
    #[arg(long, value_name = "FILE")]
    pub outputs: PathBuf,
    /// Type to compute in: f32, bf16 or f16; outputs are always f32
    #[arg(long, default_value = "f32")]
    pub dtype: Precision,
    /// Where to compute: flex (the processor), cuda, cuda:1 or wgpu
    #[arg(long, default_value = "flex")]
    pub device: Backend,
    /// With burn's own operations in place of this project's kernels for the processor
    #[arg(long)]
    pub portable: bool,
    /// unet: also write the mean attention of these resolutions, e.g. 16,8
    #[arg(long, value_delimiter = ',', value_name = "SIDES")]
    pub capture: Vec<usize>,
    /// lpips: the file of its linear heads, where the trunk's has none
    #[arg(long, value_name = "FILE")]
    pub heads: Option<PathBuf>,
    /// vae-decode: in overlapping tiles, as diffusers' enable_tiling
    #[arg(long)]
    pub tiled: bool,
    #[command(flatten)]
    generation: Generation,
    /// Run so many times and tell the fastest, to compare speeds
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub repeat: usize,
    /// schedule and pipeline: how many steps [pipeline: 50]
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,
    /// pipeline: classifier-free guidance
    #[arg(long, value_name = "X", default_value_t = 7.5)]
    pub guidance_scale: f32,
    /// tokenize: a text file with one prompt a line
    #[arg(long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What a network wrote, and what that took.
#[derive(serde::Serialize)]
struct Answer<'a> {
    outputs: &'a Path,
    tensors: Vec<Written<'a>>,
    #[serde(flatten)]
    cost: Option<Cost>,
}

/// A tensor that was written.
#[derive(serde::Serialize)]
struct Written<'a> {
    name: &'a str,
    shape: &'a [usize],
}

/// What a network needed.
#[derive(Clone, Copy, Debug, serde::Serialize)]
struct Cost {
    loading_seconds: f64,
    /// Of the fastest run.
    seconds: f64,
    peak_memory_bytes: Option<u64>,
}

/// How texts are written; the defaults are transformers'.
#[derive(clap::Args, Clone, Debug)]
struct Generation {
    /// generate: longest text in new tokens
    #[arg(long, value_name = "N", default_value_t = 20)]
    max_new_tokens: usize,
    /// generate: beams; 1 is greedy search
    #[arg(long, value_name = "N", default_value_t = 1)]
    num_beams: usize,
    /// generate: exponent of the length that a beam's score is divided by
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    length_penalty: f32,
    /// generate: above 1 makes tokens less likely that already occur
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    repetition_penalty: f32,
}

impl Generation {
    fn options(&self) -> GenerateOptions {
        GenerateOptions {
            num_beams: self.num_beams,
            max_new_tokens: self.max_new_tokens,
            length_penalty: self.length_penalty,
            repetition_penalty: self.repetition_penalty,
            ..GenerateOptions::default()
        }
    }
}

/// Runs `glassctl nets …`.
///
/// # Errors
/// A checkpoint or a file of tensors that cannot be used; the file, tensor or field is named.
pub fn nets(args: NetsArgs) -> anyhow::Result<ExitStatus> {
    let NetsCommand::Run(args) = args.command;
    // Whatever fails here is a file, a flag or a device that the user chose.
    run(&args).blame_user().map(|()| ExitStatus::Done)
}

fn run(args: &RunArgs) -> anyhow::Result<()> {
    if args.portable {
        glass_nets::ops::without_kernels();
    }
    let device = device_in(args.device, args.dtype).map_err(explained)?;
    let job = Job { args, device, cost: Cell::new(None) };
    let outputs = match args.net {
        Net::Unet => diffusion::unet(&job),
        Net::VaeEncode => diffusion::vae_encode(&job),
        Net::VaeDecode => diffusion::vae_decode(&job),
        Net::ClipText => text::clip_text(&job),
        Net::T5Encode => language::t5_encode(&job),
        Net::Dinov2 => vision::dinov2(&job),
        Net::ClipVision => vision::clip(&job),
        Net::Inception => vision::inception(&job),
        Net::Lpips => vision::lpips(&job),
        Net::Blip2Vision => language::blip2_vision(&job),
        Net::Blip2Qformer => language::blip2_qformer(&job),
        Net::Blip2Logits => language::blip2_logits(&job),
        Net::Blip2Generate => language::blip2_generate(&job),
        Net::BlipGenerate => language::blip_generate(&job),
        Net::Pipeline => diffusion::pipeline(&job),
        Net::Schedule => diffusion::schedule(&job),
        Net::Tokenize => text::tokenize(&job),
    }?;
    outputs.write(&args.outputs)?;
    let answer = Answer { outputs: &args.outputs, tensors: outputs.written(), cost: job.cost.get() };
    match args.json {
        true => output::json(&answer),
        false => output::text(&table(&answer)),
    }
}

fn table(answer: &Answer<'_>) -> String {
    let line = |it: &Written<'_>| [it.name.to_owned(), format!("{:?}", it.shape)];
    crate::text::table(&answer.tensors.iter().map(line).collect::<Vec<_>>())
}

/// What every network needs.
struct Job<'a> {
    args: &'a RunArgs,
    device: Device,
    /// Set by [`Job::timed`].
    cost: Cell<Option<Cost>>,
}

impl Job<'_> {
    fn inputs(&self) -> anyhow::Result<Inputs<'_>> {
        let path = self.args.inputs.as_ref().context("this network needs --inputs")?;
        Inputs::open(path, &self.device)
    }

    /// Loads a network, then runs it, and tells how long both took and what memory they needed.
    fn timed<N>(
        &self,
        load: impl FnOnce() -> Result<N, NetsError>,
        run: impl Fn(&N) -> anyhow::Result<Outputs>,
    ) -> anyhow::Result<Outputs> {
        let started = Instant::now();
        let network = load().map_err(explained)?;
        let (loaded, loaded_peak) = (started.elapsed(), peak_memory());
        let mut fastest = Duration::MAX;
        let mut outputs = Outputs::new();
        for _ in 0..self.args.repeat.max(1) {
            let started = Instant::now();
            outputs = run(&network)?;
            fastest = fastest.min(started.elapsed());
        }
        eprintln!(
            "loaded in {:.2} s{}, ran in {:.4} s{}",
            loaded.as_secs_f64(),
            phrase(loaded_peak),
            fastest.as_secs_f64(),
            phrase(peak_memory()),
        );
        self.cost.set(Some(Cost {
            loading_seconds: loaded.as_secs_f64(),
            seconds: fastest.as_secs_f64(),
            peak_memory_bytes: peak_memory(),
        }));
        Ok(outputs)
    }
}

/// A network's error with its hint.
fn explained(error: NetsError) -> anyhow::Error {
    match error.hint() {
        None => error.into(),
        Some(hint) => match Err::<Infallible, _>(error).hint(hint) {
            Ok(never) => match never {},
            Err(error) => error,
        },
    }
}

/// `` (peak memory 1.23 GB)`` or nothing.
fn phrase(bytes: Option<u64>) -> String {
    match bytes {
        Some(bytes) => format!(" (peak memory {:.2} GB)", bytes as f64 / 1e9),
        None => String::new(),
    }
}

//! Drawing a batch of prompts.

use burn::tensor::{Device, Tensor, TensorData};
use glass_nets::clip::{ClipTextModel, ClipTokenizer, class_prompt, joint_class_prompt};
use glass_nets::schedulers::{self, FinalSigma, Scheduler};
use glass_nets::unet::capture::{Capture, CaptureOptions, CapturedMap, ClassContext, ClassPrompt, Division};
use glass_nets::unet::{UNet2DConditionModel, UNetConfig};
use glass_nets::vae::AutoencoderKl;
use glass_nets::{NetsError, Result};
use glass_schemas::dataset::{CaptionRow, ClassLabel};
use glass_schemas::ids::SampleId;
use glass_schemas::seeds::{Purpose, Stream};
use glass_schemas::spec::{ClassPromptMode, GeneratorSpec, Reliability, SchedulerChoice};
use image::RgbImage;

/// One image to draw.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its name, which its noise depends on.
    pub sample_id: SampleId,
    /// Number of this drawing of the prompt.
    pub replicate: u32,
    /// What to draw, and why.
    pub caption: CaptionRow,
}

impl Request {
    /// What a user would call it.
    pub fn name(&self) -> String {
        format!("{}#{}", self.caption.source_uri, self.replicate)
    }
}

/// A drawn image.
#[derive(Debug)]
pub struct Drawing {
    /// The picture.
    pub image: RgbImage,
    /// Clean latent as the UNet sees it, [channels, height, width] row-major.
    pub latent: Vec<f32>,
    /// [channels, height, width].
    pub latent_shape: [usize; 3],
    /// The attention means that the spec asks for.
    pub maps: Vec<CapturedMap>,
}

/// A Stable Diffusion checkpoint, ready to draw.
pub struct Generator {
    tokenizer: ClipTokenizer,
    text: ClipTextModel,
    unet: UNet2DConditionModel,
    vae: AutoencoderKl,
    scheduler: Scheduler,
    /// [channels, height, width] of a latent.
    latent_shape: [usize; 3],
    spec: GeneratorSpec,
    seed: u64,
    device: Device,
}

impl Generator {
    /// Loads the checkpoint of the spec.
    ///
    /// # Errors
    /// What is wrong with the checkpoint, by file and tensor; a size it cannot draw.
    pub fn load(spec: &GeneratorSpec, seed: u64, device: Device) -> Result<Self> {
        let folder = std::path::Path::new(&spec.weights);
        let vae = AutoencoderKl::load(folder.join("vae"), &device)?;
        let config = UNetConfig::read(folder.join("unet"))?;
        let side = latent_side(spec, &config, vae.downscale())?;
        let choice = match spec.scheduler {
            SchedulerChoice::Checkpoint => schedulers::SchedulerChoice::Checkpoint,
            SchedulerChoice::Ddim => schedulers::SchedulerChoice::Ddim,
            SchedulerChoice::Pndm => schedulers::SchedulerChoice::Pndm,
            SchedulerChoice::DpmSolver => schedulers::SchedulerChoice::DpmSolver { final_sigma: FinalSigma::Zero },
            SchedulerChoice::DpmSolverSinglestep => schedulers::SchedulerChoice::DpmSolverSinglestep,
            SchedulerChoice::Euler => schedulers::SchedulerChoice::Euler,
        };
        Ok(Self {
            tokenizer: ClipTokenizer::load(folder.join("tokenizer"))?,
            text: ClipTextModel::load(folder.join("text_encoder"), &device)?,
            unet: UNet2DConditionModel::load(folder.join("unet"), &device)?,
            scheduler: Scheduler::from_config(folder.join("scheduler"), choice)?.deterministic()?,
            latent_shape: [config.in_channels, side, side],
            vae,
            spec: spec.clone(),
            seed,
            device,
        })
    }

    /// Draws a batch. What a request gives does not depend on the others in its batch.
    ///
    /// # Errors
    /// A class name without a token, a resolution that the network does not have.
    pub fn draw(&self, requests: &[Request]) -> Result<Vec<Drawing>> {
        let contexts = self.contexts(requests)?;
        let mut capture = self.capture(requests)?;
        let trajectory = self.scheduler.trajectory(self.spec.steps)?;
        let latents = trajectory.run(self.noise(requests), |latents, timestep| {
            self.predict(latents, timestep, contexts.clone(), &mut capture)
        });
        let images = self.vae.decode(latents.clone() / self.vae.scaling_factor());
        let images = pictures(images)?;
        let latents = values(latents)?;
        let size: usize = self.latent_shape.iter().product();
        let drawn = images.into_iter().zip(latents.chunks_exact(size)).zip(capture.finish()?);
        Ok(drawn
            .map(|((image, latent), maps)| Drawing {
                image,
                latent: latent.to_vec(),
                latent_shape: self.latent_shape,
                maps,
            })
            .collect())
    }

    fn guided(&self) -> bool {
        self.spec.guidance_scale > 1.0
    }

    /// Text states [batch, tokens, width]; with guidance [2·batch, …], the unconditional half first.
    fn contexts(&self, requests: &[Request]) -> Result<Tensor<3>> {
        let encode = |text: &str| self.tokenizer.encode(text);
        let prompts = requests.iter().map(|request| encode(&request.caption.prompt));
        let conditional = self.text.encode(&prompts.collect::<Result<Vec<_>>>()?)?;
        if !self.guided() {
            return Ok(conditional);
        }
        let negative = self.text.encode(&[encode(&self.spec.negative_prompt)?])?;
        let unconditional = negative.repeat_dim(0, requests.len());
        Ok(Tensor::cat(vec![unconditional, conditional], 0))
    }

    /// The network's prediction for each sample [batch, channels, height, width], guided.
    fn predict(&self, latents: Tensor<4>, timestep: f32, contexts: Tensor<3>, capture: &mut Capture) -> Tensor<4> {
        if !self.guided() {
            return self.unet.forward(latents, &[timestep], contexts, capture);
        }
        let both = latents.repeat_dim(0, 2);
        let output = self.unet.forward(both, &[timestep], contexts, capture);
        schedulers::guide(output, self.spec.guidance_scale)
    }

    /// Initial latents [batch, channels, height, width] of unit variance.
    fn noise(&self, requests: &[Request]) -> Tensor<4> {
        let [channels, height, width] = self.latent_shape;
        let numbers: Vec<f32> = requests
            .iter()
            .flat_map(|request| {
                let stream = Stream::new(self.seed, request.sample_id, Purpose::Latent);
                stream.normal(channels * height * width)
            })
            .collect();
        let data = TensorData::new(numbers, [requests.len(), channels, height, width]);
        Tensor::from_data(data, &self.device)
    }

    fn capture(&self, requests: &[Request]) -> Result<Capture> {
        let classes = self.class_context(requests)?;
        // A batch in which no caption names a class has no cross-attention to keep.
        let cross = match classes {
            Some(_) => self.spec.cross_resolutions.iter().map(|&side| side as usize).collect(),
            None => Vec::new(),
        };
        let options = CaptureOptions {
            cross,
            self_attention: self.spec.self_resolutions.iter().map(|&side| side as usize).collect(),
            division: match self.spec.reliability {
                Reliability::EvenOdd => Division::EvenOdd,
                Reliability::Off => Division::Together,
            },
        };
        Capture::new(options, requests.len(), classes)
    }

    fn class_context(&self, requests: &[Request]) -> Result<Option<ClassContext>> {
        let mut tokens = Vec::new();
        let mut prompts = Vec::new();
        for (sample, request) in requests.iter().enumerate() {
            for (tokenized, positions) in self.class_prompts(&request.caption.classes)? {
                tokens.push(tokenized);
                prompts.push(ClassPrompt { sample, positions });
            }
        }
        if prompts.is_empty() {
            return Ok(None);
        }
        Ok(Some(ClassContext { prompts, states: self.text.encode(&tokens)? }))
    }

    /// A sample's class prompts, each with the token positions of the classes it names.
    fn class_prompts(
        &self,
        classes: &[ClassLabel],
    ) -> Result<Vec<(glass_nets::clip::TokenizedPrompt, Vec<Vec<usize>>)>> {
        let names: Vec<String> = classes.iter().map(|class| class.name.clone()).collect();
        match self.spec.class_prompt_mode {
            _ if names.is_empty() => Ok(Vec::new()),
            ClassPromptMode::Joint => Ok(vec![joint_class_prompt(&self.tokenizer, &names)?]),
            ClassPromptMode::PerClass => {
                let template = &self.spec.class_prompt;
                let prompts = names.iter().map(|name| {
                    let (tokenized, positions) = class_prompt(&self.tokenizer, template, name)?;
                    Ok((tokenized, vec![positions]))
                });
                prompts.collect()
            }
        }
    }
}

fn latent_side(spec: &GeneratorSpec, config: &UNetConfig, downscale: usize) -> Result<usize> {
    let halvings = 1 << (config.levels.len() - 1);
    match (spec.size as usize, config.sample_size) {
        (0, Some(side)) => Ok(side),
        (0, None) => {
            Err(input("the checkpoint's `unet/config.json` states no `sample_size`: set `generator.size`".to_owned()))
        }
        (size, _) if size.is_multiple_of(downscale * halvings) => Ok(size / downscale),
        (size, _) => Err(input(format!("`generator.size` {size} is not a multiple of {}", downscale * halvings))),
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    let data = tensor.into_data().convert::<f32>();
    data.try_to_vec().map_err(|e| input(format!("reading a tensor: {e:?}")))
}

/// Pictures of [batch, 3, height, width] in [−1, 1], rounded to 8 bits as diffusers does.
fn pictures(images: Tensor<4>) -> Result<Vec<RgbImage>> {
    let [_, channels, height, width] = images.dims();
    let planes = values(images)?;
    let picture = |planes: &[f32]| {
        let byte = |value: f32| ((value / 2.0 + 0.5).clamp(0.0, 1.0) * 255.0).round() as u8;
        RgbImage::from_fn(width as u32, height as u32, |x, y| {
            let pixel = y as usize * width + x as usize;
            image::Rgb([0, 1, 2].map(|channel| byte(planes[channel * height * width + pixel])))
        })
    };
    Ok(planes.chunks_exact(channels * height * width).map(picture).collect())
}

fn input(message: String) -> NetsError {
    NetsError::Input { message }
}

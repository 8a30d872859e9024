//! Methods that paint agree with PyTorch (`ci/reference/pixel_methods.py`): intermediates, losses,
//! gradients, ten optimiser steps. Weights are computed from the tensors' names on both sides.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};
use glass_schemas::spec::trainer::{
    BroadcastDecoderSpec, ClipNorm, EncoderKind, EncoderSpec, FeatureDecoderKind, ImageDecoderKind, InitialSlots,
    LatentDiffusionSpec, NetworkStart, OptimizerName, Position, SlotsSpec, Switch, TokenWidth, TrainerSpec,
};
use glass_trainer::checkpoint::{Named, Rename, collect, restore};
use glass_trainer::decoders::{DiffusionDecoder, ImageDecoder};
use glass_trainer::encoders::TrainedEncoder;
use glass_trainer::optim::Gradients;
use glass_trainer::parts::{Group, Layout, PartMapper, PartVisitor};
use glass_trainer::phases::{Networks, Optimizers};
use safetensors::SafeTensors;

use crate::dropping::GivenDropout;
use crate::support::device;

/// f32 sums in another order.
pub const FORWARD: f32 = 1e-4;
/// Relative to the largest gradient, or the largest move of ten steps, of the tensor.
const GRADIENT: f32 = 1e-3;

/// Below this a gradient is rounding: of a bias that a softmax cancels, for one.
pub const LEAST_GRADIENT: f32 = 1e-5;
/// The hundredth part of what ten steps can move a weight; a weight near one is kept to 6e-8.
const LEAST_MOVE: f32 = 1e-4;

const STEPS: usize = 10;
const RATE: f64 = 1e-3;
const CLIP: f64 = 1.0;
const BATCH: usize = 2;
const SLOTS: usize = 3;
/// Elements of a large tensor that the reference keeps.
const KEPT: usize = 64;

/// Numbers in [−1, 1) from a name and an index: FNV-1a, then MurmurHash3's finaliser.
pub fn numbers(name: &str, count: usize) -> Vec<f32> {
    let seed = name.bytes().fold(0x811C_9DC5_u32, |seed, byte| (seed ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (0..count as u32)
        .map(|i| {
            let mut x = i.wrapping_mul(0x9E37_79B9).wrapping_add(seed);
            x = (x ^ (x >> 16)).wrapping_mul(0x85EB_CA6B);
            x = (x ^ (x >> 13)).wrapping_mul(0xC2B2_AE35);
            x ^= x >> 16;
            (f64::from(x) / 4_294_967_296.0 * 2.0 - 1.0) as f32
        })
        .collect()
}

pub fn input<const D: usize>(name: &str, shape: [usize; D]) -> Tensor<D> {
    let numbers = numbers(name, shape.iter().product());
    Tensor::from_data(TensorData::new(numbers, shape), &device())
}

/// Normal enough: unit variance.
fn noise<const D: usize>(name: &str, shape: [usize; D]) -> Tensor<D> {
    input(name, shape) * 3f32.sqrt()
}

/// The reference's weights: unit gain, norms around one, biases around zero.
pub fn weights(name: &str, shape: &[usize]) -> Vec<f32> {
    let numbers = numbers(name, shape.iter().product()).into_iter();
    match shape {
        [_] if name.ends_with("weight") => numbers.map(|u| 1.0 + 0.2 * u).collect(),
        [_] => numbers.map(|u| 0.2 * u).collect(),
        [_, inputs @ ..] => {
            let scale = (3.0 / inputs.iter().product::<usize>() as f32).sqrt();
            numbers.map(|u| u * scale).collect()
        }
        [] => numbers.collect(),
    }
}

/// What a part is called in the reference.
fn part_name(layout: &Layout) -> &'static str {
    match layout.group {
        Group::Encoder => "encoder",
        Group::Slots => "slots",
        _ => "image",
    }
}

/// Gives every part the reference's weights, and remembers them.
#[derive(Default)]
struct Fill(BTreeMap<&'static str, Named>);

impl PartMapper for Fill {
    fn map<M: Module>(&mut self, layout: &Layout, part: M) -> M {
        let name = part_name(layout);
        let mut named = collect(&part, layout.rename);
        for (tensor, (shape, values)) in &mut named {
            *values = weights(&format!("{name}.{tensor}"), shape);
        }
        self.0.insert(name, named.clone());
        restore(part, named, layout.rename, name).unwrap()
    }
}

/// Compares a number for each parameter with the reference's; numbers below `least` are rounding.
fn check(golden: &Golden, kind: &str, part: &str, found: &Named, least: f32) {
    for (tensor, (_, values)) in found {
        let stride = values.len().div_ceil(KEPT).max(1);
        let kept: Vec<f32> = values.iter().step_by(stride).copied().collect();
        golden.close_above(&kept, &format!("{kind}.{part}.{tensor}"), GRADIENT, least);
    }
}

pub fn check_gradients<M: Module>(
    golden: &Golden,
    part: &str,
    module: &M,
    rename: Rename,
    gradients: &GradientsParams,
    least: f32,
) {
    struct Swap<'a>(&'a GradientsParams);
    impl burn::module::ModuleMapper for Swap<'_> {
        fn map_float<const D: usize>(
            &mut self,
            param: burn::module::Param<Tensor<D>>,
        ) -> burn::module::Param<Tensor<D>> {
            let gradient = self.0.get::<D>(param.id).unwrap();
            param.map(|_| Tensor::from_inner(gradient))
        }
    }
    let module = module.clone().map(&mut Swap(gradients));
    check(golden, "gradient", part, &collect(&module, rename), least);
}

/// Steps every part.
struct Step<'a> {
    gradients: &'a mut Gradients,
    optimizers: &'a mut Optimizers,
}

impl PartMapper for Step<'_> {
    fn map<M: Module>(&mut self, layout: &Layout, part: M) -> M {
        let gradients = self.gradients.take(layout.group);
        let optimizer = self.optimizers.get_mut(layout.group).unwrap();
        optimizer.step(RATE, part, gradients)
    }
}

struct CheckGradients<'a>(&'a Golden, burn::tensor::Gradients);

impl PartVisitor for CheckGradients<'_> {
    fn visit<M: Module>(&mut self, layout: &Layout, part: &M) {
        let gradients = GradientsParams::from_module(&mut self.1, part);
        check_gradients(self.0, part_name(layout), part, layout.rename, &gradients, LEAST_GRADIENT);
    }
}

/// Compares how far every parameter has moved.
struct CheckMoves<'a>(&'a Golden, &'a Fill);

impl PartVisitor for CheckMoves<'_> {
    fn visit<M: Module>(&mut self, layout: &Layout, part: &M) {
        let name = part_name(layout);
        let mut moved = collect(part, layout.rename);
        for (tensor, (_, values)) in &mut moved {
            let before = &self.1.0[name][tensor].1;
            values.iter_mut().zip(before).for_each(|(now, before)| *now -= before);
        }
        check(self.0, "moved", name, &moved, LEAST_MOVE);
    }
}

/// Reference tensors, and the largest relative error of each kind so far.
pub struct Golden {
    tensors: BTreeMap<String, Vec<f32>>,
    worst: RefCell<BTreeMap<String, f32>>,
}

impl Golden {
    pub fn open(name: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("goldens/pixels");
        let bytes = std::fs::read(folder.join(format!("{name}.safetensors"))).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let tensors = file.tensors().into_iter().map(|(name, view)| {
            let values = view.data().chunks_exact(4);
            let values = values.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            (name, values.collect())
        });
        Self { tensors: tensors.collect(), worst: RefCell::default() }
    }

    pub fn close(&self, found: &[f32], name: &str, tolerance: f32) {
        self.close_above(found, name, tolerance, LEAST_GRADIENT);
    }

    fn close_above(&self, found: &[f32], name: &str, tolerance: f32, least: f32) {
        let expected = self.tensors.get(name).unwrap_or_else(|| panic!("no {name}"));
        assert_eq!(found.len(), expected.len(), "{name}");
        let scale = expected.iter().fold(least, |m, x| m.max(x.abs()));
        let pairs = found.iter().zip(expected);
        let worst = pairs.fold(0f32, |m, (a, b)| m.max((a - b).abs()));
        assert!(worst <= tolerance * scale, "{name}: off by {worst:.1e} of {scale:.1e}");
        let kind = match name.split_once('.') {
            Some(("out", "losses")) => "losses",
            Some((kind, _)) => kind,
            None => name,
        };
        let mut all = self.worst.borrow_mut();
        let so_far = all.entry(kind.to_owned()).or_default();
        *so_far = so_far.max(worst / scale);
    }

    /// A row of the table of agreement (`cargo test -- trains_as --nocapture`).
    pub fn print(&self, method: &str) {
        let all = self.worst.borrow();
        let row: Vec<String> = all.iter().map(|(kind, worst)| format!("{kind} {worst:.1e}")).collect();
        println!("agreement | {method} | {}", row.join(" | "));
    }
}

pub fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

/// Ten steps of a method: what the first one sees, its gradients, all losses, where weights end.
fn ten_steps(name: &str, spec: &TrainerSpec, states: impl Fn(usize) -> Tensor<3>) {
    let golden = Golden::open(name);
    let see = |what: &str, values: Vec<f32>| golden.close(&values, &format!("out.{what}"), FORWARD);
    let mut fill = Fill::default();
    let mut networks = networks(spec, states(0).dims()).map(&mut fill);
    let first = loss(&networks, states(0), 0, &see);
    networks.visit(&mut CheckGradients(&golden, first.backward()));

    let mut optimizers = Optimizers::new(spec, &networks);
    let mut losses = Vec::new();
    for step in 0..STEPS {
        let loss = loss(&networks, states(step), step, &|_, _| ());
        losses.extend(host(loss.clone()));
        let mut gradients = Gradients::default();
        gradients.add(&networks, loss.backward());
        let norm = gradients.norm(&networks, ClipNorm::L2);
        gradients.clip(&networks, norm, CLIP);
        networks = networks.map(&mut Step { gradients: &mut gradients, optimizers: &mut optimizers });
    }
    golden.close(&losses, "out.losses", FORWARD);
    networks.visit(&mut CheckMoves(&golden, &fill));
    golden.print(name);
}

fn networks(spec: &TrainerSpec, [_, rows, size]: [usize; 3]) -> Networks {
    let encoder = match spec.encoder.kind.is_convolutional() {
        true => TrainedEncoder::new(&spec.encoder, 0, &device()).unwrap(),
        false => None,
    };
    let shape = match &encoder {
        Some(encoder) => encoder.feature_shape([rows, size]),
        None => [rows, size],
    };
    let mut networks = Networks::new(spec, shape, 0, &device());
    networks.encoder = encoder;
    networks.image = ImageDecoder::new(spec, 0, &device()).unwrap();
    networks
}

/// The loss of a step; `see` is given its intermediates.
fn loss(networks: &Networks, states: Tensor<3>, step: usize, see: &dyn Fn(&str, Vec<f32>)) -> Tensor<1> {
    let features = match &networks.encoder {
        Some(encoder) => {
            let features = encoder.forward(states).features;
            see("features", host(features.clone()));
            features
        }
        None => states,
    };
    let noise = noise(&format!("slots.{step}"), [BATCH, SLOTS, 6]);
    let found = networks.slots.forward(features, noise);
    see("slots", host(found.slots.clone()));
    see("attention", host(found.attention));
    match networks.image.as_ref().unwrap() {
        ImageDecoder::Broadcast(decoder) => {
            let (loss, painted) = decoder.loss(found.slots, pictures(step));
            see("painted", host(painted.picture));
            see("masks", host(painted.masks));
            loss
        }
        ImageDecoder::LatentDiffusion(decoder) | ImageDecoder::StableDiffusion(decoder) => {
            denoise(decoder, found.slots, step, see)
        }
    }
}

fn denoise(decoder: &DiffusionDecoder, slots: Tensor<3>, step: usize, see: &dyn Fn(&str, Vec<f32>)) -> Tensor<1> {
    let shape = [BATCH, 3, 8, 8];
    let times = [(37 * step + 101) % 1000, (613 * step + 5) % 1000];
    let (clean, drawn) = (input(&format!("latents.{step}"), shape), noise(&format!("noise.{step}"), shape));
    let share = decoder.unet.dropout() as f32;
    let dropping = &mut GivenDropout::new(share, step);
    let denoised = decoder.denoise(clean, slots, &times, drawn, dropping).unwrap();
    see("predicted", host(denoised.predicted));
    denoised.loss
}

fn pictures(step: usize) -> Tensor<4> {
    input(&format!("pictures.{step}"), [BATCH, 3, 16, 16])
}

/// Pixels as rows, as the frozen part of a convolutional encoder gives them.
fn pixels(step: usize) -> Tensor<3> {
    pictures(step).flatten::<3>(2, 3).swap_dims(1, 2)
}

/// What the three methods share.
fn spec(slots: SlotsSpec, image: ImageDecoderKind) -> TrainerSpec {
    let mut spec = TrainerSpec {
        slots: SlotsSpec {
            count: SLOTS,
            iterations: 3,
            heads: 1,
            size: 6,
            out_size: 6,
            tokens: TokenWidth::Narrow,
            ..slots
        },
        ..TrainerSpec::default()
    };
    spec.features.kind = FeatureDecoderKind::None;
    spec.image.kind = image;
    spec.optimizer.name = OptimizerName::Adam;
    spec.optimizer.weight_decay = 0.0;
    // Not 1e-8: see the reference.
    spec.optimizer.epsilon = 1e-4;
    spec
}

fn scratch(kind: EncoderKind, folder: &Path) -> EncoderSpec {
    EncoderSpec {
        kind,
        weights: folder.to_owned(),
        start: NetworkStart::Scratch,
        image_size: 16,
        ..EncoderSpec::default()
    }
}

/// A folder with a network's `config.json`.
pub fn config(folder: &Path, config: &serde_json::Value) -> PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    folder.to_owned()
}

/// A small UNet with the schedule of a published method.
fn latent_diffusion(folder: &Path, method: &str, unet: serde_json::Value) -> LatentDiffusionSpec {
    let networks = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/networks");
    let mut sizes = serde_json::json!({
        "in_channels": 3, "out_channels": 3, "cross_attention_dim": 6, "block_out_channels": [4, 8],
        "layers_per_block": 1, "norm_num_groups": 2, "sample_size": 8,
    });
    let (all, own) = (sizes.as_object_mut().unwrap(), unet.as_object().unwrap());
    all.extend(own.clone());
    config(&folder.join("unet"), &sizes);
    let file = "scheduler/scheduler_config.json";
    std::fs::create_dir_all(folder.join("scheduler")).unwrap();
    std::fs::copy(networks.join(method).join(file), folder.join(file)).unwrap();
    LatentDiffusionSpec { config: folder.to_owned(), ..LatentDiffusionSpec::default() }
}

/// The small UNet of a method that denoises latents.
pub fn small_unet(folder: &Path, method: &str) -> LatentDiffusionSpec {
    let unet = match method {
        "slot-diffusion" => serde_json::json!({
            "attention_head_dim": [1, 2], "dropout": 0.1,
            "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
            "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
        }),
        _ => serde_json::json!({
            "attention_head_dim": 2, "pos_type": "cartesian",
            "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
            "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
        }),
    };
    latent_diffusion(folder, method, unet)
}

#[test]
fn plain_slot_attention_trains_as_pytorch_does() {
    let folder = tempfile::tempdir().unwrap();
    let slots = SlotsSpec {
        mlp_size: 12,
        output: Switch::Off,
        position: Position::Savi,
        epsilon: 1e-8,
        ..SlotsSpec::default()
    };
    let sizes = serde_json::json!({
        "architecture": "resnet34_savi", "depths": [1, 1], "width": 4, "stem_stride": 2, "groups": 2,
    });
    let spec = TrainerSpec {
        encoder: scratch(EncoderKind::Resnet34, &config(folder.path(), &sizes)),
        broadcast: BroadcastDecoderSpec { channels: 5, layers: 2, kernel: 5, image_size: 16 },
        ..spec(slots, ImageDecoderKind::Broadcast)
    };
    ten_steps("slot-attention", &spec, pixels);
}

#[test]
fn slot_diffusion_trains_as_pytorch_does() {
    let folder = tempfile::tempdir().unwrap();
    let slots = SlotsSpec {
        mlp_size: 12,
        output: Switch::Off,
        position: Position::Soft,
        initial: InitialSlots::Normal,
        ..SlotsSpec::default()
    };
    let spec = TrainerSpec {
        latent_diffusion: small_unet(folder.path(), "slot-diffusion"),
        ..spec(slots, ImageDecoderKind::LatentDiffusion)
    };
    ten_steps("slot-diffusion", &spec, |step| input(&format!("features.{step}"), [BATCH, 16, 12]));
}

#[test]
fn latent_slot_diffusion_from_nothing_trains_as_pytorch_does() {
    let folder = tempfile::tempdir().unwrap();
    let slots = SlotsSpec { mlp_size: 6, output: Switch::On, position: Position::Grid, ..SlotsSpec::default() };
    let sizes = serde_json::json!({
        "sample_size": 8, "in_channels": 4, "out_channels": 6, "block_out_channels": [4, 4],
        "layers_per_block": 1, "attention_head_dim": 2, "norm_num_groups": 2,
        "input_resolution": 16, "input_channels": 3,
        "down_block_types": ["DownBlock2D", "DownBlock2D"], "up_block_types": ["UpBlock2D", "UpBlock2D"],
    });
    let backbone = config(&folder.path().join("backbone"), &sizes);
    let spec = TrainerSpec {
        encoder: scratch(EncoderKind::UnetEncoder, &backbone),
        latent_diffusion: small_unet(folder.path(), "lsd"),
        ..spec(slots, ImageDecoderKind::LatentDiffusion)
    };
    ten_steps("lsd-scratch", &spec, pixels);
}

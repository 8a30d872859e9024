//! Folders that ci/reference/release_folders.py and release_networks.py wrote with the tensor names of the published classes, and our own
//! checkpoints in the published layout.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use glass_nets::unet::capture::Plain;
use glass_schemas::spec::trainer::{
    EncoderKind, EncoderOutput, FeatureDecoderKind, ImageDecoderKind, InitialSlots, NetworkStart, Orders, TrainerSpec,
    TransformerBlocks,
};
use glass_trainer::checkpoint::release::Release;
use glass_trainer::decoders::ImageDecoder;
use glass_trainer::eval::model::{DecoderOrders, SlotModel};
use glass_trainer::eval::trained::TrainedSlots;
use safetensors::SafeTensors;

use crate::pixels::small_unet;
use crate::support::named;

/// Rounding of f32 through three iterations of slot attention and two blocks.
const TOLERANCE: f32 = 1e-4;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/release").join(name)
}

struct Golden(Vec<u8>, PathBuf);

impl Golden {
    fn read(name: &str) -> Self {
        let path = folder(name).join("golden.safetensors");
        Self(std::fs::read(&path).unwrap(), path)
    }

    fn values(&self, name: &str) -> (Vec<f32>, [usize; 3]) {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = file.tensor(name).unwrap();
        let values = tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        (values, tensor.shape().try_into().unwrap())
    }

    /// Of four axes.
    fn any(&self, name: &str) -> (Vec<f32>, [usize; 4]) {
        let tensors = named(&self.1);
        let (shape, values) = tensors[name].clone();
        (values, shape.try_into().unwrap())
    }

    fn tensor(&self, name: &str) -> Tensor<3> {
        let (values, shape) = self.values(name);
        Tensor::from_data(TensorData::new(values, shape), &Device::flex())
    }

    fn equals(&self, name: &str, found: Tensor<3>) {
        let (expected, shape) = self.values(name);
        assert_eq!(found.dims(), shape, "{name}");
        let found: Vec<f32> = found.into_data().try_to_vec().unwrap();
        let largest = expected.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        let worst = found.iter().zip(&expected).fold(0.0_f32, |worst, (a, b)| worst.max((a - b).abs()));
        assert!(worst <= TOLERANCE * largest, "{name}: {worst} of {largest}");
    }
}

/// What a run spec says where the checkpoint does not.
fn run_spec() -> TrainerSpec {
    let mut spec = TrainerSpec::default();
    spec.slots.iterations = 3;
    spec.slots.epsilon = 1e-8;
    spec.features.heads = 3;
    spec
}

fn model(path: &Path, run: &TrainerSpec) -> (TrainedSlots, TrainerSpec) {
    let release = Release::open(path, run).unwrap();
    let spec = release.spec().clone();
    (TrainedSlots::new(&release.networks(&Device::flex()).unwrap(), &spec), spec)
}

/// Slots, attention and, where the layout has a decoder, its masks.
fn agrees(name: &str, path: &Path) -> TrainerSpec {
    agrees_with(name, path, &run_spec())
}

fn agrees_with(name: &str, path: &Path, run: &TrainerSpec) -> TrainerSpec {
    let golden = Golden::read(name);
    let (model, spec) = model(path, run);
    let found = model.attend(golden.tensor("features"), golden.tensor("noise"));
    golden.equals("attention", found.attention.clone());
    golden.equals("slots", found.slots.clone());
    match model.decoder_masks(&found, DecoderOrders::Standard) {
        Some(masks) => golden.equals("masks", masks),
        None => assert_eq!(spec.features.kind, FeatureDecoderKind::None),
    }
    spec
}

#[test]
fn folders_of_glass_and_of_latent_slot_diffusion_give_the_slots_of_the_published_class() {
    let spec = agrees("glass", &folder("glass"));
    assert_eq!((spec.slots.count, spec.slots.initial, spec.slots.heads), (3, InitialSlots::Gaussian, 1));
    // The folder of the component itself may be named as well.
    agrees("glass", &folder("glass").join("checkpoint/multiheadstevesa"));
    let spec = agrees("lsd", &folder("lsd"));
    assert_eq!((spec.slots.iterations, spec.slots.initial, spec.slots.heads), (2, InitialSlots::Learned, 2));
}

#[test]
fn spot_gives_the_slots_and_decoder_masks_of_the_published_classes() {
    let spec = agrees("spot", &folder("spot").join("checkpoint.safetensors"));
    assert_eq!((spec.slots.count, spec.slots.initial), (3, InitialSlots::Learned));
    assert_eq!((spec.features.layers, spec.features.size, spec.features.orders), (2, 48, Orders::Nine));
    let spec = agrees("spot-teacher", &folder("spot-teacher"));
    assert_eq!(spec.slots.initial, InitialSlots::Gaussian);
}

#[test]
fn dinosaur_gives_the_slots_and_decoder_masks_of_the_published_classes() {
    let spec = agrees("dinosaur", &folder("dinosaur"));
    assert_eq!((spec.features.kind, spec.features.layers, spec.features.size), (FeatureDecoderKind::Mlp, 3, 10));
}

#[test]
fn the_autoregressive_decoder_of_the_framework_gives_its_masks() {
    let spec = agrees("dinosaur-auto", &folder("dinosaur-auto"));
    let features = &spec.features;
    assert_eq!((features.kind, features.layers, features.size), (FeatureDecoderKind::Transformer, 2, 20));
    assert_eq!((features.blocks, features.orders), (TransformerBlocks::Torch, Orders::Standard));
}

#[test]
fn a_student_is_read_with_the_blocks_that_it_trained() {
    let mut run = run_spec();
    run.encoder.kind = EncoderKind::Dino;
    run.encoder.weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("goldens/methods/vit");
    run.encoder.output = EncoderOutput::Plain;
    run.encoder.train_from = Some(1);
    run.features.heads = 2;
    agrees_with("spot-student", &folder("spot-student"), &run);
    // Its blocks are another network's than those that it started from.
    run.encoder.train_from = Some(2);
    let release = Release::open(&folder("spot-student"), &run).unwrap();
    assert!(release.networks(&Device::flex()).is_ok());
    run.encoder.train_from = Some(3);
    let message = refused_with(&folder("spot-student"), &run);
    assert!(message.contains("has no block 3") && message.contains("trainer.encoder.train_from"), "{message}");
}

/// The spec of a method that denoises latents of a small autoencoder, its frozen parts in `folder`.
fn denoising(kind: ImageDecoderKind, folder: &Path) -> TrainerSpec {
    let mut run = run_spec();
    run.image.kind = kind;
    run.latent_diffusion = small_unet(folder, "lsd");
    run.diffusion.weights.clone_from(&run.latent_diffusion.config);
    run
}

/// What the published UNet predicts from the slots of the golden.
fn predicts(name: &str, run: &TrainerSpec) {
    let golden = Golden::read(name);
    let release = Release::open(&folder(name), run).unwrap();
    let (decoder, digest) = release.image_decoder(run, &Device::flex()).unwrap().unwrap();
    assert_eq!(digest.to_string().len(), 64);
    let (ImageDecoder::StableDiffusion(decoder) | ImageDecoder::LatentDiffusion(decoder)) = decoder else {
        panic!("paints pixels")
    };
    let (latents, shape) = golden.any("latents");
    let latents = Tensor::<4>::from_data(TensorData::new(latents, shape), &Device::flex());
    let found = decoder.unet.forward(latents, &[41.0, 730.0], golden.tensor("slots"), &mut Plain);
    let (expected, _) = golden.any("predicted");
    let found: Vec<f32> = found.into_data().try_to_vec().unwrap();
    let largest = expected.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let worst = found.iter().zip(&expected).fold(0.0_f32, |worst, (a, b)| worst.max((a - b).abs()));
    assert!(worst <= TOLERANCE * largest, "{name}: {worst} of {largest}");
}

#[test]
fn a_published_encoder_and_unet_give_what_the_original_classes_give() {
    let copy = tempfile::tempdir().unwrap();
    let mut run = denoising(ImageDecoderKind::LatentDiffusion, copy.path());
    run.encoder.kind = EncoderKind::UnetEncoder;
    run.encoder.start = NetworkStart::Scratch;
    run.encoder.image_size = 16;
    run.encoder.weights = folder("lsd-movi/checkpoint/unetencoder");
    agrees_with("lsd-movi", &folder("lsd-movi"), &run);
    predicts("lsd-movi", &run);
}

#[test]
fn the_unet_of_a_published_second_stage_is_drawn_with() {
    let copy = tempfile::tempdir().unwrap();
    let run = denoising(ImageDecoderKind::StableDiffusion, copy.path());
    agrees_with("glass-generation", &folder("glass-generation"), &run);
    predicts("glass-generation", &run);
    // The first stage has none.
    let release = Release::open(&folder("glass"), &run).unwrap();
    assert!(release.image_decoder(&run, &Device::flex()).unwrap().is_none());
}

fn refused(path: &Path) -> String {
    refused_with(path, &run_spec())
}

fn refused_with(path: &Path, run: &TrainerSpec) -> String {
    let opened = Release::open(path, run).and_then(|release| release.networks(&Device::flex()));
    let mut error: &dyn std::error::Error = &opened.unwrap_err();
    let mut text = error.to_string();
    while let Some(cause) = error.source() {
        text = format!("{text}: {cause}");
        error = cause;
    }
    text
}

/// The folder of GLASS, its `config.json` changed by `change`.
fn changed(change: impl FnOnce(&mut serde_json::Value)) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    let (from, to) = (folder("glass/checkpoint/multiheadstevesa"), copy.path().join("multiheadstevesa"));
    std::fs::create_dir(&to).unwrap();
    let mut config: serde_json::Value =
        serde_json::from_slice(&std::fs::read(from.join("config.json")).unwrap()).unwrap();
    change(&mut config);
    std::fs::write(to.join("config.json"), config.to_string()).unwrap();
    let weights = "diffusion_pytorch_model.safetensors";
    std::fs::copy(from.join(weights), to.join(weights)).unwrap();
    copy
}

#[test]
fn checkpoints_that_contradict_themselves_are_refused_by_name() {
    let message = refused(changed(|config| config["slot_size"] = 9.into()).path());
    assert!(message.contains("`gru.bias_hh`") && message.contains("[24]") && message.contains("[27]"), "{message}");
    let message = refused(changed(|config| config["num_heads"] = 3.into()).path());
    assert!(message.contains("config.json") && message.contains("no multiple of `num_heads` 3"), "{message}");
    let message = refused(changed(|config| drop(config.as_object_mut().unwrap().remove("out_size"))).path());
    assert!(message.contains("missing field `out_size`"), "{message}");
    let message = refused(&folder("glass/golden.safetensors"));
    assert!(message.contains("no known layout") && message.contains("`attention`"), "{message}");
}

#[test]
fn files_of_torch_are_not_opened_and_the_converter_is_named() {
    let copy = changed(|_| {});
    let folder = copy.path().join("multiheadstevesa");
    std::fs::rename(folder.join("diffusion_pytorch_model.safetensors"), folder.join("diffusion_pytorch_model.bin"))
        .unwrap();
    let error = Release::open(copy.path(), &run_spec()).unwrap_err();
    assert!(error.hint().unwrap().contains("glassctl models convert"), "{error}");
}

//! Folders that ci/reference/release_folders.py wrote with the tensor names of the published classes, and our own
//! checkpoints in the published layout.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use glass_schemas::spec::trainer::{FeatureDecoderKind, InitialSlots, Orders, TrainerSpec};
use glass_trainer::checkpoint::release::Release;
use glass_trainer::eval::model::{DecoderOrders, SlotModel};
use glass_trainer::eval::trained::TrainedSlots;
use safetensors::SafeTensors;

/// Rounding of f32 through three iterations of slot attention and two blocks.
const TOLERANCE: f32 = 1e-4;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/release").join(name)
}

struct Golden(Vec<u8>);

impl Golden {
    fn read(name: &str) -> Self {
        Self(std::fs::read(folder(name).join("golden.safetensors")).unwrap())
    }

    fn values(&self, name: &str) -> (Vec<f32>, [usize; 3]) {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = file.tensor(name).unwrap();
        let values = tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        (values, tensor.shape().try_into().unwrap())
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

fn model(path: &Path) -> (TrainedSlots, TrainerSpec) {
    let release = Release::open(path, &run_spec()).unwrap();
    let spec = release.spec().clone();
    (TrainedSlots::new(&release.networks(&Device::flex()).unwrap(), &spec), spec)
}

/// Slots, attention and, where the layout has a decoder, its masks.
fn agrees(name: &str, path: &Path) -> TrainerSpec {
    let golden = Golden::read(name);
    let (model, spec) = model(path);
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

fn refused(path: &Path) -> String {
    let opened = Release::open(path, &run_spec()).and_then(|release| release.networks(&Device::flex()));
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
    std::fs::rename(
        folder.join("diffusion_pytorch_model.safetensors"),
        folder.join("diffusion_pytorch_model.bin"),
    )
    .unwrap();
    let error = Release::open(copy.path(), &run_spec()).unwrap_err();
    assert!(error.hint().unwrap().contains("glassctl models convert"), "{error}");
}

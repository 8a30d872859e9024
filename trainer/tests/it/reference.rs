//! Forward, losses and gradients agree with PyTorch (`ci/reference/training.py`).

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};
use glass_schemas::spec::trainer::{FeatureDecoderSpec, GuidanceSpec, InitialSlots, Position, SlotsSpec};
use glass_trainer::checkpoint::{Named, Rename, collect, feature_names, restore, slot_names};
use glass_trainer::decoders::{MlpDecoderConfig, TokenChoice};
use glass_trainer::grouping::SlotAttentionConfig;
use glass_trainer::guidance::{Guidance, PseudoMask};
use glass_trainer::layers::Initial;
use glass_trainer::losses::mean_square;

use crate::support::{device, named};

/// f32 sums in another order; the published forms are rearranged (see the decoders' docs).
const FORWARD: f32 = 1e-4;
/// Relative to the largest gradient of the tensor.
const GRADIENT: f32 = 1e-3;

struct Case {
    name: &'static str,
    slots: SlotsSpec,
    features: FeatureDecoderSpec,
    input_size: usize,
}

fn cases() -> [Case; 2] {
    let narrow = Case {
        name: "narrow",
        slots: SlotsSpec {
            count: 4,
            iterations: 5,
            heads: 1,
            size: 8,
            mlp_size: 16,
            out_size: 10,
            epsilon: 1e-6,
            initial: InitialSlots::Gaussian,
            position: Position::None,
            ..SlotsSpec::default()
        },
        features: FeatureDecoderSpec { layers: 2, size: 16, token_share: 1.0, ..FeatureDecoderSpec::default() },
        input_size: 12,
    };
    let heads = Case {
        name: "heads",
        slots: SlotsSpec {
            count: 3,
            iterations: 3,
            heads: 2,
            size: 12,
            mlp_size: 12,
            out_size: 8,
            initial: InitialSlots::Learned,
            position: Position::Grid,
            ..narrow.slots.clone()
        },
        features: FeatureDecoderSpec { layers: 3, size: 12, token_share: 1.0, ..FeatureDecoderSpec::default() },
        input_size: 8,
    };
    [narrow, heads]
}

fn golden(name: &str) -> Named {
    let path = format!("{}/goldens/training-{name}.safetensors", env!("CARGO_MANIFEST_DIR"));
    named(path.as_ref())
}

/// The tensors below a prefix, in the form a module is restored from.
fn below(golden: &Named, prefix: &str) -> Named {
    golden
        .iter()
        .filter_map(|(name, value)| {
            let name = name.strip_prefix(prefix)?;
            let (mut shape, numbers) = value.clone();
            if name == "pos.projection.weight" {
                shape.truncate(2);
            }
            (name != "pos.pe").then(|| (name.to_owned(), (shape, numbers)))
        })
        .collect()
}

fn tensor<const D: usize>(golden: &Named, name: &str) -> Tensor<D> {
    let (shape, numbers) = &golden[name];
    Tensor::from_data(TensorData::new(numbers.clone(), shape.clone()), &device())
}

fn close(found: &[f32], golden: &Named, name: &str, tolerance: f32) {
    let expected = &golden[name].1;
    assert_eq!(found.len(), expected.len(), "{name}");
    let scale = expected.iter().fold(1e-3f32, |m, x| m.max(x.abs()));
    let worst = found.iter().zip(expected).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
    assert!(worst <= tolerance * scale, "{name}: off by {worst} of {scale}");
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

/// Gradients under the names of the golden file.
fn gradients<M: Module>(module: &M, gradients: &GradientsParams, rename: Rename) -> Named {
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
    collect(&module.clone().map(&mut Swap(gradients)), rename)
}

#[test]
fn forward_losses_and_gradients_agree_with_pytorch() {
    for case in cases() {
        let golden = golden(case.name);
        let initial = Initial::new(0, &device());
        let slots = SlotAttentionConfig::new(case.input_size, &case.slots).init(&initial);
        let slots = restore(slots, below(&golden, "slots."), slot_names, "slots").unwrap();
        let decoder = MlpDecoderConfig {
            slot_size: case.slots.out_size,
            tokens: 16,
            feature_size: case.input_size,
            features: case.features,
        }
        .init(&initial);
        let decoder = restore(decoder, below(&golden, "features."), feature_names, "features").unwrap();

        let features = tensor::<3>(&golden, "in.features");
        let found = slots.forward(features.clone(), tensor(&golden, "in.noise"));
        close(&numbers(found.slots.clone()), &golden, "out.slots", FORWARD);
        close(&numbers(found.attention.clone()), &golden, "out.attention", FORWARD);

        let tokens = golden["in.tokens"].1.iter().map(|&t| t as i32).collect();
        let choice = TokenChoice::Some(tokens);
        let decoded = decoder.forward(found.slots, &choice);
        close(&numbers(decoded.features.clone()), &golden, "out.decoded", FORWARD);
        close(&numbers(decoded.masks), &golden, "out.alpha", FORWARD);

        let instance = mean_square(decoded.features, choice.select(features, &device()));
        close(&numbers(instance.clone()), &golden, "out.instance", FORWARD);
        let labels: Vec<u8> = golden["in.masks"].1.iter().map(|&l| l as u8).collect();
        let masks: Vec<PseudoMask<'_>> = labels.chunks(64).map(|labels| PseudoMask { labels, weight: 1.0 }).collect();
        let spec = GuidanceSpec { resolution: 8, ..GuidanceSpec::default() };
        let (semantic, term) = Guidance::new(&spec, 4).loss(&found.attention, &masks).unwrap();
        close(&[term.value], &golden, "out.semantic", FORWARD);

        let mut all = (semantic * 0.7 + instance * 0.9).backward();
        let of_slots = GradientsParams::from_module(&mut all, &slots);
        let of_decoder = GradientsParams::from_module(&mut all, &decoder);
        let found = gradients(&slots, &of_slots, slot_names);
        for (name, (_, numbers)) in found {
            close(&numbers, &golden, &format!("gradient.slots.{name}"), GRADIENT);
        }
        for (name, (_, numbers)) in gradients(&decoder, &of_decoder, feature_names) {
            close(&numbers, &golden, &format!("gradient.features.{name}"), GRADIENT);
        }
    }
}

//! Every method agrees with its transcription in PyTorch (`ci/reference/methods.py`): what the first
//! step computes, its gradients, the losses of ten steps and the weights after them. The constants
//! are those of `manifests/baselines`, the sizes those of `goldens/methods/METHOD.toml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleMapper, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use glass_schemas::seeds::Purpose;
use glass_schemas::spec::RunSpec;
use glass_schemas::spec::trainer::{GuidanceSource, TrainerSpec};
use glass_trainer::checkpoint::{Named, collect, pack, restore, unpack};
use glass_trainer::data::{Batch, MemorySet, ObjectBox, Order, TrainingSet};
use glass_trainer::decoders::{FeatureDraw, ImageDecoder, MaskOrders};
use glass_trainer::encoders::TrainedEncoder;
use glass_trainer::grouping::{Known, slot_noise};
use glass_trainer::guidance::{Guide, Teacher};
use glass_trainer::optim::Gradients;
use glass_trainer::parts::{Layout, PartMapper, PartVisitor};
use glass_trainer::phases::{Networks, PhaseChoice, Session, Stepper, Surroundings, TrainState};
use glass_trainer::track::Line;

use crate::support::{device, named};

/// The transcription's seed.
const SEED: u64 = 7;
/// f32 against f64; sums in another order, published forms rearranged.
const FORWARD: f64 = 1e-4;
/// Of gradients, and of weights after ten steps.
const TRAINED: f64 = 1e-3;
/// Gradients below this share of the largest are zero but for rounding: the bias of the norm before
/// the slots' queries, say, shifts all logits of a token alike. Ours must be zero in that sense too.
/// Adam makes whole steps of them in random directions, so weights of such tensors are not compared
/// after the steps; nothing depends on them.
const ROUNDING: f64 = 1e-6;

#[test]
fn every_method_agrees_with_pytorch() {
    let mut table = format!("{:26}{:>10}{:>10}{:>10}{:>11}\n", "method", "forward", "loss", "gradient", "ten steps");
    let mut faults = Vec::new();
    for name in names() {
        let found = Case::read(&name).compare();
        table += &format!(
            "{name:26}{:10.1e}{:10.1e}{:10.1e}{:11.1e}\n",
            found.forward.0, found.loss.0, found.gradient.0, found.weights.0
        );
        for (what, (error, place), limit) in [
            ("forward", &found.forward, FORWARD),
            ("loss", &found.loss, FORWARD),
            ("gradient", &found.gradient, TRAINED),
            ("weights", &found.weights, TRAINED),
        ] {
            if *error > limit {
                faults.push(format!("{name}: {what} of {place} off by {error:.1e}"));
            }
        }
    }
    println!("{table}");
    assert!(faults.is_empty(), "{}\n{table}", faults.join("\n"));
}

#[test]
fn runs_with_every_kind_of_part_stopped_anywhere_end_with_the_same_bytes() {
    // Between them: trained blocks of the encoder, learned slots, a teacher, a UNet, two phases.
    for name in ["spot-student", "glass"] {
        let case = Case::read(name);
        let set = case.samples();
        let whole = case.run(&set, case.fresh(&set), u64::MAX);
        for stop in [3, 7] {
            let stopped = case.run(&set, case.fresh(&set), stop);
            assert_eq!(stopped.step, stop);
            let objects = pack(&stopped, &case.spec).unwrap();
            let resumed = unpack(&objects, &case.spec, case.networks(&set, &device())).unwrap();
            let resumed = case.run(&set, resumed, u64::MAX);
            let [last, again] = [&whole, &resumed].map(|state| pack(state, &case.spec).unwrap());
            // Moments are written in no fixed order; that they are right shows in the weights.
            for (object, bytes) in last.iter().filter(|(object, _)| !object.ends_with(".bpk")) {
                assert!(bytes == &again[object], "{object} of {name} differs after a stop at {stop}");
            }
        }
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("goldens/methods")
}

fn names() -> Vec<String> {
    let files = std::fs::read_dir(folder()).unwrap().map(|file| file.unwrap().path());
    let specs = files.filter(|path| path.extension().is_some_and(|e| e == "toml"));
    let mut names: Vec<String> = specs.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// The largest error and where it is.
type Worst = (f64, String);

struct Found {
    forward: Worst,
    loss: Worst,
    gradient: Worst,
    weights: Worst,
}

struct Case {
    spec: TrainerSpec,
    golden: Named,
    // Holds the UNet's checkpoint while it is loaded.
    _checkpoint: tempfile::TempDir,
}

impl Case {
    fn read(name: &str) -> Self {
        let mut spec = RunSpec::load(&folder().join(format!("{name}.toml"))).unwrap().trainer;
        let checkpoint = unet_checkpoint();
        spec.diffusion.weights = checkpoint.path().to_owned();
        spec.encoder.weights = folder().join("vit");
        let golden = named(&folder().join(format!("{name}.safetensors")));
        Self { spec, golden, _checkpoint: checkpoint }
    }

    fn compare(&self) -> Found {
        let set = self.samples();
        let device = device();
        let networks = self.networks(&set, &device).in_phase(&self.spec, &self.spec.phase1);
        let state = TrainState::new(&self.spec, networks.clone());
        let mut stepper = Stepper {
            spec: &self.spec,
            seed: SEED,
            samples: &set,
            device: &device,
            guidance: Guide::new(&self.spec, 4, self.teacher()).unwrap(),
            order: Order::new(SEED, set.len(), self.spec.data.flip),
            usage: None,
        };
        let forward = self.forward(&set, &mut stepper, &networks);
        let (_, gradients) = stepper.gradients(&state).unwrap();
        let first = self.gradients("gradient", &networks, &gradients);
        let gradient = worst([first, self.second_phase(&set, &mut stepper)].into_iter());
        let last = self.run(&set, state, u64::MAX);
        assert_eq!(last.step, 10);
        Found { forward, loss: self.losses(last.history.lines()), gradient, weights: self.weights(&last.networks) }
    }

    fn fresh(&self, set: &MemorySet) -> TrainState {
        TrainState::new(&self.spec, self.networks(set, &device()))
    }

    fn samples(&self) -> MemorySet {
        let (shape, states) = &self.golden["data.states"];
        let half = states.len() / 2;
        let numbers = |name: &str| self.golden.get(name).map(|(_, n)| n.clone()).unwrap_or_default();
        let boxes = numbers("data.boxes");
        let found = |rows: &[f32]| -> Vec<ObjectBox> {
            let kept = rows.chunks(4).filter(|row| row[0] >= 0.0);
            kept.map(|row| ObjectBox { corners: row.try_into().unwrap(), class: 1 }).collect()
        };
        MemorySet {
            samples: shape[1],
            feature_shape: [shape[2], shape[3]],
            features: [states[..half].to_vec(), states[half..].to_vec()],
            mask_side: 8,
            masks: numbers("data.masks").iter().map(|&label| label as u8).collect(),
            latent_shape: [4, 8, 8],
            latents: numbers("data.latents"),
            boxes: boxes.chunks(12).map(found).collect(),
            ..MemorySet::default()
        }
    }

    fn networks(&self, set: &MemorySet, device: &Device) -> Networks {
        let encoder = TrainedEncoder::new(&self.spec.encoder, 0, device).unwrap();
        let states = set.feature_shape();
        let shape = encoder.as_ref().map_or(states, |encoder| encoder.feature_shape(states));
        let mut networks = Networks::new(&self.spec, shape, 0, device);
        networks.encoder = encoder;
        if self.golden.contains_key("data.latents") {
            networks.image = ImageDecoder::new(&self.spec, 0, device).unwrap();
        }
        networks.map(&mut Start { golden: &self.golden, prefix: "start." })
    }

    fn teacher(&self) -> Option<Teacher> {
        if self.spec.guidance.source != GuidanceSource::Distillation {
            return None;
        }
        let mut spec = RunSpec::load(&folder().join("spot-teacher.toml")).unwrap().trainer;
        spec.features = self.spec.features.clone();
        let networks = Networks::new(&spec, [16, 16], 0, &Device::flex());
        let networks = networks.map(&mut Start { golden: &self.golden, prefix: "start.teacher." });
        Some(Teacher::new(networks.slots, networks.features, &spec.slots, &self.spec.slots).unwrap())
    }

    /// Everything the first step computes that the transcription names.
    fn forward(&self, set: &MemorySet, stepper: &mut Stepper<'_>, networks: &Networks) -> Worst {
        let visits = stepper.order.visits(0, self.spec.phase1.batch);
        let batch = Batch { samples: set, visits: &visits, seed: SEED, step: 0, device: stepper.device };
        let spec = &self.spec.slots;
        let noise = slot_noise(&batch.streams(Purpose::SlotInit), spec.count, spec.size, batch.device);
        let known = match Known::is_used(spec) {
            true => Known::new(spec, spec.count, &batch.boxes().unwrap(), batch.device),
            false => Known::default(),
        };
        let states = batch.states().unwrap();
        let encoded = match &networks.encoder {
            Some(encoder) => encoder.forward(states),
            None => glass_trainer::encoders::Encoded::frozen(states),
        };
        let slots = networks.slots.forward_knowing(encoded.features.clone(), noise, &known);
        let mut out: BTreeMap<&str, Tensor<3>> = BTreeMap::from([
            ("features", encoded.features),
            ("slots", slots.slots.clone()),
            ("raw", slots.raw),
            ("attention", slots.attention),
        ]);
        if let (Some(decoder), true) = (&networks.features, self.spec.loss.instance > 0.0) {
            let draw = FeatureDraw { seed: SEED, step: 0, token_share: 1.0 };
            let order = MaskOrders::One(draw.order(decoder.orders(), "step"));
            let decoded = decoder.decode(slots.slots, encoded.target, order);
            out.extend([("decoded", decoded.features), ("masks", decoded.masks)]);
        }
        worst(out.into_iter().map(|(name, tensor)| self.error(&format!("out.{name}"), &numbers(tensor))))
    }

    fn gradients(&self, prefix: &str, networks: &Networks, gradients: &Gradients) -> Worst {
        let mut found = Collected { gradients: Some(gradients), tensors: BTreeMap::new() };
        networks.visit(&mut found);
        let largest = self.largest_gradient(prefix);
        worst(found.tensors.iter().filter_map(|(name, found)| {
            let name = format!("{prefix}.{name}");
            let expected = &self.golden.get(&name)?.1;
            let (scale, zero) = (magnitude(expected), ROUNDING * largest);
            let error = match (scale < zero, magnitude(found) < zero) {
                (true, true) => 0.0,
                _ => difference(found, expected) / scale,
            };
            Some((error, name))
        }))
    }

    /// Gradients of the first step of phase 2, where there is one: the UNet is trained in it.
    fn second_phase(&self, set: &MemorySet, stepper: &mut Stepper<'_>) -> Worst {
        if self.spec.phase2.steps == 0 {
            return (0.0, String::new());
        }
        let mut state = self.run(set, self.fresh(set), self.spec.phase1.steps);
        state.networks = state.networks.in_phase(&self.spec, &self.spec.phase2);
        let (_, gradients) = stepper.gradients(&state).unwrap();
        self.gradients("gradient2", &state.networks, &gradients)
    }

    fn largest_gradient(&self, prefix: &str) -> f64 {
        let of = self.golden.iter().filter(|(name, _)| name.starts_with(&format!("{prefix}.")));
        of.map(|(_, (_, numbers))| magnitude(numbers)).fold(0.0, f64::max)
    }

    /// From a state to the end, or for at most so many steps.
    fn run(&self, set: &MemorySet, mut state: TrainState, steps: u64) -> TrainState {
        let device = device();
        let mut session = Session {
            spec: &self.spec,
            seed: SEED,
            samples: set,
            device: &device,
            anchor: None,
            teacher: self.teacher(),
        };
        let end = PhaseChoice::All.end(&self.spec);
        session.run(&mut state, end, &mut For(steps.into())).unwrap();
        state
    }

    /// Losses of all steps.
    fn losses(&self, lines: &[Line]) -> Worst {
        let logged = [
            ("log.instance", "loss/instance"),
            ("log.semantic", "loss/semantic"),
            ("log.diffusion", "loss/diffusion"),
            ("log.total", "loss/total"),
        ];
        worst(logged.into_iter().filter_map(|(golden, name)| {
            let expected = &self.golden.get(golden)?.1;
            assert_eq!(expected.len(), lines.len());
            let found: Vec<f32> = lines.iter().map(|line| line.values[name]).collect();
            Some(self.error(golden, &found))
        }))
    }

    fn weights(&self, networks: &Networks) -> Worst {
        let mut found = Collected { gradients: None, tensors: BTreeMap::new() };
        networks.visit(&mut found);
        let largest = self.largest_gradient("gradient");
        let compared = |name: &str| {
            let gradient = self.golden.get(&format!("gradient.{name}"));
            gradient.is_none_or(|(_, g)| magnitude(g) > ROUNDING * largest)
        };
        worst(found.tensors.iter().filter(|(name, _)| compared(name)).filter_map(|(name, found)| {
            let name = format!("final.{name}");
            self.golden.get(&name).map(|_| self.error(&name, found))
        }))
    }

    /// The largest difference relative to the largest expected value.
    fn error(&self, name: &str, found: &[f32]) -> Worst {
        let expected = &self.golden.get(name).unwrap_or_else(|| panic!("{name}")).1;
        (difference(found, expected) / magnitude(expected), name.to_owned())
    }
}

/// Puts the transcription's initial weights in place of ours.
struct Start<'a> {
    golden: &'a Named,
    prefix: &'static str,
}

impl PartMapper for Start<'_> {
    fn map<M: Module>(&mut self, layout: &Layout, part: M) -> M {
        let prefix = format!("{}{}.", self.prefix, layout.group.name());
        let below = self.golden.iter().filter_map(|(name, value)| {
            let name = name.strip_prefix(&prefix)?;
            Some((name.to_owned(), value.clone()))
        });
        let mut start: Named = below.collect();
        if start.is_empty() {
            return part;
        }
        (layout.absorb)(&mut start);
        restore(part, start, layout.rename, layout.object).unwrap()
    }
}

/// All parameters of all parts by their published names, or their gradients.
struct Collected<'a> {
    gradients: Option<&'a Gradients>,
    tensors: BTreeMap<String, Vec<f32>>,
}

impl PartVisitor for Collected<'_> {
    fn visit<M: Module>(&mut self, layout: &Layout, part: &M) {
        let named = match self.gradients {
            None => collect(part, layout.rename),
            Some(gradients) => match gradients.of(layout.group) {
                Some(gradients) => collect(&part.clone().map(&mut Swap(gradients)), layout.rename),
                None => return,
            },
        };
        let group = layout.group.name();
        let named = named.into_iter().map(|(name, (_, numbers))| (format!("{group}.{name}"), numbers));
        self.tensors.extend(named);
    }
}

/// Puts gradients in place of the parameters that have one.
struct Swap<'a>(&'a GradientsParams);

impl ModuleMapper for Swap<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.0.get::<D>(param.id) {
            Some(gradient) => param.map(|_| Tensor::from_inner(gradient)),
            None => param.map(|value| value.zeros_like()),
        }
    }
}

/// Stops after so many steps.
struct For(std::cell::Cell<u64>);

impl Surroundings for For {
    fn stop(&self) -> bool {
        let left = self.0.get();
        self.0.set(left.saturating_sub(1));
        left == 0
    }
    fn save(&mut self, _: &TrainState) -> glass_trainer::Result<()> {
        Ok(())
    }
    fn line(&mut self, _: &Line, _: &TrainState) {}
    fn preview(&mut self, _: &TrainState) -> glass_trainer::Result<()> {
        Ok(())
    }
}

/// The small UNet that the networks' own goldens have, beside a scheduler.
fn unet_checkpoint() -> tempfile::TempDir {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = tempfile::tempdir().unwrap();
    for (from, to) in
        [("pipeline/nets/goldens/diffusion/unet-conv", "unet"), ("assets/mini/stable-diffusion/scheduler", "scheduler")]
    {
        std::fs::create_dir(folder.path().join(to)).unwrap();
        for file in std::fs::read_dir(root.join(from)).unwrap() {
            let path = file.unwrap().path();
            std::fs::copy(&path, folder.path().join(to).join(path.file_name().unwrap())).unwrap();
        }
    }
    folder
}

fn worst(errors: impl Iterator<Item = Worst>) -> Worst {
    errors.fold((0.0, String::new()), |a, b| if b.0 > a.0 || b.0.is_nan() { b } else { a })
}

fn difference(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let pairs = found.iter().zip(expected);
    pairs.map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max)
}

fn magnitude(numbers: &[f32]) -> f64 {
    numbers.iter().map(|x| f64::from(x.abs())).fold(1e-12, f64::max)
}

fn numbers(tensor: Tensor<3>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

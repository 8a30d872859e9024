use burn::tensor::{Device, Tensor};
use glass_nets::clip::{ClipTextModel, ClipTokenizer, class_prompt};
use glass_nets::schedulers::{Scheduler, SchedulerChoice, guide};
use glass_nets::unet::UNet2DConditionModel;
use glass_nets::unet::capture::{Capture, CaptureOptions, ClassContext, ClassPrompt, Division, MapKind};
use glass_nets::vae::AutoencoderKl;

use crate::golden::{Golden, mini, parity, vector};

const PROMPTS: [(&str, &[&str]); 4] = [
    ("a photo of a cat on the grass; cat", &["cat"]),
    ("a photo of two dogs on the sand; dog", &["dog"]),
    ("a photo of an airplane and a bird in the sky; airplane bird", &["airplane", "bird"]),
    ("a photo of a bus by a brick wall; bus", &["bus"]),
];
const GUIDANCE: f32 = 4.0;

/// The whole way from prompts to pictures and attention means, against a run of diffusers' parts. Errors
/// of twenty guided steps add up, so this is the hardest test of the parts together.
#[test]
fn parity_of_a_run_of_twenty_steps() {
    let device = Device::flex();
    let golden = Golden::open("diffusion/sample-20-steps.safetensors");
    let tokenizer = ClipTokenizer::load(mini("stable-diffusion/tokenizer")).unwrap();
    let clip = ClipTextModel::load(mini("stable-diffusion/text_encoder"), &device).unwrap();
    let unet = UNet2DConditionModel::load(mini("stable-diffusion/unet"), &device).unwrap();
    let vae = AutoencoderKl::load(mini("stable-diffusion/vae"), &device).unwrap();
    let scheduler = Scheduler::from_config(mini("stable-diffusion/scheduler"), SchedulerChoice::Checkpoint).unwrap();

    let texts = PROMPTS.map(|(text, _)| tokenizer.encode(text).unwrap());
    let ids: Vec<i64> = texts.iter().flat_map(|text| &text.ids).map(|id| i64::from(*id)).collect();
    assert_eq!(ids, golden.integers("input_ids"));
    let conditional = clip.encode(&texts).unwrap();
    let first = vector(conditional.clone().narrow(0, 0, 1));
    parity("run", "text states", &first, &golden.values("text_states"));
    let empty = clip.encode(&[tokenizer.encode("").unwrap()]).unwrap().repeat_dim(0, PROMPTS.len());
    let context = Tensor::cat(vec![empty, conditional], 0);

    let mut prompts = Vec::new();
    let mut class_texts = Vec::new();
    for (sample, (_, names)) in PROMPTS.iter().enumerate() {
        for name in *names {
            let (text, positions) = class_prompt(&tokenizer, "a photo of a {class}", name).unwrap();
            class_texts.push(text);
            prompts.push(ClassPrompt { sample, positions: vec![positions] });
        }
    }
    let classes = ClassContext { prompts, states: clip.encode(&class_texts).unwrap() };
    let options = CaptureOptions { cross: vec![8, 16], self_attention: vec![8, 16], division: Division::Together };
    let mut capture = Capture::new(options, PROMPTS.len(), Some(classes)).unwrap();

    let run = scheduler.trajectory(20).unwrap();
    let latents = run.run(golden.tensor::<4>("latents_first", &device), |latents, timestep| {
        let batch = latents.repeat_dim(0, 2);
        guide(unet.forward(batch, &[timestep], context.clone(), &mut capture), GUIDANCE)
    });
    parity("run", "latents after 20 steps", &vector(latents.clone()), &golden.values("latents_last"));
    let image = vae.decode(latents.narrow(0, 0, 1) / vae.scaling_factor()).clamp(-1.0, 1.0);
    parity("run", "picture", &vector(image), &golden.values("image"));

    for (sample, maps) in capture.finish().unwrap().iter().enumerate() {
        assert_eq!(maps.len(), 4);
        for map in maps {
            assert_eq!(map.calls, 20);
            let name = if map.kind == MapKind::Cross { "cross" } else { "self" };
            let reference = golden.values(&format!("{name}_{}", map.resolution));
            // The reference repeats the class of samples with one class; self 16 is kept for sample 2 only.
            let (size, at) = match (map.kind, map.resolution) {
                (MapKind::Cross, side) => (2 * side * side, sample),
                (MapKind::SelfAttention, 16) if sample != 2 => continue,
                (MapKind::SelfAttention, 16) => (16 * 16 * 16 * 16, 0),
                (MapKind::SelfAttention, side) => (side.pow(4), sample),
            };
            let reference = &reference[at * size..][..map.values.len()];
            parity("run", &format!("{name} {}, sample {sample}", map.resolution), &map.values, reference);
        }
    }
}

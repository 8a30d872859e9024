use burn::tensor::Device;
use glass_nets::clip::{ClipTextModel, ClipTokenizer, class_prompt, joint_class_prompt};
use glass_nets::unet::UNet2DConditionModel;
use glass_nets::unet::capture::{
    Capture, CaptureOptions, CapturedMap, ClassContext, ClassPrompt, Division, MapKind, Part, Plain,
};

use crate::golden::{Golden, mini, parity, vector};

const TIMESTEPS: [f32; 3] = [951.0, 501.0, 51.0];

fn classes() -> Vec<Vec<String>> {
    [vec!["cat", "boat"], vec!["tv monitor"], vec!["plant", "cow", "dog"]]
        .map(|names| names.into_iter().map(str::to_owned).collect())
        .to_vec()
}

fn context(joint: bool, device: &Device) -> ClassContext {
    let tokenizer = ClipTokenizer::load(mini("stable-diffusion/tokenizer")).unwrap();
    let clip = ClipTextModel::load(mini("stable-diffusion/text_encoder"), device).unwrap();
    let (mut prompts, mut texts) = (Vec::new(), Vec::new());
    for (sample, names) in classes().iter().enumerate() {
        if joint {
            let (text, positions) = joint_class_prompt(&tokenizer, names).unwrap();
            texts.push(text);
            prompts.push(ClassPrompt { sample, positions });
            continue;
        }
        for name in names {
            let (text, positions) = class_prompt(&tokenizer, "a photo of a {class}", name).unwrap();
            texts.push(text);
            prompts.push(ClassPrompt { sample, positions: vec![positions] });
        }
    }
    ClassContext { prompts, states: clip.encode(&texts).unwrap() }
}

fn run(joint: bool, division: Division) -> (Vec<f32>, Vec<Vec<CapturedMap>>, Vec<f32>) {
    let device = Device::flex();
    let golden = Golden::open("diffusion/attention.safetensors");
    let unet = UNet2DConditionModel::load(mini("stable-diffusion/unet"), &device).unwrap();
    let options = CaptureOptions { cross: vec![8, 16], self_attention: vec![8], division };
    let mut capture = Capture::new(options, 3, Some(context(joint, &device))).unwrap();
    let latents = golden.tensor::<4>("latents", &device).repeat_dim(0, 2);
    let call = |t: f32, attention: &mut dyn glass_nets::unet::capture::Attention| {
        vector(unet.forward(latents.clone(), &[t], golden.tensor("context", &device), attention))
    };
    let outputs: Vec<_> = TIMESTEPS.iter().map(|t| call(*t, &mut capture)).collect();
    let plain = call(TIMESTEPS[2], &mut Plain);
    (outputs[2].clone(), capture.finish().unwrap(), plain)
}

fn find(maps: &[CapturedMap], kind: MapKind, resolution: usize, part: Part) -> &CapturedMap {
    maps.iter().find(|m| (m.kind, m.resolution, m.part) == (kind, resolution, part)).unwrap()
}

#[test]
fn parity_of_attention_means() {
    let golden = Golden::open("diffusion/attention.safetensors");
    for (mode, joint) in [("per_class", false), ("joint", true)] {
        let (_, maps, _) = run(joint, Division::EvenOdd);
        for (part, name, calls) in [(Part::Even, "even", 2), (Part::Odd, "odd", 1)] {
            for (sample, maps) in maps.iter().enumerate() {
                for side in [8, 16] {
                    let map = find(maps, MapKind::Cross, side, part);
                    assert_eq!(map.calls, calls);
                    let reference = golden.values(&format!("{mode}.{name}.cross_{side}.{sample}"));
                    parity(
                        "attention",
                        &format!("{mode}, {name}, cross {side}, sample {sample}"),
                        &map.values,
                        &reference,
                    );
                }
                if !joint {
                    let map = find(maps, MapKind::SelfAttention, 8, part);
                    let reference = golden.values(&format!("{mode}.{name}.self_8"));
                    let size = map.values.len();
                    let reference = &reference[sample * size..][..size];
                    parity("attention", &format!("{mode}, {name}, self 8, sample {sample}"), &map.values, reference);
                }
            }
        }
    }
}

#[test]
fn watching_does_not_change_the_picture() {
    let (watched, _, plain) = run(false, Division::EvenOdd);
    assert_eq!(watched, plain);
    parity("unet", "mini, while watched", &watched, &Golden::open("diffusion/attention.safetensors").values("output"));
}

#[test]
fn even_and_odd_calls_make_up_the_whole() {
    let (_, parts, _) = run(false, Division::EvenOdd);
    let (_, whole, _) = run(false, Division::Together);
    for (parts, whole) in parts.iter().zip(&whole) {
        for map in whole {
            let even = find(parts, map.kind, map.resolution, Part::Even);
            let odd = find(parts, map.kind, map.resolution, Part::Odd);
            assert_eq!((map.calls, even.calls, odd.calls), (3, 2, 1));
            let mean: Vec<f32> = even.values.iter().zip(&odd.values).map(|(e, o)| (2.0 * e + o) / 3.0).collect();
            assert!(crate::golden::relative_error(&mean, &map.values) < 1e-5);
            if map.kind == MapKind::SelfAttention {
                for row in map.values.chunks(map.resolution * map.resolution) {
                    assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
                }
            }
        }
    }
}

#[test]
fn impossible_wishes_are_refused() {
    let device = Device::flex();
    let cross = CaptureOptions { cross: vec![8], ..Default::default() };
    assert!(Capture::new(cross.clone(), 3, None).is_err());
    assert!(Capture::new(cross, 2, Some(context(false, &device))).is_err());
    let unet = UNet2DConditionModel::load(mini("stable-diffusion/unet"), &device).unwrap();
    let golden = Golden::open("diffusion/unet-mini.safetensors");
    let odd = CaptureOptions { self_attention: vec![7], ..Default::default() };
    let mut capture = Capture::new(odd, 2, None).unwrap();
    unet.forward(golden.tensor("sample", &device), &[1.0], golden.tensor("context", &device), &mut capture);
    let error = capture.finish().unwrap_err().to_string();
    assert!(error.contains("7x7") && error.contains("[4, 8, 16]"), "{error}");
}

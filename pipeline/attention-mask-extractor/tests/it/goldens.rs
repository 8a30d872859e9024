//! Share of pixels equal to those of ci/reference/masks.py, a transcription of the published
//! algorithms of Dataset Diffusion, DAAM and DiffuMask.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use glass_attention_mask_extractor::extractors::{Extractor, from_spec};
use glass_attention_mask_extractor::refine::Plane;
use glass_attention_mask_extractor::{Attention, Cutting, Parts, extract};
use glass_schemas::spec::{ExtractorChoice, MasksSpec, ThresholdChoice};
use half::f16;
use safetensors::SafeTensors;
use serde_json::Value;

use crate::formula;

/// Rounding moves values near a threshold across it; nothing else may differ.
const EQUAL_PIXELS: f64 = 0.999;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens").join(name)
}

struct Group {
    extractor: Box<dyn Extractor>,
    cutting: Cutting,
    size: Plane,
    settings: Value,
}

impl Group {
    fn read(settings: &Value) -> Self {
        let number = |name: &str| settings[name].as_u64().unwrap() as u32;
        let list = |name: &str| -> Vec<u32> {
            settings[name].as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as u32).collect()
        };
        let extractor = match settings["extractor"].as_str().unwrap() {
            "self-refined" => ExtractorChoice::SelfRefined,
            "cross-only" => ExtractorChoice::CrossOnly,
            "diffumask" => ExtractorChoice::DiffuMask,
            _ => ExtractorChoice::Daam,
        };
        let threshold = |name: &str| settings[name].as_f64().unwrap() as f32;
        let weights = settings["weights"].as_array().into_iter().flatten();
        let spec = MasksSpec {
            extractor,
            cross_resolutions: list("cross"),
            self_resolution: number("self"),
            power: number("power"),
            cross_weights: weights.map(|weight| weight.as_f64().unwrap() as f32).collect(),
            threshold: match settings["threshold"].as_str() {
                Some("adaptive") => ThresholdChoice::Adaptive,
                _ => ThresholdChoice::Interval,
            },
            low: threshold("low"),
            high: threshold("high"),
            ..MasksSpec::default()
        };
        let size = list("size");
        Self {
            extractor: from_spec(&spec).unwrap(),
            cutting: Cutting::from_spec(&spec).unwrap(),
            size: Plane { width: size[0] as usize, height: size[1] as usize },
            settings: settings.clone(),
        }
    }

    fn mask(&self, all: Attention<'_>, ids: &[u32]) -> Vec<u8> {
        let parts = Parts { all, halves: None };
        extract(self.extractor.as_ref(), &self.cutting, &parts, ids, self.size).unwrap().labels
    }

    /// Masks of the group's samples, one below the other, as the golden has them.
    fn masks(&self) -> Vec<u8> {
        match self.settings["first"].as_u64() {
            Some(first) => self.formula_masks(first as u32),
            None => self.drawn_masks(),
        }
    }

    fn formula_masks(&self, first: u32) -> Vec<u8> {
        let needs = self.extractor.needs();
        let samples = first..first + self.settings["samples"].as_u64().unwrap() as u32;
        samples
            .flat_map(|sample| {
                let classes = 1 + sample % 3;
                let ids: Vec<u32> = (0..classes).map(|class| 3 + 7 * class).collect();
                self.mask(formula::attention(sample, classes, &needs.cross, needs.self_attention), &ids)
            })
            .collect()
    }

    fn drawn_masks(&self) -> Vec<u8> {
        let needs = self.extractor.needs();
        let (cross, own) = (needs.cross[0], needs.self_attention.unwrap());
        let bytes = std::fs::read(golden("drawn.safetensors")).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let classes = tensors.tensor("classes").unwrap();
        let classes: Vec<u32> = classes.data().chunks_exact(8).map(|bytes| u32::from(bytes[0])).collect();
        let cross_maps = halves(&tensors, &format!("cross_{cross}"));
        let self_maps = halves(&tensors, &format!("self_{own}"));
        let positions = (own * own) as usize;
        let mut masks = Vec::new();
        for (prompt, ids) in classes.chunks_exact(2).enumerate() {
            let ids: Vec<u32> = ids.iter().copied().filter(|&id| id > 0).collect();
            let area = (cross * cross) as usize;
            let maps = &cross_maps[prompt * 2 * area..][..ids.len() * area];
            let mut attention = Attention::new(ids.len());
            attention.insert_cross(cross, Cow::Borrowed(maps)).unwrap();
            let maps = &self_maps[prompt * positions * positions..][..positions * positions];
            attention.insert_self(own, Cow::Borrowed(maps)).unwrap();
            masks.extend(self.mask(attention, &ids));
        }
        masks
    }
}

fn halves(tensors: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let data = tensors.tensor(name).unwrap();
    data.data().chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect()
}

#[test]
fn masks_equal_the_published_algorithms() {
    let groups: Value = serde_json::from_str(&std::fs::read_to_string(golden("masks.json")).unwrap()).unwrap();
    let (mut samples, mut equal, mut total) = (0, 0, 0);
    for (name, settings) in groups.as_object().unwrap() {
        let expected = image::open(golden(&format!("{name}.png"))).unwrap().into_luma8().into_raw();
        let found = Group::read(settings).masks();
        assert_eq!(found.len(), expected.len(), "{name}");
        let pixels = expected.len() / settings["samples"].as_u64().unwrap() as usize;
        let mut worst = 1.0_f64;
        for (found, expected) in found.chunks_exact(pixels).zip(expected.chunks_exact(pixels)) {
            let same = found.iter().zip(expected).filter(|(a, b)| a == b).count();
            worst = worst.min(same as f64 / pixels as f64);
            equal += same;
            total += pixels;
            samples += 1;
        }
        println!("{name}: at least {:.4} % of each mask's pixels are equal", worst * 100.0);
        assert!(worst >= EQUAL_PIXELS, "{name}: {worst}");
    }
    println!("{samples} masks, {:.5} % of all pixels equal", equal as f64 / total as f64 * 100.0);
    assert_eq!(samples, 118);
}

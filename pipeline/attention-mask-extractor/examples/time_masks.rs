//! Time per mask on one core, for `ci/bench/masks.py`: prints milliseconds.
//!
//! `cargo run --release -p attention-mask-extractor --example time_masks -- [REPEATS]`

use std::borrow::Cow;
use std::hint::black_box;
use std::time::Instant;

use glass_attention_mask_extractor::extractors::from_spec;
use glass_attention_mask_extractor::refine::Plane;
use glass_attention_mask_extractor::{Attention, Cutting, ExtractError, Parts, extract};
use glass_schemas::spec::MasksSpec;

/// Cross-attention 16², self-attention 32², two classes, τ 4, 512²: Dataset Diffusion's settings.
fn sample() -> Result<Attention<'static>, ExtractError> {
    let noise = |i: usize| (i.wrapping_mul(2_654_435_761) % 1000) as f32 / 1000.0;
    let mut attention = Attention::new(2);
    attention.insert_cross(16, Cow::Owned((0..2 * 256).map(noise).collect()))?;
    let rows = (0..1024 * 1024).map(|i| (noise(i) + 0.5) / 1024.0).collect();
    attention.insert_self(32, Cow::Owned(rows))?;
    Ok(attention)
}

fn main() -> Result<(), ExtractError> {
    let repeats = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(50);
    let spec = MasksSpec::default();
    let (extractor, cutting) = (from_spec(&spec)?, Cutting::from_spec(&spec)?);
    let parts = Parts { all: sample()?, halves: None };
    let mut times = Vec::new();
    for _ in 0..repeats {
        let start = Instant::now();
        black_box(extract(extractor.as_ref(), &cutting, &parts, &[1, 2], Plane::square(512))?);
        times.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_unstable_by(f64::total_cmp);
    println!("{:.3}", times[times.len() / 2]);
    Ok(())
}

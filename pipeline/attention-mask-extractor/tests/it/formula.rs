//! Attention maps by formula, to the bit those of ci/reference/masks.py: hash, centres, products
//! and quotients in f64.

use std::borrow::Cow;

use glass_attention_mask_extractor::Attention;

const REGIONS: u32 = 6;

fn mix(mut x: u32) -> u32 {
    x ^= x >> 16;
    x = x.wrapping_mul(0x7FEB_352D);
    x ^= x >> 15;
    x = x.wrapping_mul(0x846C_A68B);
    x ^ (x >> 16)
}

/// One of the four random streams of a sample.
struct Uniform(u32);

impl Uniform {
    fn new(sample: u32, stream: u32) -> Self {
        Self(mix(sample * 16 + stream))
    }

    fn at(&self, index: u32) -> f64 {
        f64::from(mix(self.0.wrapping_add(index)) >> 8) / 16_777_216.0
    }
}

fn grid(side: u32) -> Vec<(f64, f64)> {
    let at = |i: u32| (f64::from(i) + 0.5) / f64::from(side);
    (0..side * side).map(|i| (at(i % side), at(i / side))).collect()
}

fn centre_distances(sample: u32, region: u32, side: u32) -> Vec<f64> {
    let centre = (Uniform::new(sample, 0).at(region), Uniform::new(sample, 1).at(region));
    let distance = |(x, y): (f64, f64)| {
        let (dx, dy) = (x - centre.0, y - centre.1);
        dx * dx + dy * dy
    };
    grid(side).into_iter().map(distance).collect()
}

pub fn cross_map(sample: u32, region: u32, side: u32) -> Vec<f32> {
    let noise = Uniform::new(sample, 2);
    let values = centre_distances(sample, region, side).into_iter().zip(0..);
    values
        .map(|(distance, i)| {
            let noise = noise.at((region * 64 + side) * 4096 + i);
            (0.002 + 0.05 / (1.0 + 60.0 * distance) + 0.01 * noise) as f32
        })
        .collect()
}

pub fn self_map(sample: u32, side: u32) -> Vec<f32> {
    let points = grid(side);
    let mut nearest = vec![(f64::INFINITY, 0); points.len()];
    for region in 0..REGIONS {
        for (nearest, distance) in nearest.iter_mut().zip(centre_distances(sample, region, side)) {
            if distance < nearest.0 {
                *nearest = (distance, region);
            }
        }
    }
    let noise = Uniform::new(sample, 3);
    let mut map = Vec::with_capacity(points.len() * points.len());
    for (i, a) in points.iter().enumerate() {
        let weights: Vec<f64> = (points.iter().enumerate())
            .map(|(j, b)| {
                let (dx, dy) = (a.0 - b.0, a.1 - b.1);
                let same = if nearest[i].1 == nearest[j].1 { 1.0 } else { 0.05 };
                let noise = noise.at((i * points.len() + j) as u32);
                same / (1.0 + 40.0 * (dx * dx + dy * dy)) * (0.5 + noise)
            })
            .collect();
        let total: f64 = weights.iter().sum();
        map.extend(weights.iter().map(|weight| (weight / total) as f32));
    }
    map
}

/// Maps of a sample with `classes` classes at the given resolutions.
pub fn attention(sample: u32, classes: u32, cross: &[u32], self_resolution: Option<u32>) -> Attention<'static> {
    let mut attention = Attention::new(classes as usize);
    for &side in cross {
        let maps = (0..classes).flat_map(|class| cross_map(sample, class, side)).collect();
        attention.insert_cross(side, Cow::Owned(maps)).unwrap();
    }
    if let Some(side) = self_resolution {
        attention.insert_self(side, Cow::Owned(self_map(sample, side))).unwrap();
    }
    attention
}

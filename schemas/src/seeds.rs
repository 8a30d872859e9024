//! Random numbers that are the same on every backend, in any order, at any batch size.
//!
//! A [`Stream`] is named by (run seed, subject, purpose) and read by position. Nothing is shared
//! between samples, so a restart, another batch size or another worker count cannot change an
//! image, which is what goes wrong where one generator serves a whole run. The generator is
//! Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).

use std::fmt::Display;

use crate::ids::Digest;

/// What the numbers are for; two purposes never share a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purpose {
    /// Initial latent of a generated image.
    Latent,
    /// Initial slots.
    SlotInit,
    /// Order in which samples are visited.
    DataOrder,
    /// Diffusion timestep of a training sample.
    Timestep,
    /// Diffusion noise of a training sample.
    Noise,
    /// Whether a training sample is mirrored.
    Flip,
    /// Where the square of a training sample is cut.
    Crop,
    /// Which tokens a step decodes.
    Tokens,
    /// In which order a step decodes tokens.
    TokenOrder,
    /// Which activations a training sample loses.
    Dropout,
    /// Sampling of a VAE posterior.
    Posterior,
    /// Initial weights.
    Weights,
    /// Initial centres of k-means.
    KMeans,
    /// Resampling for intervals.
    Bootstrap,
    /// Which slots or images a composition exchanges.
    Composition,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Latent => "latent",
            Self::SlotInit => "slot-init",
            Self::DataOrder => "data-order",
            Self::Timestep => "timestep",
            Self::Noise => "noise",
            Self::Flip => "flip",
            Self::Crop => "crop",
            Self::Tokens => "tokens",
            Self::TokenOrder => "token-order",
            Self::Dropout => "dropout",
            Self::Posterior => "posterior",
            Self::Weights => "weights",
            Self::KMeans => "k-means",
            Self::Bootstrap => "bootstrap",
            Self::Composition => "composition",
        }
    }
}

/// A random sequence addressed by position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    key: [u32; 2],
    /// High half of the counter: separates the substreams of [`Stream::at`].
    lane: u64,
}

impl Stream {
    /// The stream of `purpose` for `subject` (a sample id, a step, …) in the run of this seed.
    pub fn new(run_seed: u64, subject: impl Display, purpose: Purpose) -> Self {
        let digest = Digest::of_parts([
            run_seed.to_le_bytes().as_slice(),
            subject.to_string().as_bytes(),
            purpose.as_str().as_bytes(),
        ]);
        let word = |i: usize| {
            let b = digest.as_bytes();
            u32::from_le_bytes([b[i], b[i + 1], b[i + 2], b[i + 3]])
        };
        Self { key: [word(0), word(4)], lane: 0 }
    }

    /// The substream of one step: independent of every other step's.
    pub fn at(self, step: u64) -> Self {
        Self { lane: step.wrapping_add(1), ..self }
    }

    /// 64 random bits at a position.
    pub fn u64_at(&self, position: u64) -> u64 {
        let block = self.block(position / 2);
        let half = (position % 2) as usize * 2;
        u64::from(block[half]) | u64::from(block[half + 1]) << 32
    }

    /// A whole number below `bound` at a position (0 for `bound` 0); the bias is below 2⁻⁶⁴·bound.
    pub fn below(&self, position: u64, bound: u64) -> u64 {
        ((u128::from(self.u64_at(position)) * u128::from(bound)) >> 64) as u64
    }

    /// `count` numbers in [0, 1), 24 bits each.
    pub fn uniform(&self, count: usize) -> Vec<f32> {
        (0..count as u64).map(|i| (self.u64_at(i) >> 40) as f32 / (1 << 24) as f32).collect()
    }

    /// `count` draws that are each true with probability `share`, to 2⁻³²: a quarter of a block each, as
    /// masks have millions of them.
    pub fn chances(&self, count: usize, share: f64) -> Vec<bool> {
        let bound = (share.clamp(0.0, 1.0) * (1_u64 << 32) as f64).round() as u64;
        let blocks = (0..count.div_ceil(4) as u64).flat_map(|index| self.block(index));
        blocks.take(count).map(|word| u64::from(word) < bound).collect()
    }

    /// `count` standard normal numbers (Box-Muller in f64, rounded once).
    pub fn normal(&self, count: usize) -> Vec<f32> {
        let mut numbers = Vec::with_capacity(count + 1);
        for pair in 0..count.div_ceil(2) as u64 {
            let [a, b] = [self.u64_at(2 * pair), self.u64_at(2 * pair + 1)];
            // 53 bits, shifted into (0, 1] so that the logarithm is finite.
            let radius_uniform = ((a >> 11) + 1) as f64 / (1u64 << 53) as f64;
            let angle = (b >> 11) as f64 / (1u64 << 53) as f64 * std::f64::consts::TAU;
            let radius = (-2.0 * radius_uniform.ln()).sqrt();
            numbers.push((radius * angle.cos()) as f32);
            numbers.push((radius * angle.sin()) as f32);
        }
        numbers.truncate(count);
        numbers
    }

    /// Shuffles in place (Fisher-Yates).
    pub fn shuffle<T>(&self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64, last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }

    fn block(&self, index: u64) -> [u32; 4] {
        philox([index as u32, (index >> 32) as u32, self.lane as u32, (self.lane >> 32) as u32], self.key)
    }
}

/// Philox4x32 with ten rounds.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
    const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
    for _ in 0..10 {
        let first = u64::from(MULTIPLIERS[0]) * u64::from(counter[0]);
        let second = u64::from(MULTIPLIERS[1]) * u64::from(counter[2]);
        counter = [
            (second >> 32) as u32 ^ counter[1] ^ key[0],
            second as u32,
            (first >> 32) as u32 ^ counter[3] ^ key[1],
            first as u32,
        ];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::philox;

    #[test]
    fn philox_gives_the_published_known_answers() {
        // Random123's kat_vectors for philox4x32-10.
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            philox([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }
}

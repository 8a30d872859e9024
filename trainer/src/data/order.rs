//! Which samples a step sees, and what is drawn for them: pure functions of (seed, position).
//!
//! Position `p` is the p-th sample the run visits. A resumed run continues at its position and
//! needs to replay nothing.

use glass_schemas::seeds::{Purpose, Stream};

use crate::decoders::TokenChoice;

/// What the run visits.
#[derive(Debug, Clone)]
pub struct Order {
    seed: u64,
    samples: usize,
    flip: f64,
    epoch: Option<(u64, Vec<u32>)>,
}

/// One visit of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visit {
    /// The how manieth sample of the run it is.
    pub position: u64,
    /// Its index in the training set.
    pub sample: usize,
    /// Whether it is seen mirrored.
    pub side: Side,
}

/// How a sample is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// As it is.
    Plain,
    /// Left and right exchanged.
    Mirrored,
}

impl Order {
    /// Over a training set of `samples`, mirrored with probability `flip`.
    pub fn new(seed: u64, samples: usize, flip: f64) -> Self {
        Self { seed, samples, flip, epoch: None }
    }

    /// The visits from `position` on. Every sample is seen once an epoch, in a new order each.
    pub fn visits(&mut self, position: u64, count: usize) -> Vec<Visit> {
        (position..position + count as u64)
            .map(|position| Visit { position, sample: self.sample(position), side: self.side(position) })
            .collect()
    }

    fn sample(&mut self, position: u64) -> usize {
        let (epoch, place) = (position / self.samples as u64, (position % self.samples as u64) as usize);
        let permutation = match self.epoch.take() {
            Some((cached, permutation)) if cached == epoch => permutation,
            _ => {
                let mut permutation: Vec<u32> = (0..self.samples as u32).collect();
                Stream::new(self.seed, "epoch", Purpose::DataOrder).at(epoch).shuffle(&mut permutation);
                permutation
            }
        };
        let sample = permutation[place] as usize;
        self.epoch = Some((epoch, permutation));
        sample
    }

    fn side(&self, position: u64) -> Side {
        let draw = Stream::new(self.seed, "visit", Purpose::Flip).u64_at(position);
        if (draw as f64 / u64::MAX as f64) < self.flip { Side::Mirrored } else { Side::Plain }
    }
}

/// The stream of one visit's random numbers.
pub fn visit_stream(seed: u64, purpose: Purpose, visit: &Visit) -> Stream {
    Stream::new(seed, "visit", purpose).at(visit.position)
}

/// The tokens that a step decodes, in order: at least one, `share` of all.
pub fn step_tokens(seed: u64, step: u64, tokens: usize, share: f64) -> TokenChoice {
    let count = ((tokens as f64 * share).round() as usize).clamp(1, tokens);
    if count == tokens {
        return TokenChoice::All;
    }
    let mut indices: Vec<i32> = (0..tokens as i32).collect();
    Stream::new(seed, "step", Purpose::Tokens).at(step).shuffle(&mut indices);
    indices.truncate(count);
    indices.sort_unstable();
    TokenChoice::Some(indices)
}

/// Exchanges left and right of rows of `width` pixels of `channels` values.
pub fn mirror<T: Copy>(values: &[T], width: usize, channels: usize) -> Vec<T> {
    values.chunks(width * channels).flat_map(|row| row.chunks(channels).rev().flatten().copied()).collect()
}

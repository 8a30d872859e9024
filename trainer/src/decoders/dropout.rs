//! Dropout whose masks are functions of the sample: the same after a resume, in any batch, on every backend.

use burn::tensor::{Tensor, TensorData};
use glass_nets::unet::Dropping;
use glass_schemas::seeds::Stream;
use rayon::prelude::*;

/// Masks from one stream a sample; the n-th block of the network takes the n-th substream.
#[derive(Debug, Clone)]
pub struct StreamDropout<'a> {
    streams: &'a [Stream],
    share: f64,
    block: u64,
}

impl<'a> StreamDropout<'a> {
    /// Drops a share below 1.
    pub fn new(streams: &'a [Stream], share: f64) -> Self {
        Self { streams, share, block: 0 }
    }
}

impl Dropping for StreamDropout<'_> {
    fn drop(&mut self, hidden: Tensor<4>) -> Tensor<4> {
        if self.share == 0.0 {
            return hidden;
        }
        let shape = hidden.dims();
        let (each, block) = (shape[1..].iter().product::<usize>(), self.block);
        self.block += 1;
        // What is kept is scaled so that the mean stays.
        let kept = (1.0 / (1.0 - self.share)) as f32;
        let mask = |stream: &Stream| -> Vec<f32> {
            let lost = stream.at(block).chances(each, self.share);
            lost.into_iter().map(|lost| if lost { 0.0 } else { kept }).collect()
        };
        let masks: Vec<Vec<f32>> = self.streams.par_iter().map(mask).collect();
        hidden.clone() * Tensor::from_data(TensorData::new(masks.concat(), shape), &hidden.device())
    }
}

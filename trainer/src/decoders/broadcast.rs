//! The spatial-broadcast decoder of pixels (Slot Attention; the larger form of SAVi, OCLF
//! `get_savi_decoder_backbone`).

use burn::module::{Module, Param};
use burn::nn::conv::{ConvTranspose2d, ConvTranspose2dConfig};
use burn::tensor::{Tensor, activation};
use glass_nets::NetsError;
use glass_nets::image::ImageProcessor;
use glass_nets::ops;
use glass_schemas::spec::trainer::TrainerSpec;

use super::painter::{Painter, Sampling};
use crate::data::Batch;
use crate::error::Result;
use crate::grouping::{Coordinates, SoftPosition};
use crate::layers::Initial;
use crate::losses::mean_square;
use crate::parts::{Group, Layout, Origin};

/// How it is saved.
pub const LAYOUT: Layout =
    Layout::plain(Group::Image, Origin::Seed, "broadcastdecoder/model.safetensors", str::to_owned);

/// Channels of a picture; one more is the slot's claim on the pixel.
const COLOURS: usize = 3;

/// Sizes of the decoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BroadcastDecoderConfig {
    /// Width of the slots.
    pub slot_size: usize,
    /// Channels between the convolutions.
    pub channels: usize,
    /// Transposed convolutions; each doubles the side.
    pub layers: usize,
    /// Side of their kernels, odd.
    pub kernel: usize,
    /// Side of the picture in pixels, a multiple of 2 to the number of layers.
    pub image_size: usize,
}

impl BroadcastDecoderConfig {
    /// What a spec says.
    pub fn new(spec: &TrainerSpec) -> Self {
        let decoder = &spec.broadcast;
        Self {
            slot_size: spec.slots.decoded_size(),
            channels: decoder.channels,
            layers: decoder.layers,
            kernel: decoder.kernel,
            image_size: decoder.image_size as usize,
        }
    }

    /// Side of the grid that slots are broadcast to.
    pub fn first_side(&self) -> usize {
        self.image_size >> self.layers
    }

    /// With PyTorch's initial weights.
    pub fn init(&self, initial: &Initial) -> BroadcastDecoder {
        let layer = |index: usize| {
            let inputs = if index == 0 { self.slot_size } else { self.channels };
            let doubling = ConvTranspose2dConfig::new([inputs, self.channels], [self.kernel; 2])
                .with_stride([2, 2])
                .with_padding([self.kernel / 2; 2])
                .with_padding_out([1, 1]);
            transposed(&initial.scope(&format!("layers.{index}")), &doubling)
        };
        let inputs = if self.layers == 0 { self.slot_size } else { self.channels };
        let output = ConvTranspose2dConfig::new([inputs, COLOURS + 1], [1, 1]);
        BroadcastDecoder {
            position: SoftPosition::new(initial, "position", Coordinates::Centred, self.slot_size),
            layers: (0..self.layers).map(layer).collect(),
            output: transposed(&initial.scope("output"), &output),
            first_side: self.first_side(),
        }
    }
}

/// `torch.nn.ConvTranspose2d` with its initial values: U(±1/√(outputs · kernel²)), because PyTorch takes
/// the second axis of the weight for the inputs.
fn transposed(initial: &Initial, config: &ConvTranspose2dConfig) -> ConvTranspose2d {
    let ([inputs, outputs], [height, width]) = (config.channels, config.kernel_size);
    let bound = 1.0 / ((outputs * height * width) as f32).sqrt();
    let weight: Param<Tensor<4>> = initial.uniform("weight", [inputs, outputs, height, width], bound);
    ConvTranspose2d {
        weight,
        bias: Some(initial.uniform("bias", [outputs], bound)),
        stride: config.stride,
        kernel_size: config.kernel_size,
        dilation: config.dilation,
        groups: config.groups,
        padding: config.padding,
        padding_out: config.padding_out,
        channels: config.channels,
    }
}

/// Every slot is broadcast over a grid, painted alone, and mixed with the others by its alpha.
#[derive(Module, Debug)]
pub struct BroadcastDecoder {
    position: SoftPosition,
    layers: Vec<ConvTranspose2d>,
    output: ConvTranspose2d,
    #[module(skip)]
    first_side: usize,
}

/// A painted picture.
#[derive(Debug, Clone)]
pub struct Painted {
    /// `[batch, 3, side, side]` within [−1, 1].
    pub picture: Tensor<4>,
    /// `[batch, slots, 3, side, side]`: what each slot painted.
    pub objects: Tensor<5>,
    /// `[batch, slots, side, side]`: softmax over the slots.
    pub masks: Tensor<4>,
}

impl BroadcastDecoder {
    /// `slots [batch, slots, slot_size]`.
    pub fn forward(&self, slots: Tensor<3>) -> Painted {
        let [batch, count, size] = slots.dims();
        let side = self.first_side;
        let position = self.position.forward(side, &slots.device());
        let position = position.transpose().reshape([1, size, side, side]);
        // [batch · slots, size, side, side]
        let mut hidden = slots.reshape([batch * count, size, 1, 1]) + position;
        for layer in &self.layers {
            hidden = activation::relu(ops::conv_transpose2d(layer, hidden));
        }
        let output = ops::conv_transpose2d(&self.output, hidden);
        let [_, _, height, width] = output.dims();
        let colours = output.clone().narrow(1, 0, COLOURS).tanh();
        let objects = colours.reshape([batch, count, COLOURS, height, width]);
        let claims = output.narrow(1, COLOURS, 1);
        let masks = activation::softmax(claims.reshape([batch, count, height, width]), 1);
        let mixed = objects.clone() * masks.clone().unsqueeze_dim::<5>(2);
        Painted { picture: mixed.sum_dim(1).squeeze_dim::<4>(1), objects, masks }
    }

    /// [`BroadcastDecoder::loss`] of a batch's pictures.
    ///
    /// # Errors
    /// Where the batch has no pictures.
    pub fn loss_of(&self, slots: Tensor<3>, batch: &Batch<'_>) -> Result<Tensor<1>> {
        let processor = ImageProcessor::centred(self.image_size() as u32);
        let pictures = processor.batch(&batch.pictures()?, batch.device)?;
        Ok(self.loss(slots, pictures).0)
    }

    /// The mean square of the difference to pictures `[batch, 3, side, side]` within [−1, 1], and what was
    /// painted.
    pub fn loss(&self, slots: Tensor<3>, pictures: Tensor<4>) -> (Tensor<1>, Painted) {
        let painted = self.forward(slots);
        (mean_square(painted.picture.clone(), pictures), painted)
    }

    /// Side of its pictures in pixels.
    pub fn image_size(&self) -> usize {
        self.first_side << self.layers.len()
    }
}

/// Nothing is drawn at random: slots alone decide the picture, at the size that the decoder was made for.
impl Painter for BroadcastDecoder {
    fn paint(&self, slots: Tensor<3>, _: &[&str], _: &Sampling) -> Result<Tensor<4>, NetsError> {
        Ok(self.forward(slots).picture)
    }
}

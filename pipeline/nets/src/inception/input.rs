//! From pictures to what the network sees.

use burn::tensor::{Device, Tensor, TensorData};
use image::RgbImage;

use crate::error::{NetsError, Result};

/// Side of the pictures that the network was trained on.
const SIDE: usize = 299;

/// How a picture is brought to 299 × 299 pixels between −1 and 1. The two differ by up to half a pixel in where
/// they sample, which moves FID: a number belongs to one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum InceptionInput {
    /// pytorch-fid: bilinear between pixel centres, `2 x / 255 − 1`.
    #[default]
    PytorchFid,
    /// torch-fidelity, and with it torchmetrics: bilinear between pixel corners as TensorFlow 1 resized,
    /// `(x − 128) / 128`.
    TorchFidelity,
}

impl InceptionInput {
    /// Pictures of any sizes to `[pictures, 3, 299, 299]`.
    ///
    /// # Errors
    /// [`NetsError::Input`] for no picture, or one without pixels.
    pub fn prepare(self, pictures: &[RgbImage], device: &Device) -> Result<Tensor<4>> {
        if pictures.is_empty() || pictures.iter().any(|picture| picture.width() == 0 || picture.height() == 0) {
            return Err(NetsError::input("a batch needs pictures with pixels"));
        }
        let prepare = |picture: &RgbImage| {
            let (width, height) = (picture.width() as usize, picture.height() as usize);
            let values: Vec<f32> = (0..3)
                .flat_map(|channel| picture.as_raw().iter().skip(channel).step_by(3))
                .map(|&byte| f32::from(byte))
                .collect();
            let data = TensorData::new(values, [1, 3, height, width]);
            self.prepare_bytes(Tensor::from_data(data, device))
        };
        Ok(Tensor::cat(pictures.iter().map(prepare).collect(), 0))
    }

    /// Bytes as floats, `[pictures, 3, height, width]` from 0 to 255, to `[pictures, 3, 299, 299]`.
    pub fn prepare_bytes(self, bytes: Tensor<4>) -> Tensor<4> {
        match self {
            Self::PytorchFid => self.resize(bytes / 255.0) * 2.0 - 1.0,
            Self::TorchFidelity => (self.resize(bytes) - 128.0) / 128.0,
        }
    }

    /// Bilinear along both axes, as two products.
    fn resize(self, x: Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = x.dims();
        let device = x.device();
        // [batch * channels * height, width] x [width, 299]
        let across = x
            .reshape([batch * channels * height, width])
            .matmul(self.sampling(width, &device).transpose())
            .reshape([batch * channels, height, SIDE]);
        // [299, height] x [batch * channels, height, 299]
        self.sampling(height, &device).unsqueeze::<3>().matmul(across).reshape([batch, channels, SIDE, SIDE])
    }

    /// The matrix `[299, old]` of a resampling along one axis.
    fn sampling(self, old: usize, device: &Device) -> Tensor<2> {
        let ratio = old as f32 / SIDE as f32;
        let mut values = vec![0.0_f32; SIDE * old];
        for (at, row) in values.chunks_exact_mut(old).enumerate() {
            let position = match self {
                Self::PytorchFid => ((at as f32 + 0.5) * ratio - 0.5).max(0.0),
                Self::TorchFidelity => at as f32 * ratio,
            };
            let low = (position as usize).min(old - 1);
            let share = position - low as f32;
            row[low] += 1.0 - share;
            row[(low + 1).min(old - 1)] += share;
        }
        Tensor::from_data(TensorData::new(values, [SIDE, old]), device)
    }
}

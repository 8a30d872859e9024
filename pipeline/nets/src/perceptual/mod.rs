//! The networks of LPIPS: what two pictures are compared in when people are to agree with the distance.
//!
//! Features of AlexNet or VGG16 after five of their ReLUs, and a weight for each of their channels. The distance
//! itself is arithmetic on what comes out here (`glass_metrics::perceptual_distance`).

mod trunk;

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use image::RgbImage;

use crate::error::{NetsError, Result};
use crate::weights::{Scope, Weights};
pub use trunk::TrunkKind;
use trunk::{Names, Trunk};

/// What is taken away from red, green and blue, and what is divided by then (`ScalingLayer`).
const SHIFT: [f32; 3] = [-0.030, -0.088, -0.188];
const SCALE: [f32; 3] = [0.458, 0.448, 0.450];

/// The package `lpips`, version 0.1: a trunk and its linear heads.
#[derive(Module, Debug)]
pub struct Perceptual {
    trunk: Trunk,
    /// One weight a channel for every layer.
    #[module(skip)]
    heads: Vec<Vec<f32>>,
}

impl Perceptual {
    /// Loads trunk and heads from one safetensors file that holds the state of `lpips.LPIPS` (`net.slice1.0.weight`,
    /// `lin0.model.1.weight`), or the trunk as torchvision saves it (`features.0.weight`) and the heads from a
    /// second file, as the package `lpips` ships them. Which network it is and how wide, its tensors say.
    ///
    /// # Errors
    /// When a file is missing or damaged, or a tensor is missing or has another shape.
    pub fn load(trunk: impl AsRef<Path>, heads: Option<&Path>, device: &Device) -> Result<Self> {
        let weights = Weights::file(trunk.as_ref())?;
        let names = Names::of(&weights);
        let trunk = Trunk::load(&weights.root(device), names)?;
        let own = match heads {
            Some(path) => Some(Weights::file(path)?),
            None => None,
        };
        let heads = trunk
            .widths()
            .into_iter()
            .enumerate()
            .map(|(layer, width)| head(&own.as_ref().unwrap_or(&weights).root(device), layer, width));
        let heads = heads.collect::<Result<_>>()?;
        // `lins.*` are the heads once more; the classifier of torchvision's files is not part of the features.
        weights.finish(&["lin*", "scaling_layer.*", "classifier.*"])?;
        Ok(Self { trunk, heads })
    }

    /// Which network the features come from.
    pub fn kind(&self) -> TrunkKind {
        self.trunk.kind()
    }

    /// The weights of the channels, layer by layer.
    pub fn heads(&self) -> &[Vec<f32>] {
        &self.heads
    }

    /// Pictures `[batch, 3, height, width]` between −1 and 1 to the features of five layers,
    /// `[batch, channels, …]`, smaller from layer to layer.
    ///
    /// # Errors
    /// [`NetsError::Input`] where a picture is too small for the last layer.
    pub fn forward(&self, pictures: Tensor<4>) -> Result<Vec<Tensor<4>>> {
        let [_, channels, height, width] = pictures.dims();
        let least = self.trunk.kind().least_side();
        if channels != 3 || height < least || width < least {
            return Err(NetsError::input(format!(
                "pictures of {width}x{height} pixels and {channels} channels: three channels and at least {least}x{least} are needed"
            )));
        }
        let device = pictures.device();
        let row = |values: [f32; 3]| Tensor::<1>::from_data(TensorData::from(values), &device).reshape([1, 3, 1, 1]);
        Ok(self.trunk.forward((pictures - row(SHIFT)) / row(SCALE)))
    }

    /// Pictures of one size as the network takes them, `[pictures, 3, height, width]` between −1 and 1.
    ///
    /// # Errors
    /// [`NetsError::Input`] for no picture or different sizes.
    pub fn prepare(pictures: &[RgbImage], device: &Device) -> Result<Tensor<4>> {
        let Some((width, height)) = pictures.first().map(RgbImage::dimensions) else {
            return Err(NetsError::input("a batch needs at least one picture"));
        };
        if pictures.iter().any(|picture| picture.dimensions() != (width, height)) {
            return Err(NetsError::input("pictures of different sizes do not fit one batch"));
        }
        let values: Vec<f32> = pictures
            .iter()
            .flat_map(|picture| (0..3).flat_map(|channel| picture.as_raw().iter().skip(channel).step_by(3)))
            .map(|&byte| f32::from(byte) / 255.0 * 2.0 - 1.0)
            .collect();
        let shape = [pictures.len(), 3, height as usize, width as usize];
        Ok(Tensor::from_data(TensorData::new(values, shape), device))
    }
}

/// The weights of one layer: a convolution of one pixel without bias.
fn head(scope: &Scope<'_>, layer: usize, width: usize) -> Result<Vec<f32>> {
    // Saved behind a dropout, or without one.
    let name = [1, 0]
        .map(|place| format!("lin{layer}.model.{place}.weight"))
        .into_iter()
        .find(|name| scope.contains(name))
        .unwrap_or_else(|| format!("lin{layer}.model.1.weight"));
    let values = scope.tensor::<4>(&name, [1, width, 1, 1])?.into_data().convert::<f32>();
    values.try_to_vec().map_err(|error| NetsError::input(format!("`{name}`: {error:?}")))
}

//! The networks that pictures are compared in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use glass_nets::clip::ClipVisionModel;
use glass_nets::dinov2::Dinov2Model;
use glass_nets::image::ImageProcessor;
use glass_nets::inception::{InceptionInput, InceptionV3};
use glass_nets::perceptual::{Perceptual, TrunkKind};
use glass_nets::{NetsError, Weights};
use glass_schemas::spec::pictures::{InceptionInput as InputChoice, PictureMetricsSpec};
use image::RgbImage;

use crate::eval::EvalError;

/// Key of the network behind the distances among the digests.
const FEATURES: &str = "features";

/// What is compared, and in what.
#[derive(Debug, Clone)]
pub struct Settings {
    /// As the run spec has it.
    pub spec: PictureMetricsSpec,
    /// Folder of the network that is taken without InceptionV3, and the side of the pictures it gets.
    pub encoder: Option<(PathBuf, u32)>,
}

/// The network whose features sets of pictures are compared by.
#[expect(clippy::large_enum_variant, reason = "a judgement has one")]
pub enum FeatureNetwork {
    /// FID and KID.
    Inception {
        /// The network.
        network: InceptionV3,
        /// The resize in front of it.
        input: InceptionInput,
    },
    /// A distance that is not FID: the class token after the last norm.
    Dino {
        /// The network.
        network: Dinov2Model,
        /// Its preprocessing.
        processor: ImageProcessor,
    },
}

/// Loaded networks; pairs of pictures are scored in those that were named.
pub struct Networks {
    /// For sets of pictures; none where none was named.
    pub features: Option<FeatureNetwork>,
    /// sha256 of the weights of everything that was loaded.
    pub digests: BTreeMap<String, String>,
    /// LPIPS.
    pub perceptual: Option<Perceptual>,
    /// CLIP's vision side with its preprocessing.
    pub clip: Option<(ClipVisionModel, ImageProcessor)>,
    /// Where they compute.
    pub device: Device,
}

impl Networks {
    /// Loads everything that is named.
    ///
    /// # Errors
    /// Where a file is missing or damaged, or has another layout.
    pub fn load(settings: &Settings, device: &Device) -> Result<Self, NetsError> {
        let spec = &settings.spec;
        let mut digests = BTreeMap::new();
        let mut of_file = |what: &str, path: &Path| {
            digests.insert(what.to_owned(), Weights::file(path)?.digest());
            Ok::<_, NetsError>(())
        };
        let features = match (&spec.inception, &settings.encoder) {
            (Some(path), _) => {
                let network = InceptionV3::load(path, device)?;
                let input = match spec.inception_input {
                    InputChoice::PytorchFid => InceptionInput::PytorchFid,
                    InputChoice::TorchFidelity => InceptionInput::TorchFidelity,
                };
                of_file(FEATURES, path)?;
                Some(FeatureNetwork::Inception { network, input })
            }
            (None, Some((folder, side))) => {
                let network = Dinov2Model::load(folder, device)?;
                let processor = ImageProcessor::load(folder)?.with_size(*side);
                Some(FeatureNetwork::Dino { network, processor })
            }
            (None, None) => None,
        };
        let mut perceptual = None;
        if let Some(path) = &spec.lpips {
            perceptual = Some(Perceptual::load(path, spec.lpips_heads.as_deref(), device)?);
            of_file("lpips", path)?;
            spec.lpips_heads.iter().try_for_each(|heads| of_file("lpips_heads", heads))?;
        }
        let mut of_folder = |what: &str, folder: &Path| {
            digests.insert(what.to_owned(), Weights::open(folder, "model")?.digest());
            Ok::<_, NetsError>(())
        };
        if let (Some(FeatureNetwork::Dino { .. }), Some((folder, _))) = (&features, &settings.encoder) {
            of_folder(FEATURES, folder)?;
        }
        let mut clip = None;
        if let Some(folder) = &spec.clip {
            clip = Some((ClipVisionModel::load(folder, device)?, ImageProcessor::load(folder)?));
            of_folder("clip", folder)?;
        }
        Ok(Self { features, digests, perceptual, clip, device: device.clone() })
    }

    /// sha256 of the weights behind the distances.
    pub(super) fn digest(&self) -> String {
        self.digests.get(FEATURES).cloned().unwrap_or_default()
    }
}

impl FeatureNetwork {
    /// Features of pictures, `[pictures, dim]`.
    ///
    /// # Errors
    /// Where the network refuses them.
    pub fn features(&self, pictures: &[RgbImage], device: &Device) -> Result<Tensor<2>, NetsError> {
        match self {
            Self::Inception { network, input } => Ok(network.forward(input.prepare(pictures, device)?)),
            Self::Dino { network, processor } => {
                let tokens = network.forward(processor.batch(pictures, device)?)?;
                Ok(tokens.narrow(1, 0, 1).squeeze_dim(1))
            }
        }
    }

    /// Width of a picture's features.
    pub fn dim(&self) -> usize {
        match self {
            Self::Inception { network, .. } => network.features(),
            Self::Dino { network, .. } => network.dim(),
        }
    }

    /// Names of the Fréchet and of the kernel distance in these features.
    pub fn metrics(&self) -> [&'static str; 2] {
        match self {
            Self::Inception { .. } => ["fid", "kid"],
            Self::Dino { .. } => ["frechet_dinov2", "kernel_dinov2"],
        }
    }

    /// What they are features of.
    pub fn describe(&self) -> String {
        match self {
            Self::Inception { network, input } => {
                let input = match input {
                    InceptionInput::PytorchFid => "pytorch-fid",
                    InceptionInput::TorchFidelity => "torch-fidelity",
                };
                format!("InceptionV3, {} features, input as {input}", network.features())
            }
            Self::Dino { network, .. } => format!("DINOv2's class token, {} features", network.dim()),
        }
    }

    /// What has to be said beside a distance, where it is not the published one.
    pub fn note(&self) -> Option<&'static str> {
        match self {
            Self::Inception { .. } => None,
            Self::Dino { .. } => Some("distance on DINOv2 features, not FID or KID: no InceptionV3 was named"),
        }
    }
}

/// What LPIPS compares in.
pub(super) fn describe(network: &Perceptual) -> &'static str {
    match network.kind() {
        TrunkKind::AlexNet => "AlexNet",
        TrunkKind::Vgg16 => "VGG16",
    }
}

/// The values of a tensor, row by row.
pub(super) fn floats<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, EvalError> {
    let data = tensor.into_data().convert::<f32>();
    data.try_to_vec().map_err(|error| EvalError::Shape(format!("{error:?}")))
}

//! The training set of a run on real images.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use flate2::read::DeflateDecoder;
use glass_metrics::{GroundTruth, LabelMap};
use glass_nets::image::decode;
use glass_schemas::ids::Digest;
use image::RgbImage;
use serde::{Deserialize, Serialize};

use super::annotated::PixelBox;
use super::latents::LatentEncoder;
use super::unpacked::{self, FeatureSource, PICTURES, on};
use super::{ObjectBox, Side, TrainingSet, TrainingView, Visit, mirror};
use crate::error::{Result, TrainerError};

/// Label of "nothing is known of this pixel" in masks.
const UNKNOWN: u8 = 255;

/// What an unpacked set of images holds; written last, so that its presence means completeness.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageIndex {
    /// Digest of the names, sizes and annotations it was unpacked from.
    pub source: Digest,
    /// The images in their order.
    pub images: Vec<ImageEntry>,
    /// Whether annotations came with them.
    pub annotated: bool,
    /// Rows and width of the features.
    pub feature_shape: [usize; 2],
}

/// One image of an unpacked set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageEntry {
    /// Its name in its set.
    pub name: String,
    /// Width and height in pixels.
    pub size: (usize, usize),
    /// Where it ends in `pictures.bin`; it begins where the one before ends.
    pub end: u64,
    /// Where its label maps end in `labels.bin`.
    pub labels_end: u64,
    /// Boxes of its objects: left, top, right, bottom in pixels, and the class.
    pub boxes: Vec<([f64; 4], u16)>,
}

/// The packed label maps, one after the other.
pub(super) const LABELS: &str = "labels.bin";

/// Real images unpacked beside the run.
pub struct ImageSet {
    index: ImageIndex,
    folder: PathBuf,
    pictures: File,
    labels: File,
    features: FeatureSource,
    view: TrainingView,
    /// Side of the square that the encoder sees.
    size: u32,
    /// Side of masks.
    mask_side: usize,
    latents: Option<(LatentEncoder, u64)>,
}

impl ImageSet {
    /// Opens what [`super::ImagePreparation`] unpacked.
    ///
    /// # Errors
    /// [`TrainerError::File`], [`TrainerError::State`].
    pub(super) fn open(
        folder: &Path,
        encoder: Option<Box<dyn crate::encoders::Encoder>>,
        view: TrainingView,
        size: u32,
        mask_side: usize,
    ) -> Result<Self> {
        let index: ImageIndex = unpacked::index(folder)?;
        let file = |name: &str| {
            let path = folder.join(name);
            File::open(&path).map_err(TrainerError::file(&path))
        };
        Ok(Self {
            pictures: file(PICTURES)?,
            labels: file(LABELS)?,
            folder: folder.to_owned(),
            features: FeatureSource::open(folder, encoder, index.feature_shape, index.images.len())?,
            view,
            size,
            mask_side,
            latents: None,
            index,
        })
    }

    /// With latents encoded at every visit; `seed` draws their noise.
    #[must_use]
    pub fn with_latents(self, encoder: LatentEncoder, seed: u64) -> Self {
        Self { latents: Some((encoder, seed)), ..self }
    }

    /// What it holds.
    pub fn index(&self) -> &ImageIndex {
        &self.index
    }

    fn read(&self, file: &File, name: &str, start: u64, end: u64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; (end - start) as usize];
        file.read_exact_at(&mut bytes, start).map_err(TrainerError::file(&self.folder.join(name)))?;
        Ok(bytes)
    }

    /// The squares of `side` pixels that the visits see.
    fn squares(&self, visits: &[Visit], side: u32) -> Result<Vec<RgbImage>> {
        let square = |visit: &Visit| {
            let before = visit.sample.checked_sub(1).map_or(0, |before| self.index.images[before].end);
            let end = self.index.images[visit.sample].end;
            let picture = decode(&self.read(&self.pictures, PICTURES, before, end)?)?;
            self.view.square(visit, &picture, side)
        };
        visits.iter().map(square).collect()
    }

    fn entry_boxes(&self, visit: &Visit) -> Vec<ObjectBox> {
        let entry = &self.index.images[visit.sample];
        let boxes: Vec<PixelBox> = entry.boxes.iter().map(|&(corners, class)| PixelBox { corners, class }).collect();
        self.view.boxes(visit, &boxes, entry.size, self.size as usize)
    }

    /// The label maps of one image as they were stored, of its size.
    fn maps(&self, sample: usize) -> Result<[LabelMap; 2]> {
        let before = sample.checked_sub(1).map_or(0, |before| self.index.images[before].labels_end);
        let entry = &self.index.images[sample];
        let packed = self.read(&self.labels, LABELS, before, entry.labels_end)?;
        let (width, height) = entry.size;
        let mut bytes = vec![0; width * height * 4];
        DeflateDecoder::new(packed.as_slice())
            .read_exact(&mut bytes)
            .map_err(TrainerError::file(&self.folder.join(LABELS)))?;
        let (instances, classes) = bytes.split_at(width * height * 2);
        let map = |bytes: &[u8]| {
            let labels = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
            LabelMap::new(width, height, labels)
        };
        Ok([map(instances)?, map(classes)?])
    }

    fn annotated(&self) -> Result<()> {
        match self.index.annotated {
            true => Ok(()),
            false => Err(TrainerError::Spec {
                field: "trainer.data.images.format",
                message: "these pictures have no annotations, and the run needs boxes or objects".into(),
            }),
        }
    }
}

impl TrainingSet for ImageSet {
    fn len(&self) -> usize {
        self.index.images.len()
    }

    fn name(&self, sample: usize) -> String {
        self.index.images[sample].name.clone()
    }

    fn feature_shape(&self) -> [usize; 2] {
        self.index.feature_shape
    }

    fn features(&self, visits: &[Visit], device: &Device) -> Result<Tensor<3>> {
        self.features.of(visits, self.index.feature_shape, device, || self.squares(visits, self.size))
    }

    /// Real images have no pseudo-masks: every pixel is undecided, and guides nothing.
    fn masks(&self, visits: &[Visit]) -> Result<Vec<u8>> {
        Ok(vec![UNKNOWN; visits.len() * self.mask_side * self.mask_side])
    }

    fn weights(&self, visits: &[Visit]) -> Vec<f32> {
        vec![1.0; visits.len()]
    }

    fn latents(&self, visits: &[Visit], device: &Device) -> Result<Tensor<4>> {
        let Some((encoder, seed)) = &self.latents else {
            return Err(TrainerError::Spec {
                field: "trainer.diffusion.latents",
                message: "real images have no stored latents: it must be `encode`".into(),
            });
        };
        let noise: Vec<_> = visits.iter().map(|visit| LatentEncoder::stream(*seed, visit)).collect();
        // From the picture itself, not from the encoder's square: each network sees one resize.
        Ok(on(encoder.encode(&self.squares(visits, encoder.side())?, &noise)?, device))
    }

    fn picture(&self, visit: &Visit) -> Result<RgbImage> {
        Ok(self.squares(std::slice::from_ref(visit), self.size)?.swap_remove(0))
    }

    fn boxes(&self, visits: &[Visit]) -> Result<Vec<Vec<ObjectBox>>> {
        self.annotated()?;
        Ok(visits.iter().map(|visit| self.entry_boxes(visit)).collect())
    }

    fn objects(&self, visits: &[Visit], side: usize) -> Result<Vec<GroundTruth>> {
        self.annotated()?;
        let seen = |visit: &Visit| {
            let sampling = self.view.sampling(visit, self.index.images[visit.sample].size, side);
            let [instances, semantics] = self.maps(visit.sample)?;
            let seen = |map: LabelMap| -> Result<LabelMap> {
                let map = map.sample(&sampling)?;
                Ok(match visit.side {
                    Side::Plain => map,
                    Side::Mirrored => LabelMap::new(side, side, mirror(map.labels(), side, 1))?,
                })
            };
            Ok(GroundTruth { instances: seen(instances)?, semantics: seen(semantics)? })
        };
        visits.iter().map(seen).collect()
    }
}

//! Unpacking real images beside the run, and computing frozen features once.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::DeflateEncoder;
use glass_metrics::{GroundTruth, LabelMap, Protocol, Sampling, TruthLabels, VoidPixels};
use glass_nets::image::decode;
use glass_schemas::ids::Digest;
use glass_schemas::spec::trainer::{EncoderSpec, Switch, TrainerSpec};
use image::RgbImage;

use super::annotated::{AnnotatedImages, DataError, Picture};
use super::images::{ImageEntry, ImageIndex, ImageSet, LABELS};
use super::rows::RowWriter;
use super::unpacked::{ENCODE_BATCH, FeatureWriter, PICTURES, Unfinished, is_whole};
use super::{Side, TrainingView, Visit};
use crate::encoders::Encoder;
use crate::error::{Result, TrainerError};

/// Unpacks a set of images into a folder of its own below `scratch`: from wherever they lie, they are read once.
pub struct ImagePreparation<'a> {
    /// The run's constants.
    pub spec: &'a TrainerSpec,
    /// The images.
    pub images: &'a AnnotatedImages,
    /// Digest of the encoder's weights.
    pub encoder_digest: Digest,
    /// Where unpacked sets live; may be emptied at any time.
    pub scratch: &'a Path,
    /// Draws where random squares are cut.
    pub seed: u64,
}

impl ImagePreparation<'_> {
    /// Opens the set, unpacking it first where that has not been done yet. Reading blocks: not to be called from a
    /// task of the runtime.
    ///
    /// # Errors
    /// [`TrainerError::Spec`] where the spec asks for what real images cannot give; an image or annotation that
    /// cannot be used, by name.
    pub fn open(&self, encoder: Box<dyn Encoder>) -> Result<ImageSet> {
        let data = &self.spec.data;
        let view = TrainingView::new(data, self.seed);
        if data.cache == Switch::On && !view.is_fixed() {
            return Err(TrainerError::Spec {
                field: "trainer.data.cache",
                message:
                    "is `on`, but squares are cut anew at every visit: `crop = \"random\"` needs `cache = \"off\"`"
                        .into(),
            });
        }
        let folder = self.folder();
        if !is_whole(&folder) {
            self.unpack(&folder, encoder.as_ref(), &view)?;
        }
        let computed = (data.cache == Switch::Off).then_some(encoder);
        let set = ImageSet::open(
            &folder,
            computed,
            view,
            self.spec.encoder.image_size,
            self.spec.guidance.resolution as usize,
        )?;
        tracing::info!(images = set.index().images.len(), annotated = set.index().annotated, "real images opened");
        Ok(set)
    }

    /// One folder for everything that changes a byte in it.
    fn folder(&self) -> PathBuf {
        // Where weights lie is no part of what they are.
        let encoder = EncoderSpec { weights: PathBuf::new(), ..self.spec.encoder.clone() };
        let parts = serde_json::json!({
            "images": self.images.digest(),
            "set": self.spec.data.images.without_places(),
            "encoder": self.encoder_digest,
            "view": encoder,
            "resampling": self.spec.data.resampling,
            "cache": self.spec.data.cache,
        });
        let digest = Digest::of(parts.to_string().as_bytes());
        self.scratch.join(format!("images-{}", digest.short(16)))
    }

    fn unpack(&self, folder: &Path, encoder: &dyn Encoder, view: &TrainingView) -> Result<()> {
        let unfinished = Unfinished::create(folder)?;
        let mut writer = ImageWriter::create(unfinished.path(), self, encoder, view)?;
        for picture in self.images.pictures() {
            writer.push(picture)?;
        }
        unfinished.finish(&writer.finish()?)
    }
}

/// Writes the files of a set.
struct ImageWriter<'a> {
    images: &'a AnnotatedImages,
    encoder: Option<&'a dyn Encoder>,
    view: &'a TrainingView,
    size: u32,
    folder: PathBuf,
    index: ImageIndex,
    pictures: RowWriter,
    labels: RowWriter,
    features: FeatureWriter,
    waiting: [Vec<RgbImage>; 2],
    protocol: Protocol,
}

impl<'a> ImageWriter<'a> {
    fn create(
        folder: &Path,
        preparation: &'a ImagePreparation<'_>,
        encoder: &'a dyn Encoder,
        view: &'a TrainingView,
    ) -> Result<Self> {
        let writer = |name: &str| RowWriter::create(&folder.join(name));
        let spec = preparation.spec;
        Ok(Self {
            images: preparation.images,
            encoder: (spec.data.cache == Switch::On).then_some(encoder),
            view,
            size: spec.encoder.image_size,
            folder: folder.to_owned(),
            index: ImageIndex {
                source: preparation.images.digest(),
                images: Vec::new(),
                annotated: preparation.images.annotations().are_given(),
                feature_shape: encoder.feature_shape(),
            },
            pictures: writer(PICTURES)?,
            labels: writer(LABELS)?,
            features: FeatureWriter::create(folder)?,
            waiting: [Vec::new(), Vec::new()],
            // Objects as annotated: crowds left out, the later of two over the earlier, undecided pixels marked.
            protocol: Protocol { labels: TruthLabels::Keep, void: VoidPixels::Ignore, ..Protocol::glass_release() },
        })
    }

    fn push(&mut self, picture: &Picture) -> Result<()> {
        let bytes = self.images.bytes(picture)?;
        let stored;
        // A picture of which only a window is used is kept as that window.
        let bytes = match picture.is_whole() {
            true => bytes.as_ref(),
            false => {
                stored = crate::eval::samples::png(&self.images.decode(picture)?)
                    .map_err(|error| TrainerError::state("window", error))?;
                stored.as_slice()
            }
        };
        self.pictures.push(bytes)?;
        let before = self.index.images.last().map_or((0, 0), |last| (last.end, last.labels_end));
        let decoded = match self.encoder.is_some() || !self.index.annotated {
            true => Some(self.decode(picture, bytes)?),
            false => None,
        };
        let mut entry = ImageEntry {
            name: picture.name.clone(),
            size: (picture.width, picture.height),
            end: before.0 + bytes.len() as u64,
            labels_end: before.1,
            boxes: Vec::new(),
        };
        if let Some(decoded) = &decoded {
            entry.size = (decoded.width() as usize, decoded.height() as usize);
        }
        if self.index.annotated {
            entry.labels_end += self.annotate(picture, &mut entry)?;
        }
        self.index.images.push(entry);
        match decoded {
            Some(decoded) if self.encoder.is_some() => self.encode(&decoded),
            _ => Ok(()),
        }
    }

    fn decode(&self, picture: &Picture, bytes: &[u8]) -> Result<RgbImage> {
        if picture.is_whole() {
            let path = self.images.path(picture);
            let decoded = decode(bytes).map_err(|source| DataError::Picture { path, source })?;
            return Ok(self.images.fitting(picture, decoded)?);
        }
        Ok(self.images.decode(picture)?)
    }

    /// Boxes and packed label maps of a picture; returns the bytes of the maps.
    fn annotate(&mut self, picture: &Picture, entry: &mut ImageEntry) -> Result<u64> {
        let annotations = self.images.annotations();
        let boxes = annotations.boxes(picture)?;
        entry.boxes = boxes.iter().map(|object| (object.corners, object.class)).collect();
        let whole = Sampling::whole(picture.width, picture.height);
        let truth = annotations.truth(picture, &self.protocol, &whole)?;
        let empty = || LabelMap::filled(picture.width, picture.height, 0);
        let truth = truth.unwrap_or_else(|| GroundTruth { instances: empty(), semantics: empty() });
        let mut packed = DeflateEncoder::new(Vec::new(), Compression::fast());
        for map in [&truth.instances, &truth.semantics] {
            let bytes: Vec<u8> = map.labels().iter().flat_map(|label| label.to_le_bytes()).collect();
            packed.write_all(&bytes).map_err(TrainerError::file(&self.folder))?;
        }
        let packed = packed.finish().map_err(TrainerError::file(&self.folder))?;
        self.labels.push(&packed)?;
        Ok(packed.len() as u64)
    }

    /// Takes a picture for the encoder, plain and mirrored.
    fn encode(&mut self, picture: &RgbImage) -> Result<()> {
        for (side, waiting) in [Side::Plain, Side::Mirrored].into_iter().zip(&mut self.waiting) {
            // The square is the same at every visit, or there would be no cache.
            let visit = Visit { position: 0, sample: 0, side };
            waiting.push(self.view.square(&visit, picture, self.size)?);
        }
        match self.waiting[0].len() < ENCODE_BATCH {
            true => Ok(()),
            false => self.flush(),
        }
    }

    /// Features of the pictures that wait.
    fn flush(&mut self) -> Result<()> {
        let Some(encoder) = self.encoder.filter(|_| !self.waiting[0].is_empty()) else { return Ok(()) };
        self.features.push(encoder, &std::mem::take(&mut self.waiting))?;
        tracing::info!(images = self.index.images.len(), "features computed");
        Ok(())
    }

    /// Ends the files, and gives the index of what is in them.
    fn finish(mut self) -> Result<ImageIndex> {
        self.flush()?;
        self.pictures.finish()?;
        self.labels.finish()?;
        self.features.finish()?;
        Ok(self.index)
    }
}

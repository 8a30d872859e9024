//! Real images with what annotators said of them, as they were published.
//!
//! Every format ends in the same two things: [`Annotations`], which know the pictures and their truth under any
//! protocol without opening a picture, and [`AnnotatedImages`], which open them as well. Label maps are read when they
//! are asked for, so that memory does not grow with the set; of a COCO file the regions stay in memory, packed as they
//! were written.

mod clevrtex;
mod error;
mod files;
mod folders;
mod generated;
mod instances;
mod label_png;
mod maps;
mod matlab;
mod open;
mod picture;
mod tables;
mod voc;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use glass_metrics::{Annotation, GroundTruth, IGNORE, Protocol, Sampling};
use glass_schemas::ids::Digest;
use image::{RgbImage, imageops};

pub use error::{DataError, Faults, Result};
pub use files::{Access, Files};
pub use instances::segmentation;
pub use label_png::label_values;
pub use maps::Maps;
pub use matlab::{Array, read_struct};
pub use open::open;
pub use picture::{Picture, PixelBox};

use maps::MapSource;

/// Pictures by name and size with their truth; no picture is opened for it.
pub struct Annotations {
    /// What messages call it.
    name: PathBuf,
    pictures: Vec<Picture>,
    /// Class names; class `n` of an [`Annotation`] is entry `n − 1`. Empty where classes have no names.
    classes: Vec<String>,
    labels: Labels,
}

/// Where truth comes from.
enum Labels {
    /// From the regions of each picture.
    Regions,
    /// From label maps.
    Maps {
        source: Box<dyn MapSource>,
        /// Label of undecided pixels.
        void: Option<u16>,
    },
    /// Nothing is annotated.
    Nothing,
}

impl Annotations {
    /// Reads a COCO annotation file of this machine; `limit` keeps the first so many pictures.
    ///
    /// # Errors
    /// [`DataError::File`] and [`DataError::Json`] for the file itself, [`DataError::Field`] where it lists no
    /// picture, or an entry points to an image or a category that is not listed.
    pub fn open(path: &Path, limit: Option<u64>) -> Result<Self> {
        let text = std::fs::read(path).map_err(DataError::read(path))?;
        let reading = instances::Reading { path, limit, ..instances::Reading::default() };
        reading.annotations(&text, &mut Faults::Refuse)
    }

    /// The file or folder they come from.
    pub fn path(&self) -> &Path {
        &self.name
    }

    /// The pictures, in their order.
    pub fn pictures(&self) -> &[Picture] {
        &self.pictures
    }

    /// Class names, class 1 first; empty where classes have none.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The masks of one picture in their order, those of label maps by ascending label.
    ///
    /// # Errors
    /// [`DataError::Field`] names the segmentation or the map that is damaged or of another size than its picture.
    pub fn regions(&self, picture: &Picture) -> Result<Vec<Annotation>> {
        match &self.labels {
            Labels::Regions => picture.masks(&self.name),
            Labels::Maps { source, void } => Ok(source.maps(picture)?.objects(*void)),
            Labels::Nothing => Err(self.nothing()),
        }
    }

    /// The boxes of one picture in pixels, crowds and degenerate ones left out as the loaders of the GLASS and
    /// SlotDiffusion code do: both sides at least a pixel, some area, some of it inside the picture.
    ///
    /// # Errors
    /// As [`Annotations::regions`].
    pub fn boxes(&self, picture: &Picture) -> Result<Vec<PixelBox>> {
        match &self.labels {
            Labels::Regions => picture.boxes(&self.name),
            Labels::Maps { source, void } => Ok(picture::boxes_of(&source.maps(picture)?.objects(*void))),
            Labels::Nothing => Err(self.nothing()),
        }
    }

    /// The ground truth of one picture under every protocol, at its mask size; `None` where a protocol leaves the
    /// picture out.
    ///
    /// # Errors
    /// As [`Annotations::regions`].
    pub fn truths(&self, picture: &Picture, protocols: &[Protocol]) -> Result<Vec<Option<GroundTruth>>> {
        let labelled = self.labelled(picture)?;
        let truth = |protocol: &Protocol| {
            let side = protocol.mask_size as usize;
            labelled.truth(protocol, &Sampling::square(protocol, picture.width, picture.height, side))
        };
        protocols.iter().map(truth).collect()
    }

    /// The ground truth of one picture under one protocol, at the pixels of `sampling`.
    ///
    /// # Errors
    /// As [`Annotations::regions`].
    pub fn truth(&self, picture: &Picture, protocol: &Protocol, sampling: &Sampling) -> Result<Option<GroundTruth>> {
        self.labelled(picture)?.truth(protocol, sampling)
    }

    fn labelled(&self, picture: &Picture) -> Result<Labelled> {
        match &self.labels {
            Labels::Regions => Ok(Labelled::Regions(picture.masks(&self.name)?)),
            // No map holds the reserved label: nothing is undecided where the format knows no such pixels.
            Labels::Maps { source, void } => Ok(Labelled::Maps(source.maps(picture)?, void.unwrap_or(IGNORE))),
            Labels::Nothing => Err(self.nothing()),
        }
    }

    /// What the truth consists of.
    pub fn truth_kind(&self) -> TruthKind {
        match self.labels {
            Labels::Regions
                if self.pictures.iter().flat_map(|picture| &picture.regions).any(picture::Region::is_box) =>
            {
                TruthKind::Boxes
            }
            _ => TruthKind::Masks,
        }
    }

    /// Whether there is any truth.
    pub fn are_given(&self) -> bool {
        !matches!(self.labels, Labels::Nothing)
    }

    fn nothing(&self) -> DataError {
        DataError::Format {
            uri: self.name.display().to_string(),
            problem: "has no annotations".into(),
            hint: "pictures of the format `pictures` can be trained on, but not be scored".into(),
        }
    }
}

/// What annotators drew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TruthKind {
    /// The pixels of objects.
    Masks,
    /// Boxes alone (Objects365): where masks are asked for, boxes are painted.
    Boxes,
}

/// What is said of one picture, read once for all protocols.
enum Labelled {
    Regions(Vec<Annotation>),
    /// Maps and the label of undecided pixels.
    Maps(Maps, u16),
}

impl Labelled {
    fn truth(&self, protocol: &Protocol, sampling: &Sampling) -> Result<Option<GroundTruth>> {
        Ok(match self {
            Self::Regions(regions) => GroundTruth::paint(protocol, sampling, regions)?,
            Self::Maps(Maps { instances, classes }, void) => {
                Some(GroundTruth::from_label_maps(protocol, sampling, instances, classes, *void)?)
            }
        })
    }
}

/// Where the bytes of pictures come from.
trait PictureSource: Send + Sync {
    /// A picture as it is stored.
    fn bytes(&self, picture: &Picture) -> Result<Bytes>;

    /// What messages call it.
    fn name(&self, picture: &Picture) -> PathBuf;
}

/// Pictures with their annotations.
pub struct AnnotatedImages {
    annotations: Annotations,
    source: Box<dyn PictureSource>,
    digest: Digest,
}

impl AnnotatedImages {
    /// Pictures of a folder and a COCO annotation file of this machine; `limit` keeps the first so many.
    ///
    /// # Errors
    /// As [`Annotations::open`], and [`DataError::Field`] where a picture is not in the folder.
    pub fn open(folder: &Path, annotations: &Path, limit: Option<u64>) -> Result<Self> {
        let spec = glass_schemas::spec::ImagesSpec {
            uri: folder.display().to_string(),
            annotations: annotations.display().to_string(),
            limit,
            ..Default::default()
        };
        open(&spec, &Access::local(), &mut Faults::Refuse)
    }

    /// What annotators said, without the pictures.
    pub fn into_annotations(self) -> Annotations {
        self.annotations
    }

    /// What annotators said.
    pub fn annotations(&self) -> &Annotations {
        &self.annotations
    }

    /// The pictures, in their order.
    pub fn pictures(&self) -> &[Picture] {
        self.annotations.pictures()
    }

    /// Digest of names, sizes and annotation files: another set of images is another run. Pictures themselves are not
    /// read for it.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What to call a picture in messages: its path, where it has one.
    pub fn path(&self, picture: &Picture) -> PathBuf {
        self.source.name(picture)
    }

    /// One picture as it is stored.
    ///
    /// # Errors
    /// [`DataError::File`], [`DataError::Store`].
    pub fn bytes(&self, picture: &Picture) -> Result<Bytes> {
        self.source.bytes(picture)
    }

    /// Decodes one picture.
    ///
    /// # Errors
    /// As [`AnnotatedImages::bytes`], [`DataError::Picture`], and [`DataError::PictureSize`] where the picture is not
    /// of the size that its annotations were made at.
    pub fn decode(&self, picture: &Picture) -> Result<RgbImage> {
        let bytes = self.source.bytes(picture)?;
        let decoded = glass_nets::image::decode(&bytes)
            .map_err(|source| DataError::Picture { path: self.path(picture), source })?;
        let decoded = self.fitting(picture, decoded)?;
        Ok(match picture.window {
            None => decoded,
            Some(window) => {
                let [left, top, width, height] = window.map(|pixels| pixels as u32);
                imageops::crop_imm(&decoded, left, top, width, height).to_image()
            }
        })
    }

    /// A decoded picture, if it is of the size that its annotations were made at. The size of a picture without
    /// annotations is known from itself alone.
    pub(super) fn fitting(&self, picture: &Picture, decoded: RgbImage) -> Result<RgbImage> {
        let found = (decoded.width() as usize, decoded.height() as usize);
        let expected = picture.stored_size();
        if self.annotations.are_given() && found != expected {
            return Err(DataError::PictureSize {
                path: self.path(picture),
                annotations: picture.sized_by(&self.annotations.name),
                found: format!("{}×{}", found.0, found.1),
                expected: format!("{}×{}", expected.0, expected.1),
            });
        }
        Ok(decoded)
    }
}

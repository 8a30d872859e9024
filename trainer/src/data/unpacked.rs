//! What every unpacked training set is: a folder that appears whole, with an index that is written last,
//! encoded pictures, and features of the frozen encoder.

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device, Tensor, TensorData};
use image::RgbImage;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Visit;
use super::rows::{RowWriter, Rows};
use crate::encoders::Encoder;
use crate::error::{Result, TrainerError};
use crate::guidance::host;

/// The encoded pictures, one after the other.
pub(super) const PICTURES: &str = "pictures.bin";
/// Its presence means completeness.
const INDEX: &str = "index.json";
/// Features of the plain and of the mirrored pictures.
const FEATURES: [&str; 2] = ["features.f32", "features-mirrored.f32"];

/// Pictures encoded at once.
pub(super) const ENCODE_BATCH: usize = 32;

/// Whether a folder holds a whole set.
pub(super) fn is_whole(folder: &Path) -> bool {
    folder.join(INDEX).exists()
}

/// The index of a whole set.
pub(super) fn index<T: DeserializeOwned>(folder: &Path) -> Result<T> {
    let path = folder.join(INDEX);
    let text = std::fs::read(&path).map_err(TrainerError::file(&path))?;
    serde_json::from_slice(&text).map_err(|error| TrainerError::state(&format!("`{}`", path.display()), error))
}

/// A folder that is being filled. Another process may unpack the same set: each works in a folder of its
/// own, and the first to rename it wins.
pub(super) struct Unfinished<'a> {
    folder: &'a Path,
    partial: PathBuf,
}

impl<'a> Unfinished<'a> {
    /// An empty folder beside the one that it will be.
    pub(super) fn create(folder: &'a Path) -> Result<Self> {
        let partial = folder.with_extension(format!("partial-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&partial);
        std::fs::create_dir_all(&partial).map_err(TrainerError::file(&partial))?;
        Ok(Self { folder, partial })
    }

    /// Where to write.
    pub(super) fn path(&self) -> &Path {
        &self.partial
    }

    /// Writes the index, and gives the folder its name.
    pub(super) fn finish(self, index: &impl Serialize) -> Result<()> {
        let path = self.partial.join(INDEX);
        let json = serde_json::to_vec(index).map_err(|error| TrainerError::state(INDEX, error))?;
        std::fs::write(&path, json).map_err(TrainerError::file(&path))?;
        match std::fs::rename(&self.partial, self.folder) {
            Err(_) if is_whole(self.folder) => {
                let _ = std::fs::remove_dir_all(&self.partial);
                Ok(())
            }
            renamed => renamed.map_err(TrainerError::file(self.folder)),
        }
    }
}

/// Writes features: of plain pictures to one file, of mirrored ones to another.
pub(super) struct FeatureWriter([RowWriter; 2]);

impl FeatureWriter {
    pub(super) fn create(folder: &Path) -> Result<Self> {
        let [plain, mirrored] = FEATURES.map(|name| RowWriter::create(&folder.join(name)));
        Ok(Self([plain?, mirrored?]))
    }

    /// Appends the features of pictures in two views, plain and mirrored.
    pub(super) fn push(&mut self, encoder: &dyn Encoder, views: &[Vec<RgbImage>; 2]) -> Result<()> {
        for (pictures, writer) in views.iter().zip(&mut self.0) {
            writer.push_f32(&host(encoder.encode(pictures)?))?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<()> {
        self.0.into_iter().try_for_each(RowWriter::finish)
    }
}

/// Where features come from.
pub enum FeatureSource {
    /// Computed once, for the plain and the mirrored picture.
    Cached([Rows; 2]),
    /// Computed at every visit.
    Computed(Box<dyn Encoder>),
}

impl FeatureSource {
    /// The encoder where there is one, else the files of a whole set of `count` pictures, whose rows are of
    /// `shape`: tokens and width.
    pub(super) fn open(
        folder: &Path,
        encoder: Option<Box<dyn Encoder>>,
        shape: [usize; 2],
        count: usize,
    ) -> Result<Self> {
        let rows = |name: &str| Rows::open(&folder.join(name), shape.iter().product::<usize>() * 4, count);
        Ok(match encoder {
            Some(encoder) => Self::Computed(encoder),
            None => Self::Cached([rows(FEATURES[0])?, rows(FEATURES[1])?]),
        })
    }

    /// `[visits, tokens, width]`; `pictures` gives what the visits see, for an encoder.
    pub(super) fn of(
        &self,
        visits: &[Visit],
        [tokens, width]: [usize; 2],
        device: &Device,
        pictures: impl FnOnce() -> Result<Vec<RgbImage>>,
    ) -> Result<Tensor<3>> {
        match self {
            Self::Cached(rows) => {
                let mut bytes = Vec::with_capacity(visits.len() * tokens * width * 4);
                for visit in visits {
                    rows[visit.side as usize].read(visit.sample, &mut bytes)?;
                }
                let data = TensorData::from_bytes_vec(bytes, [visits.len(), tokens, width], DType::F32);
                Ok(Tensor::from_data(data, device))
            }
            Self::Computed(encoder) => Ok(on(encoder.encode(&pictures()?)?, device)),
        }
    }
}

/// What a frozen network computed, on the device of the trained ones.
pub(super) fn on<const D: usize>(tensor: Tensor<D>, device: &Device) -> Tensor<D> {
    if device.is_autodiff() { Tensor::from_inner(tensor) } else { tensor }
}

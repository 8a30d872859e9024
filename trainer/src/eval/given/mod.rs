//! Masks made elsewhere: folders of PNG, `.npy` and `.npz`, archives, COCO results, Parquet.
//!
//! Every form ends in [`Segments`]; nothing after it knows where masks came from.

pub(crate) mod archive;
mod folder;
pub(crate) mod npy;
mod parquet;
mod png;
mod results;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use glass_metrics::{Connectivity, LabelMap, Mask, Protocol, Sampling, Segmentation};

use self::archive::Archive;
use super::EvalError;
use super::annotations::{Annotations, Picture};
use super::masks::soft_to_labels;

/// Value of ground in class masks.
pub const GROUND: i64 = 0;
/// Value of undecided pixels in class masks.
pub const UNDECIDED: i64 = 255;
/// What soft masks lack.
const SOFT: &str = "holds soft masks, which have no classes";

/// Segments of one picture.
#[derive(Debug)]
pub enum Segments {
    /// One segment a pixel.
    Labels {
        /// Numbered from 0 in the order of their values.
        map: LabelMap,
        /// The value that each label stands for in the file.
        values: Vec<i64>,
    },
    /// Soft masks of the evaluated square, brought to its size as a model's are.
    Soft {
        /// `[slots, side, side]`
        masks: Vec<f32>,
        /// Segments.
        slots: usize,
        /// Values along one side.
        side: usize,
    },
}

impl Segments {
    /// The segments on the square that `protocol` compares; `None` where they are neither of the picture's size nor of
    /// the protocol's.
    ///
    /// # Errors
    /// [`EvalError::Metrics`], which does not occur for sizes that were checked.
    pub fn square(&self, protocol: &Protocol, picture: &Picture) -> Result<Option<LabelMap>, EvalError> {
        let side = protocol.mask_size as usize;
        let labels = match self {
            Self::Labels { map, .. } if map.size() == (picture.width, picture.height) => {
                map.sample(&Sampling::square(protocol, picture.width, picture.height, side))?
            }
            Self::Labels { map, .. } if map.size() == (side, side) => map.clone(),
            Self::Labels { .. } => return Ok(None),
            Self::Soft { masks, slots, side: grid } => soft_to_labels(masks, *slots, *grid, side),
        };
        Ok(Some(labels))
    }

    /// Any numbers as labels: each value is a segment, whatever it is.
    ///
    /// # Errors
    /// Where there are more values than labels.
    fn of_values(width: usize, height: usize, values: &[i64]) -> Result<Self, String> {
        // Neighbours are mostly equal: one value a run is sorted and looked up, not one a pixel.
        let runs: Vec<&[i64]> = values.chunk_by(|a, b| a == b).collect();
        let mut distinct: Vec<i64> = runs.iter().map(|run| run[0]).collect();
        distinct.sort_unstable();
        distinct.dedup();
        if distinct.len() > usize::from(glass_metrics::OVERLAP) {
            return Err(format!("has {} different values, too many for segments", distinct.len()));
        }
        let mut labels = Vec::with_capacity(values.len());
        for run in runs {
            let label = distinct.binary_search(&run[0]).unwrap_or_default() as u16;
            labels.resize(labels.len() + run.len(), label);
        }
        let map = LabelMap::new(width, height, labels).map_err(|error| error.to_string())?;
        Ok(Self::Labels { map, values: distinct })
    }

    /// Class masks taken apart: every connected part of a class (neighbours along sides and corners) becomes a segment
    /// of its own. Ground (0) and undecided pixels (255) stay one segment.
    ///
    /// # Errors
    /// What is wrong: soft masks have no classes, and there are only so many labels.
    pub fn parts(self) -> Result<Self, String> {
        let Self::Labels { map, values } = self else { return Err(SOFT.into()) };
        let (width, height) = map.size();
        let mut parts = vec![0_i64; width * height];
        let mut count = 0;
        for (label, _) in values.iter().enumerate().filter(|(_, value)| !matches!(**value, GROUND | UNDECIDED)) {
            let class = Mask::of_label(&map, label as u16);
            let (numbered, areas) = class.components(Connectivity::Eight).map_err(|error| error.to_string())?;
            for (part, &number) in parts.iter_mut().zip(numbered.labels()).filter(|(_, number)| **number > 0) {
                *part = count + i64::from(number);
            }
            count += areas.len() as i64;
        }
        Self::of_values(width, height, &parts)
    }

    /// Soft masks `[slots, height, width]`: at the picture's size the best slot of every pixel, otherwise a square that
    /// covers what the protocol compares.
    ///
    /// # Errors
    /// Where they are neither.
    fn of_scores(masks: Vec<f32>, [slots, height, width]: [usize; 3], picture: &Picture) -> Result<Self, String> {
        if slots == 0 || slots > usize::from(glass_metrics::OVERLAP) {
            return Err(format!("has {slots} masks"));
        }
        if masks.iter().any(|value| value.is_nan()) {
            return Err("has a value that is not a number".into());
        }
        if (width, height) == (picture.width, picture.height) {
            let map = LabelMap::from_argmax(&masks, slots, width, height).map_err(|error| error.to_string())?;
            return Ok(Self::Labels { map, values: (0..slots as i64).collect() });
        }
        if width != height || width == 0 {
            return Err(format!(
                "is {width}×{height}: soft masks are of the picture's size ({}×{}) or a square",
                picture.width, picture.height
            ));
        }
        Ok(Self::Soft { masks, slots, side: width })
    }
}

/// Where the masks of one picture are.
#[derive(Debug)]
pub enum Content {
    /// A file of its own.
    File(PathBuf),
    /// The bytes of a PNG, and what to call it in messages.
    Png(Vec<u8>, String),
    /// An entry of an archive.
    Entry(Arc<Archive>, String),
    /// Regions from a list of results, the best last, each with its place in the list.
    Regions(Vec<(usize, Segmentation)>),
}

/// Masks of one picture that have not been decoded yet.
#[derive(Debug)]
pub struct Given<'a> {
    /// The picture.
    pub picture: &'a Picture,
    /// Its masks.
    pub content: Content,
}

impl Given<'_> {
    /// Decodes the masks. `source` is what the user named.
    ///
    /// # Errors
    /// [`EvalError::Given`], [`EvalError::File`].
    pub fn segments(&self, source: &Path) -> Result<Segments, EvalError> {
        let picture = self.picture;
        let refuse = |path: &Path, field: String| {
            let path = path.to_owned();
            let hint = "a mask is a grey or palette PNG, or an array [height, width] or [masks, height, width]".into();
            move |problem: String| EvalError::Given { path, field, problem, hint }
        };
        let of = format!("the mask of image `{}`", picture.name);
        match &self.content {
            Content::File(path) => {
                let bytes = std::fs::read(path).map_err(EvalError::read(path))?;
                match extension(path) {
                    "npy" => npy::segments(&bytes, picture).map_err(refuse(path, of)),
                    "npz" => Archive::of_bytes(bytes)
                        .and_then(|archive| npy::segments(&archive.only()?, picture))
                        .map_err(refuse(path, of)),
                    _ => png::segments(&bytes).map_err(refuse(path, of)),
                }
            }
            Content::Png(bytes, place) => png::segments(bytes).map_err(refuse(source, format!("{place}, {of},"))),
            Content::Entry(archive, name) => archive
                .read(name)
                .and_then(|bytes| npy::segments(&bytes, picture))
                .map_err(refuse(source, format!("entry `{name}`, {of},"))),
            Content::Regions(regions) => results::segments(regions, picture, source),
        }
    }
}

/// What happens to pictures without masks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Missing {
    /// The evaluation is refused: a mean over other pictures is another number.
    Refuse,
    /// They are left out of every mean.
    Skip,
}

/// Masks, picture by picture, as they are needed.
pub type Source<'a> = Box<dyn Iterator<Item = Result<Given<'a>, EvalError>> + 'a>;

/// Finds the masks of all pictures in a folder or a file.
///
/// # Errors
/// [`EvalError::Given`] where a picture has none, or the file is of no known form.
pub fn open<'a>(path: &Path, annotations: &'a Annotations, missing: Missing) -> Result<Source<'a>, EvalError> {
    if path.is_dir() {
        return folder::open(path, annotations, missing);
    }
    match extension(path) {
        "npz" => archive::open(path, annotations, missing),
        "json" => results::open(path, annotations),
        "parquet" => parquet::open(path, annotations, missing),
        _ => Err(EvalError::Given {
            path: path.to_owned(),
            field: "`--masks`".into(),
            problem: if path.exists() { "is of no known form".into() } else { "is not there".into() },
            hint: "give a folder of <file stem>.png, .npy or .npz, or one .npz, .json (COCO results) or .parquet file"
                .into(),
        }),
    }
}

/// Refuses pictures that have no masks, names the first of them and what was expected; or lets them go.
///
/// # Errors
/// [`EvalError::Given`], also where no picture at all has a mask.
fn settle(
    missing: Missing,
    path: &Path,
    absent: &[&Picture],
    all: usize,
    expected: impl Fn(&Picture) -> String,
) -> Result<(), EvalError> {
    let Some(first) = absent.first() else { return Ok(()) };
    if missing == Missing::Skip && absent.len() < all {
        tracing::warn!(images = absent.len(), "images without a mask are left out of every mean");
        return Ok(());
    }
    let more = match absent.len() {
        1 => String::new(),
        count if count == all => " (no image has one)".into(),
        count => format!(" ({} more images have none either)", count - 1),
    };
    Err(EvalError::Given {
        path: path.to_owned(),
        field: format!("the mask of image `{}` (id {})", first.name, first.id),
        problem: format!("is missing: {} is not there{more}", expected(first)),
        hint:
            "every image of the annotations needs a mask; `--missing skip` leaves images without one out of all means"
                .into(),
    })
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|extension| extension.to_str()).unwrap_or_default()
}

/// A picture's name without folders and extension.
fn stem(name: &str) -> &str {
    Path::new(name).file_stem().and_then(|stem| stem.to_str()).unwrap_or(name)
}

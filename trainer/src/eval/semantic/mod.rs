//! Class masks against classes: class-wise IoU over a set, at the images' own sizes.
//!
//! What Dataset-Diffusion, DiffuMask and SegCLIP report. Slots have no classes, so this judges masks made elsewhere;
//! pseudo-masks of generated pictures cannot be judged, for those pictures have no ground truth.

mod classes;
mod print;

use std::path::Path;

use glass_metrics::{Confusion, IGNORE, LabelMap, Objects};
use rayon::prelude::*;
use serde::Serialize;

pub use classes::ClassValues;
pub use print::SemanticTable;

use super::EvalError;
use super::annotations::{Annotations, Picture};
use super::given::{Given, Segments, Source};

/// Printed beside every number. The rules: all pixels of an image at its own size; annotations painted whatever their
/// order, crowds among them; pixels under annotations of two classes and pixels with 255 in the mask are left out; sums
/// over the set; a class that occurs in neither truth nor mask takes no part in a mean.
pub const PROTOCOL: &str = "semantic";

/// Pictures in memory at once, a core.
const PICTURES_A_CORE: usize = 8;

/// Class-wise numbers of a set.
#[derive(Debug, Clone)]
pub struct Semantic {
    /// Class names; class 0 is `background`.
    pub names: Vec<String>,
    /// Pixels by true and predicted class.
    pub confusion: Confusion,
    /// Images judged.
    pub images: u64,
}

/// One number of a report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Number {
    /// [`PROTOCOL`].
    pub protocol: &'static str,
    /// Its name; `iou/NAME` is that of a class.
    pub metric: String,
    /// 0 to 1; `None` where no pixel takes part.
    pub value: Option<f64>,
    /// Images judged.
    pub images: u64,
}

/// Judges every image of `source`; `progress` hears how many images each batch had and may refuse to go on. Memory does
/// not grow with their number.
///
/// # Errors
/// The first mask or annotation that cannot be used, by name; what `progress` returns.
pub fn judge(
    annotations: &Annotations,
    path: &Path,
    source: Source<'_>,
    values: &ClassValues,
    mut progress: impl FnMut(usize) -> Result<(), EvalError>,
) -> Result<Semantic, EvalError> {
    let names: Vec<String> =
        std::iter::once("background".to_owned()).chain(annotations.classes().iter().cloned()).collect();
    let mut whole = Semantic { confusion: Confusion::new(names.len()), names, images: 0 };
    let mut source = source.peekable();
    let at_once = PICTURES_A_CORE * rayon::current_num_threads();
    while source.peek().is_some() {
        let batch: Vec<Given<'_>> = source.by_ref().take(at_once).collect::<Result<_, _>>()?;
        let count = |given: &Given<'_>| -> Result<Confusion, EvalError> {
            let mut confusion = Confusion::new(whole.names.len());
            confusion.add(&truth(annotations, given.picture)?, &prediction(path, given, values)?)?;
            Ok(confusion)
        };
        let counted: Vec<Confusion> = batch.par_iter().map(count).collect::<Result<_, _>>()?;
        for confusion in &counted {
            whole.confusion.merge(confusion);
        }
        whole.images += batch.len() as u64;
        progress(batch.len())?;
    }
    Ok(whole)
}

/// The class of every pixel; [`IGNORE`] under annotations of two classes.
fn truth(annotations: &Annotations, picture: &Picture) -> Result<LabelMap, EvalError> {
    let mut map = LabelMap::filled(picture.width, picture.height, 0);
    for region in annotations.regions(picture)? {
        for (label, _) in map.labels_mut().iter_mut().zip(region.mask.bits()).filter(|(_, inside)| **inside) {
            *label = if *label == 0 || *label == region.category { region.category } else { IGNORE };
        }
    }
    Ok(map)
}

/// The classes that the mask of an image gives its pixels.
fn prediction(path: &Path, given: &Given<'_>, values: &ClassValues) -> Result<LabelMap, EvalError> {
    let picture = given.picture;
    let refuse = |problem: String, hint: &str| EvalError::Given {
        path: path.to_owned(),
        field: format!("the mask of image `{}` (id {})", picture.name, picture.id),
        problem,
        hint: hint.to_owned(),
    };
    let size = "class masks are compared at the image's own size: write them at it";
    let (map, distinct) = match given.segments(path)? {
        Segments::Labels { map, values } => (map, values),
        Segments::Soft { side, .. } => {
            return Err(refuse(format!("holds soft masks of {side}×{side}, which have no classes"), size));
        }
    };
    if map.size() != (picture.width, picture.height) {
        let found = format!("is {}×{} pixels, the image {}×{}", map.width(), map.height(), picture.width, picture.height);
        return Err(refuse(found, size));
    }
    let classes = values.labels(&distinct).map_err(|value| {
        refuse(
            format!("has the value {value}, which is no class"),
            "value n is the n-th class of the annotations; name a list of the masks' own numbers with `--classes`",
        )
    })?;
    let labels = map.labels().iter().map(|&label| classes[usize::from(label)]).collect();
    Ok(LabelMap::new(map.width(), map.height(), labels)?)
}

impl Semantic {
    /// All numbers, those over classes first.
    pub fn numbers(&self) -> Vec<Number> {
        let number = |metric: String, value| Number { protocol: PROTOCOL, metric, value, images: self.images };
        let over_classes = [
            ("miou", self.confusion.mean_iou(Objects::WithBackground)),
            ("miou_without_background", self.confusion.mean_iou(Objects::WithoutBackground)),
            ("mean_accuracy", self.confusion.mean_accuracy()),
            ("pixel_accuracy", self.confusion.pixel_accuracy()),
            ("judged_pixels", self.confusion.judged()),
        ];
        let over_classes = over_classes.into_iter().map(|(metric, value)| number(metric.to_owned(), value));
        let classes = self.names.iter().zip(self.confusion.iou());
        over_classes.chain(classes.map(|(name, iou)| number(format!("iou/{name}"), iou))).collect()
    }
}

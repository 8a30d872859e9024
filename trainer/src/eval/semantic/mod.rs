//! Class masks against classes: class-wise IoU over a set, at the images' own sizes.
//!
//! What Dataset-Diffusion, DiffuMask and SegCLIP report. Slots have no classes, so this judges masks made elsewhere;
//! pseudo-masks of generated pictures cannot be judged, for those pictures have no ground truth.

mod classes;
mod print;

use std::path::Path;

use glass_metrics::{
    Confusion, Crowds, EmptyLabels, LabelMap, MetricsError, Objects, Overlaps, PaintOrder, Protocol, Sampling,
    TruthLabels, VoidPixels,
};
use rayon::prelude::*;
use serde::Serialize;

pub use classes::ClassValues;
pub use print::SemanticTable;

use super::EvalError;
use super::annotations::{Annotations, Picture};
use super::given::{Given, Segments, Source};

/// Printed beside every number. The rules: all pixels of an image at its own size; crowds are of their class; pixels
/// under two annotations are left out (torchvision's reference training, `ConvertCocoPolysToMask`), and so are undecided
/// ones, 255 in truth or mask; sums over the set; a class that occurs in neither takes no part in a mean.
pub const PROTOCOL: &str = "semantic";

/// Classes that can be told apart where the annotations name none.
const UNNAMED: usize = 254;

/// Pictures in memory at once, a core.
const PICTURES_A_CORE: usize = 8;

/// Names of the classes, class 1 first; made up where the annotations have none.
pub fn class_names(annotations: &Annotations) -> Vec<String> {
    match annotations.classes() {
        [] => (1..=UNNAMED).map(|class| format!("class {class}")).collect(),
        names => names.to_vec(),
    }
}

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
    let names: Vec<String> = std::iter::once("background".to_owned()).chain(class_names(annotations)).collect();
    let rules = rules();
    let mut whole = Semantic { confusion: Confusion::new(names.len()), names, images: 0 };
    let mut source = source.peekable();
    let at_once = PICTURES_A_CORE * rayon::current_num_threads();
    while source.peek().is_some() {
        let batch: Vec<Given<'_>> = source.by_ref().take(at_once).collect::<Result<_, _>>()?;
        let count = |given: &Given<'_>| -> Result<Confusion, EvalError> {
            let mut confusion = Confusion::new(whole.names.len());
            let added = confusion.add(&truth(annotations, given.picture, &rules)?, &prediction(path, given, values)?);
            added.map_err(|error| refuse_truth(annotations, given.picture, &error)).map(|()| confusion)
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

/// Truth with more classes than the annotations name; masks were checked before.
fn refuse_truth(annotations: &Annotations, picture: &Picture, error: &MetricsError) -> EvalError {
    EvalError::Given {
        path: annotations.path().to_owned(),
        field: format!("the class map of image `{}`", picture.name),
        problem: format!("cannot be compared with: {error}"),
        hint: "class maps hold classes from 0 to 254 and 255 for undecided pixels".into(),
    }
}

/// How classes are painted; only what concerns truth at its own size is read of it.
fn rules() -> Protocol {
    Protocol {
        id: PROTOCOL.to_owned(),
        paint: PaintOrder::LaterWins,
        overlaps: Overlaps::Ignore,
        crowds: Crowds::Include,
        void: VoidPixels::Ignore,
        labels: TruthLabels::Keep,
        empty_labels: EmptyLabels::Skip,
        ..Protocol::spot()
    }
}

/// The class of every pixel.
fn truth(annotations: &Annotations, picture: &Picture, rules: &Protocol) -> Result<LabelMap, EvalError> {
    let sampling = Sampling::whole(picture.width, picture.height);
    let truth = annotations.truth(picture, rules, &sampling)?;
    // No rule of ours leaves a picture out.
    Ok(truth.map_or_else(|| LabelMap::filled(picture.width, picture.height, 0), |truth| truth.semantics))
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
        let found =
            format!("is {}×{} pixels, the image {}×{}", map.width(), map.height(), picture.width, picture.height);
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
    /// Number, name and IoU of the classes that occur.
    fn occurring(&self) -> impl Iterator<Item = (usize, &str, f64)> {
        let classes = self.names.iter().zip(self.confusion.iou()).enumerate();
        classes.filter_map(|(class, (name, iou))| Some((class, name.as_str(), iou?)))
    }

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
        let classes = self.occurring().map(|(_, name, iou)| number(format!("iou/{name}"), Some(iou)));
        over_classes.chain(classes).collect()
    }
}

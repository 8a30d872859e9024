//! One pass over the pictures: every method, every seed, every protocol.

use std::path::PathBuf;

use glass_metrics::{
    BoxScores, Corners, GroundTruth, ImageScores, LabelMap, PlacementRule, Protocol, Resampling, box_scores,
};
use image::RgbImage;
use rayon::prelude::*;

use super::annotations::Picture;
use super::boxes::boxes;
use super::coco::ValidationSet;
use super::model::Told;
use super::picture::View;
use super::predict::{BatchPrediction, Features, Networks, predict};
use super::{EvalError, Method};
use crate::data::annotated::{DataError, PixelBox, TruthKind};

/// What is computed.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Rules to score under.
    pub protocols: Vec<Protocol>,
    /// Methods to score.
    pub methods: Vec<Method>,
    /// Seeds of everything that is drawn.
    pub seeds: Vec<u64>,
    /// Segments a picture.
    pub slots: usize,
    /// Pictures computed at once; never changes a number.
    pub batch: usize,
}

/// The scores of one picture by one method, one seed, one protocol.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    /// The picture.
    pub picture: &'a Picture,
    /// The method.
    pub method: Method,
    /// The seed.
    pub seed: u64,
    /// Place of the protocol in the plan.
    pub protocol: usize,
    /// Segments that won a pixel.
    pub segments: usize,
    /// All scores.
    pub scores: ImageScores,
    /// Scores by boxes, where the truth is boxes alone; none in a picture without any.
    pub boxes: Option<Option<BoxScores>>,
    /// What was scored, where it is kept: first protocol, first seed, not of baselines.
    pub labels: Option<LabelMap>,
}

impl<'a> Row<'a> {
    /// The scores of `labels`.
    pub fn new(
        picture: &'a Picture,
        method: Method,
        seed: u64,
        protocol: usize,
        scores: ImageScores,
        labels: &LabelMap,
    ) -> Self {
        let segments = labels.distinct().len();
        Self { picture, method, seed, protocol, segments, scores, boxes: None, labels: None }
    }

    /// With scores by boxes, in whose place those of masks would be of painted boxes.
    pub fn by_boxes(self, boxes: Option<BoxScores>) -> Self {
        Self { boxes: Some(boxes), ..self }
    }

    /// Keeps what was scored.
    pub fn keeping(self, labels: LabelMap) -> Self {
        Self { labels: Some(labels), ..self }
    }
}

/// What a picture looks like beside its truth, for the report.
#[derive(Debug)]
pub struct Look<'a> {
    /// Place of the picture in the data.
    pub index: usize,
    /// The picture.
    pub picture: &'a Picture,
    /// As the encoder saw it.
    pub pixels: RgbImage,
    /// Truth under the first protocol.
    pub truth: GroundTruth,
    /// Segmentations at the same size, first seed.
    pub segmentations: Vec<(Method, LabelMap)>,
}

/// Where the results of a pass go, in the order of the pictures.
pub trait Sink {
    /// One score.
    ///
    /// # Errors
    /// Where it cannot be kept.
    fn row(&mut self, row: &Row<'_>) -> Result<(), EvalError>;

    /// How many pictures at the head of the data the sink wants to see.
    fn looks(&self) -> usize;

    /// One of those pictures.
    ///
    /// # Errors
    /// Where it cannot be kept.
    fn look(&mut self, look: Look<'_>) -> Result<(), EvalError>;

    /// So many pictures are done.
    ///
    /// # Errors
    /// [`EvalError::Interrupted`] where no more are wanted.
    fn advanced(&mut self, pictures: usize) -> Result<(), EvalError>;
}

/// Scores every picture. Memory does not grow with their number.
///
/// # Errors
/// The first picture or annotation that cannot be used, by name; evaluation never skips one, because a mean over
/// other pictures is another number.
pub fn evaluate(
    data: &ValidationSet,
    networks: &Networks<'_>,
    plan: &Plan,
    sink: &mut dyn Sink,
) -> Result<(), EvalError> {
    for (number, pictures) in data.pictures().chunks(plan.batch.max(1)).enumerate() {
        let first = number * plan.batch.max(1);
        let batch: Vec<Loaded<'_>> =
            pictures.par_iter().map(|picture| Loaded::new(data, picture, plan)).collect::<Result<_, _>>()?;
        for input in inputs(plan, &batch) {
            score_input(data, &batch, first, input, networks, plan, sink)?;
        }
        sink.advanced(batch.len())?;
    }
    Ok(())
}

/// A picture and its truth under every protocol; `None` where a protocol leaves the picture out.
struct Loaded<'a> {
    picture: &'a Picture,
    path: PathBuf,
    pixels: RgbImage,
    truths: Vec<Option<GroundTruth>>,
    /// Of its objects, where the truth is boxes alone.
    boxes: Option<Vec<PixelBox>>,
}

impl<'a> Loaded<'a> {
    fn new(data: &ValidationSet, picture: &'a Picture, plan: &Plan) -> Result<Self, EvalError> {
        let pixels = data.decode(picture)?;
        let truths = data.annotations().truths(picture, &plan.protocols)?;
        let boxes = match data.annotations().truth_kind() {
            TruthKind::Boxes => Some(data.annotations().boxes(picture)?),
            TruthKind::Masks => None,
        };
        Ok(Self { picture, path: data.path(picture), pixels, truths, boxes })
    }
}

/// What the encoder sees, and the protocols under which it is scored.
struct Input {
    view: View,
    protocols: Vec<usize>,
}

/// Protocols that agree on what the encoder sees share its work.
fn inputs(plan: &Plan, batch: &[Loaded<'_>]) -> Vec<Input> {
    let mut inputs: Vec<Input> = Vec::new();
    for (index, protocol) in plan.protocols.iter().enumerate() {
        let mut view = View::of(protocol);
        // Pictures that have the size already are the same whatever the resampling, squares wherever they are cut.
        let shortest = |loaded: &Loaded<'_>| loaded.pixels.width().min(loaded.pixels.height()) == view.size;
        let square = |loaded: &Loaded<'_>| loaded.pixels.width() == loaded.pixels.height();
        if batch.iter().all(shortest) {
            view.resampling = Resampling::Bilinear;
        }
        if batch.iter().all(square) {
            view.placement = PlacementRule::Rounded;
        }
        match inputs.iter_mut().find(|input| input.view == view) {
            Some(input) => input.protocols.push(index),
            None => inputs.push(Input { view, protocols: vec![index] }),
        }
    }
    inputs
}

fn score_input(
    data: &ValidationSet,
    batch: &[Loaded<'_>],
    first: usize,
    input: Input,
    networks: &Networks<'_>,
    plan: &Plan,
    sink: &mut dyn Sink,
) -> Result<(), EvalError> {
    let Input { view, protocols } = input;
    let square = |loaded: &Loaded<'_>| {
        view.square(&loaded.pixels).map_err(|source| DataError::Picture { path: loaded.path.clone(), source })
    };
    let squares: Vec<RgbImage> = batch.par_iter().map(square).collect::<Result<_, DataError>>()?;
    let mut features = Features::of(networks, &squares, view.size as usize)?;
    if networks.told() == Told::Boxes {
        let of = |loaded: &Loaded<'_>| {
            let size = [loaded.picture.width, loaded.picture.height];
            Ok(boxes(&data.annotations().boxes(loaded.picture)?, size, view))
        };
        features = features.with_boxes(batch.iter().map(of).collect::<Result<_, EvalError>>()?);
    }
    let names: Vec<&str> = batch.iter().map(|loaded| loaded.picture.name.as_str()).collect();
    let predictions = predict(networks, &features, &names, &plan.methods, &plan.seeds, plan.slots)?;
    let rows: Vec<Vec<Row<'_>>> = batch
        .par_iter()
        .enumerate()
        .map(|(at, loaded)| score_picture(loaded, at, &predictions, &protocols, features.grid, plan))
        .collect::<Result<_, _>>()?;
    for row in rows.iter().flatten() {
        sink.row(row)?;
    }
    if protocols.contains(&0) {
        for (at, (loaded, pixels)) in batch.iter().zip(squares).enumerate() {
            if first + at < sink.looks()
                && let Some(look) = look(loaded, pixels, at, first + at, &predictions, features.grid, plan)
            {
                sink.look(look)?;
            }
        }
    }
    Ok(())
}

fn score_picture<'a>(
    loaded: &Loaded<'a>,
    at: usize,
    predictions: &[BatchPrediction],
    protocols: &[usize],
    grid: usize,
    plan: &Plan,
) -> Result<Vec<Row<'a>>, EvalError> {
    let mut rows = Vec::new();
    for prediction in predictions {
        for &index in protocols {
            let protocol = &plan.protocols[index];
            let Some(truth) = &loaded.truths[index] else { continue };
            let labels = prediction.pictures[at].labels(grid, protocol.mask_size as usize, truth);
            let (method, seed) = (prediction.method, prediction.seed);
            let row = Row::new(loaded.picture, method, seed, index, protocol.score(truth, &labels)?, &labels);
            let row = match &loaded.boxes {
                Some(found) => row.by_boxes(box_scores(&in_square(found, loaded.picture, protocol), &labels)),
                None => row,
            };
            let kept = index == 0 && Some(&seed) == plan.seeds.first() && matches!(method, Method::Slots(_));
            rows.push(if kept { row.keeping(labels) } else { row });
        }
    }
    Ok(rows)
}

/// The boxes that reach into a protocol's square, in pixels of its masks.
pub(super) fn in_square(found: &[PixelBox], picture: &Picture, protocol: &Protocol) -> Vec<Corners> {
    let view = View { size: protocol.mask_size, ..View::of(protocol) };
    let seen = boxes(found, [picture.width, picture.height], view).into_iter();
    let corners = seen.map(|seen| seen.corners.map(|share| f64::from(share) * f64::from(protocol.mask_size)));
    corners.filter(|[left, top, right, bottom]| right > left && bottom > top).collect()
}

fn look<'a>(
    loaded: &Loaded<'a>,
    pixels: RgbImage,
    at: usize,
    index: usize,
    predictions: &[BatchPrediction],
    grid: usize,
    plan: &Plan,
) -> Option<Look<'a>> {
    let truth = loaded.truths.first()?.clone()?;
    let side = truth.instances.width();
    let shown = predictions.iter().filter(|prediction| Some(&prediction.seed) == plan.seeds.first());
    let segmentations = shown.map(|shown| (shown.method, shown.pictures[at].labels(grid, side, &truth))).collect();
    Some(Look { index, picture: loaded.picture, pixels, truth, segmentations })
}

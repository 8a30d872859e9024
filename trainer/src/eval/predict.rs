//! Segmentations of one batch by every method, on the token grid.

use burn::tensor::{Device, Tensor, TensorData};
use glass_metrics::{GroundTruth, LabelMap};
use glass_schemas::seeds::{Purpose, Stream};
use glass_schemas::spec::evaluation::{Baseline, MaskSource};
use image::RgbImage;
use rayon::prelude::*;

use super::baselines::{blocks, kmeans};
use super::masks::{grid_to_labels, soft_to_labels, through_grid};
use super::model::{DecoderOrders, Encoder, SlotModel, Slots, Told};
use super::{EvalError, Method};
use crate::data::ObjectBox;

/// The networks of an evaluation.
pub struct Networks<'a> {
    /// Frozen encoder.
    pub encoder: &'a dyn Encoder,
    /// The checkpoint's slots, where one is evaluated.
    pub trained: Option<&'a dyn SlotModel>,
    /// Slots with initial weights, one model a seed; may be empty where that baseline is not asked for.
    pub untrained: Vec<&'a dyn SlotModel>,
    /// Where they compute.
    pub device: Device,
}

/// One picture's segmentation before it has a size.
#[derive(Debug, Clone)]
pub enum Prediction {
    /// Soft masks.
    Soft {
        /// `[slots, grid, grid]`
        masks: Vec<f32>,
        /// Slots.
        slots: usize,
        /// Tokens along one side: a decoder keeps the grid that it was trained on.
        grid: usize,
    },
    /// One label a token.
    Tokens(Vec<u16>),
    /// Rectangles.
    Blocks(usize),
    /// The truth as the grid sees it.
    Truth,
}

impl Networks<'_> {
    /// Whether a model has to be told the boxes of objects.
    pub fn told(&self) -> Told {
        let mut models = self.trained.iter().chain(&self.untrained);
        match models.any(|model| model.told() == Told::Boxes) {
            true => Told::Boxes,
            false => Told::Nothing,
        }
    }
}

impl Prediction {
    /// The label map at `side` pixels; `truth` is needed at that size by the ceiling only.
    pub fn labels(&self, grid: usize, side: usize, truth: &GroundTruth) -> LabelMap {
        match self {
            Self::Soft { masks, slots, grid } => soft_to_labels(masks, *slots, *grid, side),
            Self::Tokens(labels) => grid_to_labels(labels, grid, side),
            Self::Blocks(segments) => blocks(side, *segments),
            Self::Truth => through_grid(&truth.instances, grid),
        }
    }
}

/// What one method says, with one seed, about every picture of a batch.
pub struct BatchPrediction {
    /// The method.
    pub method: Method,
    /// The seed; also given for methods that draw nothing.
    pub seed: u64,
    /// One a picture.
    pub pictures: Vec<Prediction>,
}

/// Tokens of a batch.
pub struct Features {
    /// What the frozen part of the encoder gives.
    states: Tensor<3>,
    /// The tokens of the network before training.
    tensor: Tensor<3>,
    values: Vec<f32>,
    /// Boxes of each picture's objects, where a model is told them.
    boxes: Vec<Vec<ObjectBox>>,
    /// Tokens along one side of the picture.
    pub grid: usize,
}

impl Features {
    /// Runs the encoder on square pictures of `side` pixels.
    ///
    /// # Errors
    /// [`EvalError::Spec`] where the encoder cannot take pictures of this size.
    pub fn of(networks: &Networks<'_>, pictures: &[RgbImage], side: usize) -> Result<Self, EvalError> {
        let patch = networks.encoder.patch();
        if side == 0 || !side.is_multiple_of(patch) {
            let problem = format!("is {side}, the encoder takes multiples of {patch}");
            return Err(EvalError::Spec { key: "input_size", problem });
        }
        let states = networks.encoder.features(pictures)?;
        let tensor = networks.encoder.untrained(states.clone());
        let values = floats(tensor.clone())?;
        Ok(Self { states, tensor, values, boxes: Vec::new(), grid: side / patch })
    }

    /// With the boxes of each picture's objects.
    pub fn with_boxes(self, boxes: Vec<Vec<ObjectBox>>) -> Self {
        Self { boxes, ..self }
    }

    /// Clusters of every picture's tokens.
    fn clusters(&self, names: &[&str], seed: u64, clusters: usize) -> Vec<Prediction> {
        let [_, tokens, dim] = self.tensor.dims();
        let pictures = self.values.par_chunks_exact((tokens * dim).max(1)).zip(names);
        pictures.map(|(values, name)| Prediction::Tokens(kmeans(values, dim, clusters, seed, name))).collect()
    }
}

/// Segments a batch with every method and seed. `names` are the pictures' names: noise is drawn for (seed, picture),
/// so neither the order of pictures nor the batch can change it.
///
/// # Errors
/// [`EvalError::Shape`] where a network returns something else than its contract says.
pub fn predict(
    networks: &Networks<'_>,
    features: &Features,
    names: &[&str],
    methods: &[Method],
    seeds: &[u64],
    slots: usize,
) -> Result<Vec<BatchPrediction>, EvalError> {
    let mut predictions = Vec::new();
    for (place, &seed) in seeds.iter().enumerate() {
        let asked: Vec<Method> = methods.iter().copied().filter(|method| method.seeds(seeds).contains(&seed)).collect();
        let soft = |model: &dyn SlotModel, tokens: &Tensor<3>, sources: Vec<(Method, MaskSource)>| {
            if sources.is_empty() {
                return Ok(Vec::new());
            }
            let initial = noise(names, seed, slots, model.noise_dim(), &networks.device);
            soft_predictions(model, tokens, &features.boxes, initial, seed, &sources)
        };
        if let Some(model) = networks.trained {
            let source = |&method: &Method| match method {
                Method::Slots(source) => Some((method, source)),
                Method::Baseline(_) | Method::Given | Method::GivenParts => None,
            };
            predictions.extend(soft(model, &features.states, asked.iter().filter_map(source).collect())?);
        }
        if let Some(model) = networks.untrained.get(place) {
            let untrained = |method: &&Method| **method == Method::Baseline(Baseline::Untrained);
            let sources = asked.iter().filter(untrained).map(|&method| (method, MaskSource::SlotAttention)).collect();
            predictions.extend(soft(*model, &features.tensor, sources)?);
        }
        for method in asked {
            let Method::Baseline(baseline) = method else { continue };
            let pictures = match baseline {
                Baseline::Blocks => vec![Prediction::Blocks(slots); names.len()],
                Baseline::Ceiling => vec![Prediction::Truth; names.len()],
                Baseline::KMeans => features.clusters(names, seed, slots),
                Baseline::Untrained => continue,
            };
            predictions.push(BatchPrediction { method, seed, pictures });
        }
    }
    Ok(predictions)
}

/// What slots say that start from `initial` `[pictures, slots, dim]`, drawn with `seed`.
fn soft_predictions(
    model: &dyn SlotModel,
    tokens: &Tensor<3>,
    boxes: &[Vec<ObjectBox>],
    initial: Tensor<3>,
    seed: u64,
    sources: &[(Method, MaskSource)],
) -> Result<Vec<BatchPrediction>, EvalError> {
    let [pictures, slots, _] = initial.dims();
    let found = match model.told() {
        Told::Nothing => model.attend(tokens.clone(), initial),
        Told::Boxes => model.attend_told(tokens.clone(), initial, boxes),
    };
    let mut predictions = Vec::new();
    for &(method, source) in sources {
        if let Some(masks) = source_masks(model, &found, source) {
            let pictures = split(masks, pictures, slots)?;
            predictions.push(BatchPrediction { method, seed, pictures });
        }
    }
    Ok(predictions)
}

/// Masks from a source, `[pictures, slots, positions]`; none where the method has no such masks.
pub fn source_masks(model: &dyn SlotModel, found: &Slots, source: MaskSource) -> Option<Tensor<3>> {
    match source {
        MaskSource::SlotAttention => Some(found.attention.clone()),
        MaskSource::Decoder => model.decoder_masks(found, DecoderOrders::Standard),
        MaskSource::DecoderEnsemble => model.decoder_masks(found, DecoderOrders::Ensemble),
    }
}

/// Initial noise of the slots, `[pictures, slots, dim]`, standard normal.
pub fn noise(names: &[&str], seed: u64, slots: usize, dim: usize, device: &Device) -> Tensor<3> {
    let draw = |name: &&str| Stream::new(seed, name, Purpose::SlotInit).normal(slots * dim);
    let values: Vec<f32> = names.iter().flat_map(draw).collect();
    Tensor::from_data(TensorData::new(values, [names.len(), slots, dim]), device)
}

/// `[batch, slots, tokens]` → a picture's `[slots, tokens]` each.
fn split(masks: Tensor<3>, pictures: usize, slots: usize) -> Result<Vec<Prediction>, EvalError> {
    let [batch, found, tokens] = masks.dims();
    let grid = tokens.isqrt();
    if [batch, found] != [pictures, slots] || grid * grid != tokens {
        let expected = format!("[{pictures}, {slots}, a square number]");
        return Err(EvalError::Shape(format!("masks are {:?}, expected {expected}", masks.dims())));
    }
    let values = floats(masks)?;
    let soft = |masks: &[f32]| Prediction::Soft { masks: masks.to_vec(), slots, grid };
    Ok(values.chunks_exact((slots * tokens).max(1)).map(soft).collect())
}

fn floats(tensor: Tensor<3>) -> Result<Vec<f32>, EvalError> {
    tensor.into_data().try_to_vec().map_err(|error| EvalError::Shape(format!("{error:?}")))
}

//! The only door to attention maps.
//!
//! Every attention layer of the UNet computes through an [`Attention`]. [`Plain`] computes and forgets;
//! [`Capture`] computes the same output by the same operation and, beside it, keeps running means of the
//! conditional half's maps, as Dataset Diffusion aggregates them: all layers of one resolution and all
//! their heads count alike, then all calls do. Because the output never passes through a map, capturing
//! cannot change a picture; because only sums are kept, memory does not grow with the steps.

use std::collections::BTreeMap;

use burn::tensor::{DType, FloatDType, Tensor, TensorData, activation};

use crate::attention::Visibility;
use crate::error::{NetsError, Result};
use crate::ops;

/// What attends to what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MapKind {
    /// Positions to words.
    Cross,
    /// Positions to positions.
    SelfAttention,
}

/// Which calls of the network a mean is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// All of them.
    All,
    /// The first, third, …
    Even,
    /// The second, fourth, …
    Odd,
}

/// One attention layer's work in one call. Tensors are `[batch, heads, tokens, head_dim]`.
pub struct Attend<'a> {
    /// Self- or cross-attention.
    pub kind: MapKind,
    /// Compute in f32 whatever the tensors are in.
    pub upcast: bool,
    /// Height and width of the positions that ask.
    pub size: [usize; 2],
    /// One query a position.
    pub query: Tensor<4>,
    /// One key a position or word.
    pub key: Tensor<4>,
    /// One value a position or word.
    pub value: Tensor<4>,
    /// The layer's keys of another context: `[n, tokens, context]` to `[n, heads, tokens, head_dim]`.
    pub project_key: &'a dyn Fn(Tensor<3>) -> Tensor<4>,
}

impl Attend<'_> {
    /// softmax(Q Kᵀ / √head_dim) V, fused where the backend can: `[batch, heads, positions, head_dim]`.
    pub fn output(self) -> Tensor<4> {
        if !self.upcast {
            return ops::attention(self.query, self.key, self.value, Visibility::All);
        }
        let dtype: FloatDType = self.query.dtype().into();
        let [query, key, value] = [self.query, self.key, self.value].map(|x| x.cast(FloatDType::F32));
        ops::attention(query, key, value, Visibility::All).cast(dtype)
    }
}

/// Computes attention layers.
pub trait Attention {
    /// A call of the network begins.
    fn begin_call(&mut self) {}

    /// Computes one layer: `[batch, heads, positions, head_dim]`.
    fn attend(&mut self, layer: Attend<'_>) -> Tensor<4>;
}

/// Attention that nobody watches; differentiable like any other operation.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plain;

impl Attention for Plain {
    fn attend(&mut self, layer: Attend<'_>) -> Tensor<4> {
        layer.output()
    }
}

/// How the calls are divided into means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Division {
    /// One mean over all calls.
    #[default]
    Together,
    /// A mean over even and one over odd calls: how well they agree tells how reliable a map is.
    EvenOdd,
}

/// What to keep.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CaptureOptions {
    /// Sides of the cross-attention maps, in positions.
    pub cross: Vec<usize>,
    /// Sides of the self-attention maps.
    pub self_attention: Vec<usize>,
    /// How calls are divided.
    pub division: Division,
}

/// A prompt that names classes of one sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassPrompt {
    /// The sample, counted within the batch.
    pub sample: usize,
    /// For each class of the sample that this prompt names, in order, the positions of its tokens.
    pub positions: Vec<Vec<usize>>,
}

/// The class prompts of a batch. With one prompt a class, a sample with three classes has three prompts
/// with one list of positions each; with one prompt for all, it has one prompt with three lists. Samples
/// need not have the same number of classes.
#[derive(Debug, Clone)]
pub struct ClassContext {
    /// The prompts; those of one sample in the order of its classes.
    pub prompts: Vec<ClassPrompt>,
    /// Their text states `[prompts, tokens, context]`.
    pub states: Tensor<3>,
}

/// A mean of maps of one sample.
#[derive(Debug, Clone, PartialEq)]
pub struct CapturedMap {
    /// Self- or cross-attention.
    pub kind: MapKind,
    /// Side in positions.
    pub resolution: usize,
    /// Which calls it is over.
    pub part: Part,
    /// How many calls that were.
    pub calls: usize,
    /// Cross: `[classes, resolution²]`, the probability of a class's tokens (their mean) at each position.
    /// Self: `[resolution², resolution²]`, one row a query, summing to 1.
    pub values: Vec<f32>,
}

/// Attention that keeps means of the maps.
#[derive(Debug)]
pub struct Capture {
    options: CaptureOptions,
    /// The last rows of a batch are the conditional half.
    samples: usize,
    classes: Option<Classes>,
    calls: usize,
    seen: Vec<(MapKind, usize)>,
    sums: BTreeMap<(MapKind, usize, Part), Sum>,
}

#[derive(Debug)]
struct Classes {
    prompts: Vec<ClassPrompt>,
    states: Tensor<3>,
    /// The sample of each prompt `[prompts]`.
    owners: Tensor<1, burn::tensor::Int>,
    /// `[prompts, tokens, most classes in a prompt]`: the mean over each class's tokens as a product.
    picks: Tensor<3>,
}

#[derive(Debug)]
struct Sum {
    /// Cross `[prompts, positions, classes in a prompt]`, self `[samples, positions, positions]`.
    total: Tensor<3>,
    /// Layers times heads times calls.
    terms: usize,
}

impl Capture {
    /// Prepares to watch `samples` samples; of every batch the last `samples` rows count, so that the
    /// order of guidance (unconditional, conditional) fits.
    ///
    /// # Errors
    /// When cross-attention is asked for without classes, or a class prompt does not fit the batch or its
    /// own states.
    pub fn new(options: CaptureOptions, samples: usize, classes: Option<ClassContext>) -> Result<Self> {
        if classes.is_none() && !options.cross.is_empty() {
            return Err(NetsError::input("cross-attention maps need class prompts"));
        }
        let classes = classes.map(|classes| Classes::new(classes, samples)).transpose()?;
        Ok(Self { options, samples, classes, calls: 0, seen: Vec::new(), sums: BTreeMap::new() })
    }

    /// The calls so far.
    pub fn calls(&self) -> usize {
        self.calls
    }

    /// The means, sample by sample; sorted by kind, resolution and part. Parts without a call are left out.
    ///
    /// # Errors
    /// When the network has no attention at a resolution that was asked for.
    pub fn finish(self) -> Result<Vec<Vec<CapturedMap>>> {
        self.check()?;
        let mut maps = vec![Vec::new(); self.samples];
        for ((kind, resolution, part), sum) in &self.sums {
            let mean = (sum.total.clone() / sum.terms as f64).into_data().convert::<f32>();
            let mean = mean.try_to_vec::<f32>().map_err(|e| NetsError::input(format!("attention map: {e:?}")))?;
            let size = resolution * resolution;
            let calls = match part {
                Part::All => self.calls,
                Part::Even => self.calls.div_ceil(2),
                Part::Odd => self.calls / 2,
            };
            for (sample, maps) in maps.iter_mut().enumerate() {
                let values = match kind {
                    MapKind::SelfAttention => mean[sample * size * size..][..size * size].to_vec(),
                    MapKind::Cross => self.class_maps(&mean, sample, size),
                };
                maps.push(CapturedMap { kind: *kind, resolution: *resolution, part: *part, calls, values });
            }
        }
        Ok(maps)
    }

    fn check(&self) -> Result<()> {
        let kinds = [(MapKind::Cross, &self.options.cross), (MapKind::SelfAttention, &self.options.self_attention)];
        for (kind, asked) in kinds {
            if let Some(missing) = asked.iter().find(|side| !self.seen.contains(&(kind, **side))) {
                let name = if kind == MapKind::Cross { "cross" } else { "self" };
                let mut sides: Vec<_> = self.seen.iter().filter(|(k, _)| *k == kind).map(|(_, side)| side).collect();
                sides.sort_unstable();
                return Err(NetsError::input(format!(
                    "no {name}-attention of {missing}x{missing} in this network at this size; it has {sides:?}"
                )));
            }
        }
        Ok(())
    }

    /// Maps of one sample's classes `[classes, size]` out of `[prompts, size, classes in a prompt]`.
    fn class_maps(&self, mean: &[f32], sample: usize, size: usize) -> Vec<f32> {
        let Some(classes) = &self.classes else {
            return Vec::new();
        };
        let [_, _, most] = classes.picks.dims();
        let mut values = Vec::new();
        for (i, prompt) in classes.prompts.iter().enumerate().filter(|(_, prompt)| prompt.sample == sample) {
            let map = &mean[i * size * most..][..size * most];
            for class in 0..prompt.positions.len() {
                values.extend(map.iter().skip(class).step_by(most));
            }
        }
        values
    }

    fn wanted(&mut self, kind: MapKind, [height, width]: [usize; 2]) -> Option<usize> {
        if height != width {
            return None;
        }
        if !self.seen.contains(&(kind, height)) {
            self.seen.push((kind, height));
        }
        let asked = match kind {
            MapKind::Cross => &self.options.cross,
            MapKind::SelfAttention => &self.options.self_attention,
        };
        asked.contains(&height).then_some(height)
    }

    fn keep(&mut self, kind: MapKind, resolution: usize, heads: usize, map: Tensor<3>) {
        let part = match self.options.division {
            Division::Together => Part::All,
            // The counter is one ahead inside a call.
            Division::EvenOdd if self.calls % 2 == 1 => Part::Even,
            Division::EvenOdd => Part::Odd,
        };
        let key = (kind, resolution, part);
        let sum = match self.sums.remove(&key) {
            Some(Sum { total, terms }) => Sum { total: total + map, terms: terms + heads },
            None => Sum { total: map, terms: heads },
        };
        self.sums.insert(key, sum);
    }

    /// The rows of the conditional half.
    fn conditional(&self, x: &Tensor<4>) -> Tensor<4> {
        let batch = x.dims()[0];
        let first = batch.saturating_sub(self.samples);
        x.clone().narrow(0, first, batch - first)
    }
}

impl Attention for Capture {
    fn begin_call(&mut self) {
        self.calls += 1;
    }

    fn attend(&mut self, layer: Attend<'_>) -> Tensor<4> {
        if let Some(side) = self.wanted(layer.kind, layer.size) {
            let heads = layer.query.dims()[1];
            let query = self.conditional(&layer.query);
            let map = match (layer.kind, &self.classes) {
                (MapKind::SelfAttention, _) => Some(head_sum(query, self.conditional(&layer.key))),
                (MapKind::Cross, Some(classes)) => {
                    let keys = (layer.project_key)(classes.states.clone());
                    let words = head_sum(query.select(0, classes.owners.clone()), keys);
                    Some(words.matmul(classes.picks.clone()))
                }
                (MapKind::Cross, None) => None,
            };
            if let Some(map) = map {
                self.keep(layer.kind, side, heads, map);
            }
        }
        layer.output()
    }
}

impl Classes {
    fn new(context: ClassContext, samples: usize) -> Result<Self> {
        let ClassContext { prompts, states } = context;
        let [rows, tokens, _] = states.dims();
        if rows != prompts.len() || rows == 0 {
            return Err(NetsError::input(format!("{} class prompts with {rows} text states", prompts.len())));
        }
        let most = prompts.iter().map(|prompt| prompt.positions.len()).max().unwrap_or(0).max(1);
        let mut picks = vec![0.0_f32; rows * tokens * most];
        for (row, prompt) in prompts.iter().enumerate() {
            if prompt.sample >= samples {
                return Err(NetsError::input(format!(
                    "class prompt of sample {} in a batch of {samples}",
                    prompt.sample
                )));
            }
            for (class, positions) in prompt.positions.iter().enumerate() {
                if positions.is_empty() || positions.iter().any(|position| *position >= tokens) {
                    return Err(NetsError::input(format!("class tokens {positions:?} in a prompt of {tokens} tokens")));
                }
                for position in positions {
                    picks[(row * tokens + position) * most + class] = 1.0 / positions.len() as f32;
                }
            }
        }
        let device = states.device();
        let owners: Vec<i64> = prompts.iter().map(|prompt| prompt.sample as i64).collect();
        Ok(Self {
            owners: Tensor::from_data(TensorData::new(owners, [rows]), &device),
            picks: Tensor::from_data(TensorData::new(picks, [rows, tokens, most]), (&device, DType::F32)),
            prompts,
            states,
        })
    }
}

/// The sum over heads of softmax(Q Kᵀ / √head_dim), in f32: `[batch, queries, keys]`.
fn head_sum(query: Tensor<4>, key: Tensor<4>) -> Tensor<3> {
    let [batch, _, queries, head_dim] = query.dims();
    let keys = key.dims()[2];
    let [query, key] = [query, key].map(|x| x.cast(FloatDType::F32));
    let scores = query.matmul(key.swap_dims(2, 3)) * (1.0 / (head_dim as f64).sqrt());
    activation::softmax(scores, 3).sum_dim(1).reshape([batch, queries, keys])
}

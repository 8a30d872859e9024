//! The binary cross entropy of matched slot masks, and its gradient.

use burn::tensor::{Tensor, TensorData};
use glass_schemas::spec::trainer::{GuidanceSpec, Switch};
use rayon::prelude::*;

use super::components::{UNCERTAIN, components};
use super::matching::{match_components, overlaps};
use super::resize::Bilinear;
use crate::error::Result;

/// Probabilities are kept this far from 0 and 1.
const MARGIN: f32 = 1e-6;

/// The pseudo-mask of one sample at the resolution of the guidance.
#[derive(Debug, Clone, Copy)]
pub struct PseudoMask<'a> {
    /// One label a pixel, row-major; 255 is uncertain.
    pub labels: &'a [u8],
    /// How much its loss counts among the batch's.
    pub weight: f32,
}

/// Semantic guidance at one resolution.
#[derive(Debug, Clone)]
pub struct Guidance {
    background: Switch,
    enlarge: Bilinear,
}

/// The loss of a batch, ready for autodiff.
#[derive(Debug, Clone)]
pub struct SemanticTerm {
    /// The loss itself.
    pub value: f32,
    /// Its gradient in the attention, `[batch, slots, tokens]`.
    pub gradient: Vec<f32>,
    /// Matched pairs in the batch.
    pub pairs: usize,
    /// Mean IoU of the matched pairs.
    pub overlap: f32,
}

/// One sample's share.
struct Share {
    loss: f32,
    weight: f32,
    gradient: Vec<f32>,
    pairs: usize,
    overlap: f64,
}

impl Guidance {
    /// For attention over `token_side²` tokens.
    pub fn new(spec: &GuidanceSpec, token_side: usize) -> Self {
        Self { background: spec.background, enlarge: Bilinear::new(token_side, spec.resolution as usize) }
    }

    /// The semantic loss of `attention [batch, slots, tokens]` as a scalar that autodiff can use.
    ///
    /// The scalar has the loss's gradient; the loss's value is in the term.
    ///
    /// # Errors
    /// Where masks and attention do not fit each other.
    pub fn loss(&self, attention: &Tensor<3>, masks: &[PseudoMask<'_>]) -> Result<(Tensor<1>, SemanticTerm)> {
        let shape = attention.dims();
        let device = attention.device();
        let numbers = host(attention.clone());
        let term = self.term(&numbers, shape[1], masks)?;
        let gradient = Tensor::from_data(TensorData::new(term.gradient.clone(), shape), &device);
        let linear = (attention.clone() * gradient).sum();
        Ok((linear, term))
    }

    /// Loss and gradient on the host; `attention [batch, slots, tokens]`.
    ///
    /// # Errors
    /// Where masks and attention do not fit each other.
    pub fn term(&self, attention: &[f32], slots: usize, masks: &[PseudoMask<'_>]) -> Result<SemanticTerm> {
        let size = attention.len() / masks.len().max(1);
        let shares: Vec<Option<Share>> = attention
            .par_chunks(size.max(1))
            .zip(masks)
            .map(|(attention, mask)| self.share(attention, slots, mask))
            .collect::<Result<_>>()?;
        let total: f32 = shares.iter().flatten().map(|share| share.weight).sum();
        let mut term =
            SemanticTerm { value: 0.0, gradient: Vec::with_capacity(attention.len()), pairs: 0, overlap: 0.0 };
        let mut overlap = 0.0;
        for share in &shares {
            let Some(share) = share else {
                term.gradient.resize(term.gradient.len() + size, 0.0);
                continue;
            };
            let scale = share.weight / total;
            term.value += scale * share.loss;
            term.gradient.extend(share.gradient.iter().map(|g| g * scale));
            term.pairs += share.pairs;
            overlap += share.overlap;
        }
        term.overlap = (overlap / term.pairs.max(1) as f64) as f32;
        Ok(term)
    }

    /// One sample, or none where there is nothing to match.
    fn share(&self, attention: &[f32], slots: usize, mask: &PseudoMask<'_>) -> Result<Option<Share>> {
        let components = components(mask.labels, self.background);
        let known = mask.labels.iter().filter(|&&l| l != UNCERTAIN).count();
        if components.is_empty() || mask.weight <= 0.0 {
            return Ok(None);
        }
        let (tokens, pixels) = (attention.len() / slots, mask.labels.len());
        let mut large = vec![0.0; slots * pixels];
        for (map, large) in attention.chunks(tokens).zip(large.chunks_mut(pixels)) {
            self.enlarge.enlarge(map, large);
        }
        let overlap = overlaps(&owners(&large, pixels), mask.labels, slots, &components);
        let pairs = match_components(&overlap, slots, components.len())?;

        let scale = 1.0 / (known * pairs.len()) as f32;
        let mut share = Share {
            loss: 0.0,
            weight: mask.weight,
            gradient: vec![0.0; attention.len()],
            pairs: pairs.len(),
            overlap: 0.0,
        };
        let mut pixel_gradient = vec![0.0; pixels];
        for (slot, component) in pairs {
            share.overlap += overlap[slot * components.len() + component];
            let probability = &large[slot * pixels..][..pixels];
            let label = components[component].label;
            share.loss += cross_entropy(probability, mask.labels, label, scale, &mut pixel_gradient);
            self.enlarge.gather(&pixel_gradient, &mut share.gradient[slot * tokens..][..tokens]);
        }
        Ok(Some(share))
    }
}

/// The slot that holds each pixel; the first of equals.
fn owners(maps: &[f32], pixels: usize) -> Vec<u8> {
    let mut best = maps[..pixels].to_vec();
    let mut owner = vec![0u8; pixels];
    for (slot, map) in maps.chunks(pixels).enumerate().skip(1) {
        for ((best, owner), &value) in best.iter_mut().zip(&mut owner).zip(map) {
            if value > *best {
                (*best, *owner) = (value, slot as u8);
            }
        }
    }
    owner
}

/// `Σ −log(p or 1 − p) · scale` over known pixels; writes its gradient in `p`.
fn cross_entropy(probability: &[f32], labels: &[u8], label: u8, scale: f32, gradient: &mut [f32]) -> f32 {
    let mut sum = 0.0f64;
    for ((&p, &l), gradient) in probability.iter().zip(labels).zip(gradient) {
        if l == UNCERTAIN {
            *gradient = 0.0;
            continue;
        }
        let clamped = p.clamp(MARGIN, 1.0 - MARGIN);
        let (likely, sign) = if l == label { (clamped, -1.0) } else { (1.0 - clamped, 1.0) };
        sum -= f64::from(likely.ln());
        // A clamped probability has no gradient, as in PyTorch.
        *gradient = if clamped == p { sign * scale / likely } else { 0.0 };
    }
    (sum * f64::from(scale)) as f32
}

/// A tensor's numbers, without its graph.
pub(crate) fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.detach().into_data().convert::<f32>().try_into_vec().unwrap_or_default()
}

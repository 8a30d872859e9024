//! One sample from attention to mask and quality signals.

use glass_schemas::spec::{MasksSpec, ThresholdChoice};

use crate::extractors::{Extractor, HeatMaps, NormaliseAt, Scale};
use crate::refine::{
    Bicubic, Interval, MAX_CLASS_ID, Plane, Sweep, UNCERTAIN, area_share, intersection_over_union, label_adaptively,
    label_pixels, mean_over_maxima, min_max, normalised_entropy, peak,
};
use crate::{Attention, ExtractError};

/// Which classes leave the mask because they were asked for and never drawn. Nothing is dropped by
/// default.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct DropRules {
    /// Drop classes whose un-normalised peak is below this.
    pub peak: Option<f32>,
    /// Drop classes that would take a smaller share of the image than this.
    pub area: Option<f32>,
    /// Drop classes whose even and odd masks agree less than this.
    pub agreement: Option<f32>,
}

/// How scores in [0, 1] become labels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Threshold {
    /// The same for all; undecided pixels between two values.
    Interval(Interval),
    /// One for every class of every image.
    Adaptive(Sweep),
}

/// How masks are cut from heat maps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cutting {
    /// Thresholds.
    pub threshold: Threshold,
    /// Phantom classes.
    pub drop: DropRules,
}

impl Cutting {
    /// The thresholds and rules of a spec.
    ///
    /// # Errors
    /// As [`Cutting::new`].
    pub fn from_spec(spec: &MasksSpec) -> Result<Self, ExtractError> {
        let drop =
            DropRules { peak: spec.drop_below_peak, area: spec.drop_below_area, agreement: spec.drop_below_agreement };
        let (low, high) = (spec.low, spec.high);
        let threshold = match spec.threshold {
            ThresholdChoice::Interval => Threshold::Interval(Interval { low, high }),
            ThresholdChoice::Adaptive => Threshold::Adaptive(Sweep { low, high }),
        };
        Self::new(threshold, drop)
    }

    /// Checks the thresholds.
    ///
    /// # Errors
    /// [`ExtractError::Settings`] where `low` is above `high`.
    pub fn new(threshold: Threshold, drop: DropRules) -> Result<Self, ExtractError> {
        let (Threshold::Interval(Interval { low, high }) | Threshold::Adaptive(Sweep { low, high })) = threshold;
        if low.is_nan() || high.is_nan() || low > high {
            let problem = format!("is {low}, above `masks.high` = {high}");
            return Err(ExtractError::Settings { field: "low", problem });
        }
        Ok(Self { threshold, drop })
    }
}

/// Attention of one sample over all calls and, where stored, over even and odd calls apart.
#[derive(Debug, Clone)]
pub struct Parts<'a> {
    /// Means over all calls: what the mask is made of.
    pub all: Attention<'a>,
    /// Means over even and over odd calls: two weaker opinions on the same picture.
    pub halves: Option<[Attention<'a>; 2]>,
}

/// What is known about one class of a mask, before any class was dropped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    /// Highest value of the heat map before it was normalised.
    pub peak: f32,
    /// Share of the image that the class takes.
    pub area: f32,
    /// Entropy of the heat map over that of an even one, 0 to 1.
    pub entropy: f32,
    /// Intersection over union of the class's masks from even and odd calls; NaN where these are
    /// not stored.
    pub agreement: f32,
    /// Whether a rule took the class out of the mask.
    pub dropped: Dropped,
}

/// Whether a class is in the mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// It takes part.
    No,
    /// A rule took it out.
    Yes,
}

/// A mask and what is known about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Extraction {
    /// Class ids, 0 for ground, 255 for uncertain; row by row.
    pub labels: Vec<u8>,
    /// One entry per class, in the sample's order.
    pub quality: Vec<Quality>,
    /// Mean agreement over the classes in the mask; NaN where there is none, and where even and odd
    /// calls are not stored.
    pub agreement: f32,
}

/// Makes the mask of one sample at `size` pixels; `ids` are the mask values of its classes.
pub fn extract(
    extractor: &dyn Extractor,
    cutting: &Cutting,
    parts: &Parts<'_>,
    ids: &[u32],
    size: Plane,
) -> Result<Extraction, ExtractError> {
    let ids = ids.iter().map(|&id| mask_value(id)).collect::<Result<Vec<u8>, _>>()?;
    let raw = extractor.heat_maps(&parts.all)?;
    let everyone: Vec<usize> = (0..ids.len()).collect();
    let labels = cut(&raw, &everyone, &ids, size, cutting.threshold);
    let agreement = match &parts.halves {
        Some(halves) => half_agreement(extractor, cutting.threshold, halves, &ids, size)?,
        None => vec![f32::NAN; ids.len()],
    };
    let mut quality = Vec::with_capacity(ids.len());
    for ((map, &id), agreement) in raw.finest().iter().zip(&ids).zip(agreement) {
        let (peak, area) = (peak(map), area_share(&labels, id));
        let dropped = verdict(&cutting.drop, peak, area, agreement);
        quality.push(Quality { peak, area, entropy: normalised_entropy(map), agreement, dropped });
    }
    let kept: Vec<usize> = everyone.iter().copied().filter(|&c| quality[c].dropped == Dropped::No).collect();
    let labels = if kept.len() == ids.len() { labels } else { cut(&raw, &kept, &ids, size, cutting.threshold) };
    let agreement = kept.iter().map(|&c| quality[c].agreement).sum::<f32>() / kept.len() as f32;
    Ok(Extraction { labels, quality, agreement })
}

fn mask_value(id: u32) -> Result<u8, ExtractError> {
    match u8::try_from(id) {
        Ok(value) if (1..=MAX_CLASS_ID).contains(&id) && value != UNCERTAIN => Ok(value),
        _ => Err(ExtractError::ClassId { id }),
    }
}

/// Labels from the heat maps of the classes `kept`.
fn cut(raw: &HeatMaps, kept: &[usize], ids: &[u8], size: Plane, threshold: Threshold) -> Vec<u8> {
    let ids: Vec<u8> = kept.iter().map(|&class| ids[class]).collect();
    if let (Threshold::Interval(interval), NormaliseAt::Map, [scale]) =
        (threshold, raw.normalise, raw.scales.as_slice())
    {
        // The usual way needs no map of the image's size.
        let maps: Vec<Vec<f32>> = kept.iter().map(|&class| normalised(&scale.classes[class])).collect();
        return label_pixels(&maps, &ids, &resize(scale, size), interval);
    }
    let maps: Vec<Vec<f32>> = kept.iter().map(|&class| scores(raw, class, size)).collect();
    match threshold {
        Threshold::Interval(interval) => label_pixels(&maps, &ids, &Bicubic::new(size, size), interval),
        Threshold::Adaptive(sweep) => label_adaptively(&maps, &ids, sweep),
    }
}

/// Normalised scores of one class at the image's size.
fn scores(raw: &HeatMaps, class: usize, size: Plane) -> Vec<f32> {
    let mut full = raw.scales.iter().map(|scale| match raw.normalise {
        NormaliseAt::Map => resize(scale, size).resize(&normalised(&scale.classes[class])),
        NormaliseAt::Image => normalised(&resize(scale, size).resize(&scale.classes[class])),
        NormaliseAt::EachScale => resize(scale, size).resize(&scale.classes[class]),
    });
    match raw.normalise {
        NormaliseAt::EachScale => mean_over_maxima(full, size.len()),
        NormaliseAt::Map | NormaliseAt::Image => full.next().unwrap_or_default(),
    }
}

fn normalised(map: &[f32]) -> Vec<f32> {
    let mut map = map.to_vec();
    min_max(&mut map);
    map
}

fn resize(scale: &Scale, size: Plane) -> Bicubic {
    Bicubic::new(Plane::square(scale.resolution as usize), size)
}

fn half_agreement(
    extractor: &dyn Extractor,
    threshold: Threshold,
    halves: &[Attention<'_>; 2],
    ids: &[u8],
    size: Plane,
) -> Result<Vec<f32>, ExtractError> {
    let everyone: Vec<usize> = (0..ids.len()).collect();
    let [even, odd] = halves;
    let even = cut(&extractor.heat_maps(even)?, &everyone, ids, size, threshold);
    let odd = cut(&extractor.heat_maps(odd)?, &everyone, ids, size, threshold);
    Ok(ids.iter().map(|&id| intersection_over_union(&even, &odd, id)).collect())
}

fn verdict(rules: &DropRules, peak: f32, area: f32, agreement: f32) -> Dropped {
    let below = |value: f32, limit: Option<f32>| limit.is_some_and(|limit| value < limit);
    if below(peak, rules.peak) || below(area, rules.area) || below(agreement, rules.agreement) {
        Dropped::Yes
    } else {
        Dropped::No
    }
}

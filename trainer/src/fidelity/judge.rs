//! Pictures in, numbers out.

use burn::tensor::Tensor;
use glass_metrics::{
    FeatureSample, FeatureStatistics, PerceptualLayer, Planes, cosine_score, mean_sd, perceptual_distance, psnr,
    squared_error, ssim,
};
use glass_nets::perceptual::Perceptual;
use glass_schemas::seeds::{Purpose, Stream};
use glass_schemas::spec::pictures::PictureMetricsSpec;
use image::RgbImage;
use rayon::prelude::*;

use super::kernel::kernel_distance;
use super::networks::{Networks, describe, floats};
use super::report::{Report, Score};
use super::statistics::Reference;
use crate::eval::EvalError;

/// Smallest side of a picture that SSIM's window fits into.
const SSIM_SIDE: u32 = 11;

/// Features of one set of pictures.
struct Side {
    statistics: FeatureStatistics,
    sample: FeatureSample,
}

/// Scores of pairs, one number a pair and metric.
#[derive(Default)]
struct Pairs {
    squared_error: Vec<f64>,
    psnr: Vec<f64>,
    ssim: Vec<f64>,
    perceptual: Vec<f64>,
    clip: Vec<f64>,
}

/// Takes in pictures batch by batch.
pub struct Judge<'n> {
    networks: &'n Networks,
    spec: PictureMetricsSpec,
    real: Option<Side>,
    drawn: Vec<(Option<String>, Side)>,
    reference: Option<Reference>,
    pairs: Pairs,
}

impl<'n> Judge<'n> {
    /// Without pictures yet; `reference` stands for the real ones.
    ///
    /// # Errors
    /// Where the reference was made with another network.
    pub fn new(
        networks: &'n Networks,
        spec: &PictureMetricsSpec,
        reference: Option<Reference>,
    ) -> Result<Self, EvalError> {
        if let Some(reference) = &reference {
            reference.check(networks)?;
        }
        let mut judge =
            Self { networks, spec: spec.clone(), real: None, drawn: Vec::new(), reference, pairs: Pairs::default() };
        judge.real = judge.side();
        Ok(judge)
    }

    /// A side without pictures.
    fn side(&self) -> Option<Side> {
        let dim = self.networks.features.as_ref()?.dim();
        let kept = self.spec.kernel_pictures as usize;
        Some(Side { statistics: FeatureStatistics::new(dim), sample: FeatureSample::new(dim, kept) })
    }

    /// Begins a set of drawn pictures; `of` names it where there are several.
    pub fn begin(&mut self, of: Option<String>) {
        let side = self.side();
        self.drawn.extend(side.map(|side| (of, side)));
    }

    /// Whether real pictures have to be given to [`Judge::real`].
    pub fn wants_real(&self) -> bool {
        self.real.is_some() && self.reference.is_none()
    }

    /// Takes in real pictures; `names` decide which of them the kernel distance keeps.
    ///
    /// # Errors
    /// Where a network refuses them.
    pub fn real(&mut self, names: &[&str], pictures: &[RgbImage]) -> Result<(), EvalError> {
        add(self.real.as_mut(), self.networks, self.spec.seed, names, pictures)
    }

    /// Takes drawn pictures into the set that was begun last.
    ///
    /// # Errors
    /// Where a network refuses them.
    pub fn drawn(&mut self, names: &[&str], pictures: &[RgbImage]) -> Result<(), EvalError> {
        add(self.drawn.last_mut().map(|(_, side)| side), self.networks, self.spec.seed, names, pictures)
    }

    /// Scores pictures against those that they were drawn after, of the same size.
    ///
    /// # Errors
    /// Where sizes differ or a network refuses them.
    pub fn pairs(&mut self, real: &[RgbImage], drawn: &[RgbImage]) -> Result<(), EvalError> {
        let scores: Vec<[f64; 3]> =
            real.par_iter().zip(drawn).map(|(real, drawn)| pixels(real, drawn)).collect::<Result<_, _>>()?;
        for [squared_error, psnr, ssim] in scores {
            self.pairs.squared_error.push(squared_error);
            self.pairs.psnr.push(psnr);
            self.pairs.ssim.extend(Some(ssim).filter(|ssim| !ssim.is_nan()));
        }
        if let Some(network) = &self.networks.perceptual {
            self.pairs.perceptual.extend(perceptual(network, self.networks, real, drawn)?);
        }
        if let Some((network, processor)) = &self.networks.clip {
            let embed = |pictures: &[RgbImage]| -> Result<Vec<Vec<f32>>, EvalError> {
                let hidden = network.forward(processor.batch(pictures, &self.networks.device)?)?;
                let embedded = network.embed(hidden);
                let width = embedded.dims()[1].max(1);
                Ok(floats(embedded)?.chunks_exact(width).map(<[f32]>::to_vec).collect())
            };
            for (real, drawn) in embed(real)?.iter().zip(embed(drawn)?) {
                self.pairs.clip.push(cosine_score(real, &drawn)?);
            }
        }
        Ok(())
    }

    /// Statistics of the real pictures so far, to be stored.
    pub fn reference(&self) -> Option<Reference> {
        let side = self.real.as_ref()?;
        Some(Reference::new(side.statistics.clone(), self.networks))
    }

    /// All numbers.
    ///
    /// # Errors
    /// Where a set of pictures has fewer than two.
    pub fn finish(self) -> Result<Report, EvalError> {
        let mut report = Report::new(&self.spec, self.networks);
        for (of, drawn) in &self.drawn {
            report.scores.extend(self.distances(of.as_deref(), drawn)?);
        }
        let Pairs { squared_error, psnr, ssim, perceptual, clip } = self.pairs;
        let infinite = psnr.iter().any(|value| value.is_infinite());
        let mut pairs = vec![
            ("mse", squared_error, Some("sum over channels and pixels, mean over pictures".to_owned())),
            ("psnr", psnr, infinite.then(|| "infinite: some pictures are equal".to_owned())),
            ("ssim", ssim, None),
        ];
        if let Some(network) = &self.networks.perceptual {
            pairs.push(("lpips", perceptual, Some(format!("in {}", describe(network)))));
        }
        if self.networks.clip.is_some() {
            pairs.push(("clip_image_score", clip, Some("100 × cosine, not below 0".to_owned())));
        }
        for (metric, values, note) in pairs {
            let Some(mean) = mean_sd(&values) else { continue };
            let value = if metric == "clip_image_score" { mean.mean.max(0.0) } else { mean.mean };
            report.scores.push(Score { note, ..Score::of_pairs(metric, value, mean) });
        }
        Ok(report)
    }
}

impl Judge<'_> {
    /// Fréchet and kernel distance of a set of drawn pictures to the real ones.
    fn distances(&self, of: Option<&str>, drawn: &Side) -> Result<Vec<Score>, EvalError> {
        let (Some(network), Some(real)) = (&self.networks.features, &self.real) else { return Ok(Vec::new()) };
        let [frechet, kernel] = network.metrics();
        let statistics = self.reference.as_ref().map_or(&real.statistics, Reference::statistics);
        let score = |metric: &str, value| Score {
            of: of.map(str::to_owned),
            real: self.reference.as_ref().map_or(Some(statistics.count()), Reference::pictures),
            ..Score::of_set(metric, value, drawn.statistics.count(), self.networks)
        };
        if statistics.count() < 2 || drawn.statistics.count() < 2 {
            let note = Some("two pictures on either side are needed".to_owned());
            return Ok(vec![Score { value: None, note, ..score(frechet, f64::NAN) }]);
        }
        let mut scores = vec![score(frechet, drawn.statistics.frechet_distance(statistics)?)];
        if self.reference.is_none() && self.spec.kernel_subsets > 0 {
            let samples = [&real.sample, &drawn.sample];
            let (distance, size) = kernel_distance(samples, &self.spec, &self.networks.device)?;
            scores.push(Score {
                sd: Some(distance.sd),
                subsets: Some([self.spec.kernel_subsets as usize, size]),
                ..score(kernel, distance.mean)
            });
        }
        Ok(scores)
    }
}

/// Takes features into one side.
fn add(
    side: Option<&mut Side>,
    networks: &Networks,
    seed: u64,
    names: &[&str],
    pictures: &[RgbImage],
) -> Result<(), EvalError> {
    let (Some(side), Some(network)) = (side, &networks.features) else { return Ok(()) };
    if pictures.is_empty() {
        return Ok(());
    }
    let features = floats(network.features(pictures, &networks.device)?)?;
    side.statistics.add(&features)?;
    for (name, row) in names.iter().zip(features.chunks_exact(network.dim())) {
        side.sample.offer(Stream::new(seed, name, Purpose::Bootstrap).u64_at(0), row)?;
    }
    Ok(())
}

/// Squared error, PSNR and SSIM of a pair; SSIM is NaN where its window does not fit.
fn pixels(real: &RgbImage, drawn: &RgbImage) -> Result<[f64; 3], EvalError> {
    let planes = |picture: &RgbImage| -> Vec<f32> {
        let channel = |channel| picture.as_raw().iter().skip(channel).step_by(3);
        (0..3).flat_map(channel).map(|&byte| f32::from(byte) / 255.0).collect()
    };
    let (of_real, of_drawn) = (planes(real), planes(drawn));
    let first = Planes::new(&of_real, real.width() as usize, real.height() as usize)?;
    let second = Planes::new(&of_drawn, drawn.width() as usize, drawn.height() as usize)?;
    let similarity = match real.width().min(real.height()) >= SSIM_SIDE {
        true => ssim(first, second, 1.0)?,
        false => f64::NAN,
    };
    Ok([squared_error(first, second)?, psnr(first, second, 1.0)?, similarity])
}

/// LPIPS of every pair; the layers of one pair at a time are on the host.
fn perceptual(
    network: &Perceptual,
    networks: &Networks,
    real: &[RgbImage],
    drawn: &[RgbImage],
) -> Result<Vec<f64>, EvalError> {
    let mut distances = Vec::with_capacity(real.len());
    for (real, drawn) in real.iter().zip(drawn) {
        let layers = |picture: &RgbImage| -> Result<Vec<Vec<f32>>, EvalError> {
            let prepared: Tensor<4> = Perceptual::prepare(std::slice::from_ref(picture), &networks.device)?;
            network.forward(prepared)?.into_iter().map(floats).collect()
        };
        let (first, second) = (layers(real)?, layers(drawn)?);
        let layers: Vec<PerceptualLayer<'_>> = first
            .iter()
            .zip(&second)
            .zip(network.heads())
            .map(|((first, second), weights)| PerceptualLayer { first, second, weights })
            .collect();
        distances.push(perceptual_distance(&layers)?);
    }
    Ok(distances)
}

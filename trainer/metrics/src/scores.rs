use crate::{
    BackgroundRule, Contingency, GroundTruth, LabelMap, MetricsError, Objects, OverlapScores, Points, Protocol,
    adjusted_rand_index, overlap_scores,
};

/// Names of the headline metrics, in the order of [`Headline::values`].
pub const METRIC_NAMES: [&str; 9] =
    ["miou_i", "miou_c", "mbo_i", "mbo_c", "fg_ari", "ari_i", "ari_c", "corloc", "object_recovery"];

/// Scores of one picture against one of its ground truths, with background as an object and
/// without.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TruthScores {
    /// ARI, background among the groups.
    pub ari: f64,
    /// ARI over pixels of objects.
    pub fg_ari: f64,
    /// Overlap metrics with background as an object; `None` where no pixel is counted.
    pub with_background: Option<OverlapScores>,
    /// Overlap metrics without background; `None` where the picture has no object.
    pub without_background: Option<OverlapScores>,
}

impl TruthScores {
    /// Overlap metrics under a background rule.
    pub fn overlap(&self, rule: BackgroundRule) -> Option<OverlapScores> {
        match rule {
            BackgroundRule::Object => self.with_background,
            BackgroundRule::Excluded => self.without_background,
        }
    }
}

/// All scores of one picture under one protocol.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImageScores {
    /// Against instances.
    pub instances: TruthScores,
    /// Against classes.
    pub semantics: TruthScores,
}

/// The metrics of one picture as its protocol defines them; `None` where the picture takes no part
/// in a mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Headline {
    /// mIoU with instances.
    pub miou_i: Option<f64>,
    /// mIoU with classes.
    pub miou_c: Option<f64>,
    /// mBO with instances.
    pub mbo_i: Option<f64>,
    /// mBO with classes.
    pub mbo_c: Option<f64>,
    /// FG-ARI with instances.
    pub fg_ari: f64,
    /// ARI with instances, background a group.
    pub ari_i: f64,
    /// ARI with classes, background a group (the `ari` of the GLASS release).
    pub ari_c: f64,
    /// CorLoc with instances.
    pub corloc: Option<f64>,
    /// Object recovery with instances.
    pub object_recovery: Option<f64>,
}

impl Headline {
    /// Values in the order of [`METRIC_NAMES`].
    pub fn values(&self) -> [Option<f64>; METRIC_NAMES.len()] {
        [
            self.miou_i,
            self.miou_c,
            self.mbo_i,
            self.mbo_c,
            Some(self.fg_ari),
            Some(self.ari_i),
            Some(self.ari_c),
            self.corloc,
            self.object_recovery,
        ]
    }
}

impl Protocol {
    /// Scores a prediction against ground truth of the same size (see [`GroundTruth::square`]).
    pub fn score(&self, truth: &GroundTruth, prediction: &LabelMap) -> Result<ImageScores, MetricsError> {
        Ok(ImageScores {
            instances: self.score_map(&truth.instances, prediction)?,
            semantics: self.score_map(&truth.semantics, prediction)?,
        })
    }

    fn score_map(&self, truth: &LabelMap, prediction: &LabelMap) -> Result<TruthScores, MetricsError> {
        let table = Contingency::new(truth, prediction)?;
        Ok(TruthScores {
            ari: adjusted_rand_index(&table, Points::All),
            fg_ari: adjusted_rand_index(&table, Points::Foreground),
            with_background: overlap_scores(&table, Objects::WithBackground, self.empty_labels)?,
            without_background: overlap_scores(&table, Objects::WithoutBackground, self.empty_labels)?,
        })
    }

    /// The metrics this protocol reports, out of all that were computed.
    pub fn headline(&self, scores: &ImageScores) -> Headline {
        let (instances, semantics, rules) = (&scores.instances, &scores.semantics, &self.background);
        Headline {
            miou_i: instances.overlap(rules.miou).map(|overlap| overlap.miou),
            miou_c: semantics.overlap(rules.miou).map(|overlap| overlap.miou),
            mbo_i: instances.overlap(rules.mbo).map(|overlap| overlap.mbo),
            mbo_c: semantics.overlap(rules.mbo).map(|overlap| overlap.mbo),
            fg_ari: instances.fg_ari,
            ari_i: instances.ari,
            ari_c: semantics.ari,
            corloc: instances.overlap(rules.corloc).map(|overlap| overlap.corloc),
            object_recovery: instances.overlap(rules.recovery).map(|overlap| overlap.recovery),
        }
    }
}

/// A mean over the pictures that take part.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Mean {
    sum: f64,
    count: u64,
}

impl Mean {
    /// Adds a picture; `None` leaves the mean as it is.
    pub fn add(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            self.sum += value;
            self.count += 1;
        }
    }

    /// The mean; `None` before the first picture that takes part.
    pub fn value(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    /// Pictures that took part.
    pub fn count(&self) -> u64 {
        self.count
    }
}

//! Semantic segmentation: pixels by true and predicted class, over a whole set.

use crate::{BACKGROUND, IGNORE, LabelMap, MetricsError, Objects};

/// How many pixels of each true class were given to each predicted class. Numbers are taken from
/// the sums over all pictures, as `_fast_hist` of the FCN and DeepLab evaluation codes does, not
/// picture by picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    /// `[truth, prediction]`
    counts: Vec<u64>,
    left_out: u64,
}

impl Confusion {
    /// For labels 0 to `classes` − 1; 0 is background.
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: vec![0; classes * classes], left_out: 0 }
    }

    /// Adds a picture. Pixels that are [`IGNORE`] in either map are left out.
    ///
    /// # Errors
    /// [`MetricsError::Size`] for maps of two sizes, [`MetricsError::Class`] for a label that is no
    /// class.
    pub fn add(&mut self, truth: &LabelMap, prediction: &LabelMap) -> Result<(), MetricsError> {
        if truth.size() != prediction.size() {
            return Err(MetricsError::Size { what: "prediction", expected: truth.size(), found: prediction.size() });
        }
        let class = |label: u16| usize::from(label) < self.classes || label == IGNORE;
        if let Some(&label) = [truth, prediction].into_iter().flat_map(LabelMap::labels).find(|&&l| !class(l)) {
            return Err(MetricsError::Class { label, classes: self.classes });
        }
        for (&truth, &predicted) in truth.labels().iter().zip(prediction.labels()) {
            if truth == IGNORE || predicted == IGNORE {
                self.left_out += 1;
            } else {
                self.counts[usize::from(truth) * self.classes + usize::from(predicted)] += 1;
            }
        }
        Ok(())
    }

    /// Adds the pictures of another one of as many classes.
    pub fn merge(&mut self, other: &Self) {
        debug_assert_eq!(self.classes, other.classes);
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.left_out += other.left_out;
    }

    /// Pixels of a class in the ground truth.
    pub fn truth_pixels(&self, class: usize) -> u64 {
        self.counts[class * self.classes..(class + 1) * self.classes].iter().sum()
    }

    /// Pixels of a class in the predictions.
    pub fn predicted_pixels(&self, class: usize) -> u64 {
        self.counts.iter().skip(class).step_by(self.classes).sum()
    }

    fn hits(&self, class: usize) -> u64 {
        self.counts[class * self.classes + class]
    }

    /// Intersection over union of every class; `None` for a class that occurs in neither.
    pub fn iou(&self) -> Vec<Option<f64>> {
        let iou = |class| {
            let union = self.truth_pixels(class) + self.predicted_pixels(class) - self.hits(class);
            (union > 0).then(|| self.hits(class) as f64 / union as f64)
        };
        (0..self.classes).map(iou).collect()
    }

    /// Mean of [`Confusion::iou`] over the classes that occur; `None` where none does.
    pub fn mean_iou(&self, objects: Objects) -> Option<f64> {
        let first = match objects {
            Objects::WithBackground => 0,
            Objects::WithoutBackground => usize::from(BACKGROUND) + 1,
        };
        mean(self.iou().into_iter().skip(first))
    }

    /// Share of each true class's pixels that were given to it, its mean over the classes that the
    /// ground truth has.
    pub fn mean_accuracy(&self) -> Option<f64> {
        mean((0..self.classes).map(|class| {
            let pixels = self.truth_pixels(class);
            (pixels > 0).then(|| self.hits(class) as f64 / pixels as f64)
        }))
    }

    /// Share of pixels given to their class.
    pub fn pixel_accuracy(&self) -> Option<f64> {
        let all: u64 = self.counts.iter().sum();
        let hits: u64 = (0..self.classes).map(|class| self.hits(class)).sum();
        (all > 0).then(|| hits as f64 / all as f64)
    }

    /// Share of all pixels that took part.
    pub fn judged(&self) -> Option<f64> {
        let counted: u64 = self.counts.iter().sum();
        let all = counted + self.left_out;
        (all > 0).then(|| counted as f64 / all as f64)
    }
}

fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let values: Vec<f64> = values.flatten().collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

use serde::{Deserialize, Serialize};

use crate::{BACKGROUND, IGNORE, LabelMap, MetricsError, OVERLAP};

/// Which labels of the ground truth are objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objects {
    /// Every label that occurs, background among them.
    WithBackground,
    /// Every label that occurs except background.
    WithoutBackground,
}

/// How many pixels each ground-truth label shares with each predicted label; counted in one pass
/// over the picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contingency {
    truth: Vec<u16>,
    predicted: Vec<u16>,
    counts: Vec<u64>,
    truth_sizes: Vec<u64>,
    predicted_sizes: Vec<u64>,
}

impl Contingency {
    /// Counts all pixels whose ground truth is not [`IGNORE`]; [`OVERLAP`] pixels count as
    /// background of one predicted segment of their own. Labels that never occur have no row and no
    /// column.
    pub fn new(truth: &LabelMap, prediction: &LabelMap) -> Result<Self, MetricsError> {
        if truth.size() != prediction.size() {
            return Err(MetricsError::Size { what: "prediction", expected: truth.size(), found: prediction.size() });
        }
        let runs = collect_runs(truth.labels(), prediction.labels());
        let (truth_index, truth) = index_labels(runs.iter().map(|run| run.0));
        let (predicted_index, predicted) = index_labels(runs.iter().map(|run| run.1));
        let mut counts = vec![0_u64; truth.len() * predicted.len()];
        for (t, p, pixels) in runs {
            let row = usize::from(truth_index[usize::from(t)]);
            let column = usize::from(predicted_index[usize::from(p)]);
            counts[row * predicted.len() + column] += pixels;
        }
        let columns = predicted.len();
        let truth_sizes = counts.chunks(columns.max(1)).map(|row| row.iter().sum()).collect();
        let predicted_sizes = (0..columns).map(|c| counts.iter().skip(c).step_by(columns).sum()).collect();
        Ok(Self { truth, predicted, counts, truth_sizes, predicted_sizes })
    }

    /// Ground-truth labels, one a row, ascending.
    pub fn truth(&self) -> &[u16] {
        &self.truth
    }

    /// Predicted labels, one a column, ascending.
    pub fn predicted(&self) -> &[u16] {
        &self.predicted
    }

    /// Shared pixels of ground-truth row `row` with every predicted label.
    pub fn row(&self, row: usize) -> &[u64] {
        &self.counts[row * self.predicted.len()..(row + 1) * self.predicted.len()]
    }

    /// Pixels of each ground-truth label.
    pub fn truth_sizes(&self) -> &[u64] {
        &self.truth_sizes
    }

    /// Pixels of each predicted label, over all counted pixels, background of the ground truth
    /// among them.
    pub fn predicted_sizes(&self) -> &[u64] {
        &self.predicted_sizes
    }

    /// Rows that are objects.
    pub fn object_rows(&self, objects: Objects) -> impl Iterator<Item = usize> + '_ {
        (0..self.truth.len()).filter(move |&row| objects == Objects::WithBackground || self.truth[row] != BACKGROUND)
    }

    /// Intersection over union of every object with every predicted label.
    pub fn iou(&self, objects: Objects) -> IouMatrix {
        let columns = self.predicted.len();
        let mut values = Vec::new();
        let mut rows = 0;
        for row in self.object_rows(objects) {
            rows += 1;
            values.extend(self.row(row).iter().zip(&self.predicted_sizes).map(|(&shared, &size)| {
                let union = self.truth_sizes[row] + size - shared;
                if union == 0 { 0.0 } else { shared as f64 / union as f64 }
            }));
        }
        IouMatrix { rows, columns, values }
    }
}

/// Intersection over union, objects × predicted labels, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct IouMatrix {
    /// Objects.
    pub rows: usize,
    /// Predicted labels.
    pub columns: usize,
    /// `rows * columns` values in [0, 1].
    pub values: Vec<f64>,
}

impl IouMatrix {
    /// One object's values.
    pub fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    /// The best value of every object.
    pub fn best(&self) -> Vec<f64> {
        (0..self.rows).map(|row| self.row(row).iter().copied().fold(0.0, f64::max)).collect()
    }
}

/// Stretches of equal label pairs, `(truth, prediction, pixels)`: pictures are made of few of them.
fn collect_runs(truth: &[u16], prediction: &[u16]) -> Vec<(u16, u16, u64)> {
    let mut runs: Vec<(u16, u16, u64)> = Vec::new();
    for (&t, &p) in truth.iter().zip(prediction) {
        let (t, p) = match t {
            IGNORE => continue,
            OVERLAP => (BACKGROUND, OVERLAP),
            _ => (t, p),
        };
        match runs.last_mut() {
            Some(last) if last.0 == t && last.1 == p => last.2 += 1,
            _ => runs.push((t, p, 1)),
        }
    }
    runs
}

/// The row of each label that occurs, and the labels in ascending order.
fn index_labels(labels: impl Iterator<Item = u16>) -> (Vec<u16>, Vec<u16>) {
    let mut index = Vec::new();
    for label in labels {
        let label = usize::from(label);
        if index.len() <= label {
            index.resize(label + 1, u16::MAX);
        }
        index[label] = 0;
    }
    let mut present = Vec::new();
    for (label, entry) in index.iter_mut().enumerate() {
        if *entry == 0 {
            *entry = present.len() as u16;
            present.push(label as u16);
        }
    }
    (index, present)
}

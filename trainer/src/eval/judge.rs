//! Scores masks made elsewhere: one pass, no picture, no network.

use std::path::Path;

use glass_metrics::{Protocol, box_scores};
use rayon::prelude::*;
use serde::Serialize;

use super::annotations::{Annotations, Picture};
use super::given::{Given, Segments, Source};
use super::run::{Row, Sink, in_square};
use super::scores::{BY_BOXES, ProtocolSummary};
use super::{EvalError, Method};
use crate::data::annotated::TruthKind;

/// Pictures in memory at once, a core.
const PICTURES_A_CORE: usize = 8;

/// What is one segment of a given mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Every value.
    Values,
    /// Every connected part of a class, as baselines that segment classes are judged on objects.
    Parts,
}

impl Unit {
    fn method(self) -> Method {
        match self {
            Self::Values => Method::Given,
            Self::Parts => Method::GivenParts,
        }
    }
}

/// Scores every picture of `source` under every protocol. Memory does not grow with their number.
///
/// # Errors
/// The first mask or annotation that cannot be used, by name.
pub fn judge(
    annotations: &Annotations,
    path: &Path,
    source: Source<'_>,
    unit: Unit,
    protocols: &[Protocol],
    sink: &mut dyn Sink,
) -> Result<(), EvalError> {
    let mut source = source.peekable();
    let at_once = PICTURES_A_CORE * rayon::current_num_threads();
    while source.peek().is_some() {
        let batch: Vec<Given<'_>> = source.by_ref().take(at_once).collect::<Result<_, _>>()?;
        let rows: Vec<Vec<Row<'_>>> =
            batch.par_iter().map(|given| score(annotations, path, given, unit, protocols)).collect::<Result<_, _>>()?;
        for row in rows.iter().flatten() {
            sink.row(row)?;
        }
        sink.advanced(batch.len())?;
    }
    Ok(())
}

fn score<'a>(
    annotations: &Annotations,
    path: &Path,
    given: &Given<'a>,
    unit: Unit,
    protocols: &[Protocol],
) -> Result<Vec<Row<'a>>, EvalError> {
    let picture = given.picture;
    let segments = match unit {
        Unit::Values => given.segments(path)?,
        Unit::Parts => given.segments(path)?.parts().map_err(|problem| no_parts(path, picture, problem))?,
    };
    let truths = annotations.truths(picture, protocols)?;
    let boxes = match annotations.truth_kind() {
        TruthKind::Boxes => Some(annotations.boxes(picture)?),
        TruthKind::Masks => None,
    };
    let mut rows = Vec::with_capacity(protocols.len());
    for (index, (protocol, truth)) in protocols.iter().zip(&truths).enumerate() {
        let Some(truth) = truth else { continue };
        let labels = segments.square(protocol, picture)?;
        let labels = labels.ok_or_else(|| wrong_size(path, picture, &segments, protocols))?;
        let row = Row::new(picture, unit.method(), 0, index, protocol.score(truth, &labels)?, &labels);
        let row = match &boxes {
            Some(found) => row.by_boxes(box_scores(&in_square(found, picture, protocol), &labels)),
            None => row,
        };
        rows.push(if index == 0 { row.keeping(labels) } else { row });
    }
    Ok(rows)
}

fn no_parts(path: &Path, picture: &Picture, problem: String) -> EvalError {
    EvalError::Given {
        path: path.to_owned(),
        field: format!("the mask of image `{}` (id {})", picture.name, picture.id),
        problem,
        hint: "write one class a pixel, 0 for ground".into(),
    }
}

fn wrong_size(path: &Path, picture: &Picture, segments: &Segments, protocols: &[Protocol]) -> EvalError {
    let found = match segments {
        Segments::Labels { map, .. } => map.size(),
        Segments::Soft { side, .. } => (*side, *side),
    };
    let fits = |protocol: &&Protocol| (protocol.mask_size as usize, protocol.mask_size as usize) == found;
    let sizes: Vec<String> =
        protocols.iter().map(|protocol| format!("{0}×{0} ({1})", protocol.mask_size, protocol.id)).collect();
    let fitting: Vec<&str> = protocols.iter().filter(fits).map(|protocol| protocol.id.as_str()).collect();
    EvalError::Given {
        path: path.to_owned(),
        field: format!("the mask of image `{}` (id {})", picture.name, picture.id),
        problem: format!(
            "is {}×{} pixels: neither the image's {}×{} nor a protocol's {}",
            found.0,
            found.1,
            picture.width,
            picture.height,
            sizes.join(", ")
        ),
        hint: if fitting.is_empty() {
            "write masks at the image's size, or as the centre square at the protocol's".into()
        } else {
            format!("masks of this size can be judged with `--protocol {}`", fitting.join(","))
        },
    }
}

/// Metrics of the report and the columns that they are read from.
const REPORTED: [(&str, &str); 8] = [
    ("miou_i", "miou_i"),
    ("miou_c", "miou_c"),
    ("mbo_i", "mbo_i"),
    ("mbo_c", "mbo_c"),
    ("fg_ari", "fg_ari"),
    ("ari", "ari_c"),
    ("corloc", "corloc"),
    ("object_recovery", "object_recovery"),
];

/// One number of a report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Number {
    /// The rules it was made under.
    pub protocol: String,
    /// Its name; `ari` is that of the GLASS release, over classes with background.
    pub metric: &'static str,
    /// Mean over pictures, 0 to 1; `None` where no picture takes part.
    pub value: Option<f64>,
    /// Pictures that take part.
    pub images: u64,
}

/// The numbers of a pass over given masks, protocol by protocol.
pub fn numbers(summary: &[ProtocolSummary]) -> Vec<Number> {
    let numbers = |summary: &ProtocolSummary| {
        let metrics = summary.methods.first().map(|method| method.metrics.clone()).unwrap_or_default();
        let protocol = summary.id.clone();
        let of_boxes =
            BY_BOXES.into_iter().filter(|metric| metrics.contains_key(metric)).map(|metric| (metric, metric));
        let reported: Vec<(&'static str, &'static str)> = REPORTED.into_iter().chain(of_boxes).collect();
        let number = |(metric, column): (&'static str, &str)| {
            let spread = metrics.get(column);
            let value = spread.map(|spread| spread.mean);
            Number { protocol: protocol.clone(), metric, value, images: spread.map_or(0, |spread| spread.pictures) }
        };
        reported.into_iter().map(number).collect::<Vec<_>>()
    };
    summary.iter().flat_map(numbers).collect()
}

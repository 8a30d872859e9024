//! The table a person reads; every block is headed by the id of its protocol.

use std::fmt::{self, Display, Formatter};

use super::scores::{MethodSummary, ProtocolSummary};

/// Column heads and the metrics below them.
const SHOWN: [(&str, &str); 9] = [
    ("mIoU_i", "miou_i"),
    ("mIoU_c", "miou_c"),
    ("mBO_i", "mbo_i"),
    ("mBO_c", "mbo_c"),
    ("FG-ARI", "fg_ari"),
    ("ARI_i", "ari_i"),
    ("ARI_c", "ari_c"),
    ("CorLoc", "corloc"),
    ("recovery", "object_recovery"),
];

/// The same where the truth is boxes alone.
const SHOWN_OF_BOXES: [(&str, &str); 4] = [
    ("box mBO", "box_mbo"),
    ("box CorLoc", "box_corloc"),
    ("box recovery", "box_recovery"),
    ("painted mBO", "mbo_i_without_background"),
];

/// Why no metric of masks is there.
const BOXES_ALONE: &str =
    "the truth is boxes alone: no metric of masks is given, but mBO with painted boxes where overlaps count";

/// Width of a cell `0.571 ± 0.003`.
const CELL: usize = 14;

/// Prints summaries as aligned text.
pub struct Table<'a>(pub &'a [ProtocolSummary]);

impl Display for Table<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, summary) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            writeln!(f, "protocol {} — {}", summary.id, summary.protocol.description)?;
            let by_boxes = summary.methods.iter().any(|row| row.metrics.contains_key("box_mbo"));
            let shown: &[(&str, &str)] = if by_boxes { &SHOWN_OF_BOXES } else { &SHOWN };
            if by_boxes {
                writeln!(f, "{BOXES_ALONE}")?;
            }
            let first = summary.methods.iter().map(|row| row.method.as_str().len()).max().unwrap_or(0);
            write!(f, "{:first$}", "")?;
            for (head, _) in shown {
                write!(f, " {head:>CELL$}")?;
            }
            writeln!(f)?;
            for row in &summary.methods {
                write!(f, "{:first$}", row.method.as_str())?;
                for (_, metric) in shown {
                    write!(f, " {:>CELL$}", cell(row, metric))?;
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }
}

fn cell(row: &MethodSummary, metric: &str) -> String {
    match row.metrics.get(metric) {
        None => "–".to_owned(),
        Some(spread) if spread.per_seed.len() > 1 => format!("{:.3} ± {:.3}", spread.mean, spread.sd),
        Some(spread) => format!("{:.3}", spread.mean),
    }
}

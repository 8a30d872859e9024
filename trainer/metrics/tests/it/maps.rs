//! Small label maps written as text.

use glass_metrics::{Contingency, LabelMap};

/// One hexadecimal digit a pixel, rows separated by blanks.
pub fn map(rows: &str) -> LabelMap {
    let rows: Vec<&str> = rows.split_whitespace().collect();
    let labels = rows.concat().chars().map(|digit| digit.to_digit(16).unwrap() as u16).collect();
    LabelMap::new(rows[0].len(), rows.len(), labels).unwrap()
}

pub fn table(truth: &str, prediction: &str) -> Contingency {
    Contingency::new(&map(truth), &map(prediction)).unwrap()
}

pub fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

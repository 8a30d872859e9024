//! The ablation's table: mean ± sd over training seeds, for each way of training.

use std::fmt::Write;

use glass_metrics::{MeanSd, mean_sd};

use crate::report::results::{METRICS, Results};

/// The numbers of one trained run, in the order of [`METRICS`], and of the methods beside it.
pub struct Column {
    /// Method as the evaluation names it.
    pub method: String,
    /// Its numbers.
    pub values: Vec<f64>,
}

/// The columns of an evaluation under its first protocol.
pub fn columns(results: &Results) -> Vec<Column> {
    let methods = results.protocols.first().map_or(&[][..], |protocol| &protocol.methods);
    let column = |method: &crate::report::results::MethodResult| Column {
        method: method.method.clone(),
        values: METRICS.iter().map(|(key, _)| method.mean(key)).collect(),
    };
    methods.iter().map(column).collect()
}

/// The masks that are compared between trained runs.
const TRAINED: &str = "slots, attention masks";

/// One line a way of training, then one a baseline, which does not depend on training.
pub fn table(runs: &[(&str, Vec<Column>)]) -> String {
    let mut text = String::new();
    let heads: Vec<&str> = METRICS.iter().map(|(_, name)| *name).collect();
    let _ = writeln!(text, "{:<26}{}", "", heads.iter().map(|head| format!("{head:>18}")).collect::<String>());
    let mut names: Vec<&str> = runs.iter().map(|(name, _)| *name).collect();
    names.dedup();
    for name in names {
        let of_mode: Vec<&Column> = runs
            .iter()
            .filter(|(mode, _)| *mode == name)
            .flat_map(|(_, columns)| columns.iter().filter(|column| column.method == TRAINED))
            .collect();
        let _ = writeln!(text, "{}", line(name, &of_mode));
    }
    if let Some((_, columns)) = runs.first() {
        for column in columns.iter().filter(|column| !column.method.starts_with("slots,")) {
            let _ = writeln!(text, "{}", line(&column.method, &[column]));
        }
    }
    text
}

fn line(name: &str, columns: &[&Column]) -> String {
    let cells = (0..METRICS.len()).map(|metric| {
        let values: Vec<f64> = columns.iter().map(|column| column.values[metric]).collect();
        match mean_sd(&values) {
            None => format!("{:>18}", "–"),
            Some(MeanSd { mean, count: 1, .. }) => format!("{mean:>18.3}"),
            Some(MeanSd { mean, sd, .. }) => format!("{:>18}", format!("{mean:.3} ± {sd:.3}")),
        }
    });
    format!("{name:<26}{}", cells.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::{Column, TRAINED, table};

    #[test]
    fn runs_of_one_mode_are_averaged_and_baselines_shown_once() {
        let column = |method: &str, value: f64| Column { method: method.to_owned(), values: vec![value; 4] };
        let run = |value| vec![column(TRAINED, value), column("blocks", 0.25)];
        let text = table(&[("both", run(0.5)), ("both", run(0.7)), ("instance only", run(0.3))]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].starts_with("both") && lines[1].contains("0.600 ± 0.141"), "{text}");
        assert!(lines[2].starts_with("instance only") && lines[2].contains("0.300"), "{text}");
        assert_eq!(text.matches("blocks").count(), 1, "{text}");
    }
}

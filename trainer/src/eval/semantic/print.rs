use std::fmt::{self, Display, Formatter};

use super::{PROTOCOL, Semantic};

/// Prints class-wise numbers as aligned text, headed by the id of the protocol.
pub struct SemanticTable<'a>(pub &'a Semantic);

impl Display for SemanticTable<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Semantic { confusion, images, .. } = self.0;
        writeln!(f, "protocol {PROTOCOL} — class masks at the images' own sizes, sums over {images} images")?;
        let numbers = self.0.numbers();
        let width = numbers.iter().map(|number| number.metric.len()).max().unwrap_or(0);
        let cell = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"));
        for number in numbers.iter().filter(|number| !number.metric.starts_with("iou/")) {
            writeln!(f, "{:width$} {:>8}", number.metric, cell(number.value))?;
        }
        writeln!(f, "{:width$} {:>8} {:>12} {:>12}", "class", "IoU", "pixels", "given")?;
        for (class, name, iou) in self.0.occurring() {
            let (pixels, given) = (confusion.truth_pixels(class), confusion.predicted_pixels(class));
            writeln!(f, "{name:width$} {:>8} {pixels:>12} {given:>12}", cell(Some(iou)))?;
        }
        Ok(())
    }
}

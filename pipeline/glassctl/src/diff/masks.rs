//! Where two mask datasets agree.

use std::collections::BTreeMap;

use glass_dataset::Dataset;
use glass_schemas::dataset::{MaskRow, UNCERTAIN};
use glass_stage::{Context, ExitStatus};
use image::GrayImage;

use super::{Overlap, pairs, shards};
use crate::joined::labels;
use crate::{output, text};

/// Pixels of one class over all samples.
#[derive(Clone, Debug, Default, PartialEq)]
struct Pixels {
    name: String,
    a: u64,
    b: u64,
    both: u64,
}

impl Pixels {
    /// Intersection over union; a class that neither has is in no table.
    fn iou(&self) -> f64 {
        self.both as f64 / (self.a + self.b - self.both).max(1) as f64
    }
}

#[derive(Debug, Default)]
struct Tally {
    classes: BTreeMap<u8, Pixels>,
    /// Pixels that neither calls uncertain, and those of them on which both say the same.
    compared: u64,
    agreeing: u64,
    uncertain: u64,
    changed: u64,
    other_size: u64,
}

#[derive(serde::Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    overlap: &'a Overlap,
    masks_changed: u64,
    masks_of_other_size: u64,
    /// Share of the compared pixels.
    agreement: Option<f64>,
    /// Share of all pixels that either calls uncertain.
    uncertain: Option<f64>,
    classes: Vec<Class>,
}

#[derive(serde::Serialize)]
struct Class {
    id: u8,
    name: String,
    iou: f64,
    pixels_a: u64,
    pixels_b: u64,
}

pub(super) async fn diff(left: &Dataset, right: &Dataset, json: bool, context: &Context) -> anyhow::Result<ExitStatus> {
    let (mut overlap, mut tally) = (Overlap::default(), Tally::default());
    let (both, skipped) = shards(left, right).await?;
    overlap.shards_skipped = skipped;
    for shard in both {
        if context.stop.is_set() {
            return Ok(ExitStatus::Interrupted);
        }
        let paired = pairs(left, right, shard, |row: &MaskRow| row.sample_id, &mut overlap);
        for (a, b) in paired.await? {
            for class in a.classes.iter().chain(&b.classes) {
                if let Ok(id) = u8::try_from(class.id) {
                    tally.classes.entry(id).or_default().name.clone_from(&class.name);
                }
            }
            tally.count(&labels(&a.mask)?, &labels(&b.mask)?);
        }
    }
    let document = document(&overlap, tally);
    match json {
        true => output::json(&document)?,
        false => output::text(&table(&document))?,
    }
    Ok(ExitStatus::Done)
}

impl Tally {
    fn count(&mut self, a: &GrayImage, b: &GrayImage) {
        if a.dimensions() != b.dimensions() {
            self.other_size += 1;
            return;
        }
        self.changed += u64::from(a != b);
        for (&a, &b) in a.as_raw().iter().zip(b.as_raw()) {
            if a == UNCERTAIN || b == UNCERTAIN {
                self.uncertain += 1;
                continue;
            }
            self.compared += 1;
            self.classes.entry(a).or_default().a += 1;
            self.classes.entry(b).or_default().b += 1;
            if a == b {
                self.agreeing += 1;
                self.classes.entry(a).or_default().both += 1;
            }
        }
    }
}

fn document(overlap: &Overlap, tally: Tally) -> Document<'_> {
    let share = |part: u64, all: u64| (all > 0).then(|| part as f64 / all as f64);
    let seen = tally.classes.into_iter().filter(|(_, pixels)| pixels.a + pixels.b > 0);
    let class = |(id, pixels): (u8, Pixels)| Class {
        id,
        iou: pixels.iou(),
        pixels_a: pixels.a,
        pixels_b: pixels.b,
        name: if id == 0 { "ground".to_owned() } else { pixels.name },
    };
    Document {
        overlap,
        masks_changed: tally.changed,
        masks_of_other_size: tally.other_size,
        agreement: share(tally.agreeing, tally.compared),
        uncertain: share(tally.uncertain, tally.compared + tally.uncertain),
        classes: seen.map(class).collect(),
    }
}

fn table(document: &Document<'_>) -> String {
    let heads = ["class", "name", "IoU", "pixels in A", "pixels in B"].map(str::to_owned);
    let row = |class: &Class| {
        let (a, b) = (class.pixels_a.to_string(), class.pixels_b.to_string());
        [class.id.to_string(), class.name.clone(), format!("{:.4}", class.iou), a, b]
    };
    let rows: Vec<_> = [heads].into_iter().chain(document.classes.iter().map(row)).collect();
    let share = |share: Option<f64>| share.map_or("–".to_owned(), |share| format!("{share:.4}"));
    let overlap = document.overlap;
    format!(
        "{}agreement {} of the compared pixels, uncertain {} of all\n{} of {} masks differ, {} are of another size; {} only in A, {} only in B, {} shards not in both\n",
        text::table(&rows),
        share(document.agreement),
        share(document.uncertain),
        document.masks_changed,
        overlap.samples,
        document.masks_of_other_size,
        overlap.only_in_a,
        overlap.only_in_b,
        overlap.shards_skipped,
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn mask(labels: &[u8]) -> GrayImage {
        GrayImage::from_raw(labels.len() as u32, 1, labels.to_vec()).unwrap()
    }

    #[test]
    fn uncertain_pixels_are_compared_with_nothing() {
        let mut tally = Tally::default();
        tally.count(&mask(&[0, 6, 6, 6, 255]), &mask(&[0, 6, 0, 255, 6]));
        assert_eq!((tally.compared, tally.agreeing, tally.uncertain), (3, 2, 2));
        assert_eq!(tally.classes[&6].iou(), 0.5);
        assert_eq!(tally.classes[&0].iou(), 0.5);
    }

    #[test]
    fn a_mask_of_another_size_is_counted_and_not_compared() {
        let mut tally = Tally::default();
        tally.count(&mask(&[0, 6]), &mask(&[0, 6, 6]));
        assert_eq!((tally.other_size, tally.compared, tally.changed), (1, 0, 0));
    }
}

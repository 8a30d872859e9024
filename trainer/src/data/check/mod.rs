//! What a set of annotated images holds, what is wrong with it, and what it looks like.

mod detect;
mod report;
mod sheet;

use std::ops::ControlFlow;

use glass_metrics::RegionKind;
use glass_schemas::spec::ImagesSpec;
use rayon::prelude::*;

pub use detect::detect;
pub use report::{ClassCount, Problem, Report};
pub use sheet::ContactSheet;

use super::annotated::{Access, AnnotatedImages, DataError, Faults, Picture, open};

/// Pictures in memory at once, a core.
const PICTURES_A_CORE: usize = 4;

/// Opens every picture and every annotation of a set, and reports all that is wrong, not only the first. `progress`
/// hears how many pictures are in the set and how many were looked at, and may break off.
pub fn check(
    spec: &ImagesSpec,
    access: &Access,
    sheet: &mut ContactSheet,
    progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Report {
    let mut faults = Faults::Collect(Vec::new());
    let mut report = Report::new(spec);
    match open(spec, access, &mut faults) {
        Ok(images) => {
            report.describe(&images);
            sheet.choose(&images);
            if let Faults::Collect(errors) = faults {
                report.problems.extend(errors.iter().map(Problem::of));
            }
            look(&images, &mut report, sheet, progress);
        }
        Err(error) => {
            if let Faults::Collect(errors) = faults {
                report.problems.extend(errors.iter().map(Problem::of));
            }
            report.problems.push(Problem::of(&error));
        }
    }
    report
}

fn look(
    images: &AnnotatedImages,
    report: &mut Report,
    sheet: &mut ContactSheet,
    progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) {
    let all = images.pictures().len();
    let at_once = PICTURES_A_CORE * rayon::current_num_threads();
    for pictures in images.pictures().chunks(at_once.max(1)) {
        let seen: Vec<Seen> =
            pictures.par_iter().map(|picture| Seen::of(images, picture, sheet.wants(picture))).collect();
        for (picture, seen) in pictures.iter().zip(seen) {
            report.problems.extend(seen.errors.iter().map(Problem::of));
            report.count(&seen);
            if let Some(decoded) = seen.kept
                && let Err(error) = sheet.push(images, picture, &decoded)
            {
                report.problems.push(Problem::of(&error));
            }
        }
        if progress(all, pictures.len()).is_break() {
            report.interrupted = true;
            return;
        }
    }
}

/// What one picture holds.
pub(super) struct Seen {
    pub errors: Vec<DataError>,
    /// Width and height, where it could be decoded.
    pub size: Option<(usize, usize)>,
    /// Class and pixels of every object.
    pub objects: Vec<(u16, usize)>,
    /// Objects and crowds without a pixel.
    pub empty: usize,
    pub crowds: usize,
    /// The decoded picture, where the sheet wants it.
    pub kept: Option<image::RgbImage>,
}

impl Seen {
    fn of(images: &AnnotatedImages, picture: &Picture, keep: bool) -> Self {
        let mut seen = Self { errors: Vec::new(), size: None, objects: Vec::new(), empty: 0, crowds: 0, kept: None };
        match images.decode(picture) {
            Ok(decoded) => {
                seen.size = Some((decoded.width() as usize, decoded.height() as usize));
                seen.kept = keep.then_some(decoded);
            }
            Err(error) => seen.errors.push(error),
        }
        if !images.annotations().are_given() {
            return seen;
        }
        match images.annotations().regions(picture) {
            Ok(regions) => {
                for region in regions {
                    let pixels = region.mask.area();
                    match region.kind {
                        RegionKind::Object => seen.objects.push((region.category, pixels)),
                        RegionKind::Crowd => seen.crowds += 1,
                    }
                    seen.empty += usize::from(pixels == 0);
                }
            }
            Err(error) => {
                seen.errors.push(error);
                seen.kept = None;
            }
        }
        seen
    }
}

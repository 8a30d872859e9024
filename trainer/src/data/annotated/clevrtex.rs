//! CLEVRTex: a picture and its `_flat.png`, as its own loader reads them (karazijal/clevrtex-generation).

use glass_schemas::spec::ImagesSpec;

use super::error::{DataError, Faults, Result};
use super::files::{Access, Files};
use super::folders::{measure, some};
use super::maps::MapFiles;
use super::open::Opened;
use super::picture::{Picture, PictureFiles};
use super::{Annotations, Labels};

/// End of the names of label maps.
pub(super) const FLAT: &str = "_flat.png";
/// Share of the shorter side that is used, in the middle.
const CENTRE: f64 = 0.8;
/// Splits as shares of the pictures in the order of their numbers.
const SPLITS: [(&str, f64, f64); 4] = [("test", 0.0, 0.1), ("val", 0.1, 0.2), ("train", 0.2, 1.0), ("all", 0.0, 1.0)];

/// Opens a split of one variant (`full`, `pbg`, `vbg`, `grassbg`, `camo`, `outd`; the last has no splits).
pub(super) fn open(spec: &ImagesSpec, access: &Access, faults: &mut Faults) -> Result<Opened> {
    let files = Files::open(&spec.uri, access)?;
    let split = SPLITS.iter().find(|(name, ..)| *name == spec.split).ok_or_else(|| DataError::Format {
        uri: spec.uri.clone(),
        problem: format!("has no split `{}`", spec.split),
        hint: "`split` is `train`, `val`, `test` or `all`".into(),
    })?;
    let present = files.list("")?;
    let mut numbered = Vec::new();
    for key in present.keys() {
        let name = key.rsplit('/').next().unwrap_or(key);
        let Some(number) = number(name) else { continue };
        let flat = format!("{}{FLAT}", key.trim_end_matches(".png"));
        if present.contains_key(&flat) {
            numbered.push((number, key.clone(), flat));
        } else {
            faults.push(DataError::Field {
                path: files.name(&flat),
                field: "the map".into(),
                problem: format!("of `{name}` is not there"),
                hint: "every picture of CLEVRTex has its `_flat.png` beside it: unpack all parts of the release".into(),
            })?;
        }
    }
    numbered.sort();
    let share = |share: f64| (share * numbered.len() as f64) as usize;
    let (start, end) = (share(split.1), share(split.2));
    let end = end.min(start.saturating_add(spec.limit.map_or(usize::MAX, |limit| limit as usize)));
    let mut listing = Vec::new();
    let mut pictures = Vec::with_capacity(end - start);
    for (number, picture, flat) in numbered.drain(start..end) {
        listing.extend([&picture, &flat].map(|key| format!("{key}\t{}\n", present[key])));
        let name = picture.rsplit('/').next().unwrap_or(&picture).to_owned();
        let files = PictureFiles { picture, instances: flat, classes: String::new() };
        pictures.push(Picture { id: number, name, files, ..Picture::default() });
    }
    measure(&mut pictures, &files, &present, faults)?;
    for (place, picture) in pictures.iter_mut().enumerate() {
        picture.place = place;
        centre(picture);
    }
    some(&pictures, &files.name(""), "pictures are named `CLEVRTEX_<variant>_<six digits>.png`", faults)?;
    let annotations = Annotations {
        name: files.name(""),
        pictures,
        classes: Vec::new(),
        labels: Labels::Maps {
            source: Box::new(MapFiles { files: files.clone(), classes: None, void: None }),
            void: None,
        },
    };
    Ok(Opened::in_folder(annotations, files, listing))
}

/// Keeps the centre square: side and corner rounded down as the loader rounds them.
fn centre(picture: &mut Picture) {
    let (width, height) = (picture.width, picture.height);
    let side = ((CENTRE * width.min(height) as f64) as usize).max(1);
    picture.stored = Some((width, height));
    picture.window = Some([(width - side) / 2, (height - side) / 2, side, side]);
    (picture.width, picture.height) = (side, side);
}

/// The number of a picture, `None` for any other file.
fn number(name: &str) -> Option<i64> {
    let (head, digits) = name.strip_suffix(".png")?.rsplit_once('_')?;
    let of_clevrtex = head.starts_with("CLEVRTEX_") && digits.len() == 6;
    digits.parse().ok().filter(|_| of_clevrtex)
}

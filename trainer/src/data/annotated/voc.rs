//! Pascal VOC 2012, and SBD's annotations of more of its pictures.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use glass_schemas::spec::ImagesSpec;

use super::error::{DataError, Faults, Result};
use super::files::{Access, Files};
use super::folders::{measure, some};
use super::maps::{MapFiles, MapSource, Maps, fault};
use super::open::Opened;
use super::picture::{Picture, PictureFiles};
use super::{Annotations, Labels};

/// The 20 classes, by label.
pub const CLASSES: [&str; 20] = [
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
];

/// Label of undecided pixels.
pub const VOID: u16 = 255;

/// Where `VOCdevkit` may have been unpacked, as seen from the folder that is named.
pub(super) const ROOTS: [&str; 3] = ["", "VOC2012", "VOCdevkit/VOC2012"];
pub(super) const LISTS: &str = "ImageSets/Segmentation";

/// Names that the list of training pictures with SBD's goes by.
const AUGMENTED: [&str; 2] = ["trainaug", "train_aug"];

/// Opens a split. Pictures of `trainaug` have VOC's own maps where there are any, otherwise the converted maps of
/// `SegmentationClassAug`, otherwise SBD's `.mat` files; without a list, `trainaug` is SBD's pictures and VOC's `train`
/// without VOC's `val` (10,582 of them).
pub(super) fn open(spec: &ImagesSpec, access: &Access, faults: &mut Faults) -> Result<Opened> {
    let base = Files::open(&spec.uri, access)?;
    let root = ROOTS.iter().find(|root| base.below(root).names(LISTS).is_ok_and(|names| !names.is_empty()));
    let root = root.ok_or_else(|| DataError::Format {
        uri: spec.uri.clone(),
        problem: format!("has no folder `{LISTS}`"),
        hint: "name the folder that VOCtrainval_11-May-2012.tar unpacks: VOCdevkit, VOC2012 or the one above".into(),
    })?;
    let files = base.below(root);
    let sbd = match spec.annotations.as_str() {
        "" => None,
        uri => Some(Sbd::open(uri, access)?),
    };
    let (name, ids) = identify(&files, sbd.as_ref(), &spec.split)?;
    let present = files.list("")?;
    let mut listing = Vec::new();
    let (mut own, mut foreign) = (Vec::new(), Vec::new());
    let limit = spec.limit.map_or(usize::MAX, |limit| limit as usize);
    for (line, id) in ids.iter().enumerate().take(limit) {
        let found = find(id, &present, sbd.as_ref());
        let Some((picture, of_sbd)) = found else {
            faults.push(absent(files.name(&name), line, id))?;
            continue;
        };
        for key in [&picture.files.picture, &picture.files.instances, &picture.files.classes] {
            let size = present.get(key).or_else(|| sbd.as_ref()?.present.get(key)).unwrap_or(&0);
            listing.push(format!("{key}\t{size}\n"));
        }
        if of_sbd == Origin::Sbd { foreign.push((line, picture)) } else { own.push((line, picture)) }
    }
    let (order, mut pictures): (Vec<usize>, Vec<Picture>) = own.into_iter().unzip();
    // A damaged map leaves its picture out: the lines are found again by the pictures' ids.
    let order: BTreeMap<i64, usize> = pictures.iter().map(|picture| picture.id).zip(order).collect();
    measure(&mut pictures, &files, &present, faults)?;
    let mut all: Vec<(usize, Picture)> =
        pictures.into_iter().map(|picture| (order.get(&picture.id).copied().unwrap_or_default(), picture)).collect();
    if let Some(sbd) = &sbd {
        for (line, picture) in foreign {
            all.extend(faults.take(sbd.measured(picture))?.map(|picture| (line, picture)));
        }
    }
    all.sort_by_key(|(line, _)| *line);
    let mut pictures: Vec<Picture> = all.into_iter().map(|(_, picture)| picture).collect();
    pictures.iter_mut().enumerate().for_each(|(place, picture)| picture.place = place);
    some(&pictures, &files.name(""), "a list of `ImageSets/Segmentation` names pictures of `JPEGImages`", faults)?;
    let maps = |files: Files| MapFiles { files, classes: Some(CLASSES.len() as u16), void: Some(VOID) };
    let source = VocMaps { own: maps(files.clone()), sbd: sbd.map(|sbd| maps(sbd.files)) };
    let annotations = Annotations {
        name: files.name(&name),
        pictures,
        classes: CLASSES.map(str::to_owned).to_vec(),
        labels: Labels::Maps { source: Box::new(source), void: Some(VOID) },
    };
    Ok(Opened::in_folder(annotations, files, listing))
}

/// SBD as `benchmark.tgz` unpacks it.
struct Sbd {
    files: Files,
    present: BTreeMap<String, u64>,
}

impl Sbd {
    fn open(uri: &str, access: &Access) -> Result<Self> {
        let base = Files::open(uri, access)?;
        for folder in ["", "dataset", "benchmark_RELEASE/dataset"] {
            let files = base.below(folder);
            if files.names("inst").is_ok_and(|names| !names.is_empty()) {
                let present = files.list("")?;
                return Ok(Self { files, present });
            }
        }
        Err(DataError::Format {
            uri: uri.to_owned(),
            problem: "has no folder `inst`".into(),
            hint: "name the folder `dataset` of SBD's release: it holds `cls`, `inst`, `train.txt` and `val.txt`"
                .into(),
        })
    }

    /// SBD's maps say their size only when they are read.
    fn measured(&self, mut picture: Picture) -> Result<Picture> {
        let key = &picture.files.instances;
        let map = super::matlab::segmentation(&self.files.read(key)?).map_err(|problem| {
            fault(self.files.name(key), format!("the map of picture `{}`", picture.name), problem)
        })?;
        (picture.width, picture.height) = map.size();
        Ok(picture)
    }
}

/// Whose maps a picture has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Voc,
    Sbd,
}

/// VOC's maps, or SBD's.
struct VocMaps {
    own: MapFiles,
    sbd: Option<MapFiles>,
}

impl MapSource for VocMaps {
    fn maps(&self, picture: &Picture) -> Result<Maps> {
        match &self.sbd {
            Some(sbd) if picture.files.instances.ends_with(".mat") => sbd.maps(picture),
            _ => self.own.maps(picture),
        }
    }
}

/// The picture's files: VOC's maps, the converted ones, SBD's.
fn find(id: &str, present: &BTreeMap<String, u64>, sbd: Option<&Sbd>) -> Option<(Picture, Origin)> {
    let picture = format!("JPEGImages/{id}.jpg");
    if !present.contains_key(&picture) {
        return None;
    }
    let there = |key: String| present.contains_key(&key).then_some(key);
    let classes = there(format!("SegmentationClass/{id}.png"));
    let instances = there(format!("SegmentationObject/{id}.png"));
    let of = |instances: String, classes: String, origin| {
        let files = PictureFiles { picture: picture.clone(), instances, classes };
        // Ids are like 2007_000033: numbers with a gap.
        let number = id.replace('_', "").parse().unwrap_or_default();
        let picture = Picture { id: number, name: format!("{id}.jpg"), files, ..Picture::default() };
        Some((picture, origin))
    };
    if let (Some(classes), Some(instances)) = (&classes, &instances) {
        return of(instances.clone(), classes.clone(), Origin::Voc);
    }
    let [inst, cls] = ["inst", "cls"].map(|folder| format!("{folder}/{id}.mat"));
    if sbd.is_some_and(|sbd| sbd.present.contains_key(&inst) && sbd.present.contains_key(&cls)) {
        return of(inst, cls, Origin::Sbd);
    }
    let converted = there(format!("SegmentationClassAug/{id}.png")).or(classes)?;
    of(instances.unwrap_or_default(), converted, Origin::Voc)
}

/// The ids of a split in the order of its list, and where they come from.
fn identify(files: &Files, sbd: Option<&Sbd>, split: &str) -> Result<(String, Vec<String>)> {
    let names = files.names(LISTS)?;
    let listed = |name: &str| names.contains(&format!("{name}.txt"));
    let augmented = AUGMENTED.contains(&split);
    let known = AUGMENTED.iter().copied().find(|name| augmented && listed(name));
    if let Some(name) = known.or_else(|| Some(split).filter(|name| listed(name))) {
        let key = format!("{LISTS}/{name}.txt");
        let ids = list(files, &key)?;
        return Ok((key, ids));
    }
    match (augmented, sbd) {
        (true, Some(sbd)) => Ok((LISTS.to_owned(), union(files, sbd)?)),
        _ => Err(DataError::Format {
            uri: files.name(LISTS).display().to_string(),
            problem: format!("has no list `{split}.txt`"),
            hint: match augmented {
                true => "put the list there, or name SBD's folder in `annotations`".into(),
                false => {
                    format!("`split` is one of {}, or `trainaug` with SBD's folder in `annotations`", names.join(", "))
                }
            },
        }),
    }
}

/// SBD's pictures and VOC's training pictures without VOC's validation pictures.
fn union(files: &Files, sbd: &Sbd) -> Result<Vec<String>> {
    let validation: BTreeSet<String> = list(files, &format!("{LISTS}/val.txt"))?.into_iter().collect();
    let mut ids: BTreeSet<String> = list(files, &format!("{LISTS}/train.txt"))?.into_iter().collect();
    for name in ["train.txt", "val.txt"] {
        ids.extend(list(&sbd.files, name)?);
    }
    Ok(ids.difference(&validation).cloned().collect())
}

/// Ids of a list: one a line, alone or as the paths of a picture and its map.
fn list(files: &Files, key: &str) -> Result<Vec<String>> {
    let bytes = files.read(key)?;
    let text = String::from_utf8_lossy(&bytes);
    let id = |line: &str| {
        let first = line.split_whitespace().next()?;
        let name = first.rsplit('/').next()?;
        Some(name.trim_end_matches(".jpg").to_owned())
    };
    Ok(text.lines().filter_map(id).collect())
}

fn absent(path: PathBuf, line: usize, id: &str) -> DataError {
    DataError::Field {
        path,
        field: format!("line {}", line + 1),
        problem: format!("names `{id}`, which lacks its picture in `JPEGImages` or its map in `SegmentationClass`"),
        hint: "SBD's pictures have their maps in `SegmentationClassAug`, or in SBD's folder named by `annotations`"
            .into(),
    }
}

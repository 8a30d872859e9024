//! Truth as label maps: which object and which class each pixel belongs to.

use std::collections::BTreeMap;
use std::path::PathBuf;

use glass_metrics::{Annotation, BACKGROUND, LabelMap, Mask, RegionKind};

use super::error::{DataError, Result};
use super::files::Files;
use super::label_png::{label_map, position};
use super::picture::Picture;

/// The label maps of one picture, of its size.
#[derive(Debug, Clone, PartialEq)]
pub struct Maps {
    /// One label an object, 0 the background.
    pub instances: LabelMap,
    /// One label a class, 0 the background.
    pub classes: LabelMap,
}

/// Where label maps come from.
pub(super) trait MapSource: Send + Sync {
    /// The maps of a picture.
    fn maps(&self, picture: &Picture) -> Result<Maps>;
}

impl Maps {
    /// Of instances alone: all objects are of one class.
    pub fn of_instances(instances: LabelMap) -> Self {
        let mut classes = instances.clone();
        classes.labels_mut().iter_mut().for_each(|label| *label = u16::from(*label != BACKGROUND));
        Self { instances, classes }
    }

    /// Of classes alone: what is of one class is one object.
    pub fn of_classes(classes: LabelMap) -> Self {
        Self { instances: classes.clone(), classes }
    }

    /// Only the pixels of a window: left, top, width, height.
    fn within(self, window: [usize; 4]) -> Result<Self> {
        let [left, top, width, height] = window;
        let cut = |map: &LabelMap| {
            let rows = map.labels().chunks(map.width()).skip(top).take(height);
            let labels = rows.flat_map(|row| row[left..left + width].iter().copied()).collect();
            LabelMap::new(width, height, labels)
        };
        Ok(Self { instances: cut(&self.instances)?, classes: cut(&self.classes)? })
    }

    /// One mask an object, by ascending label; its class is the one that most of its pixels have.
    pub fn objects(&self, void: Option<u16>) -> Vec<Annotation> {
        let mut votes: BTreeMap<u16, BTreeMap<u16, usize>> = BTreeMap::new();
        for (&instance, &class) in self.instances.labels().iter().zip(self.classes.labels()) {
            if instance != BACKGROUND && Some(instance) != void {
                *votes.entry(instance).or_default().entry(class).or_default() += 1;
            }
        }
        let object = |(label, classes): (u16, BTreeMap<u16, usize>)| {
            let known = classes.into_iter().filter(|(class, _)| *class != BACKGROUND && Some(*class) != void);
            let category = known.max_by_key(|(class, pixels)| (*pixels, std::cmp::Reverse(*class)));
            let category = category.map_or(BACKGROUND, |(class, _)| class);
            Annotation { category, kind: RegionKind::Object, mask: Mask::of_label(&self.instances, label) }
        };
        votes.into_iter().map(object).collect()
    }
}

/// How a stored file becomes a label map.
pub(super) type Decode = fn(&[u8]) -> std::result::Result<LabelMap, String>;

/// Maps in files, the keys of which stand with each picture.
pub(super) struct MapFiles {
    pub files: Files,
    /// The highest class there is; `None` where classes are not known.
    pub classes: Option<u16>,
    /// Label of undecided pixels.
    pub void: Option<u16>,
}

impl MapSource for MapFiles {
    fn maps(&self, picture: &Picture) -> Result<Maps> {
        let read = |key: &String| if key.is_empty() { Ok(None) } else { self.map(key, picture).map(Some) };
        let instances = read(&picture.files.instances)?;
        let classes = read(&picture.files.classes)?;
        if let Some(classes) = &classes {
            self.check_classes(classes, &picture.files.classes)?;
        }
        let maps = match (instances, classes) {
            (Some(instances), Some(classes)) => Maps { instances, classes },
            (Some(instances), None) => Maps::of_instances(instances),
            (None, Some(classes)) => Maps::of_classes(classes),
            (None, None) => {
                return Err(fault(self.files.name(""), format!("the map of `{}`", picture.name), "is missing".into()));
            }
        };
        match picture.window {
            Some(window) => maps.within(window),
            None => Ok(maps),
        }
    }
}

impl MapFiles {
    fn map(&self, key: &str, picture: &Picture) -> Result<LabelMap> {
        let path = self.files.name(key);
        let bytes = self.files.read(key)?;
        let decode: Decode = if key.ends_with(".mat") { super::matlab::segmentation } else { label_map };
        let of = format!("the map of picture `{}`", picture.name);
        let map = decode(&bytes).map_err(|problem| fault(path.clone(), of.clone(), problem))?;
        let (found, expected) = (map.size(), picture.stored_size());
        if found != expected {
            let problem = format!("is {}×{} pixels, the other is {}×{}", found.0, found.1, expected.0, expected.1);
            return Err(fault(path, of, problem));
        }
        Ok(map)
    }

    /// Refuses classes that there are not: a map with other indices is of another set, or was converted by colour.
    fn check_classes(&self, map: &LabelMap, key: &str) -> Result<()> {
        let Some(highest) = self.classes else { return Ok(()) };
        let unknown = |label: u16| label > highest && Some(label) != self.void;
        let Some(at) = map.labels().iter().position(|&label| unknown(label)) else { return Ok(()) };
        let void = self.void.map_or_else(String::new, |void| format!(" and {void} for undecided pixels"));
        Err(DataError::Field {
            path: self.files.name(key),
            field: position(at, map.width()),
            problem: format!("is {}, which is no class: there are 0 to {highest}{void}", map.labels()[at]),
            hint: "class maps hold palette indices as they were published, not grey levels of their colours".into(),
        })
    }
}

/// A map that cannot be used.
pub(super) fn fault(path: PathBuf, field: String, problem: String) -> DataError {
    let hint = "a map is a grey or palette PNG of its picture's size: one number a pixel, 0 the background".into();
    DataError::Field { path, field, problem, hint }
}

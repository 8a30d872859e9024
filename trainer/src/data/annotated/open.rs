//! From a spec to pictures with their annotations.

use std::path::PathBuf;

use glass_schemas::ids::Digest;
use glass_schemas::spec::{AnnotationFormat, EmptyPictures, ImagesSpec};

use super::error::{DataError, Faults, Result};
use super::files::{Access, Files};
use super::folders::{PictureFolder, is_picture, locate, measure, some, stem};
use super::instances::{Drawn, Reading};
use super::maps::MapFiles;
use super::picture::{Picture, PictureFiles};
use super::{AnnotatedImages, Annotations, Labels, PictureSource, clevrtex, generated, tables, voc};

/// What a format found.
pub(super) struct Opened {
    pub annotations: Annotations,
    pub source: Box<dyn PictureSource>,
    /// Lines that say what the set consists of, in order.
    pub listing: Vec<String>,
}

impl Opened {
    /// Pictures that are files of a folder.
    pub fn in_folder(annotations: Annotations, files: Files, listing: Vec<String>) -> Self {
        Self { annotations, source: Box::new(PictureFolder { files }), listing }
    }
}

/// Opens a set; what is wrong with single pictures goes to `faults`.
///
/// # Errors
/// What keeps the set as a whole from being opened, and what `faults` does not take.
pub fn open(spec: &ImagesSpec, access: &Access, faults: &mut Faults) -> Result<AnnotatedImages> {
    if spec.uri.is_empty() {
        return Err(DataError::Format {
            uri: String::new(),
            problem: "names no pictures".into(),
            hint: "`uri` is the folder or the URI of the pictures".into(),
        });
    }
    if spec.empty == EmptyPictures::Drop && !has_regions(spec.format) {
        return Err(DataError::Format {
            uri: spec.uri.clone(),
            problem: format!("cannot be opened without its empty pictures as `{}`", spec.format.as_str()),
            hint: "`empty = \"drop\"` is for `coco` and `objects365`, whose file says which pictures are empty".into(),
        });
    }
    let opened = match spec.format {
        AnnotationFormat::Coco => regions(spec, Drawn::Segmented, access, faults),
        AnnotationFormat::Objects365 => regions(spec, Drawn::Boxed, access, faults),
        AnnotationFormat::Voc => voc::open(spec, access, faults),
        AnnotationFormat::Clevrtex => clevrtex::open(spec, access, faults),
        AnnotationFormat::LabelMaps => label_maps(spec, access, faults),
        AnnotationFormat::Parquet => tables::open(spec, access, faults),
        AnnotationFormat::Generated => generated::open(spec, access, faults),
        AnnotationFormat::Pictures => plain(spec, access, faults),
    }?;
    let Opened { annotations, source, listing } = opened;
    let digest = Digest::of_parts(listing.iter().map(String::as_bytes));
    Ok(AnnotatedImages { annotations, source, digest })
}

fn has_regions(format: AnnotationFormat) -> bool {
    matches!(format, AnnotationFormat::Coco | AnnotationFormat::Objects365)
}

fn regions(spec: &ImagesSpec, drawn: Drawn, access: &Access, faults: &mut Faults) -> Result<Opened> {
    let (folder, name) = Files::of_file(&spec.annotations, access)?;
    let path: PathBuf = folder.name(&name);
    if name.is_empty() {
        return Err(DataError::Format {
            uri: spec.uri.clone(),
            problem: "has no annotation file".into(),
            hint: format!("`annotations` names it; the format is `{}`", spec.format.as_str()),
        });
    }
    let text = folder.read(&name)?;
    let reading = Reading { path: &path, drawn, limit: spec.limit, empty: spec.empty };
    let mut annotations = reading.annotations(&text, faults)?;
    let digest = Digest::of(&text);
    drop(text);
    let files = Files::open(&spec.uri, access)?;
    let present = files.list("")?;
    locate(&mut annotations.pictures, &present, &files, &path, faults)?;
    let mut listing = vec![format!("annotations\t{digest}\n")];
    for (place, picture) in annotations.pictures.iter_mut().enumerate() {
        picture.place = place;
        let key = &picture.files.picture;
        listing.push(format!("{key}\t{}\n", present.get(key).copied().unwrap_or_default()));
    }
    Ok(Opened::in_folder(annotations, files, listing))
}

/// Pictures that have their label maps in folders of their own, under the same names.
fn label_maps(spec: &ImagesSpec, access: &Access, faults: &mut Faults) -> Result<Opened> {
    let files = Files::open(&spec.uri, access)?;
    let present = files.list("")?;
    // Keys of maps are told apart by their folder, so that one place holds them all.
    let (root, [instances, classes]) = common(&[&spec.annotations, &spec.classes], access)?;
    let folder = |folder: &Option<String>| match folder {
        None => Ok(Default::default()),
        Some(folder) => root.list(folder),
    };
    let maps = [folder(&instances)?, folder(&classes)?];
    let mut sizes = std::collections::BTreeMap::new();
    let mut listing = Vec::new();
    let mut pictures = Vec::new();
    let limit = spec.limit.map_or(usize::MAX, |limit| limit as usize);
    for (key, size) in present.iter().filter(|(key, _)| is_picture(key)).take(limit) {
        listing.push(format!("{key}\t{size}\n"));
        let mut found = PictureFiles { picture: key.clone(), ..PictureFiles::default() };
        let mut complete = true;
        for ((folder, listed), into) in
            [&instances, &classes].into_iter().zip(&maps).zip([&mut found.instances, &mut found.classes])
        {
            let Some(folder) = folder else { continue };
            let name = format!("{}.png", stem(key));
            let Some(size) = listed.get(&name) else {
                faults.push(DataError::Field {
                    path: root.name(folder).join(&name),
                    field: "the map".into(),
                    problem: format!("of picture `{key}` is not there"),
                    hint: "a map has the name of its picture and the ending `.png`".into(),
                })?;
                complete = false;
                continue;
            };
            *into = format!("{folder}/{name}");
            listing.push(format!("{into}\t{size}\n"));
            sizes.insert(into.clone(), *size);
        }
        if complete {
            pictures.push(Picture { name: key.clone(), files: found, ..Picture::default() });
        }
    }
    measure(&mut pictures, &root, &sizes, faults)?;
    number(&mut pictures);
    some(&pictures, &files.name(""), "pictures end in .jpg, .png or .webp", faults)?;
    let source = MapFiles { files: root.clone(), classes: None, void: spec.void };
    let annotations = Annotations {
        name: root.name(instances.as_deref().or(classes.as_deref()).unwrap_or_default()),
        pictures,
        classes: Vec::new(),
        labels: Labels::Maps { source: Box::new(source), void: spec.void },
    };
    Ok(Opened::in_folder(annotations, files, listing))
}

/// The place that holds both folders, and what they are called there; `None` for one that is not named.
fn common(folders: &[&String; 2], access: &Access) -> Result<(Files, [Option<String>; 2])> {
    let split = folders.map(|folder| {
        let folder = folder.trim_end_matches('/');
        match folder.rsplit_once('/') {
            Some((parent, name)) => (parent, name),
            None => ("", folder),
        }
    });
    let named = |(_, name): (&str, &str)| (!name.is_empty()).then(|| name.to_owned());
    let [first, second] = split;
    let refuse = |problem: &str, hint: &str| {
        let uri = folders.iter().find(|folder| !folder.is_empty()).map_or(String::new(), |folder| (*folder).clone());
        Err(DataError::Format { uri, problem: problem.into(), hint: hint.into() })
    };
    match (named(first), named(second)) {
        (None, None) => refuse(
            "names no folder of maps",
            "`annotations` is the folder of the instance maps, `classes` that of the class maps",
        ),
        (Some(_), Some(_)) if first.0 != second.0 => {
            refuse("lies elsewhere than the class maps", "put both folders of maps into one folder")
        }
        (instances, classes) => {
            let parent = if instances.is_some() { first.0 } else { second.0 };
            let absolute = folders.iter().any(|folder| folder.starts_with('/'));
            let parent = if parent.is_empty() && absolute { "/" } else { parent };
            Ok((Files::open(parent, access)?, [instances, classes]))
        }
    }
}

/// Pictures without annotations.
fn plain(spec: &ImagesSpec, access: &Access, faults: &mut Faults) -> Result<Opened> {
    let files = Files::open(&spec.uri, access)?;
    let limit = spec.limit.map_or(usize::MAX, |limit| limit as usize);
    let present = files.list("")?.into_iter().filter(|(key, _)| is_picture(key)).take(limit);
    let (mut pictures, mut listing) = (Vec::new(), Vec::new());
    for (key, size) in present {
        listing.push(format!("{key}\t{size}\n"));
        let found = PictureFiles { picture: key.clone(), ..PictureFiles::default() };
        pictures.push(Picture { name: key, files: found, ..Picture::default() });
    }
    number(&mut pictures);
    some(&pictures, &files.name(""), "pictures end in .jpg, .png or .webp", faults)?;
    let annotations = Annotations { name: files.name(""), pictures, classes: Vec::new(), labels: Labels::Nothing };
    Ok(Opened::in_folder(annotations, files, listing))
}

/// Places, and places as ids.
pub(super) fn number(pictures: &mut [Picture]) {
    for (place, picture) in pictures.iter_mut().enumerate() {
        (picture.place, picture.id) = (place, place as i64);
    }
}

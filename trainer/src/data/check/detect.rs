//! Which published format lies in a folder: told by the names that the releases use, by nothing else.

use glass_schemas::spec::{AnnotationFormat, ImagesSpec};

use crate::data::annotated::{Access, DataError, Files, Result};

/// The set in `uri` by the names of its files. `format` leaves the others out; `split` chooses among several.
///
/// # Errors
/// [`DataError::File`] where there is no such folder; [`DataError::Format`] where nothing is found, with what was
/// looked for, or several sets are.
pub fn detect(uri: &str, format: Option<AnnotationFormat>, split: &str, access: &Access) -> Result<ImagesSpec> {
    let folder = Folder { uri, files: Files::open(uri, access)?, split };
    if let Files::Folder(path) = &folder.files {
        std::fs::read_dir(path).map_err(|source| DataError::File { path: path.clone(), source })?;
    }
    let rules: [(AnnotationFormat, &str, Rule<'_>); 7] = [
        (AnnotationFormat::Coco, "`annotations/instances_<split>.json` or `instances.json`", Folder::coco),
        (AnnotationFormat::Objects365, "`zhiyuan_objv2_<split>.json`", Folder::objects365),
        (AnnotationFormat::Voc, "`ImageSets/Segmentation/<split>.txt`", Folder::voc),
        (
            AnnotationFormat::Clevrtex,
            "`clevrtex_<variant>` or `CLEVRTEX_<variant>_<number>_flat.png`",
            Folder::clevrtex,
        ),
        (AnnotationFormat::LabelMaps, "`images` beside `instances` or `classes`", Folder::label_maps),
        (AnnotationFormat::Parquet, "`*.parquet` or `data/*.parquet`", Folder::parquet),
        (AnnotationFormat::Generated, "`masks` beside `generations`", Folder::generated),
    ];
    let mut found = Vec::new();
    let mut looked_for = Vec::new();
    for (of, names, rule) in rules {
        if format.is_none_or(|format| format == of) {
            found.extend(rule(&folder)?);
            looked_for.push(format!("{names} ({})", of.as_str()));
        }
    }
    let refuse = |problem: String, hint: String| Err(DataError::Format { uri: uri.to_owned(), problem, hint });
    match found.len() {
        1 => Ok(found.swap_remove(0)),
        0 => refuse(
            format!("holds none of {}", looked_for.join(", ")),
            "name the format and its files: `--format`, `--annotations`".into(),
        ),
        _ => {
            let name = |set: &ImagesSpec| match set.split.as_str() {
                "" => format!("{} ({})", set.format.as_str(), set.annotations),
                split => format!("{} `{split}`", set.format.as_str()),
            };
            let names: Vec<String> = found.iter().map(name).collect();
            refuse(
                format!("holds several sets: {}", names.join(", ")),
                "choose one with `--split` or `--format`".into(),
            )
        }
    }
}

type Rule<'a> = fn(&Folder<'a>) -> Result<Vec<ImagesSpec>>;

struct Folder<'a> {
    uri: &'a str,
    files: Files,
    split: &'a str,
}

impl Folder<'_> {
    fn at(&self, key: &str) -> String {
        match key {
            "" => self.uri.to_owned(),
            key => format!("{}/{key}", self.uri.trim_end_matches('/')),
        }
    }

    fn has(&self, names: &[String], name: &str) -> bool {
        names.iter().any(|other| other == name)
    }

    fn wanted(&self, split: &str) -> bool {
        self.split.is_empty() || self.split == split
    }

    fn coco(&self) -> Result<Vec<ImagesSpec>> {
        let top = self.files.names("")?;
        let mut found = Vec::new();
        for file in self.files.names("annotations")? {
            let Some(split) = file.strip_prefix("instances_").and_then(|name| name.strip_suffix(".json")) else {
                continue;
            };
            let nested = format!("images/{split}");
            let pictures = if self.has(&top, split) { split } else { nested.as_str() };
            if self.wanted(split) {
                found.push(self.regions(AnnotationFormat::Coco, pictures, &format!("annotations/{file}"), split));
            }
        }
        if self.has(&top, "instances.json") && self.split.is_empty() {
            let pictures = if self.has(&top, "images") { "images" } else { "" };
            found.push(self.regions(AnnotationFormat::Coco, pictures, "instances.json", ""));
        }
        Ok(found)
    }

    fn regions(&self, format: AnnotationFormat, pictures: &str, file: &str, split: &str) -> ImagesSpec {
        ImagesSpec {
            format,
            uri: self.at(pictures),
            annotations: self.at(file),
            split: split.to_owned(),
            ..ImagesSpec::default()
        }
    }

    fn objects365(&self) -> Result<Vec<ImagesSpec>> {
        let mut found = Vec::new();
        for folder in ["", "annotations"] {
            for file in self.files.names(folder)? {
                let split = file.strip_prefix("zhiyuan_objv2_").and_then(|name| name.strip_suffix(".json"));
                if let Some(split) = split.filter(|split| self.wanted(split)) {
                    let key = if folder.is_empty() { file.clone() } else { format!("{folder}/{file}") };
                    let pictures = if self.has(&self.files.names("")?, split) { split } else { "" };
                    found.push(self.regions(AnnotationFormat::Objects365, pictures, &key, split));
                }
            }
        }
        Ok(found)
    }

    fn voc(&self) -> Result<Vec<ImagesSpec>> {
        let mut found = Vec::new();
        for root in ["", "VOC2012", "VOCdevkit/VOC2012"] {
            let lists = self.files.below(root).names("ImageSets/Segmentation")?;
            let splits = lists.iter().filter_map(|list| list.strip_suffix(".txt"));
            for split in splits.filter(|split| self.wanted(split)) {
                found.push(ImagesSpec {
                    format: AnnotationFormat::Voc,
                    uri: self.at(root),
                    split: split.to_owned(),
                    ..ImagesSpec::default()
                });
            }
        }
        Ok(found)
    }

    fn clevrtex(&self) -> Result<Vec<ImagesSpec>> {
        let top = self.files.names("")?;
        let spec = |key: &str, split: &str| ImagesSpec {
            format: AnnotationFormat::Clevrtex,
            uri: self.at(key),
            split: split.to_owned(),
            ..ImagesSpec::default()
        };
        let variants = top.iter().filter(|name| name.starts_with("clevrtex_")).map(String::as_str);
        let flat = top.iter().any(|name| name.starts_with("CLEVRTEX_") && name.ends_with("_flat.png"));
        // Splits are shares of one folder: without a name, all of it is meant.
        let split = if self.split.is_empty() { "all" } else { self.split };
        Ok(variants.chain(flat.then_some("")).map(|key| spec(key, split)).collect())
    }

    fn label_maps(&self) -> Result<Vec<ImagesSpec>> {
        let top = self.files.names("")?;
        let maps = |name: &str| if self.has(&top, name) { self.at(name) } else { String::new() };
        let (instances, classes) = (maps("instances"), maps("classes"));
        if !self.has(&top, "images") || (instances.is_empty() && classes.is_empty()) {
            return Ok(Vec::new());
        }
        Ok(vec![ImagesSpec {
            format: AnnotationFormat::LabelMaps,
            uri: self.at("images"),
            annotations: instances,
            classes,
            ..ImagesSpec::default()
        }])
    }

    fn parquet(&self) -> Result<Vec<ImagesSpec>> {
        let mut found = Vec::new();
        for folder in ["", "data"] {
            let tables = self.files.names(folder)?;
            if tables.iter().any(|name| name.ends_with(".parquet") && name.starts_with(self.split)) {
                found.push(ImagesSpec {
                    format: AnnotationFormat::Parquet,
                    uri: self.at(folder),
                    split: self.split.to_owned(),
                    ..ImagesSpec::default()
                });
            }
        }
        Ok(found)
    }

    fn generated(&self) -> Result<Vec<ImagesSpec>> {
        let top = self.files.names("")?;
        let both = self.has(&top, "masks") && self.has(&top, "generations");
        Ok(both
            .then(|| ImagesSpec {
                format: AnnotationFormat::Generated,
                uri: self.uri.to_owned(),
                ..ImagesSpec::default()
            })
            .into_iter()
            .collect())
    }
}

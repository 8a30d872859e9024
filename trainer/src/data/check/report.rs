//! What was found, for people and for programs.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::fmt;

use glass_schemas::spec::ImagesSpec;
use serde::Serialize;

use super::Seen;
use crate::data::annotated::{AnnotatedImages, DataError, TruthKind};

/// Problems written out in the text; `--json` has all of them.
const WRITTEN: usize = 20;
/// Classes written out in the text.
const CLASSES: usize = 12;

/// What a set holds and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Where it lies.
    pub uri: String,
    /// How it was read.
    pub format: &'static str,
    /// Which part of it.
    pub split: String,
    /// Where the annotations come from.
    pub annotations: String,
    /// What annotators drew.
    pub truth: Option<TruthKind>,
    /// Digest of names, sizes and annotations: what a run records.
    pub digest: Option<String>,
    /// Pictures that were looked at.
    pub images: u64,
    /// Pictures that could be decoded.
    pub decoded: u64,
    /// Pictures in which no object is annotated, crowds not counted.
    pub without_objects: u64,
    /// Annotated objects, crowds not counted.
    pub instances: u64,
    /// Annotated objects and crowds that cover no pixel.
    pub without_pixels: u64,
    /// Crowd regions.
    pub crowds: u64,
    /// Classes that the set knows or that occur in it.
    pub classes: Vec<ClassCount>,
    /// Smallest and largest picture by pixels, width × height.
    pub sizes: Option<[(usize, usize); 2]>,
    /// Whether a signal ended the check before its end.
    pub interrupted: bool,
    /// All that is wrong.
    pub problems: Vec<Problem>,
}

/// How often a class occurs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassCount {
    /// Its label, from 1; 0 for objects of no known class.
    pub label: u16,
    /// Its name, where it has one.
    pub name: Option<String>,
    /// Objects of it.
    pub instances: u64,
    /// Pictures that show one.
    pub images: u64,
    /// Pixels of its objects, overlaps counted for each.
    pub pixels: u64,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Problem {
    /// The file at fault.
    pub file: Option<String>,
    /// The field in it.
    pub field: Option<String>,
    /// All of it in words.
    pub problem: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Problem {
    pub(super) fn of(error: &DataError) -> Self {
        let mut problem = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            problem = format!("{problem}: {cause}");
            source = cause.source();
        }
        let (file, field) = error.place();
        Self {
            file: file.map(|file| file.display().to_string()),
            field: field.map(str::to_owned),
            problem,
            hint: error.hint(),
        }
    }
}

impl Report {
    pub(super) fn new(spec: &ImagesSpec) -> Self {
        Self {
            uri: spec.uri.clone(),
            format: spec.format.as_str(),
            split: spec.split.clone(),
            annotations: spec.annotations.clone(),
            truth: None,
            digest: None,
            images: 0,
            decoded: 0,
            without_objects: 0,
            instances: 0,
            without_pixels: 0,
            crowds: 0,
            classes: Vec::new(),
            sizes: None,
            interrupted: false,
            problems: Vec::new(),
        }
    }

    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    pub(super) fn describe(&mut self, images: &AnnotatedImages) {
        let annotations = images.annotations();
        self.annotations = annotations.path().display().to_string();
        self.truth = annotations.are_given().then(|| annotations.truth_kind());
        self.digest = Some(images.digest().to_string());
        let names = annotations.classes().iter().enumerate();
        self.classes = names.map(|(index, name)| class(index as u16 + 1, Some(name.clone()))).collect();
    }

    pub(super) fn count(&mut self, seen: &Seen) {
        self.images += 1;
        self.without_objects += u64::from(seen.objects.is_empty());
        self.instances += seen.objects.len() as u64;
        self.without_pixels += seen.empty as u64;
        self.crowds += seen.crowds as u64;
        if let Some(size) = seen.size {
            self.decoded += 1;
            let pixels = |size: (usize, usize)| size.0 * size.1;
            let [mut smallest, mut largest] = self.sizes.unwrap_or([size; 2]);
            if pixels(size) < pixels(smallest) {
                smallest = size;
            }
            if pixels(size) > pixels(largest) {
                largest = size;
            }
            self.sizes = Some([smallest, largest]);
        }
        let mut counts: BTreeMap<u16, [u64; 2]> = BTreeMap::new();
        for &(label, pixels) in &seen.objects {
            let [instances, all] = counts.entry(label).or_default();
            *instances += 1;
            *all += pixels as u64;
        }
        for (label, [instances, pixels]) in counts {
            let at = match self.classes.binary_search_by_key(&label, |class| class.label) {
                Ok(at) => at,
                Err(at) => {
                    self.classes.insert(at, class(label, None));
                    at
                }
            };
            let class = &mut self.classes[at];
            class.images += 1;
            class.instances += instances;
            class.pixels += pixels;
        }
    }
}

fn class(label: u16, name: Option<String>) -> ClassCount {
    ClassCount { label, name, instances: 0, images: 0, pixels: 0 }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let split = if self.split.is_empty() { String::new() } else { format!(", {}", self.split) };
        writeln!(f, "{}: {}{split}", self.uri, self.format)?;
        if self.annotations != self.uri && !self.annotations.is_empty() {
            writeln!(f, "annotations  {}", self.annotations)?;
        }
        writeln!(f, "images       {}, {} of them without an object", self.images, self.without_objects)?;
        if let Some([smallest, largest]) = self.sizes {
            writeln!(f, "sizes        {}×{} to {}×{}", smallest.0, smallest.1, largest.0, largest.1)?;
        }
        writeln!(
            f,
            "instances    {} and {} crowds, {} without a pixel",
            self.instances, self.crowds, self.without_pixels
        )?;
        if self.truth == Some(TruthKind::Boxes) {
            writeln!(f, "truth        boxes alone: judged by box CorLoc, recovery and mBO, not by metrics of masks")?;
        }
        let mut found: Vec<&ClassCount> = self.classes.iter().filter(|class| class.instances > 0).collect();
        found.sort_by_key(|class| (std::cmp::Reverse(class.instances), class.label));
        let more = found.len().saturating_sub(CLASSES);
        let shown = found.iter().take(CLASSES).map(|class| match &class.name {
            Some(name) => format!("{name} {}", class.instances),
            None => format!("`{}` {}", class.label, class.instances),
        });
        let shown = shown.collect::<Vec<_>>().join(", ");
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        writeln!(f, "classes      {} of {}: {shown}{rest}", found.len(), self.classes.len())?;
        if let Some(digest) = &self.digest {
            writeln!(f, "digest       {digest}")?;
        }
        match self.problems.len() {
            0 => return writeln!(f, "problems     none"),
            count => writeln!(f, "problems     {count}")?,
        }
        for problem in self.problems.iter().take(WRITTEN) {
            writeln!(f, "  {}", problem.problem)?;
            if let Some(hint) = &problem.hint {
                writeln!(f, "    hint: {hint}")?;
            }
        }
        match self.problems.len().saturating_sub(WRITTEN) {
            0 => Ok(()),
            more => writeln!(f, "  and {more} more: `--json` writes all of them"),
        }
    }
}

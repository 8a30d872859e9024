//! Image-level classes from a COCO annotation file.

use std::collections::{BTreeSet, HashMap};

use anyhow::Context;
use glass_schemas::dataset::ClassLabel;
use glass_stage::Explain;
use serde::Deserialize;

use crate::vocabulary::Vocabulary;

/// File name → its classes, in the vocabulary's order.
#[derive(Debug, Default)]
pub struct GroundTruth {
    classes: HashMap<String, Vec<ClassLabel>>,
}

#[derive(Deserialize)]
struct Instances {
    images: Vec<ImageEntry>,
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct ImageEntry {
    id: u64,
    file_name: String,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: u64,
    category_id: u64,
}

#[derive(Deserialize)]
struct Category {
    id: u64,
    name: String,
}

impl GroundTruth {
    /// Reads `instances.json`; masks in it are not looked at.
    ///
    /// # Errors
    /// If the file is missing, is not COCO format, or names a class the vocabulary lacks.
    pub fn load(path: &str, vocabulary: &Vocabulary) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the ground truth `{path}`"))
            .blame_user()?;
        let file: Instances = serde_json::from_str(&text)
            .with_context(|| format!("`{path}` is not a COCO annotation file"))
            .blame_user()?;
        let mut labels = HashMap::new();
        for category in file.categories {
            let class = vocabulary
                .class_named(&category.name)
                .with_context(|| format!("`{path}`: the vocabulary has no class `{}`", category.name))
                .blame_user()
                .hint("add it to the vocabulary file, under `also` of the class it means")?;
            labels.insert(category.id, class.clone());
        }
        let mut sets: HashMap<u64, BTreeSet<ClassLabel>> = HashMap::new();
        for annotation in file.annotations {
            let label = labels
                .get(&annotation.category_id)
                .with_context(|| format!("`{path}`: unknown `category_id` {}", annotation.category_id))
                .blame_user()?;
            sets.entry(annotation.image_id).or_default().insert(label.clone());
        }
        let classes = file.images.into_iter().map(|image| {
            let set = sets.remove(&image.id).unwrap_or_default();
            (image.file_name, set.into_iter().collect())
        });
        Ok(Self { classes: classes.collect() })
    }

    /// The classes of an image, by the last part of its name.
    pub fn classes_of(&self, source_uri: &str) -> &[ClassLabel] {
        let name = source_uri.rsplit('/').next().unwrap_or(source_uri);
        self.classes.get(name).map_or(&[], Vec::as_slice)
    }
}

//! A vocabulary: the classes, and every way a caption may name them.

use std::collections::HashMap;

use glass_schemas::dataset::ClassLabel;
use glass_schemas::ids::Digest;
use serde::Deserialize;

const BUILT_IN: [(&str, &str); 3] = [
    ("voc", include_str!("../vocabularies/voc.toml")),
    ("coco", include_str!("../vocabularies/coco.toml")),
    ("scenes", include_str!("../vocabularies/scenes.toml")),
];

/// Largest class number: 255 marks uncertain pixels.
const MOST_CLASSES: usize = 254;

/// Why a vocabulary cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VocabularyError {
    /// Neither built in nor a readable file.
    #[error("no vocabulary `{name}`: not built in (voc, coco, scenes) and not a readable file")]
    Missing {
        /// What the spec asked for.
        name: String,
        /// Why the file could not be read.
        source: std::io::Error,
    },
    /// Not a vocabulary file.
    #[error("invalid vocabulary `{name}`: {message}")]
    Invalid {
        /// What the spec asked for.
        name: String,
        /// What is wrong.
        message: String,
    },
}

/// The classes and the phrases that mean them.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    classes: Vec<ClassLabel>,
    /// Phrase → position in `classes`; `None` for a phrase to pass over.
    phrases: HashMap<String, Option<usize>>,
    longest: usize,
    digest: Digest,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "name")]
    _name: String,
    /// Phrases that contain a class's name and do not mean it (`train station`).
    #[serde(default)]
    ignore: Vec<String>,
    class: Vec<ClassEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClassEntry {
    name: String,
    #[serde(default)]
    also: Vec<String>,
}

impl Vocabulary {
    /// A built-in vocabulary by name, or a file by path.
    ///
    /// # Errors
    /// [`VocabularyError`] if there is none of that name or the file does not parse.
    pub fn load(name: &str) -> Result<Self, VocabularyError> {
        match BUILT_IN.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => Self::parse(name, text),
            None => {
                let text = std::fs::read_to_string(name)
                    .map_err(|source| VocabularyError::Missing { name: name.to_owned(), source })?;
                Self::parse(name, &text)
            }
        }
    }

    fn parse(name: &str, text: &str) -> Result<Self, VocabularyError> {
        let invalid = |message: String| VocabularyError::Invalid { name: name.to_owned(), message };
        let file: File = toml::from_str(text).map_err(|e| invalid(e.to_string()))?;
        if file.class.is_empty() || file.class.len() > MOST_CLASSES {
            let found = file.class.len();
            return Err(invalid(format!("1 to {MOST_CLASSES} classes expected, found {found}")));
        }
        let mut phrases = HashMap::new();
        for phrase in file.ignore {
            phrases.insert(phrase, None);
        }
        for (position, entry) in file.class.iter().enumerate() {
            for phrase in std::iter::once(&entry.name).chain(&entry.also) {
                let taken = phrases.insert(phrase.clone(), Some(position)).flatten();
                if let Some(other) = taken.filter(|&other| other != position) {
                    let (a, b) = (&file.class[other].name, &entry.name);
                    return Err(invalid(format!("`{phrase}` means both `{a}` and `{b}`")));
                }
            }
        }
        let longest = phrases.keys().map(|p| p.split(' ').count()).max();
        let labels = file.class.into_iter().zip(1..);
        Ok(Self {
            classes: labels.map(|(entry, id)| ClassLabel { id, name: entry.name }).collect(),
            longest: longest.unwrap_or(1),
            phrases,
            digest: Digest::of(text.as_bytes()),
        })
    }

    /// The classes, numbered from 1.
    pub fn classes(&self) -> &[ClassLabel] {
        &self.classes
    }

    /// Digest of the file: another synonym is another dataset.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Words of the longest phrase.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// What a phrase means: `Some(None)` is a phrase to pass over.
    pub(crate) fn meaning(&self, phrase: &str) -> Option<Option<&ClassLabel>> {
        let position = self.phrases.get(phrase)?;
        Some(position.map(|position| &self.classes[position]))
    }

    /// The class of this name or synonym, as annotation files write it.
    pub fn class_named(&self, name: &str) -> Option<&ClassLabel> {
        self.meaning(&name.to_lowercase().replace('_', " ")).flatten()
    }
}

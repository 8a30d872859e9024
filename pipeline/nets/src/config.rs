//! Reading a checkpoint's `config.json`.
//!
//! Upstream writes only what differs from its defaults, adds keys in every release and writes `null` for
//! "the default". So unknown keys are ignored, missing and `null` keys take the default of the struct
//! (use `#[serde(default)]` on it), and a value of the wrong type is an error that names file and field.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::{NetsError, Result};

/// Reads `path` into `T`.
///
/// # Errors
/// [`NetsError::Read`] when the file cannot be read, [`NetsError::Config`] when it is not JSON or a field
/// has the wrong type; the field is named with its parents, as in `vision_config.hidden_size`.
pub fn read<T: DeserializeOwned>(path: impl AsRef<Path>) -> Result<T> {
    let path = path.as_ref();
    let text = std::fs::read_to_string(path).map_err(NetsError::read(path))?;
    parse(&text, path)
}

/// Reads `path` into `T`, or gives the default when there is no such file.
///
/// # Errors
/// As [`read`].
pub fn read_or_default<T: DeserializeOwned + Default>(path: impl AsRef<Path>) -> Result<T> {
    match path.as_ref().try_exists() {
        Ok(false) => Ok(T::default()),
        _ => read(path),
    }
}

/// What is wrong with a configuration: the field, and what of it.
pub(crate) type Problem = (&'static str, String);

/// Reads `config.json` in `folder`, and refuses it if `problem` finds one.
///
/// # Errors
/// As [`read`], and [`NetsError::Config`] with the problem.
pub(crate) fn checked<T: DeserializeOwned>(
    folder: impl AsRef<Path>,
    problem: impl FnOnce(&T) -> Option<Problem>,
) -> Result<T> {
    let path = folder.as_ref().join("config.json");
    let config: T = read(&path)?;
    match problem(&config) {
        None => Ok(config),
        Some((field, message)) => Err(NetsError::Config { path, field: field.to_owned(), message }),
    }
}

/// What a network of levels is made of, as its configuration says.
pub(crate) struct Levels<'a> {
    /// `block_out_channels`.
    pub(crate) channels: &'a [usize],
    /// `norm_num_groups`.
    pub(crate) groups: usize,
    /// `act_fn`.
    pub(crate) activation: &'a str,
    /// Field, its blocks, and the one block that is implemented.
    pub(crate) blocks: [(&'static str, &'a [String], &'static str); 2],
}

impl Levels<'_> {
    /// What cannot be built of it.
    pub(crate) fn problem(&self) -> Option<Problem> {
        let levels = self.channels.len();
        for (field, blocks, known) in self.blocks {
            if let Some(other) = blocks.iter().find(|name| *name != known) {
                let message = format!("`{other}` is not implemented, only `{known}` is");
                return Some((field, message));
            }
            if blocks.len() != levels {
                let message = format!("{} blocks for {levels} levels", blocks.len());
                return Some((field, message));
            }
        }
        if levels == 0 {
            return Some(("block_out_channels", "is empty".to_owned()));
        }
        let groups = self.groups;
        let odd = |channels: &&usize| groups == 0 || !channels.is_multiple_of(groups);
        if let Some(channels) = self.channels.iter().find(odd) {
            let message = format!("{groups} groups do not divide {channels} channels");
            return Some(("norm_num_groups", message));
        }
        (!matches!(self.activation, "silu" | "swish")).then(|| {
            let message = format!("`{}` is not implemented, only `silu` is", self.activation);
            ("act_fn", message)
        })
    }
}

/// Parses the text of a configuration file; `origin` is named in errors.
///
/// # Errors
/// As [`read`].
pub fn parse<T: DeserializeOwned>(text: &str, origin: &Path) -> Result<T> {
    let error = |field: String, message: String| NetsError::Config { path: origin.to_owned(), field, message };
    let value: Value = serde_json::from_str(text)
        .or_else(|_| serde_json::from_str(&without_infinities(text)))
        .map_err(|e| error(String::new(), e.to_string()))?;
    let Value::Object(mut map) = value else {
        return Err(error(String::new(), "expected a JSON object".to_owned()));
    };
    drop_nulls(&mut map);
    T::deserialize(Value::Object(map.clone())).map_err(|e| error(culprit::<T>(&map, &e.to_string()), e.to_string()))
}

/// The document with `null` for the numbers that Python writes and JSON does not know: diffusers saves
/// `"lambda_min_clipped": -Infinity`.
fn without_infinities(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for (part, piece) in text.split('"').enumerate() {
        if part > 0 {
            kept.push('"');
        }
        // Every second piece is inside quotes; a quote that is escaped there only shifts a string of ours.
        match part % 2 {
            0 => kept.push_str(&piece.replace("-Infinity", "null").replace("Infinity", "null").replace("NaN", "null")),
            _ => kept.push_str(piece),
        }
    }
    kept
}

fn drop_nulls(map: &mut Map<String, Value>) {
    map.retain(|_, value| !value.is_null());
    for value in map.values_mut() {
        if let Value::Object(inner) = value {
            drop_nulls(inner);
        }
    }
}

/// Finds the field behind a deserialization error: the one whose removal removes the error.
///
/// serde_json gives no path for an error inside a [`Value`], and configurations are small.
fn culprit<T: DeserializeOwned>(root: &Map<String, Value>, message: &str) -> String {
    let mut path: Vec<String> = Vec::new();
    loop {
        let Some(Value::Object(level)) = at(root, &path) else {
            break;
        };
        let found = level.keys().find(|key| {
            let mut trial = Value::Object(root.clone());
            if let Some(map) = path.iter().try_fold(&mut trial, |v, k| v.get_mut(k)).and_then(Value::as_object_mut) {
                map.remove(*key);
            }
            T::deserialize(trial).map_or_else(|e| e.to_string() != message, |_| true)
        });
        match found {
            Some(key) => path.push(key.clone()),
            None => break,
        }
    }
    path.join(".")
}

fn at(root: &Map<String, Value>, path: &[String]) -> Option<Value> {
    path.iter().try_fold(Value::Object(root.clone()), |value, key| value.get(key).cloned())
}

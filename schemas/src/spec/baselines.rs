//! Methods as files: the constants of a published method, below what a run spec says itself.
//!
//! A method has no code of its own. Its file fills the sockets of `[trainer]` and says which masks
//! are the method's; a run spec that names it needs to write down data, sizes and steps only.

use std::path::Path;

use toml::{Table, Value};

use super::{SPEC_VERSION, TrainerSpec, invalid};
use crate::SchemaError;

/// Ids and texts of the methods that are shipped.
pub const SHIPPED: [(&str, &str); 14] = [
    ("glass", include_str!("../../../manifests/baselines/glass.toml")),
    ("glass-instance-only", include_str!("../../../manifests/baselines/glass-instance-only.toml")),
    ("glass-semantic-only", include_str!("../../../manifests/baselines/glass-semantic-only.toml")),
    ("stable-lsd", include_str!("../../../manifests/baselines/stable-lsd.toml")),
    ("stable-lsd-boxes", include_str!("../../../manifests/baselines/stable-lsd-boxes.toml")),
    ("stable-lsd-box-masks", include_str!("../../../manifests/baselines/stable-lsd-box-masks.toml")),
    ("stable-lsd-known-count", include_str!("../../../manifests/baselines/stable-lsd-known-count.toml")),
    ("dinosaur-mlp", include_str!("../../../manifests/baselines/dinosaur-mlp.toml")),
    ("dinosaur-transformer", include_str!("../../../manifests/baselines/dinosaur-transformer.toml")),
    ("spot-teacher", include_str!("../../../manifests/baselines/spot-teacher.toml")),
    ("spot-student", include_str!("../../../manifests/baselines/spot-student.toml")),
    ("slot-attention", include_str!("../../../manifests/baselines/slot-attention.toml")),
    ("slot-diffusion", include_str!("../../../manifests/baselines/slot-diffusion.toml")),
    ("lsd-scratch", include_str!("../../../manifests/baselines/lsd-scratch.toml")),
];

/// What a method's file may say.
const KEYS: [&str; 5] = ["title", "source", "needs", "trainer", "evaluation"];

/// Puts the method that the spec names below the spec's own keys.
///
/// # Errors
/// [`SchemaError::InvalidSpec`] where there is no such method, or its file says what a method
/// cannot say.
pub(super) fn complete(spec: &mut Table, origin: &str) -> Result<(), SchemaError> {
    let Some(Value::String(name)) = spec.get("method").cloned() else {
        return Ok(());
    };
    let (origin, text) = text(&name, origin)?;
    let mut method: Table = toml::from_str(&text).map_err(|error| invalid(&origin, &error))?;
    if let Some(key) = method.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(SchemaError::InvalidSpec {
            message: format!("`{key}` is no part of a method"),
            hint: Some(format!("a method's file has {}", KEYS.map(|key| format!("`{key}`")).join(", "))),
            origin,
        });
    }
    for key in ["trainer", "evaluation"] {
        if let Some(Value::Table(below)) = method.remove(key) {
            let place = spec.entry(key).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(table) = place {
                put_below(table, below);
            }
        }
    }
    Ok(())
}

/// Refuses the file of a method that is given for a run spec.
///
/// # Errors
/// [`SchemaError::InvalidSpec`] that says how a spec names it.
pub(super) fn refuse_method(spec: &Table, origin: &str) -> Result<(), SchemaError> {
    if !spec.contains_key("title") || spec.contains_key("version") {
        return Ok(());
    }
    let stem = Path::new(origin).file_stem().map_or(origin.into(), |stem| stem.to_string_lossy());
    let method = match SHIPPED.iter().any(|(id, _)| *id == stem) {
        true => stem.into_owned(),
        false => origin.to_owned(),
    };
    Err(SchemaError::InvalidSpec {
        origin: origin.to_owned(),
        message: "is the file of a method, not a run spec".to_owned(),
        hint: Some(format!(
            "a run spec names it: `version = {SPEC_VERSION}`, `name = \"…\"`, `method = \"{method}\"`, and where weights \
             (`[trainer.encoder] weights`) and images (`[trainer.data] source = \"images\"`, `[trainer.data.images]`) lie; \
             see manifests/runs"
        )),
    })
}

/// The `[trainer]` of a shipped method, its defaults filled in.
pub(super) fn trainer_of(id: &str) -> Option<TrainerSpec> {
    let (_, text) = SHIPPED.iter().find(|(shipped, _)| *shipped == id)?;
    let mut method: Table = toml::from_str(text).ok()?;
    method.remove("trainer")?.try_into().ok()
}

/// The text of a method, and what names it in errors.
fn text(name: &str, origin: &str) -> Result<(String, String), SchemaError> {
    if let Some((_, text)) = SHIPPED.iter().find(|(id, _)| *id == name) {
        return Ok((format!("method {name}"), (*text).to_owned()));
    }
    let path = Path::new(name);
    if path.extension().is_some_and(|extension| extension == "toml") {
        let text =
            std::fs::read_to_string(path).map_err(|source| SchemaError::ReadSpec { path: path.to_owned(), source })?;
        return Ok((name.to_owned(), text));
    }
    let (_, nearest) = SHIPPED
        .iter()
        .map(|(id, _)| (strsim::jaro_winkler(name, id), *id))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .unwrap_or_default();
    Err(SchemaError::InvalidSpec {
        origin: origin.to_owned(),
        message: format!("`method` is `{name}`, which is neither a shipped method nor a `.toml` file"),
        hint: Some(format!("did you mean `{nearest}`?")),
    })
}

/// Keys of `below` where `table` has none; tables are gone through key by key.
fn put_below(table: &mut Table, below: Table) {
    for (key, value) in below {
        match (table.get_mut(&key), value) {
            (Some(Value::Table(table)), Value::Table(below)) => put_below(table, below),
            (Some(_), _) => {}
            (None, value) => {
                table.insert(key, value);
            }
        }
    }
}

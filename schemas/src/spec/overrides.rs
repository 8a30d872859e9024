//! `--set table.key=value`, and the nearest key to one that does not exist.

use crate::SchemaError;

/// Sets one dotted key. The value is TOML; what is not TOML is taken as a string.
pub(super) fn apply(table: &mut toml::Table, assignment: &str) -> Result<(), SchemaError> {
    let refuse = |message: &str| SchemaError::InvalidSpec {
        origin: format!("--set {assignment}"),
        message: message.to_owned(),
        hint: Some("write `--set table.key=value`, e.g. `--set masks.low=0.4`".to_owned()),
    };
    let (path, text) = assignment.split_once('=').ok_or_else(|| refuse("there is no `=`"))?;
    let mut keys: Vec<&str> = path.trim().split('.').collect();
    let last = keys.pop().unwrap_or_default();
    let mut place = table;
    for key in keys {
        place = place
            .entry(key)
            .or_insert_with(|| toml::Value::Table(toml::Table::new()))
            .as_table_mut()
            .ok_or_else(|| refuse(&format!("`{key}` is a value, not a table")))?;
    }
    place.insert(last.to_owned(), value(text.trim()));
    Ok(())
}

fn value(text: &str) -> toml::Value {
    toml::from_str::<toml::Table>(&format!("value = {text}"))
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

/// A hint for a key that does not exist, from what serde says about it.
///
/// ``unknown field `stesp`, expected one of `steps`, …`` becomes ``did you mean `steps`?``; other
/// messages, and keys that are like none, give nothing.
pub fn nearest_key(message: &str) -> Option<String> {
    let rest = message.strip_prefix("unknown field `").or_else(|| message.strip_prefix("unknown variant `"))?;
    let (unknown, expected) = rest.split_once('`')?;
    let candidates = expected.split('`').skip(1).step_by(2);
    let nearest = candidates.map(|key| (strsim::jaro_winkler(unknown, key), key)).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (nearest.0 > 0.7).then(|| format!("did you mean `{}`?", nearest.1))
}

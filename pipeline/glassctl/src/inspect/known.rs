//! What a row says, as a document: everything but pictures and tensors, of which the size is told.

use glass_schemas::dataset::{AttentionRow, CaptionRow, EncodedImage, GenerationRow, MaskRow};
use glass_schemas::ids::DatasetKind;
use serde_json::{Value, json};

use super::find::Place;

/// The columns of a row.
pub(super) async fn columns(place: &Place) -> anyhow::Result<Value> {
    Ok(match place.dataset.id().kind() {
        DatasetKind::Captions => serde_json::to_value(place.read::<CaptionRow>().await?)?,
        DatasetKind::Generations => generation(place.read().await?)?,
        DatasetKind::Attention => attention(place.read().await?)?,
        DatasetKind::Masks => mask(place.read().await?)?,
    })
}

fn generation(mut row: GenerationRow) -> anyhow::Result<Value> {
    let (image, latent) = (picture(&mut row.image), std::mem::take(&mut row.latent).len());
    let mut columns = serde_json::to_value(row)?;
    columns["image"] = image;
    columns["latent"] = json!({ "values": latent });
    Ok(columns)
}

fn attention(mut row: AttentionRow) -> anyhow::Result<Value> {
    let sizes: Vec<usize> = row.maps.iter_mut().map(|map| std::mem::take(&mut map.values).len()).collect();
    let mut columns = serde_json::to_value(row)?;
    for (map, size) in columns["maps"].as_array_mut().into_iter().flatten().zip(sizes) {
        map["values"] = json!(size);
    }
    Ok(columns)
}

fn mask(mut row: MaskRow) -> anyhow::Result<Value> {
    let mask = picture(&mut row.mask);
    let mut columns = serde_json::to_value(row)?;
    columns["mask"] = mask;
    Ok(columns)
}

/// An image's name and size; its bytes are taken out.
fn picture(image: &mut EncodedImage) -> Value {
    let bytes = std::mem::take(&mut image.bytes).len();
    json!({ "path": image.path, "bytes": bytes })
}

/// A value on one line: `a, b` for a list, `key value, key value` for an object.
pub(super) fn on_a_line(value: &Value) -> String {
    match value {
        Value::String(text) => text.replace(['\n', '\t'], " "),
        Value::Array(values) => {
            let separator = if values.iter().any(Value::is_object) { "; " } else { ", " };
            values.iter().map(on_a_line).collect::<Vec<_>>().join(separator)
        }
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| format!("{key} {}", on_a_line(value)));
            fields.collect::<Vec<_>>().join(", ")
        }
        Value::Null => "–".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_one_line() {
        let value = json!([{ "id": 6, "name": "bus" }, { "id": 7, "name": "two\nlines" }]);
        assert_eq!(on_a_line(&value), "id 6, name bus; id 7, name two lines");
        assert_eq!(on_a_line(&json!([4, 8, 8])), "4, 8, 8");
        assert_eq!(on_a_line(&Value::Null), "–");
    }
}

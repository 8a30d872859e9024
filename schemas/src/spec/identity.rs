//! The part of a run spec that a dataset's identity is made of.

use serde::Serialize;
use serde_json::{Value, json};

use super::RunSpec;
use crate::ids::DatasetKind;

impl RunSpec {
    /// What of this spec decides the rows of a dataset, every default written out.
    ///
    /// Folders of weights are left out: the identity carries their digests, so that moving a
    /// checkpoint changes nothing. What later stages do is left out too.
    pub fn identity_of(&self, kind: DatasetKind) -> Value {
        match kind {
            DatasetKind::Captions => json!({
                "source": self.source,
                "captioner": without_weights(&self.captioner),
            }),
            // One pass of the generator writes both.
            DatasetKind::Generations | DatasetKind::Attention => without_weights(&self.generator),
            DatasetKind::Masks => json!(self.masks),
        }
    }
}

fn without_weights(table: &impl Serialize) -> Value {
    let mut value = json!(table);
    if let Some(table) = value.as_object_mut() {
        table.remove("weights");
    }
    value
}

//! Validation pictures of any published format, see [`crate::data::annotated`].

use glass_schemas::spec::RunSpec;

use super::EvalError;
use crate::data::annotated::{Access, DataError, Faults, open};

pub use crate::data::annotated::AnnotatedImages as ValidationSet;

/// The validation pictures of a run spec.
///
/// # Errors
/// [`EvalError::Data`]: what of it cannot be read, and pictures without annotations.
pub fn validation(spec: &RunSpec) -> Result<ValidationSet, EvalError> {
    let images = spec.evaluation.pictures();
    let data = open(&images, &Access::of(&spec.store), &mut Faults::Refuse)?;
    if !data.annotations().are_given() {
        return Err(EvalError::Data(DataError::Format {
            uri: images.uri,
            problem: "has no annotations to score against".into(),
            hint: "`evaluation.data.format` is `pictures`: name a format that has annotations".into(),
        }));
    }
    Ok(data)
}

//! Which rules a run is scored under.

use std::path::Path;

use glass_metrics::Protocol;
use glass_schemas::spec::evaluation::EvaluationSpec;

use super::EvalError;

/// The protocols that a spec names, at the sizes that it asks for.
///
/// A protocol whose sizes are not its own says so in its id (`glass-release@128/128`: input, masks), so that no number
/// made on small pictures can be taken for a published one.
///
/// # Errors
/// [`EvalError::Protocol`] for an unknown id, an unreadable file, or two protocols of one id.
pub fn resolve(spec: &EvaluationSpec) -> Result<Vec<Protocol>, EvalError> {
    collect(&spec.protocols, |protocol| resize(protocol, spec.input_size, spec.mask_size))
}

/// The protocols of these ids and files at their own sizes; `all` is every shipped one.
///
/// # Errors
/// As [`resolve`].
pub fn named(names: &[String]) -> Result<Vec<Protocol>, EvalError> {
    if names.iter().any(|name| name == "all") {
        return collect(&Protocol::SHIPPED.map(str::to_owned), |protocol| protocol);
    }
    collect(names, |protocol| protocol)
}

fn collect(names: &[String], resize: impl Fn(Protocol) -> Protocol) -> Result<Vec<Protocol>, EvalError> {
    let mut protocols: Vec<Protocol> = Vec::new();
    for name in names {
        let protocol = resize(load(name)?);
        if protocols.iter().any(|other| other.id == protocol.id) {
            return Err(refuse(name, format!("has the id `{}`, which another one has", protocol.id)));
        }
        protocols.push(protocol);
    }
    if protocols.is_empty() {
        return Err(EvalError::Spec { key: "protocols", problem: "is empty: there is nothing to score under".into() });
    }
    Ok(protocols)
}

fn load(name: &str) -> Result<Protocol, EvalError> {
    if !name.ends_with(".toml") {
        return Protocol::shipped(name).ok_or_else(|| refuse(name, "is not a shipped one".into()));
    }
    let text = std::fs::read_to_string(Path::new(name)).map_err(EvalError::read(name))?;
    toml::from_str(&text).map_err(|error| refuse(name, error.to_string().trim_end().to_owned()))
}

fn resize(mut protocol: Protocol, input: Option<u32>, mask: Option<u32>) -> Protocol {
    let own = (protocol.input_size, protocol.mask_size);
    protocol.input_size = input.unwrap_or(own.0);
    protocol.mask_size = mask.unwrap_or(own.1);
    if (protocol.input_size, protocol.mask_size) != own {
        protocol.id = format!("{}@{}/{}", protocol.id, protocol.input_size, protocol.mask_size);
    }
    protocol
}

fn refuse(name: &str, problem: String) -> EvalError {
    EvalError::Protocol { name: name.to_owned(), problem }
}

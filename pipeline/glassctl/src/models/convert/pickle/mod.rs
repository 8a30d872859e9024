//! Just enough of the pickle format to read what `torch.save` writes.
//!
//! Values live in one table and refer to one another by place, so that neither a deep nor a
//! shared structure costs more than its bytes in the file.

mod calls;
mod machine;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::rc::Rc;

pub(super) use machine::read;

use super::tensor::DType;
pub(super) use super::tensor::View;
use calls::Callable;

/// Why a file is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// It names something to call that is no part of a file of tensors.
    #[error("it asks to call `{0}`, which is no part of a file of tensors; nothing was run")]
    Call(String),
    /// It is damaged, or of another format.
    #[error("{0}")]
    Format(String),
    /// It ends too early, or cannot be read.
    #[error("it is truncated or cannot be read")]
    Read(#[from] io::Error),
}

impl Fault {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self::Format(message.into())
    }

    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::Call(_) => {
                "if the file can be trusted, save its `state_dict()` alone with PyTorch and convert that; otherwise delete it"
            }
            Self::Format(_) | Self::Read(_) => "fetch the file again and compare its sha256",
        }
    }
}

/// A value of a pickle. Those that hold others are places in [`Pickled::nodes`].
#[derive(Clone, Debug)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Text(Rc<str>),
    Tuple(usize),
    List(usize),
    Dict(usize),
    Tensor(Rc<View>),
    /// A storage, by key.
    Storage(Rc<str>, DType),
    Callable(Callable),
    /// Something without meaning for tensors, such as a float or bytes.
    Other,
}

/// A pickle that was read.
#[derive(Debug)]
pub(super) struct Pickled {
    pub(super) root: Value,
    /// The type of each storage that is referred to, by key.
    pub(super) storages: HashMap<String, DType>,
    /// What tuples, lists and dictionaries hold; dictionaries hold key, value, key, value.
    nodes: Vec<Vec<Value>>,
}

impl Pickled {
    /// The items of a list or tuple.
    pub(super) fn items(&self, value: &Value) -> Option<&[Value]> {
        match value {
            Value::List(place) | Value::Tuple(place) => self.nodes.get(*place).map(Vec::as_slice),
            _ => None,
        }
    }

    /// Keys and values of a dictionary; of two with the same key, the later holds.
    pub(super) fn pairs(&self, value: &Value) -> Option<Vec<(&Value, &Value)>> {
        let Value::Dict(place) = value else { return None };
        let node = self.nodes.get(*place)?;
        Some(node.chunks_exact(2).map(|pair| (&pair[0], &pair[1])).collect())
    }

    /// The value of a text key in a dictionary.
    pub(super) fn entry(&self, value: &Value, key: &str) -> Option<&Value> {
        let pairs = self.pairs(value)?;
        let found = pairs.iter().rev().find(|(name, _)| matches!(name, Value::Text(name) if **name == *key));
        found.map(|(_, value)| *value)
    }
}

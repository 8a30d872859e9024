//! Where the storages of a PyTorch file lie.

use std::collections::HashMap;

/// A part of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) length: u64,
}

/// The storages of a file by key, and the pickled object that refers to them.
pub(super) struct Container {
    pub(super) storages: HashMap<String, Span>,
    pub(super) object: super::pickle::Pickled,
}

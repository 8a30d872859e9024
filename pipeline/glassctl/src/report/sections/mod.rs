//! The report's sections: what the data looks like, what was learned from it.

pub(super) mod data;
pub(super) mod run;

//! Guidance: masks pull slot masks towards objects. One file a kind, one variant a socket ([`Guide`]).
//!
//! Masks live on the host, the matching has no gradient and runs there, and the loss is a
//! sum of independent terms of the attention **A**; so the loss and its gradient in A are computed
//! there in one pass ([`semantic`]) and handed to autodiff as a linear form. One small tensor
//! travels to the host for the whole batch, one back.

mod components;
mod distillation;
mod guide;
mod matching;
mod resize;
mod semantic;

pub use components::{Component, components};
pub use distillation::{Distillation, Teacher};
pub use guide::{Guide, GuideTerm};
pub use matching::{match_components, overlaps};
pub use resize::{Bilinear, nearest};
pub(crate) use semantic::host;
pub use semantic::{Guidance, PseudoMask, SemanticTerm};

//! The networks against tensors that their reference libraries made (`ci/reference`).
#![expect(clippy::unwrap_used, reason = "tests")]

mod golden;
mod support;

mod diffusion;
mod dinov2;
mod generation;
mod image;
mod language;
mod ops;
mod pixels;
mod speed;
mod weights;

//! The networks against tensors that their reference libraries made (`ci/reference`).
#![expect(clippy::unwrap_used, reason = "tests")]

mod golden;
mod support;

mod blip2;
mod diffusion;
mod dinov2;
mod image;
mod ops;
mod speed;
mod weights;

//! The networks against tensors that their reference libraries made (`ci/reference`).
#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

mod blip2;
mod dinov2;
mod image;
mod speed;
mod weights;

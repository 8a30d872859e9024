//! The pretrained networks of the pipeline, written for burn.
//!
//! Every stage that looks at a picture or draws one needs a published network: a captioner, a latent
//! diffusion model, a self-supervised encoder. They live together in one crate because they share
//! everything except their architecture: the reading of `config.json` and `safetensors`, the layers, the
//! exact preprocessing, and a reference to agree with. Sizes come from each checkpoint's own
//! `config.json`; nothing here knows which checkpoint it runs.
//!
//! All networks are burn [`Module`](burn::module::Module)s: the same struct is used frozen in the
//! pipeline and trained in the trainer. They compute in `f32` whatever the file holds, unless [`device_in`]
//! chose another type for the process; [`Precision`] says what stays in `f32` then.

pub mod activation;
pub mod attention;
mod bert;
pub mod config;
pub mod device;
mod dropout;
pub mod error;
pub mod image;
pub mod layers;
pub mod vision;
pub mod weights;

pub mod blip;
pub mod blip2;
pub mod captioner;
pub mod dinov2;
pub mod generate;
pub mod t5;
pub mod tokenizer;

pub mod clip;
pub mod inception;
pub mod ops;
pub mod perceptual;
mod resnet;
pub mod resnet34;
pub mod schedulers;
mod spatial_attention;
pub mod unet;
pub mod vae;
pub mod vqvae;

pub use captioner::Captioner;
pub use device::{Backend, Precision, device_in};
pub use error::{NetsError, Result};
pub use weights::{Scope, Weights};

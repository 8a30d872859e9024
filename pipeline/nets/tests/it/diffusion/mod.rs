//! Stable Diffusion's parts.

mod attention;
mod networks;
mod sampling;
mod schedulers;
mod tokenizer;

//! The language models, alone and behind pictures.

mod blip;
mod blip2;
mod blip2_t5;
mod configurations;
mod searches;
mod t5;
mod tokens;

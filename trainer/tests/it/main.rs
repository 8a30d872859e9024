//! Training, piece by piece: agreement with PyTorch, properties, resuming.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod autoencoder;
mod command;
mod compose;
mod data_check;
mod drawing;
mod dropping;
mod eval_data;
mod eval_run;
mod events;
mod fidelity;
mod formats;
mod guidance;
mod insight;
mod judge;
mod masks;
mod methods;
mod order;
mod painted_runs;
mod painter;
mod painting;
mod pixels;
mod probe;
mod properties;
mod quantised;
mod real_images;
mod reference;
mod release;
mod resume;
mod schedules;
mod student;
mod support;
mod toy;
mod views;

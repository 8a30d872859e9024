//! What a run shows of itself: metrics, event files, pictures.

mod explain;
mod history;
mod insight;
mod preview;
mod tensorboard;

pub use explain::{Explained, explained_step};
pub use history::{History, Line, Window};
pub use insight::SlotUsage;
pub use preview::{Panel, preview};
pub use tensorboard::{EventFile, masked_crc};

//! From tokens to slots.

mod gru;
mod known;
mod position;
mod slot_attention;
mod soft;

pub use gru::GruCell;
pub use known::Known;
pub use position::{GridPosition, TokenPosition, grid};
pub use slot_attention::{SlotAttention, SlotAttentionConfig, Slots, slot_noise};
pub use soft::{Coordinates, SoftPosition};

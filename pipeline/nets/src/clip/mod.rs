//! CLIP: prompts to token ids to hidden states (Stable Diffusion's text encoder), and images into the space that
//! both share (CLIP score).

mod config;
mod layer;
mod prompts;
mod text;
mod tokenizer;
mod vision;

pub use config::{ClipTextConfig, ClipVisionConfig};
pub use prompts::{CLASS_PLACEHOLDER, class_prompt, joint_class_prompt};
pub use text::ClipTextModel;
pub use tokenizer::{ClipTokenizer, TokenizedPrompt};
pub use vision::ClipVisionModel;

//! CLIP's text side: prompts to token ids to hidden states (Stable Diffusion's text encoder).

mod config;
mod prompts;
mod text;
mod tokenizer;

pub use config::ClipTextConfig;
pub use prompts::{CLASS_PLACEHOLDER, class_prompt, joint_class_prompt};
pub use text::ClipTextModel;
pub use tokenizer::{ClipTokenizer, TokenizedPrompt};

//! What a caller may choose about a caption.

use crate::error::{NetsError, Result};

/// When beam search ends (transformers' `early_stopping`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EarlyStopping {
    /// When it is unlikely that a better caption follows (`False`).
    #[default]
    Heuristic,
    /// As soon as there are as many captions as beams (`True`).
    WhenFull,
    /// When no better caption can follow (`"never"`).
    Never,
}

/// How captions are written; the defaults are transformers', with one beam and 30 tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateOptions {
    /// Captions that are pursued side by side; 1 is greedy search.
    pub num_beams: usize,
    /// Longest caption in tokens.
    pub max_new_tokens: usize,
    /// Exponent of the length that a beam's score is divided by; above 0 favours long captions.
    pub length_penalty: f32,
    /// When beam search ends.
    pub early_stopping: EarlyStopping,
    /// Above 1 makes tokens less likely that already occur; the prompt's tokens count.
    pub repetition_penalty: f32,
    /// Text that the caption continues, such as `a photo of`; it is not repeated in the caption.
    pub prompt: String,
    /// Tokens that end a text (`eos_token_id`); the checkpoint's own when `None`.
    pub end_tokens: Option<Vec<u32>>,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self {
            num_beams: 1,
            max_new_tokens: 30,
            length_penalty: 1.0,
            early_stopping: EarlyStopping::Heuristic,
            repetition_penalty: 1.0,
            prompt: String::new(),
            end_tokens: None,
        }
    }
}

impl GenerateOptions {
    pub(crate) fn check(&self) -> Result<()> {
        let bad = |message: String| Err(NetsError::input(message));
        if self.num_beams == 0 || self.max_new_tokens == 0 {
            return bad("`num_beams` and `max_new_tokens` must be at least 1".to_owned());
        }
        if !(self.repetition_penalty > 0.0 && self.repetition_penalty.is_finite()) {
            return bad(format!("`repetition_penalty` must be above 0, not {}", self.repetition_penalty));
        }
        if !self.length_penalty.is_finite() {
            return bad(format!("`length_penalty` must be a number, not {}", self.length_penalty));
        }
        Ok(())
    }

    /// Checks the options too for a model that knows only so many positions.
    pub(crate) fn check_length(&self, prompt_tokens: usize, positions: usize) -> Result<()> {
        self.check()?;
        if prompt_tokens + self.max_new_tokens > positions {
            return Err(NetsError::input(format!(
                "a prompt of {prompt_tokens} tokens and `max_new_tokens` {} exceed the language model's {positions} positions",
                self.max_new_tokens
            )));
        }
        Ok(())
    }
}

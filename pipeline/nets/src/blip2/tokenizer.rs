//! GPT-2's byte-level tokenizer, which OPT uses.

use std::path::{Path, PathBuf};

use tokenizers::Tokenizer;
use tokenizers::models::bpe::BPE;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use crate::error::{NetsError, Result};

/// transformers' `GPT2Tokenizer` without the beginning-of-text token, which the prompt adds.
#[derive(Debug, Clone)]
pub struct Gpt2Tokenizer {
    inner: Tokenizer,
    path: PathBuf,
}

impl Gpt2Tokenizer {
    /// Reads `tokenizer.json`, or `vocab.json` with `merges.txt`.
    ///
    /// # Errors
    /// [`NetsError::Tokenizer`] when neither is there or a file is damaged.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let whole = folder.join("tokenizer.json");
        let error = |path: &Path, message: String| NetsError::Tokenizer {
            path: path.to_owned(),
            message,
        };
        if whole.is_file() {
            let inner = Tokenizer::from_file(&whole).map_err(|e| error(&whole, e.to_string()))?;
            return Ok(Self { inner, path: whole });
        }
        let (vocab, merges) = (folder.join("vocab.json"), folder.join("merges.txt"));
        if let Some(absent) = [&vocab, &merges].into_iter().find(|path| !path.is_file()) {
            return Err(error(
                absent,
                "no such file, and no `tokenizer.json` either".to_owned(),
            ));
        }
        let model = BPE::from_file(&vocab.to_string_lossy(), &merges.to_string_lossy())
            .build()
            .map_err(|e| error(folder, e.to_string()))?;
        let mut inner = Tokenizer::new(model);
        let bytes = ByteLevel::default().add_prefix_space(false);
        inner
            .with_pre_tokenizer(Some(bytes))
            .with_decoder(Some(bytes));
        Ok(Self {
            inner,
            path: folder.to_owned(),
        })
    }

    /// The tokens of a text, without any special token.
    ///
    /// # Errors
    /// [`NetsError::Tokenizer`] when the text cannot be split.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self
            .inner
            .encode(text, false)
            .map_err(|e| self.error(e.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The text of tokens; special tokens are left out.
    ///
    /// # Errors
    /// [`NetsError::Tokenizer`] when the tokens make no text.
    pub fn decode(&self, tokens: &[u32]) -> Result<String> {
        self.inner
            .decode(tokens, true)
            .map_err(|e| self.error(e.to_string()))
    }

    fn error(&self, message: String) -> NetsError {
        NetsError::Tokenizer {
            path: self.path.clone(),
            message,
        }
    }
}

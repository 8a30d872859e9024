//! The tokenizers of the language models that write captions.

use std::path::{Path, PathBuf};

use tokenizers::Tokenizer;
use tokenizers::decoders::wordpiece::WordPiece as WordPieceDecoder;
use tokenizers::models::bpe::BPE;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::bert::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use crate::error::{NetsError, Result};

/// Whose tokenizer it is; all of them read `tokenizer.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenizerKind {
    /// OPT's, transformers' `GPT2Tokenizer`: also from `vocab.json` with `merges.txt`.
    Gpt2,
    /// transformers' `T5Tokenizer`.
    T5,
    /// BLIP's, transformers' `BertTokenizer`: also from `vocab.txt`, in lower case.
    Bert,
}

/// A tokenizer that adds no special token: prompts do that.
#[derive(Debug, Clone)]
pub struct TextTokenizer {
    inner: Tokenizer,
    path: PathBuf,
}

impl TextTokenizer {
    /// Reads `tokenizer.json`, or else the older files that this kind of tokenizer has.
    ///
    /// # Errors
    /// [`NetsError::Tokenizer`] when there is none of them or a file is damaged.
    pub fn load(folder: impl AsRef<Path>, kind: TokenizerKind) -> Result<Self> {
        let folder = folder.as_ref();
        let whole = folder.join("tokenizer.json");
        if whole.is_file() {
            let inner = Tokenizer::from_file(&whole).map_err(|e| bad(&whole, e.to_string()))?;
            return Ok(Self { inner, path: whole });
        }
        let inner = match kind {
            TokenizerKind::Gpt2 => gpt2(folder)?,
            TokenizerKind::Bert => bert(folder)?,
            TokenizerKind::T5 => {
                let sentences = folder.join("spiece.model").is_file();
                let message = match sentences {
                    true => "no such file; `spiece.model` alone cannot be read",
                    false => "no such file",
                };
                return Err(bad(&whole, message.to_owned()));
            }
        };
        let path = folder.to_owned();
        Ok(Self { inner, path })
    }

    /// The tokens of a text, without any special token.
    ///
    /// # Errors
    /// [`NetsError::Tokenizer`] when the text cannot be split.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self
            .inner
            .encode(text, false)
            .map_err(|e| bad(&self.path, e.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The text of tokens; special tokens are left out.
    ///
    /// # Errors
    /// [`NetsError::Tokenizer`] when the tokens make no text.
    pub fn decode(&self, tokens: &[u32]) -> Result<String> {
        self.inner
            .decode(tokens, true)
            .map_err(|e| bad(&self.path, e.to_string()))
    }
}

fn gpt2(folder: &Path) -> Result<Tokenizer> {
    let (vocab, merges) = (folder.join("vocab.json"), folder.join("merges.txt"));
    present(&[&vocab, &merges])?;
    let model = BPE::from_file(&vocab.to_string_lossy(), &merges.to_string_lossy())
        .build()
        .map_err(|e| bad(folder, e.to_string()))?;
    let mut inner = Tokenizer::new(model);
    let bytes = ByteLevel::default().add_prefix_space(false);
    inner
        .with_pre_tokenizer(Some(bytes))
        .with_decoder(Some(bytes));
    Ok(inner)
}

fn bert(folder: &Path) -> Result<Tokenizer> {
    let vocab = folder.join("vocab.txt");
    present(&[&vocab])?;
    let model = WordPiece::from_file(&vocab.to_string_lossy())
        .unk_token("[UNK]".to_owned())
        .build()
        .map_err(|e| bad(&vocab, e.to_string()))?;
    let mut inner = Tokenizer::new(model);
    inner
        .with_normalizer(Some(BertNormalizer::default()))
        .map_err(|e| bad(&vocab, e.to_string()))?
        .with_pre_tokenizer(Some(BertPreTokenizer))
        .with_decoder(Some(WordPieceDecoder::default()));
    Ok(inner)
}

fn present(files: &[&PathBuf]) -> Result<()> {
    match files.iter().find(|path| !path.is_file()) {
        None => Ok(()),
        Some(absent) => Err(bad(
            absent,
            "no such file, and no `tokenizer.json` either".to_owned(),
        )),
    }
}

fn bad(path: &Path, message: String) -> NetsError {
    NetsError::Tokenizer {
        path: path.to_owned(),
        message,
    }
}

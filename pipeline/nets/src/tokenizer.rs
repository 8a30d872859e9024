//! The tokenizers of the language models that write captions.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use tokenizers::Tokenizer;
use tokenizers::decoders::wordpiece::WordPiece as WordPieceDecoder;
use tokenizers::models::bpe::BPE;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::bert::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use crate::config;
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

#[derive(Deserialize)]
struct File {
    tokenizer_class: Option<String>,
    pad_token: Option<Token>,
    #[serde(default)]
    padding_side: Side,
}

/// A token as its text, or as an object that has it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Token {
    Text(String),
    Object { content: String },
}

#[derive(Deserialize, Default, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Side {
    Left,
    #[default]
    Right,
}

impl File {
    fn read(folder: &Path) -> Result<(Self, PathBuf)> {
        let path = folder.join("tokenizer_config.json");
        Ok((config::read(&path)?, path))
    }
}

impl TokenizerKind {
    /// What `tokenizer_class` in `tokenizer_config.json` names; `None` for CLIP's and for no such file.
    ///
    /// # Errors
    /// When the file cannot be read or names a tokenizer that is not implemented.
    pub fn of(folder: impl AsRef<Path>) -> Result<Option<Self>> {
        let folder = folder.as_ref();
        if !folder.join("tokenizer_config.json").is_file() {
            return Ok(None);
        }
        let (file, path) = File::read(folder)?;
        let class = file.tokenizer_class.unwrap_or_default();
        match class.trim_end_matches("Fast") {
            "" | "CLIPTokenizer" => Ok(None),
            "GPT2Tokenizer" => Ok(Some(Self::Gpt2)),
            "T5Tokenizer" => Ok(Some(Self::T5)),
            "BertTokenizer" => Ok(Some(Self::Bert)),
            _ => Err(NetsError::Config {
                path,
                field: "tokenizer_class".to_owned(),
                message: format!("`{class}` is not implemented, only CLIP's, GPT-2's, T5's and BERT's are"),
            }),
        }
    }
}

/// Texts as rows of tokens of one length, with 1 where a token stands and 0 where padding does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaddedTokens {
    /// `[texts, length]`
    pub ids: Vec<Vec<u32>>,
    /// `[texts, length]`
    pub mask: Vec<Vec<u32>>,
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
        let encoding = self.inner.encode(text, false).map_err(|e| bad(&self.path, e.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The tokens of texts with the special tokens that `tokenizer.json` puts around them, padded to the
    /// longest on the side and with the token that `tokenizer_config.json` states: transformers'
    /// `tokenizer(texts, padding=True)`.
    ///
    /// # Errors
    /// When a text cannot be split, `tokenizer.json` is not there or no pad token is stated.
    pub fn encode_padded(&self, texts: &[&str]) -> Result<PaddedTokens> {
        let folder = match self.path.is_file() {
            true => self.path.parent().unwrap_or(Path::new("")),
            false => {
                return Err(bad(
                    &self.path.join("tokenizer.json"),
                    "no such file, which tells the special tokens".to_owned(),
                ));
            }
        };
        let (file, path) = File::read(folder)?;
        let name = match file.pad_token {
            Some(Token::Text(name) | Token::Object { content: name }) => name,
            None => return Err(bad(&path, "no `pad_token`".to_owned())),
        };
        let pad =
            self.inner.token_to_id(&name).ok_or_else(|| bad(&self.path, format!("no token `{name}` to pad with")))?;
        let rows = texts.iter().map(|text| {
            let encoding = self.inner.encode(*text, true);
            encoding.map(|e| e.get_ids().to_vec()).map_err(|e| bad(&self.path, e.to_string()))
        });
        let rows = rows.collect::<Result<Vec<_>>>()?;
        let length = rows.iter().map(Vec::len).max().unwrap_or(0);
        let padded = |row: &[u32], with: u32| {
            let padding = vec![with; length - row.len()];
            match file.padding_side {
                Side::Left => [padding.as_slice(), row].concat(),
                Side::Right => [row, padding.as_slice()].concat(),
            }
        };
        Ok(PaddedTokens {
            ids: rows.iter().map(|row| padded(row, pad)).collect(),
            mask: rows.iter().map(|row| padded(&vec![1; row.len()], 0)).collect(),
        })
    }

    /// The text of tokens; special tokens are left out.
    ///
    /// # Errors
    /// [`NetsError::Tokenizer`] when the tokens make no text.
    pub fn decode(&self, tokens: &[u32]) -> Result<String> {
        self.inner.decode(tokens, true).map_err(|e| bad(&self.path, e.to_string()))
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
    inner.with_pre_tokenizer(Some(bytes)).with_decoder(Some(bytes));
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
        Some(absent) => Err(bad(absent, "no such file, and no `tokenizer.json` either".to_owned())),
    }
}

fn bad(path: &Path, message: String) -> NetsError {
    NetsError::Tokenizer { path: path.to_owned(), message }
}

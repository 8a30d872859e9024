//! Upstream `CLIPTokenizer`, built from `vocab.json` and `merges.txt` or read from `tokenizer.json`.

use std::ops::Range;
use std::path::Path;

use serde_json::{Map, Value};
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::replace::ReplacePattern;
use tokenizers::normalizers::{Lowercase, NFC, Replace, Sequence as Normalizers};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence as PreTokenizers;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, SplitDelimiterBehavior, Tokenizer};

use crate::config;
use crate::error::{NetsError, Result};

const START: &str = "<|startoftext|>";
const END: &str = "<|endoftext|>";
/// CLIP's positions, when the files state no length.
const MAX_LENGTH: usize = 77;
/// Special tokens, contractions, words, single digits, runs of anything else.
const WORDS: &str = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// The tokenizer of a Stable Diffusion checkpoint.
#[derive(Debug, Clone)]
pub struct ClipTokenizer {
    tokenizer: Tokenizer,
    start: u32,
    end: u32,
    pad: u32,
    max_length: usize,
}

/// A prompt as the text encoder takes it: start, words, end, padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenizedPrompt {
    /// Token ids, padded to the tokenizer's length.
    pub ids: Vec<u32>,
    /// The bytes of the prompt that each word token stands for; the first is at position 1.
    spans: Vec<Range<usize>>,
}

impl TokenizedPrompt {
    /// Positions of the tokens that stand for some of these bytes of the prompt.
    pub fn positions(&self, bytes: &Range<usize>) -> Vec<usize> {
        let overlaps = |span: &Range<usize>| span.start < bytes.end && bytes.start < span.end;
        let found = self.spans.iter().enumerate().filter(|(_, span)| overlaps(span));
        found.map(|(i, _)| i + 1).collect()
    }

    /// Tokens before the padding, start and end included.
    pub fn length(&self) -> usize {
        self.spans.len() + 2
    }
}

impl ClipTokenizer {
    /// Reads `vocab.json` with `merges.txt`, or else `tokenizer.json`, and where they are
    /// `tokenizer_config.json` and `special_tokens_map.json` in `folder`.
    ///
    /// # Errors
    /// When a file is missing or damaged, or a special token is not in the vocabulary.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let error = |message: String| NetsError::Tokenizer { path: folder.to_owned(), message };
        let special = SpecialTokens::read(folder)?;
        let mut tokenizer = words(folder, &special)?;
        let id = |name: &String| {
            tokenizer.token_to_id(name).ok_or_else(|| error(format!("special token `{name}` is not in the vocabulary")))
        };
        let (start, end, pad) = (id(&special.start)?, id(&special.end)?, id(&special.pad)?);
        let names = [&special.start, &special.end, &special.unknown, &special.pad];
        tokenizer
            .add_special_tokens(names.map(|name| AddedToken::from(name.as_str(), true)))
            .map_err(|e| error(e.to_string()))?;
        Ok(Self { tokenizer, start, end, pad, max_length: special.max_length })
    }

    /// Length of every tokenized prompt.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// The same tokenizer for another length of at least 2.
    #[must_use]
    pub fn with_max_length(mut self, max_length: usize) -> Self {
        self.max_length = max_length.max(2);
        self
    }

    /// Tokenizes a prompt: cut after `max_length − 2` word tokens, put between start and end, padded.
    ///
    /// # Errors
    /// When the vocabulary cannot spell the text.
    pub fn encode(&self, text: &str) -> Result<TokenizedPrompt> {
        let encoding = self
            .tokenizer
            .encode(text, false)
            .map_err(|e| NetsError::input(format!("cannot tokenize `{text}`: {e}")))?;
        let words = encoding.get_ids().len().min(self.max_length - 2);
        let mut ids = Vec::with_capacity(self.max_length);
        ids.push(self.start);
        ids.extend_from_slice(&encoding.get_ids()[..words]);
        ids.push(self.end);
        ids.resize(self.max_length, self.pad);
        let spans = encoding.get_offsets()[..words].iter().map(|(from, to)| *from..*to);
        Ok(TokenizedPrompt { ids, spans: spans.collect() })
    }
}

/// The tokenizer of words, without special tokens around a text.
fn words(folder: &Path, special: &SpecialTokens) -> Result<Tokenizer> {
    let error = |path: &Path, message: String| NetsError::Tokenizer { path: path.to_owned(), message };
    let whole = folder.join("tokenizer.json");
    let (vocabulary, merges) = (folder.join("vocab.json"), folder.join("merges.txt"));
    if !vocabulary.is_file() && whole.is_file() {
        let mut tokenizer = Tokenizer::from_file(&whole).map_err(|e| error(&whole, e.to_string()))?;
        // Length and padding are this module's.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|e| error(&whole, e.to_string()))?;
        return Ok(tokenizer);
    }
    for path in [&vocabulary, &merges] {
        std::fs::metadata(path).map_err(NetsError::read(path))?;
    }
    BPE::from_file(&vocabulary.to_string_lossy(), &merges.to_string_lossy())
        .unk_token(special.unknown.clone())
        .end_of_word_suffix("</w>".to_owned())
        .continuing_subword_prefix(String::new())
        .build()
        .and_then(assemble)
        .map_err(|e| error(folder, e.to_string()))
}

fn assemble(model: BPE) -> tokenizers::Result<Tokenizer> {
    let mut tokenizer = Tokenizer::new(model);
    tokenizer.with_normalizer(Some(Normalizers::new(vec![
        NFC.into(),
        Replace::new(ReplacePattern::Regex(r"\s+".to_owned()), " ")?.into(),
        Lowercase.into(),
    ])))?;
    let pattern = SplitPattern::Regex(WORDS.to_owned());
    tokenizer.with_pre_tokenizer(Some(PreTokenizers::new(vec![
        Split::new(pattern, SplitDelimiterBehavior::Removed, true)?.into(),
        ByteLevel::new(false, true, true).into(),
    ])));
    Ok(tokenizer)
}

struct SpecialTokens {
    start: String,
    end: String,
    unknown: String,
    pad: String,
    max_length: usize,
}

impl SpecialTokens {
    fn read(folder: &Path) -> Result<Self> {
        let config: Map<String, Value> = config::read_or_default(folder.join("tokenizer_config.json"))?;
        let map: Map<String, Value> = config::read_or_default(folder.join("special_tokens_map.json"))?;
        // As upstream: the map wins over the configuration, unless the latter is of the newer form that
        // lists its tokens. Stable Diffusion 2 states its pad token in the map only.
        let newer = config.contains_key("added_tokens_decoder");
        let order = if newer { [&config, &map] } else { [&map, &config] };
        let token = |key: &str, default: &str| {
            let found = order.iter().find_map(|map| map.get(key).and_then(content));
            found.unwrap_or(default).to_owned()
        };
        // Files without a limit state a huge number here.
        let length = config.get("model_max_length").and_then(Value::as_u64);
        let length = length.filter(|length| (2..=1 << 16).contains(length));
        Ok(Self {
            start: token("bos_token", START),
            end: token("eos_token", END),
            unknown: token("unk_token", END),
            pad: token("pad_token", END),
            max_length: length.map_or(MAX_LENGTH, |length| length as usize),
        })
    }
}

/// A token is written as a string or as an object with the string in `content`.
fn content(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("content").and_then(Value::as_str))
}

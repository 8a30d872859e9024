//! Writing captions token by token.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::beam::{BeamSearch, argmax, log_softmax, penalise};
use super::opt::{Cache, Opt};
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
        }
    }
}

impl GenerateOptions {
    pub(super) fn check(&self, prompt_tokens: usize, positions: usize) -> Result<()> {
        let bad = |message: String| Err(NetsError::input(message));
        if self.num_beams == 0 || self.max_new_tokens == 0 {
            return bad("`num_beams` and `max_new_tokens` must be at least 1".to_owned());
        }
        if !(self.repetition_penalty > 0.0 && self.repetition_penalty.is_finite()) {
            return bad(format!(
                "`repetition_penalty` must be above 0, not {}",
                self.repetition_penalty
            ));
        }
        if !self.length_penalty.is_finite() {
            return bad(format!(
                "`length_penalty` must be a number, not {}",
                self.length_penalty
            ));
        }
        if prompt_tokens + self.max_new_tokens > positions {
            return bad(format!(
                "a prompt of {prompt_tokens} tokens and `max_new_tokens` {} exceed the language model's {positions} positions",
                self.max_new_tokens
            ));
        }
        Ok(())
    }
}

/// What the language model reads before it writes.
pub(super) struct Prompt<'p> {
    /// `[pictures, tokens, word_dim]`.
    pub embeddings: Tensor<3>,
    /// The tokens' ids, the same for every picture; placeholders stand for the picture.
    pub ids: &'p [u32],
    /// The tokens that end a caption.
    pub end: &'p [u32],
}

/// The new tokens of each picture, with the one that ended it.
pub(super) fn generate(
    model: &Opt,
    prompt: Prompt,
    options: &GenerateOptions,
) -> Result<Vec<Vec<u32>>> {
    match options.num_beams {
        1 => greedy(model, prompt, options),
        _ => beam_search(model, prompt, options),
    }
}

fn greedy(model: &Opt, prompt: Prompt, options: &GenerateOptions) -> Result<Vec<Vec<u32>>> {
    let device = prompt.embeddings.device();
    let pictures = prompt.embeddings.dims()[0];
    // The processor's matrix product adds up a single row in another order than several, which would make
    // a picture's caption depend on whether it came alone. With a double it never does.
    let embeddings = match pictures {
        1 => prompt.embeddings.repeat_dim(0, 2),
        _ => prompt.embeddings,
    };
    let mut captions: Vec<Vec<u32>> = vec![Vec::new(); embeddings.dims()[0]];
    let mut cache = Cache::default();
    let mut scores = rows(model.forward(embeddings, &mut cache))?;
    for length in 1..=options.max_new_tokens {
        for (caption, scores) in captions.iter_mut().zip(&mut scores) {
            if caption.last().is_some_and(|last| prompt.end.contains(last)) {
                continue;
            }
            if options.repetition_penalty != 1.0 {
                let text = prompt.ids.iter().chain(caption.iter()).copied();
                penalise(scores, text, options.repetition_penalty);
            }
            caption.push(argmax(scores));
        }
        let last = |caption: &Vec<u32>| caption.last().copied().unwrap_or_default();
        if length == options.max_new_tokens
            || captions
                .iter()
                .all(|caption| prompt.end.contains(&last(caption)))
        {
            break;
        }
        let tokens = captions.iter().map(last).collect();
        scores = rows(model.forward(model.embed(column(tokens, &device)), &mut cache))?;
    }
    captions.truncate(pictures);
    Ok(captions)
}

fn beam_search(model: &Opt, prompt: Prompt, options: &GenerateOptions) -> Result<Vec<Vec<u32>>> {
    let device = prompt.embeddings.device();
    let (pictures, beams) = (prompt.embeddings.dims()[0], options.num_beams);
    let mut searches: Vec<BeamSearch> = (0..pictures)
        .map(|_| BeamSearch::new(options, prompt.end))
        .collect();
    let mut cache = Cache::default();
    let first = rows(model.forward(prompt.embeddings, &mut cache))?;
    // The beams of a picture begin as copies of its prompt.
    cache.select(indices(
        (0..pictures * beams).map(|row| row / beams).collect(),
        &device,
    ));
    let mut scores: Vec<Vec<f32>> = first
        .iter()
        .flat_map(|row| std::iter::repeat_n(row.clone(), beams))
        .collect();
    loop {
        let mut parents: Vec<usize> = (0..pictures * beams).collect();
        for (picture, search) in searches
            .iter_mut()
            .enumerate()
            .filter(|(_, search)| !search.is_done())
        {
            let own = &mut scores[picture * beams..(picture + 1) * beams];
            for (scores, text) in own.iter_mut().zip(search.running()) {
                log_softmax(scores);
                if options.repetition_penalty != 1.0 {
                    penalise(
                        scores,
                        prompt.ids.iter().chain(text).copied(),
                        options.repetition_penalty,
                    );
                }
            }
            for (beam, parent) in search.step(own).into_iter().enumerate() {
                parents[picture * beams + beam] = picture * beams + parent;
            }
        }
        if searches.iter().all(BeamSearch::is_done) {
            return Ok(searches.into_iter().map(BeamSearch::into_best).collect());
        }
        if parents
            .iter()
            .enumerate()
            .any(|(row, parent)| row != *parent)
        {
            cache.select(indices(parents, &device));
        }
        let tokens = searches.iter().flat_map(|s| {
            s.running()
                .map(|text| text.last().copied().unwrap_or_default())
        });
        scores = rows(model.forward(model.embed(column(tokens.collect(), &device)), &mut cache))?;
    }
}

/// The rows of a matrix, on the processor.
fn rows(scores: Tensor<2>) -> Result<Vec<Vec<f32>>> {
    let [_, width] = scores.dims();
    let values = scores.into_data().try_to_vec::<f32>().map_err(|e| {
        NetsError::input(format!("the language model's scores cannot be read: {e:?}"))
    })?;
    Ok(values.chunks(width).map(<[f32]>::to_vec).collect())
}

/// One token a row, `[rows, 1]`.
fn column(tokens: Vec<u32>, device: &Device) -> Tensor<2, Int> {
    let count = tokens.len();
    let ids: Vec<i64> = tokens.into_iter().map(i64::from).collect();
    Tensor::from_data(TensorData::new(ids, [count, 1]), device)
}

fn indices(rows: Vec<usize>, device: &Device) -> Tensor<1, Int> {
    let count = rows.len();
    let rows: Vec<i64> = rows.into_iter().map(|row| row as i64).collect();
    Tensor::from_data(TensorData::new(rows, [count]), device)
}

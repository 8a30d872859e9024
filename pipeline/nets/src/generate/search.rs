//! Greedy and beam search over any decoder.

use burn::tensor::{Int, Tensor, TensorData};

use super::batch::id_tensor;
use super::beam::BeamSearch;
use super::options::GenerateOptions;
use super::scores::{argmax, log_softmax, penalise};
use crate::error::{NetsError, Result};

/// A language model that has read its prompt and writes on.
pub(crate) trait Decoder {
    /// What it remembers of what it has read.
    type Memory: Memory;

    /// Reads one more token in each row, `[rows, 1]`; gives the scores of the next, `[rows, vocab_size]`.
    fn step(&self, tokens: Tensor<2, Int>, memory: &mut Self::Memory) -> Tensor<2>;
}

/// A decoder's memory, in rows.
pub(crate) trait Memory {
    /// Keeps the given rows in the given order; a row may be taken more than once.
    fn select(&mut self, rows: &Tensor<1, Int>);
}

/// Where writing begins: a decoder's state after its prompt.
pub(crate) struct Start<'p, M> {
    /// What the decoder remembers of the prompt. A single picture must have two equal rows.
    pub memory: M,
    /// The scores of the first new token, `[rows, vocab_size]`.
    pub scores: Tensor<2>,
    /// For each picture the tokens that count as already written, for the repetition penalty.
    pub texts: &'p [Vec<u32>],
    /// The tokens that end a text.
    pub end: &'p [u32],
}

/// The new tokens of each picture, with the one that ended it.
pub(crate) fn generate<D: Decoder>(
    decoder: &D,
    start: Start<D::Memory>,
    options: &GenerateOptions,
) -> Result<Vec<Vec<u32>>> {
    match options.num_beams {
        1 => greedy(decoder, start, options),
        _ => beam_search(decoder, start, options),
    }
}

/// Sequences as transformers' `generate` returns them: each prompt with its new tokens, filled up on the
/// right to the longest.
///
/// Greedy search fills with the padding token. Beam search means to, but tests the token for truth first,
/// so that a padding token 0 gives way to the first token that ends a text.
pub(crate) fn sequences(
    prompts: &[Vec<u32>],
    new: Vec<Vec<u32>>,
    options: &GenerateOptions,
    padding: Option<u32>,
    end: &[u32],
) -> Vec<Vec<u32>> {
    let first_end = end.first().copied();
    let fill = match options.num_beams {
        1 => padding.or(first_end),
        _ => padding.filter(|token| *token != 0).or(first_end),
    };
    let mut rows: Vec<Vec<u32>> =
        prompts.iter().zip(new).map(|(prompt, new)| [prompt.as_slice(), &new].concat()).collect();
    let longest = rows.iter().map(Vec::len).max().unwrap_or_default();
    for row in &mut rows {
        row.resize(longest, fill.unwrap_or_default());
    }
    rows
}

fn greedy<D: Decoder>(decoder: &D, start: Start<D::Memory>, options: &GenerateOptions) -> Result<Vec<Vec<u32>>> {
    let Start { mut memory, scores, texts, end } = start;
    let device = scores.device();
    let ends = |text: &Vec<u32>| text.last().is_some_and(|last| end.contains(last));
    let mut written: Vec<Vec<u32>> = vec![Vec::new(); scores.dims()[0]];
    let mut scores = rows(scores)?;
    for length in 1..=options.max_new_tokens {
        let open = written.iter_mut().zip(&mut scores).zip(texts.iter().cycle());
        for ((new, scores), text) in open.filter(|((new, _), _)| !ends(new)) {
            penalise(scores, text.iter().chain(new.iter()), options.repetition_penalty);
            new.push(argmax(scores));
        }
        if length == options.max_new_tokens || written.iter().all(ends) {
            break;
        }
        let tokens = id_tensor(written.iter().map(|new| last(new)).collect(), 1, &device);
        scores = rows(decoder.step(tokens, &mut memory))?;
    }
    written.truncate(texts.len());
    Ok(written)
}

fn beam_search<D: Decoder>(decoder: &D, start: Start<D::Memory>, options: &GenerateOptions) -> Result<Vec<Vec<u32>>> {
    let Start { mut memory, scores, texts, end } = start;
    let (device, pictures, beams) = (scores.device(), texts.len(), options.num_beams);
    let index = |rows: Vec<usize>| {
        let count = rows.len();
        let rows: Vec<i64> = rows.into_iter().map(|row| row as i64).collect();
        Tensor::<1, Int>::from_data(TensorData::new(rows, [count]), &device)
    };
    let mut searches: Vec<BeamSearch> = texts.iter().map(|_| BeamSearch::new(options, end)).collect();
    // The beams of a picture begin as copies of its prompt.
    memory.select(&index((0..pictures * beams).map(|row| row / beams).collect()));
    let mut scores: Vec<Vec<f32>> =
        rows(scores)?.into_iter().take(pictures).flat_map(|row| std::iter::repeat_n(row, beams)).collect();
    loop {
        let mut parents: Vec<usize> = (0..pictures * beams).collect();
        let open = searches.iter_mut().zip(texts).enumerate();
        for (picture, (search, text)) in open.filter(|(_, (search, _))| !search.is_done()) {
            let first = picture * beams;
            let own = &mut scores[first..first + beams];
            for (scores, new) in own.iter_mut().zip(search.running()) {
                log_softmax(scores);
                penalise(scores, text.iter().chain(new), options.repetition_penalty);
            }
            for (beam, parent) in search.step(own).into_iter().enumerate() {
                parents[first + beam] = first + parent;
            }
        }
        if searches.iter().all(BeamSearch::is_done) {
            return Ok(searches.into_iter().map(BeamSearch::into_best).collect());
        }
        if !parents.iter().copied().eq(0..pictures * beams) {
            memory.select(&index(parents));
        }
        let tokens = searches.iter().flat_map(BeamSearch::running).map(last).collect();
        scores = rows(decoder.step(id_tensor(tokens, 1, &device), &mut memory))?;
    }
}

fn last(text: &[u32]) -> u32 {
    text.last().copied().unwrap_or_default()
}

/// The rows of a matrix, on the processor.
fn rows(scores: Tensor<2>) -> Result<Vec<Vec<f32>>> {
    let [_, width] = scores.dims();
    let values = scores
        .into_data()
        .convert::<f32>()
        .try_to_vec::<f32>()
        .map_err(|e| NetsError::input(format!("the language model's scores cannot be read: {e:?}")))?;
    Ok(values.chunks(width).map(<[f32]>::to_vec).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finished_texts_are_filled_as_each_search_does() {
        let rows = |beams: usize, padding: u32| {
            let options = GenerateOptions { num_beams: beams, ..Default::default() };
            let new = vec![vec![5, 9], vec![5]];
            sequences(&[vec![7], vec![8]], new, &options, Some(padding), &[3])
        };
        assert_eq!(rows(1, 0), [[7, 5, 9], [8, 5, 0]]);
        assert_eq!(rows(2, 0), [[7, 5, 9], [8, 5, 3]]);
        assert_eq!(rows(2, 1), [[7, 5, 9], [8, 5, 1]]);
    }
}

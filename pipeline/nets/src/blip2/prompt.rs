//! Pictures in the places that a text leaves for them.

use burn::tensor::{Int, Tensor, TensorData};

use crate::error::{NetsError, Result};
use crate::generate::TokenBatch;

/// A prompt as the language model reads it. A lone picture has two rows, as [`TokenBatch::doubled`] says.
pub(super) struct Prompt {
    /// `[rows, tokens, word_dim]`.
    pub embeddings: Tensor<3>,
    /// The tokens with their mask; their ids may be those of placeholders.
    pub tokens: TokenBatch,
}

impl Prompt {
    /// Puts pictures `[rows, queries, word_dim]` in the places of their placeholders `image` in texts, whose
    /// words are `[rows, tokens, word_dim]`; before the texts where there are no placeholders.
    pub(super) fn new(picture: Tensor<3>, words: Tensor<3>, text: &TokenBatch, image: Option<u32>) -> Result<Self> {
        let [rows, queries, dim] = picture.dims();
        let (tokens, sources) = match image {
            None => {
                let all = (0..queries + text.tokens()).collect();
                (text.clone().prepend(queries, 0), vec![all; rows])
            }
            Some(image) => (text.clone(), sources(text, image, queries)?),
        };
        // Pictures and texts side by side, and for each place the embedding that belongs there.
        let width = queries + text.tokens();
        let place = |(row, places): (usize, &Vec<usize>)| {
            let first = row * width;
            places.iter().map(|place| (first + place) as i64).collect::<Vec<_>>()
        };
        let index: Vec<i64> = sources.iter().enumerate().flat_map(place).collect();
        let count = index.len();
        let index = Tensor::<1, Int>::from_data(TensorData::new(index, [count]), &words.device());
        let embeddings = Tensor::cat(vec![picture, words], 1).reshape([rows * width, dim]).select(0, index).reshape([
            rows,
            tokens.tokens(),
            dim,
        ]);
        let embeddings = match rows {
            1 => embeddings.repeat_dim(0, 2),
            _ => embeddings,
        };
        let tokens = tokens.doubled();
        Ok(Self { embeddings, tokens })
    }
}

/// For every token of every text where its embedding lies behind the picture's queries: the placeholders
/// take the queries in order.
fn sources(text: &TokenBatch, image: u32, queries: usize) -> Result<Vec<Vec<usize>>> {
    let count = |row: &Vec<u32>| row.iter().filter(|id| **id == image).count();
    let counts: Vec<usize> = text.ids().iter().map(count).collect();
    let odd = counts.iter().position(|count| *count != queries);
    if let Some(row) = odd.filter(|_| counts.iter().any(|count| *count > 0)) {
        return Err(NetsError::input(format!(
            "text {row} has {} placeholders of a picture, expected {queries}",
            counts[row]
        )));
    }
    let places = |row: &Vec<u32>| {
        let mut next = 0;
        let place = |(index, id): (usize, &u32)| match *id == image {
            true => {
                next += 1;
                next - 1
            }
            false => queries + index,
        };
        row.iter().enumerate().map(place).collect()
    };
    Ok(text.ids().iter().map(places).collect())
}

pub(super) fn rows_differ(what: &str, found: usize, expected: usize) -> NetsError {
    NetsError::input(format!("{what} has {found} rows, expected {expected}"))
}

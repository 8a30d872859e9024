//! Token ids in rows, with padding.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::error::{NetsError, Result};

/// Token ids of several texts in rows of equal length, as transformers' processors return them
/// (`input_ids` and `attention_mask`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenBatch {
    ids: Vec<Vec<u32>>,
    /// Whether a token is text; `false` is padding. `None` where no mask was given.
    mask: Option<Vec<Vec<bool>>>,
}

impl TokenBatch {
    /// Rows of token ids without a mask.
    ///
    /// # Errors
    /// [`NetsError::Input`] when there is no token or the rows differ in length.
    pub fn new(ids: Vec<Vec<u32>>) -> Result<Self> {
        let tokens = ids.first().map_or(0, Vec::len);
        if tokens == 0 || ids.iter().any(|row| row.len() != tokens) {
            return Err(NetsError::input("token ids must be in rows of the same length, with at least one token"));
        }
        Ok(Self { ids, mask: None })
    }

    /// Adds a mask: `true` where a token is text, `false` where it is padding.
    ///
    /// # Errors
    /// [`NetsError::Input`] when its shape is not that of the ids.
    pub fn with_mask(mut self, mask: Vec<Vec<bool>>) -> Result<Self> {
        let same = mask.len() == self.rows() && mask.iter().all(|row| row.len() == self.tokens());
        if !same {
            return Err(NetsError::input(format!(
                "the attention mask must be {} x {} as the token ids are",
                self.rows(),
                self.tokens()
            )));
        }
        self.mask = Some(mask);
        Ok(self)
    }

    /// Reads tensors `[rows, tokens]`: ids, and a mask of 1 where a token is text and 0 where it is padding.
    ///
    /// # Errors
    /// [`NetsError::Input`] when there is no token, an id is negative or the shapes differ.
    pub fn from_tensors(ids: Tensor<2, Int>, mask: Option<Tensor<2, Int>>) -> Result<Self> {
        let ids = integers(ids)?
            .into_iter()
            .map(|row| row.into_iter().map(u32::try_from).collect())
            .collect::<Result<_, _>>()
            .map_err(|_| NetsError::input("token ids must not be negative"))?;
        let batch = Self::new(ids)?;
        let Some(mask) = mask else { return Ok(batch) };
        let visible = |row: Vec<i64>| row.into_iter().map(|value| value != 0).collect();
        batch.with_mask(integers(mask)?.into_iter().map(visible).collect())
    }

    /// The ids, row by row.
    pub fn ids(&self) -> &[Vec<u32>] {
        &self.ids
    }

    /// Number of texts.
    pub fn rows(&self) -> usize {
        self.ids.len()
    }

    /// Number of tokens of each text, padding included.
    pub fn tokens(&self) -> usize {
        self.ids.first().map_or(0, Vec::len)
    }

    /// Whether each token is text, row by row, where a mask was given.
    pub fn mask(&self) -> Option<&[Vec<bool>]> {
        self.mask.as_deref()
    }

    /// The mask, but only where something is hidden.
    fn hiding(&self) -> Option<&[Vec<bool>]> {
        self.mask().filter(|rows| rows.iter().flatten().any(|visible| !visible))
    }

    /// Two equal rows for a lone one: the processor adds up the product of a single row in another order,
    /// and a text must not depend on what else is in its batch.
    pub(crate) fn doubled(mut self) -> Self {
        if self.rows() == 1 {
            self.ids.extend_from_within(..);
            if let Some(mask) = &mut self.mask {
                mask.extend_from_within(..);
            }
        }
        self
    }

    /// Puts tokens with this id before every text.
    pub(crate) fn prepend(mut self, count: usize, id: u32) -> Self {
        for row in &mut self.ids {
            row.splice(..0, std::iter::repeat_n(id, count));
        }
        for row in self.mask.iter_mut().flatten() {
            row.splice(..0, std::iter::repeat_n(true, count));
        }
        self
    }

    /// The last token of every text taken off.
    pub(crate) fn without_last(mut self) -> Self {
        let left = self.tokens().saturating_sub(1);
        self.ids.iter_mut().for_each(|row| row.truncate(left));
        self.mask.iter_mut().flatten().for_each(|row| row.truncate(left));
        self
    }

    /// Replaces every id by what `with` makes of it.
    pub(crate) fn map(mut self, with: impl Fn(u32) -> u32) -> Self {
        for id in self.ids.iter_mut().flatten() {
            *id = with(*id);
        }
        self
    }

    /// Replaces the first id of every text.
    pub(crate) fn with_first(mut self, first: u32) -> Self {
        for id in self.ids.iter_mut().filter_map(|row| row.first_mut()) {
            *id = first;
        }
        self
    }

    /// Hides every token with this id if no mask was given and there is such a token.
    pub(crate) fn hide(mut self, id: u32) -> Self {
        if self.mask.is_none() && self.ids.iter().flatten().any(|other| *other == id) {
            let visible = |row: &Vec<u32>| row.iter().map(|other| *other != id).collect();
            self.mask = Some(self.ids.iter().map(visible).collect());
        }
        self
    }

    /// The ids as `[rows, tokens]`.
    ///
    /// # Errors
    /// [`NetsError::Input`] when an id is not below `vocabulary`.
    pub(crate) fn tensor(&self, vocabulary: usize, device: &Device) -> Result<Tensor<2, Int>> {
        let too_large = |id: &&u32| **id as usize >= vocabulary;
        if let Some(id) = self.ids.iter().flatten().find(too_large) {
            return Err(NetsError::input(format!("token {id} is not one of the language model's {vocabulary}")));
        }
        Ok(id_tensor(self.ids.concat(), self.tokens(), device))
    }

    /// For each row what the repetition penalty looks at: its ids without the padding on the left.
    pub(crate) fn texts(&self) -> Vec<Vec<u32>> {
        let first = |row: usize| {
            let mask = self.hiding().and_then(|mask| mask.get(row));
            mask.and_then(|row| row.iter().position(|visible| *visible)).unwrap_or(0)
        };
        let text = |(row, ids): (usize, &Vec<u32>)| ids[first(row)..].to_vec();
        self.ids.iter().enumerate().map(text).collect()
    }

    /// Whether a query may see a key, as what is added to scores: 0, or `hidden` at padding. `None` when
    /// nothing is padding; else `[rows, 1, 1, tokens]`.
    pub(crate) fn bias(&self, hidden: f32, device: &Device) -> Option<Tensor<4>> {
        let mask = self.hiding()?;
        let of = |visible: &bool| if *visible { 0.0 } else { hidden };
        let values: Vec<f32> = mask.iter().flatten().map(of).collect();
        Some(Tensor::from_data(TensorData::new(values, [self.rows(), 1, 1, self.tokens()]), device))
    }

    /// As [`TokenBatch::bias`] with the tokens after each query hidden too, `[rows, 1, tokens, tokens]`.
    pub(crate) fn causal_bias(&self, hidden: f32, device: &Device) -> Option<Tensor<4>> {
        let (mask, tokens) = (self.hiding()?, self.tokens());
        let mut values = Vec::with_capacity(self.rows() * tokens * tokens);
        for row in mask {
            for query in 0..tokens {
                let seen = row.iter().enumerate().map(|(key, visible)| *visible && key <= query);
                values.extend(seen.map(|seen| if seen { 0.0 } else { hidden }));
            }
        }
        let shape = [self.rows(), 1, tokens, tokens];
        Some(Tensor::from_data(TensorData::new(values, shape), device))
    }

    /// Where each token stands in its text, `[rows, tokens]`.
    pub(crate) fn positions(&self, padding: Positions, device: &Device) -> Tensor<2, Int> {
        let of = |row: usize| self.row_positions(row, padding);
        let values: Vec<i64> = (0..self.rows()).flat_map(of).collect();
        Tensor::from_data(TensorData::new(values, [self.rows(), self.tokens()]), device)
    }

    fn row_positions(&self, row: usize, padding: Positions) -> Vec<i64> {
        let Some(mask) = self.mask.as_ref().and_then(|mask| mask.get(row)) else {
            return (0..self.tokens() as i64).collect();
        };
        let mut next = 0;
        let place = |visible: &bool| {
            next += i64::from(*visible);
            if *visible { next - 1 } else { padding as i64 }
        };
        mask.iter().map(place).collect()
    }
}

/// The position that a padding token is given. No text sees it, but the scores at the padding itself do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Positions {
    /// One before the first, as OPT's `forward` does.
    BeforeText = -1,
    /// That of the first token, as `generate` does.
    AtFirst = 0,
}

/// What a decoder remembers of a padded prompt.
#[derive(Debug, Clone)]
pub(crate) struct Padding {
    /// What is added to the scores of the tokens read so far, `[rows, tokens]`.
    bias: Tensor<2>,
    /// The position of the next token, `[rows, 1]`.
    next: Tensor<2, Int>,
}

impl Padding {
    /// `None` when nothing in the prompt is padding.
    pub(crate) fn of(prompt: &TokenBatch, hidden: f32, device: &Device) -> Option<Self> {
        let [rows, tokens] = [prompt.rows(), prompt.tokens()];
        let bias = prompt.bias(hidden, device)?.reshape([rows, tokens]);
        // The position after the last token's, be that padding or not.
        let last = prompt.positions(Positions::AtFirst, device).narrow(1, tokens - 1, 1);
        Some(Self { bias, next: last + 1 })
    }

    /// The position of the token after `read` others and the bias of what it sees, where padding must be
    /// hidden from it.
    pub(crate) fn next(
        padding: &mut Option<Self>,
        read: usize,
        device: &Device,
    ) -> (Tensor<2, Int>, Option<Tensor<4>>) {
        match padding {
            Some(padding) => {
                let (position, bias) = padding.step();
                (position, Some(bias))
            }
            None => (Tensor::full([1, 1], read as i64, device), None),
        }
    }

    /// Takes in one more token; gives its position `[rows, 1]` and the bias of what it sees
    /// `[rows, 1, 1, tokens]`.
    fn step(&mut self) -> (Tensor<2, Int>, Tensor<4>) {
        let [rows, tokens] = self.bias.dims();
        let visible = Tensor::zeros([rows, 1], &self.bias.device());
        self.bias = Tensor::cat(vec![self.bias.clone(), visible], 1);
        let position = self.next.clone();
        self.next = position.clone() + 1;
        (position, self.bias.clone().reshape([rows, 1, 1, tokens + 1]))
    }

    /// Keeps the given rows in the given order.
    pub(crate) fn select(&mut self, rows: &Tensor<1, Int>) {
        self.bias = self.bias.clone().select(0, rows.clone());
        self.next = self.next.clone().select(0, rows.clone());
    }
}

/// Ids in rows of `tokens`, `[rows, tokens]`.
pub(crate) fn id_tensor(ids: Vec<u32>, tokens: usize, device: &Device) -> Tensor<2, Int> {
    let rows = ids.len() / tokens.max(1);
    let ids: Vec<i64> = ids.into_iter().map(i64::from).collect();
    Tensor::from_data(TensorData::new(ids, [rows, tokens]), device)
}

fn integers(tensor: Tensor<2, Int>) -> Result<Vec<Vec<i64>>> {
    let [_, tokens] = tensor.dims();
    let values = tensor
        .into_data()
        .convert::<i64>()
        .try_to_vec::<i64>()
        .map_err(|e| NetsError::input(format!("integers cannot be read: {e:?}")))?;
    Ok(values.chunks(tokens.max(1)).map(<[i64]>::to_vec).collect())
}

//! The orders in which an autoregressive decoder goes over a square of tokens (SPOT, `spot.py`).

use burn::tensor::{Device, Int, Tensor, TensorData};
use glass_schemas::spec::trainer::Orders;

/// One order: which token comes when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenOrder {
    /// The token at each place.
    tokens: Vec<i32>,
    /// The place of each token.
    places: Vec<i32>,
}

impl TokenOrder {
    fn new(tokens: Vec<usize>) -> Self {
        let mut places = vec![0; tokens.len()];
        for (place, &token) in tokens.iter().enumerate() {
            places[token] = place as i32;
        }
        Self { tokens: tokens.into_iter().map(|token| token as i32).collect(), places }
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The token at each place.
    pub fn tokens(&self) -> &[i32] {
        &self.tokens
    }

    /// Tokens in reading order, `[batch, tokens, size]`, as they are decoded.
    pub fn arrange(&self, tokens: Tensor<3>, device: &Device) -> Tensor<3> {
        self.select(tokens, &self.tokens, device)
    }

    /// Tokens as they are decoded, back in reading order.
    pub fn restore(&self, tokens: Tensor<3>, device: &Device) -> Tensor<3> {
        self.select(tokens, &self.places, device)
    }

    fn select(&self, tokens: Tensor<3>, indices: &[i32], device: &Device) -> Tensor<3> {
        if indices.is_sorted() {
            return tokens;
        }
        let data = TensorData::new(indices.to_vec(), [indices.len()]);
        tokens.select(1, Tensor::<1, Int>::from_data(data, device))
    }
}

/// The orders of a grid of `side` × `side` tokens.
///
/// Nine: row by row; column by column; columns from the right; rows from the right; columns from the
/// right and bottom; rows from the bottom and right; columns from the bottom; rows from the bottom;
/// and the spiral from the top right corner, backwards: it ends there.
pub fn token_orders(orders: Orders, side: usize) -> Vec<TokenOrder> {
    let forwards = || (0..side).collect::<Vec<_>>();
    let backwards = || (0..side).rev().collect::<Vec<_>>();
    let rows = |rows: Vec<usize>, columns: Vec<usize>| {
        rows.iter().flat_map(|row| columns.iter().map(move |column| row * side + column)).collect::<Vec<_>>()
    };
    let columns = |columns: Vec<usize>, rows: Vec<usize>| {
        columns.iter().flat_map(|column| rows.iter().map(move |row| row * side + column)).collect::<Vec<_>>()
    };
    let standard = rows(forwards(), forwards());
    if orders == Orders::Standard {
        return vec![TokenOrder::new(standard)];
    }
    let mut spiral = spiral(side);
    spiral.reverse();
    [
        standard,
        columns(forwards(), forwards()),
        columns(backwards(), forwards()),
        rows(forwards(), backwards()),
        columns(backwards(), backwards()),
        rows(backwards(), backwards()),
        columns(forwards(), backwards()),
        rows(backwards(), forwards()),
        spiral,
    ]
    .map(TokenOrder::new)
    .into()
}

/// From the top right corner down the right column, then left, up, right and inwards.
fn spiral(side: usize) -> Vec<usize> {
    let (mut top, mut bottom, mut left, mut right) = (0, side, 0, side);
    let mut tokens = Vec::with_capacity(side * side);
    while top < bottom && left < right {
        right -= 1;
        tokens.extend((top..bottom).map(|row| row * side + right));
        if left == right {
            break;
        }
        bottom -= 1;
        tokens.extend((left..right).rev().map(|column| bottom * side + column));
        if top == bottom {
            break;
        }
        tokens.extend((top..bottom).rev().map(|row| row * side + left));
        left += 1;
        if left == right {
            break;
        }
        tokens.extend((left..right).map(|column| top * side + column));
        top += 1;
    }
    tokens
}

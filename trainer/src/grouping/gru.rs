//! `torch.nn.GRUCell`.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, activation};
use glass_schemas::spec::trainer::InitialWeights;

use crate::layers::Initial;

/// A gated recurrent unit with PyTorch's gate order (reset, update, new) and semantics:
/// `h' = (1 − z) n + z h`, `n = tanh(W_n u + b_n + r (U_n h + c_n))`.
#[derive(Module, Debug)]
pub struct GruCell {
    /// `[inputs, 3 · hidden]`
    pub weight_ih: Param<Tensor<2>>,
    /// `[hidden, 3 · hidden]`
    pub weight_hh: Param<Tensor<2>>,
    /// `[3 · hidden]`
    pub bias_ih: Param<Tensor<1>>,
    /// `[3 · hidden]`
    pub bias_hh: Param<Tensor<1>>,
}

impl GruCell {
    /// U(±1/√hidden) throughout, as PyTorch; or, where the scope asks for Xavier's weights, these
    /// for the input, orthogonal ones for the state and biases of zero (SLATE).
    pub fn new(initial: &Initial, name: &str, inputs: usize, hidden: usize) -> Self {
        let scope = initial.scope(name);
        if scope.weights() == InitialWeights::Xavier {
            return Self::xavier(&scope, inputs, hidden);
        }
        let bound = 1.0 / (hidden as f32).sqrt();
        Self {
            weight_ih: scope.uniform("weight_ih", [inputs, 3 * hidden], bound),
            weight_hh: scope.uniform("weight_hh", [hidden, 3 * hidden], bound),
            bias_ih: scope.uniform("bias_ih", [3 * hidden], bound),
            bias_hh: scope.uniform("bias_hh", [3 * hidden], bound),
        }
    }

    fn xavier(scope: &Initial, inputs: usize, hidden: usize) -> Self {
        let bound = (6.0 / (inputs + 3 * hidden) as f32).sqrt();
        // PyTorch's matrix is [3 · hidden, hidden] with orthonormal columns; ours is its transpose.
        let columns = scope.orthogonal("weight_hh", [3 * hidden, hidden]);
        let rows = (0..hidden * 3 * hidden).map(|i| columns[i % (3 * hidden) * hidden + i / (3 * hidden)]).collect();
        Self {
            weight_ih: scope.uniform("weight_ih", [inputs, 3 * hidden], bound),
            weight_hh: scope.given("weight_hh", [hidden, 3 * hidden], rows),
            bias_ih: scope.constant("bias_ih", [3 * hidden], 0.0),
            bias_hh: scope.constant("bias_hh", [3 * hidden], 0.0),
        }
    }

    /// `input [rows, inputs]`, `state [rows, hidden]` → `[rows, hidden]`
    pub fn forward(&self, input: Tensor<2>, state: Tensor<2>) -> Tensor<2> {
        let [rows, hidden] = state.dims();
        let from_input = input.matmul(self.weight_ih.val()) + self.bias_ih.val().unsqueeze();
        let from_state = state.clone().matmul(self.weight_hh.val()) + self.bias_hh.val().unsqueeze();
        let gate =
            |gates: &Tensor<2>, index: usize| gates.clone().slice([0..rows, index * hidden..(index + 1) * hidden]);
        let reset = activation::sigmoid(gate(&from_input, 0) + gate(&from_state, 0));
        let update = activation::sigmoid(gate(&from_input, 1) + gate(&from_state, 1));
        let new = (gate(&from_input, 2) + reset * gate(&from_state, 2)).tanh();
        // (1 − z) n + z h, with one product less.
        new.clone() + update * (state - new)
    }
}

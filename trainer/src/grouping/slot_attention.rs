//! Slot attention (`MultiHeadSTEVESA` of Latent Slot Diffusion, which GLASS uses unchanged).

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData, activation};
use glass_schemas::seeds::Stream;
use glass_schemas::spec::trainer::{SlotsSpec, Switch, TokenWidth, Truncation};

use super::{GruCell, Known, TokenPosition};
use crate::initializers::Initializer;
use crate::layers::{Bias, Initial, LayerNorm, Linear, Mlp};

/// Sizes of slot attention.
#[derive(Debug, Clone, PartialEq)]
pub struct SlotAttentionConfig {
    /// Width of the features.
    pub input_size: usize,
    /// Everything the run spec says.
    pub slots: SlotsSpec,
}

impl SlotAttentionConfig {
    /// For features of this width.
    pub fn new(input_size: usize, slots: &SlotsSpec) -> Self {
        Self { input_size, slots: slots.clone() }
    }

    /// With initial weights.
    pub fn init(&self, initial: &Initial) -> SlotAttention {
        let (input, spec) = (self.input_size, &self.slots);
        let initial = &initial.clone().with(spec.weights);
        let (hidden, tokens) = match spec.tokens {
            TokenWidth::Features => (input, input),
            TokenWidth::Slots => (input, spec.size),
            TokenWidth::Narrow => (spec.size, spec.size),
        };
        let linear = |name, inputs| Linear::new(initial, name, inputs, spec.size, Bias::Absent);
        SlotAttention {
            initializer: Initializer::new(spec.initial, initial, spec.count, spec.size),
            pos: TokenPosition::new(spec.position, initial, input),
            in_layer_norm: LayerNorm::new(initial, "in_layer_norm", input),
            in_mlp: Mlp::new(initial, "in_mlp", [input, hidden, tokens]),
            norm_inputs: LayerNorm::new(initial, "norm_inputs", tokens),
            norm_slots: LayerNorm::new(initial, "norm_slots", spec.size),
            norm_mlp: LayerNorm::new(initial, "norm_mlp", spec.size),
            project_q: linear("project_q", spec.size),
            project_k: linear("project_k", tokens),
            project_v: linear("project_v", tokens),
            gru: GruCell::new(initial, "gru", spec.size, spec.size),
            mlp: Mlp::new(initial, "mlp", [spec.size, spec.mlp_size, spec.size]),
            out_layer_norm: (spec.output == Switch::On).then(|| LayerNorm::new(initial, "out_layer_norm", spec.size)),
            out_linear: (spec.output == Switch::On)
                .then(|| Linear::new(initial, "out_linear", spec.size, spec.out_size, Bias::Uniform)),
            iterations: spec.iterations,
            heads: spec.heads,
            epsilon: spec.epsilon,
            truncation: spec.truncation,
        }
    }
}

/// Competition of slots for tokens.
#[derive(Module, Debug)]
pub struct SlotAttention {
    initializer: Initializer,
    pos: Option<TokenPosition>,
    in_layer_norm: LayerNorm,
    in_mlp: Mlp,
    norm_inputs: LayerNorm,
    norm_slots: LayerNorm,
    norm_mlp: LayerNorm,
    project_q: Linear,
    project_k: Linear,
    project_v: Linear,
    gru: GruCell,
    mlp: Mlp,
    out_layer_norm: Option<LayerNorm>,
    out_linear: Option<Linear>,
    #[module(skip)]
    iterations: usize,
    #[module(skip)]
    heads: usize,
    #[module(skip)]
    epsilon: f64,
    #[module(skip)]
    truncation: Truncation,
}

/// What slot attention makes of a batch.
#[derive(Debug, Clone)]
pub struct Slots {
    /// `[batch, slots, out_size]`: what the decoders get.
    pub slots: Tensor<3>,
    /// `[batch, slots, size]`: the slots of the last iteration before the output layer, which
    /// properties are read from.
    pub raw: Tensor<3>,
    /// `[batch, slots, tokens]`: softmax over the slots of the last iteration, which is GLASS's
    /// **A**; it sums to one over the slots.
    pub attention: Tensor<3>,
    /// `[batch, heads · slots, tokens]`: what the softmax of the last iteration was taken of.
    pub logits: Tensor<3>,
}

impl SlotAttention {
    /// `features [batch, tokens, input_size]`, `noise [batch, slots, size]` standard normal (see
    /// [`slot_noise`]); any number of slots with the Gaussian start.
    pub fn forward(&self, features: Tensor<3>, noise: Tensor<3>) -> Slots {
        self.forward_knowing(features, noise, &Known::default())
    }

    /// The same with what is known of the objects: where slots start, which of them take part.
    pub fn forward_knowing(&self, features: Tensor<3>, noise: Tensor<3>, known: &Known) -> Slots {
        let [batch, slot_count, size] = noise.dims();
        let inputs = self.encode(features);
        let inputs_t = inputs.clone().swap_dims(1, 2);
        let initial = self.initializer.forward(noise, known.boxes.clone());
        let absent = known.absent(self.heads, slot_count, &inputs.device());
        let mut slots = initial.clone();
        let mut last = None;
        for iteration in 1..=self.iterations {
            if iteration == self.iterations && self.truncation == Truncation::BiLevel {
                // The value of the slots, the gradient of the initial ones.
                slots = slots.detach() + initial.clone() - initial.clone().detach();
            }
            let previous = slots.clone().reshape([batch * slot_count, size]);
            let queries = self.queries(slots);
            // [batch, heads · slots, tokens]; softmax runs over heads and slots together.
            let logits = queries.matmul(inputs_t.clone());
            let logits = match &absent {
                Some(absent) => {
                    let absent = absent.clone().expand(logits.dims());
                    logits.mask_fill(absent, f32::NEG_INFINITY)
                }
                None => logits,
            };
            let weights = activation::softmax(logits.clone(), 1);
            let shared = weights.clone() + self.epsilon;
            let shared = shared.clone() / shared.sum_dim(2);
            last = Some((weights, logits));
            let updates = self.values(shared.matmul(inputs.clone()), slot_count);
            let state = self.gru.forward(updates, previous);
            let state = state.clone() + self.mlp.forward(self.norm_mlp.forward(state));
            slots = state.reshape([batch, slot_count, size]);
        }
        let (attention, logits) = last.unwrap_or_else(|| {
            let none = || {
                let shape = [batch, self.heads * slot_count, inputs.dims()[1]];
                Tensor::zeros(shape, &inputs.device())
            };
            (none(), none())
        });
        Slots { slots: self.output(slots.clone()), raw: slots, attention: self.over_heads(attention), logits }
    }

    /// `[batch, slots, size]` → `[batch, slots, out_size]`, or the same where there is no output layer.
    fn output(&self, slots: Tensor<3>) -> Tensor<3> {
        let slots = match &self.out_layer_norm {
            Some(norm) => norm.forward(slots),
            None => slots,
        };
        match &self.out_linear {
            Some(linear) => linear.forward3(slots),
            None => slots,
        }
    }

    /// Width of a slot while it competes: the last axis of the noise.
    pub fn size(&self) -> usize {
        self.project_q.weight.dims()[1]
    }

    /// Width of the features it takes.
    pub fn input_size(&self) -> usize {
        self.in_layer_norm.weight.dims()[0]
    }

    /// Tokens as slots see them, `[batch, tokens, token_size]`.
    fn encode(&self, features: Tensor<3>) -> Tensor<3> {
        let [batch, tokens, size] = features.dims();
        let device = features.device();
        let features = match &self.pos {
            Some(position) => features + position.forward(tokens.isqrt(), &device),
            None => features,
        };
        let rows = features.reshape([batch * tokens, size]);
        let rows = self.in_mlp.forward(self.in_layer_norm.forward(rows));
        let width = rows.dims()[1];
        self.norm_inputs.forward(rows).reshape([batch, tokens, width])
    }

    /// Queries in the space of the inputs, `[batch, heads · slots, token_size]`.
    ///
    /// `(W_k x)·(W_q s) = x·(W_kᵀ W_q s)`: projecting the few slots back replaces projecting the
    /// many tokens forward, and the value projection moves behind the weighted mean likewise.
    fn queries(&self, slots: Tensor<3>) -> Tensor<3> {
        let [batch, count, size] = slots.dims();
        let (heads, width) = (self.heads, size / self.heads);
        let rows = self.norm_slots.forward(slots).reshape([batch * count, size]);
        // The published scale is the full slot size's, whatever the number of heads.
        let queries = self.project_q.forward(rows) * (size as f64).powf(-0.5);
        let keys = self.project_k.weight.val();
        let input = keys.dims()[0];
        if heads == 1 {
            return queries.matmul(keys.transpose()).reshape([batch, count, input]);
        }
        let queries = queries.reshape([batch * count, heads, width]).swap_dims(0, 1); // [heads, batch · slots, width]
        let keys = keys.reshape([input, heads, width]).permute([1, 2, 0]); // [heads, width, input]
        queries
            .matmul(keys)
            .reshape([heads, batch, count, input])
            .swap_dims(0, 1) // [batch, heads, slots, input]
            .reshape([batch, heads * count, input])
    }

    /// `means [batch, heads · slots, token_size]` → updates `[batch · slots, size]`.
    fn values(&self, means: Tensor<3>, count: usize) -> Tensor<2> {
        let [batch, _, input] = means.dims();
        let weight = self.project_v.weight.val();
        let size = weight.dims()[1];
        let (heads, width) = (self.heads, size / self.heads);
        if heads == 1 {
            return means.reshape([batch * count, input]).matmul(weight);
        }
        let means = means.reshape([batch, heads, count, input]).swap_dims(0, 1).reshape([heads, batch * count, input]);
        let weight = weight.reshape([input, heads, width]).swap_dims(0, 1); // [heads, input, width]
        means
            .matmul(weight)
            .swap_dims(0, 1) // [batch · slots, heads, width]
            .reshape([batch * count, size])
    }

    /// Heads and slots share one softmax: their sum, not their mean, is a distribution over slots.
    fn over_heads(&self, weights: Tensor<3>) -> Tensor<3> {
        if self.heads == 1 {
            return weights;
        }
        let [batch, rows, tokens] = weights.dims();
        weights.reshape([batch, self.heads, rows / self.heads, tokens]).sum_dim(1).squeeze_dim::<3>(1)
    }
}

/// The noise slots start from, `[batch, slots, size]`: drawn on the host from one stream a
/// sample, so that neither the batch nor the backend changes it.
pub fn slot_noise(streams: &[Stream], slots: usize, size: usize, device: &Device) -> Tensor<3> {
    let numbers: Vec<f32> = streams.iter().flat_map(|stream| stream.normal(slots * size)).collect();
    Tensor::from_data(TensorData::new(numbers, [streams.len(), slots, size]), device)
}

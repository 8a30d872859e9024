//! The few layers that slots and decoders are made of, with PyTorch's names and initial values.
//!
//! Initial weights are drawn from the run's seed and the parameter's path, and so is the
//! parameter's id: two processes that build the same model agree on both, which is what lets a
//! saved optimiser state find its parameters again.

use burn::module::{Module, Param, ParamId};
use burn::tensor::{Device, Tensor, TensorData, activation};
use glass_nets::Weights;
use glass_nets::weights::Start;
use glass_schemas::ids::Digest;
use glass_schemas::seeds::{Purpose, Stream};
use glass_schemas::spec::trainer::InitialWeights;

/// Where the initial weights of one scope of the model come from.
#[derive(Clone, Debug)]
pub struct Initial {
    seed: u64,
    path: String,
    device: Device,
    weights: InitialWeights,
}

impl Initial {
    /// The root scope of a model; linear layers start as PyTorch's.
    pub fn new(seed: u64, device: &Device) -> Self {
        Self { seed, path: String::new(), device: device.clone(), weights: InitialWeights::Torch }
    }

    /// The same scope with linear layers that start in another way.
    pub fn with(self, weights: InitialWeights) -> Self {
        Self { weights, ..self }
    }

    /// How linear layers start.
    pub fn weights(&self) -> InitialWeights {
        self.weights
    }

    /// The scope of a part.
    pub fn scope(&self, name: &str) -> Self {
        Self { path: self.name(name), ..self.clone() }
    }

    /// The device the model is made on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Uniform numbers in ±`bound`.
    pub fn uniform<const D: usize>(&self, name: &str, shape: [usize; D], bound: f32) -> Param<Tensor<D>> {
        let path = self.name(name);
        let numbers = Stream::new(self.seed, &path, Purpose::Weights)
            .uniform(shape.iter().product())
            .into_iter()
            .map(|u| (2.0 * u - 1.0) * bound)
            .collect();
        self.parameter(&path, numbers, shape)
    }

    /// Normal numbers of standard deviation `scale`.
    pub fn normal<const D: usize>(&self, name: &str, shape: [usize; D], scale: f32) -> Param<Tensor<D>> {
        let path = self.name(name);
        let numbers = Stream::new(self.seed, &path, Purpose::Weights)
            .normal(shape.iter().product())
            .into_iter()
            .map(|n| n * scale)
            .collect();
        self.parameter(&path, numbers, shape)
    }

    /// Orthonormal columns: Gram-Schmidt of normal numbers (`torch.nn.init.orthogonal_` of a matrix
    /// with at least as many rows as columns).
    pub fn orthogonal(&self, name: &str, [rows, columns]: [usize; 2]) -> Vec<f32> {
        let path = self.name(name);
        let numbers = Stream::new(self.seed, &path, Purpose::Weights).normal(rows * columns);
        let mut basis: Vec<Vec<f64>> = Vec::with_capacity(columns);
        for column in numbers.chunks(rows) {
            let mut column: Vec<f64> = column.iter().map(|&x| f64::from(x)).collect();
            for other in &basis {
                let along: f64 = column.iter().zip(other).map(|(a, b)| a * b).sum();
                for (value, other) in column.iter_mut().zip(other) {
                    *value -= along * other;
                }
            }
            let length = column.iter().map(|x| x * x).sum::<f64>().sqrt().max(1e-12);
            column.iter_mut().for_each(|x| *x /= length);
            basis.push(column);
        }
        (0..rows * columns).map(|i| basis[i % columns][i / columns] as f32).collect()
    }

    /// Given numbers as a parameter of this scope.
    pub fn given<const D: usize>(&self, name: &str, shape: [usize; D], numbers: Vec<f32>) -> Param<Tensor<D>> {
        self.parameter(&self.name(name), numbers, shape)
    }

    /// The same number everywhere.
    pub fn constant<const D: usize>(&self, name: &str, shape: [usize; D], value: f32) -> Param<Tensor<D>> {
        self.parameter(&self.name(name), vec![value; shape.iter().product()], shape)
    }

    fn name(&self, name: &str) -> String {
        match self.path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        }
    }

    fn parameter<const D: usize>(&self, path: &str, numbers: Vec<f32>, shape: [usize; D]) -> Param<Tensor<D>> {
        let value = Tensor::from_data(TensorData::new(numbers, shape), &self.device);
        // Parameters of a device without autodiff stay plain; `require_grad` refuses them.
        let value = match self.device.is_autodiff() {
            true => value.require_grad(),
            false => value,
        };
        Param::initialized(parameter_id(path), value)
    }
}

/// Weights drawn from a run's seed, each by the path `scope.name`, for a network that takes its tensors
/// by name; `start` may give a tensor another distribution than PyTorch's.
pub fn drawn(
    seed: u64,
    scope: &str,
    start: impl Fn(&str, &[usize], Start) -> Start + Send + Sync + 'static,
) -> Weights {
    let scope = scope.to_owned();
    Weights::drawn(Box::new(move |name, shape, default| {
        let count = shape.iter().product();
        let stream = Stream::new(seed, format!("{scope}.{name}"), Purpose::Weights);
        match start(name, shape, default) {
            Start::Uniform(bound) => {
                let numbers = stream.uniform(count).into_iter();
                numbers.map(|u| (2.0 * u - 1.0) * bound).collect()
            }
            Start::Normal(scale) => stream.normal(count).into_iter().map(|n| n * scale).collect(),
            Start::Constant(value) => vec![value; count],
        }
    }))
}

/// The id of the parameter at a path, the same in every process.
pub fn parameter_id(path: &str) -> ParamId {
    let digest = Digest::of(path.as_bytes());
    let mut low = [0; 8];
    low.copy_from_slice(&digest.as_bytes()[..8]);
    ParamId::from(u64::from_le_bytes(low))
}

/// Whether a linear map adds a bias, and what it starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bias {
    /// None.
    Absent,
    /// Zeros.
    Zeros,
    /// PyTorch's default, U(±1/√inputs).
    Uniform,
}

/// `torch.nn.Linear`; the weight is kept as `[inputs, outputs]`.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[inputs, outputs]`
    pub weight: Param<Tensor<2>>,
    /// `[outputs]`
    pub bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// PyTorch's initial values, U(±1/√inputs); or Xavier's, U(±√(6/(inputs + outputs))), where the
    /// scope asks for them.
    pub fn new(initial: &Initial, name: &str, inputs: usize, outputs: usize, bias: Bias) -> Self {
        let bound = match initial.weights() {
            InitialWeights::Torch | InitialWeights::ZeroBias => 1.0 / (inputs as f32).sqrt(),
            InitialWeights::Xavier => (6.0 / (inputs + outputs) as f32).sqrt(),
        };
        Self::within(initial, name, [inputs, outputs], bias, bound)
    }

    /// The same before a ReLU: Kaiming's U(±√(6/inputs)) in place of Xavier's.
    pub fn before_relu(initial: &Initial, name: &str, sizes: [usize; 2], bias: Bias) -> Self {
        let bound = match initial.weights() {
            InitialWeights::Torch | InitialWeights::ZeroBias => 1.0 / (sizes[0] as f32).sqrt(),
            InitialWeights::Xavier => (6.0 / sizes[0] as f32).sqrt(),
        };
        Self::within(initial, name, sizes, bias, bound)
    }

    /// Weights U(±`bound`).
    pub fn within(initial: &Initial, name: &str, [inputs, outputs]: [usize; 2], bias: Bias, bound: f32) -> Self {
        let scope = initial.scope(name);
        let bias = match (bias, initial.weights()) {
            (Bias::Uniform, InitialWeights::Xavier | InitialWeights::ZeroBias) => Bias::Zeros,
            (bias, _) => bias,
        };
        Self {
            weight: scope.uniform("weight", [inputs, outputs], bound),
            bias: match bias {
                Bias::Absent => None,
                Bias::Zeros => Some(scope.constant("bias", [outputs], 0.0)),
                Bias::Uniform => Some(scope.uniform("bias", [outputs], 1.0 / (inputs as f32).sqrt())),
            },
        }
    }

    /// `[rows, inputs]` → `[rows, outputs]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let y = x.matmul(self.weight.val());
        match &self.bias {
            Some(bias) => y + bias.val().unsqueeze(),
            None => y,
        }
    }

    /// `[batch, rows, inputs]` → `[batch, rows, outputs]`, as one product.
    pub fn forward3(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, rows, inputs] = x.dims();
        let y = self.forward(x.reshape([batch * rows, inputs]));
        let outputs = y.dims()[1];
        y.reshape([batch, rows, outputs])
    }
}

/// `torch.nn.LayerNorm` over the last axis.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// `[size]`
    pub weight: Param<Tensor<1>>,
    /// `[size]`
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    epsilon: f64,
}

impl LayerNorm {
    /// Ones and zeros; epsilon 1e-5.
    pub fn new(initial: &Initial, name: &str, size: usize) -> Self {
        let scope = initial.scope(name);
        Self { weight: scope.constant("weight", [size], 1.0), bias: scope.constant("bias", [size], 0.0), epsilon: 1e-5 }
    }

    /// Any rank; the last axis is normalised.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        self.scale(normalise(x, self.epsilon))
    }

    /// The affine part alone, for an input that is normalised already.
    pub fn scale<const D: usize>(&self, normal: Tensor<D>) -> Tensor<D> {
        normal * self.weight.val().unsqueeze() + self.bias.val().unsqueeze()
    }

    /// Added to the variance.
    pub fn epsilon(&self) -> f64 {
        self.epsilon
    }
}

/// Zero mean and unit variance (biased) along the last axis.
pub fn normalise<const D: usize>(x: Tensor<D>, epsilon: f64) -> Tensor<D> {
    let centred = x.clone() - x.mean_dim(D - 1);
    let variance = centred.clone().square().mean_dim(D - 1);
    centred / (variance + epsilon).sqrt()
}

/// Two linear maps with a ReLU between (`nn.Sequential(Linear, ReLU, Linear)`).
#[derive(Module, Debug)]
pub struct Mlp {
    /// Index 0 of the sequence.
    pub first: Linear,
    /// Index 2 of the sequence.
    pub second: Linear,
}

impl Mlp {
    /// Both with biases.
    pub fn new(initial: &Initial, name: &str, [inputs, hidden, outputs]: [usize; 3]) -> Self {
        let scope = initial.scope(name);
        Self {
            first: Linear::before_relu(&scope, "first", [inputs, hidden], Bias::Uniform),
            second: Linear::new(&scope, "second", hidden, outputs, Bias::Uniform),
        }
    }

    /// `[rows, inputs]` → `[rows, outputs]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.second.forward(activation::relu(self.first.forward(x)))
    }
}

//! Files of tensors, in and out.

use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use burn::tensor::{Device, Tensor, TensorData};
use glass_nets::Weights;
use glass_stage::WholeFile;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::{Written, explained};

/// The tensors a network is run on.
pub(super) struct Inputs<'a> {
    file: Weights,
    device: &'a Device,
}

impl<'a> Inputs<'a> {
    pub(super) fn open(path: &Path, device: &'a Device) -> anyhow::Result<Self> {
        let file = Weights::file(path).map_err(explained)?;
        Ok(Self { file, device })
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.file.contains(name)
    }

    pub(super) fn device(&self) -> &Device {
        self.device
    }

    /// A tensor of floats in the type of the computation.
    pub(super) fn floats<const D: usize>(&self, name: &str) -> anyhow::Result<Tensor<D>> {
        let shape = self.shape::<D>(name)?;
        self.file.tensor(name, shape, self.device).map_err(explained)
    }

    /// The shape of a tensor, which must have `D` axes.
    pub(super) fn shape<const D: usize>(&self, name: &str) -> anyhow::Result<[usize; D]> {
        let shape = self.any_shape(name)?;
        <[usize; D]>::try_from(shape).ok().with_context(|| {
            format!("tensor `{name}` in `{}` has shape {shape:?}, expected {D} axes", self.file.path().display())
        })
    }

    fn any_shape(&self, name: &str) -> anyhow::Result<&[usize]> {
        self.file.shape(name).with_context(|| {
            let there: Vec<&str> = self.file.names().take(12).collect();
            format!("tensor `{name}` is missing from `{}`, which holds {there:?}", self.file.path().display())
        })
    }

    /// The numbers of a tensor of any shape and type, row-major.
    pub(super) fn numbers(&self, name: &str) -> anyhow::Result<Vec<f64>> {
        self.any_shape(name)?;
        let dtype = self.file.dtype(name).unwrap_or_default();
        let bytes = self.file.bytes(name).unwrap_or_default();
        fn all<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
            bytes.as_chunks::<N>().0.iter().map(|bytes| number(*bytes)).collect()
        }
        Ok(match dtype.as_str() {
            "I64" => all(bytes, |b| i64::from_le_bytes(b) as f64),
            "I32" => all(bytes, |b| i32::from_le_bytes(b).into()),
            "U8" | "BOOL" => all::<1>(bytes, |b| b[0].into()),
            "F64" => all(bytes, f64::from_le_bytes),
            "F32" => all(bytes, |b| f32::from_le_bytes(b).into()),
            "BF16" => all(bytes, |b| half::bf16::from_le_bytes(b).into()),
            "F16" => all(bytes, |b| half::f16::from_le_bytes(b).into()),
            other => bail!(
                "tensor `{name}` in `{}` is stored as {other}, which cannot be read as numbers",
                self.file.path().display()
            ),
        })
    }

    /// Whole numbers `[rows, columns]`, row-major, with their shape.
    pub(super) fn table(&self, name: &str) -> anyhow::Result<(Vec<i64>, [usize; 2])> {
        let shape = self.shape::<2>(name)?;
        let numbers = self.numbers(name)?.into_iter().map(|number| number as i64);
        Ok((numbers.collect(), shape))
    }

    /// One number a row of a batch; a single one is repeated.
    pub(super) fn per_row(&self, name: &str, batch: usize) -> anyhow::Result<Vec<f32>> {
        let numbers: Vec<f32> = self.numbers(name)?.into_iter().map(|n| n as f32).collect();
        ensure!(
            numbers.len() == batch || numbers.len() == 1,
            "`{name}` holds {} numbers for a batch of {batch}",
            numbers.len()
        );
        Ok(if numbers.len() == batch { numbers } else { vec![numbers[0]; batch] })
    }
}

/// What came out.
#[derive(Default)]
pub(super) struct Outputs(Vec<Output>);

struct Output {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Outputs {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Adds a tensor, as f32.
    pub(super) fn tensor<const D: usize>(self, name: &str, tensor: Tensor<D>) -> anyhow::Result<Self> {
        let shape = tensor.dims().to_vec();
        let data: TensorData = tensor.into_data().convert::<f32>();
        let values = data.try_to_vec::<f32>().map_err(|e| anyhow::anyhow!("`{name}`: {e:?}"))?;
        Ok(self.floats(name, &values, shape))
    }

    pub(super) fn floats(self, name: &str, values: &[f32], shape: Vec<usize>) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.add(name, Dtype::F32, shape, bytes)
    }

    pub(super) fn integers(self, name: &str, values: &[i64], shape: Vec<usize>) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.add(name, Dtype::I64, shape, bytes)
    }

    fn add(mut self, name: &str, dtype: Dtype, shape: Vec<usize>, bytes: Vec<u8>) -> Self {
        self.0.push(Output { name: name.to_owned(), dtype, shape, bytes });
        self
    }

    /// What is written.
    pub(super) fn written(&self) -> Vec<Written<'_>> {
        self.0.iter().map(|output| Written { name: &output.name, shape: &output.shape }).collect()
    }

    /// Writes the file whole or not at all.
    pub(super) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let views = self
            .0
            .iter()
            .map(|o| Ok((o.name.as_str(), TensorView::new(o.dtype, o.shape.clone(), &o.bytes)?)))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let file = safetensors::serialize(views, None)?;
        Ok(WholeFile::write(path, file)?)
    }
}

//! Reading published weights: safetensors in one file or several, f16, bf16 or f32.
//!
//! Files are memory-mapped, so opening a checkpoint of many gigabytes costs nothing until its tensors are
//! taken. Loading is strict in both directions: a tensor that a layer wants must be there in the expected
//! shape, and a tensor that no layer took is an error too, because either means that the configuration
//! and the weights are not of the same network.

mod convert;
mod files;
mod folder;
mod initial;

pub use folder::folder_digest;
pub use initial::{Draw, Start};

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use burn::module::Param;
use burn::tensor::{Device, FloatDType, Tensor, TensorData};

use crate::error::{NetsError, Result};
use files::{Entry, WeightFile};
use initial::Initial;

/// The weights of one network, and a record of which of them have been taken.
#[derive(Debug)]
pub struct Weights {
    /// The file, or the folder when there are several files.
    path: PathBuf,
    files: Vec<WeightFile>,
    entries: BTreeMap<String, Entry>,
    taken: Mutex<BTreeSet<String>>,
    /// Where the weights are drawn instead of read.
    initial: Option<Initial>,
}

impl Weights {
    /// Opens the weights called `stem` in `folder`.
    ///
    /// In this order: `{stem}.safetensors`, `{stem}.safetensors.index.json` with its shards, and the same
    /// two in the half-precision variant (`{stem}.fp16.safetensors`, `{stem}.safetensors.index.fp16.json`).
    /// transformers calls its weights `model`, diffusers `diffusion_pytorch_model`.
    ///
    /// # Errors
    /// [`NetsError::NoWeights`] when there is no such file, [`NetsError::Damaged`] when a file is cut off
    /// or its index does not fit it.
    pub fn open(folder: impl AsRef<Path>, stem: &str) -> Result<Self> {
        let folder = folder.as_ref();
        let found = files::find(folder, stem)?;
        let path = if found.len() == 1 { found[0].path.clone() } else { folder.to_owned() };
        Ok(Self::new(path, found))
    }

    /// Opens one safetensors file.
    ///
    /// # Errors
    /// [`NetsError::Read`] when there is no such file, [`NetsError::Damaged`] when it is cut off.
    pub fn file(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let file = WeightFile::open(path.clone())?;
        Ok(Self::new(path, vec![file]))
    }

    fn new(path: PathBuf, files: Vec<WeightFile>) -> Self {
        Self { path, entries: files::entries(&files), files, taken: Mutex::default(), initial: None }
    }

    /// Weights that are drawn as they are taken: a network as it is before it has been trained. Every
    /// tensor is there, in the shape that is asked for.
    pub fn drawn(draw: Draw) -> Self {
        Self { initial: Some(Initial::new(draw)), ..Self::new(PathBuf::new(), Vec::new()) }
    }

    /// The same weights under other names; those that `rename` gives none are left out.
    #[must_use]
    pub fn renamed(self, rename: impl Fn(&str) -> Option<String>) -> Self {
        let entries = self.entries.into_iter();
        Self { entries: entries.filter_map(|(name, entry)| Some((rename(&name)?, entry))).collect(), ..self }
    }

    /// The file that was opened, or the folder of a checkpoint in several files.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.initial.is_some() || self.entries.contains_key(name)
    }

    /// The names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The type that a tensor is stored in, as safetensors writes it: `F32`, `BF16`, `I64` …
    pub fn dtype(&self, name: &str) -> Option<String> {
        let entry = self.entries.get(name)?;
        Some(entry.dtype.to_string())
    }

    /// The shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.entries.get(name).map(|entry| entry.shape.as_slice())
    }

    /// The bytes of a tensor of any type as they lie in the file, little-endian.
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        let entry = self.entries.get(name)?;
        Some(self.files[entry.file].bytes(entry))
    }

    /// The view from which layers take their tensors; they are placed on `device` in its default type.
    pub fn root(&self, device: &Device) -> Scope<'_> {
        Scope { weights: self, prefix: String::new(), device: device.clone(), dtype: device.settings().float_dtype }
    }

    /// Takes a tensor in the device's default type: `f32`, unless [`device_in`](crate::device_in) has
    /// chosen another.
    ///
    /// # Errors
    /// [`NetsError::MissingTensor`], [`NetsError::WrongShape`] or [`NetsError::WrongType`], naming the
    /// tensor and its file.
    pub fn tensor<const D: usize>(&self, name: &str, shape: [usize; D], device: &Device) -> Result<Tensor<D>> {
        self.tensor_in(name, shape, device, device.settings().float_dtype)
    }

    fn tensor_in<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
        device: &Device,
        dtype: FloatDType,
    ) -> Result<Tensor<D>> {
        let values = TensorData::new(self.values(name, &shape)?, shape);
        Ok(Tensor::from_data(values, (device, dtype.into())))
    }

    /// The values of a tensor of any float type, row by row in the file's own shape.
    ///
    /// # Errors
    /// [`NetsError::MissingTensor`] or [`NetsError::WrongType`], naming the tensor and its file.
    pub fn floats(&self, name: &str) -> Result<Vec<f32>> {
        self.values(name, self.shape(name).unwrap_or_default())
    }

    /// Checks that every tensor has been taken.
    ///
    /// `ignored` lists names that the network does not need, such as buffers that upstream saves:
    /// a full name, `*suffix` or `prefix*`.
    ///
    /// # Errors
    /// [`NetsError::UnusedTensors`] names those that are left.
    pub fn finish(&self, ignored: &[&str]) -> Result<()> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let left: Vec<&str> = self
            .names()
            .filter(|name| !taken.contains(*name) && !ignored.iter().any(|pattern| matches(pattern, name)))
            .collect();
        if left.is_empty() {
            return Ok(());
        }
        let mut names = left.iter().take(5).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        if left.len() > 5 {
            names.push_str(", …");
        }
        Err(NetsError::UnusedTensors { path: self.path.clone(), count: left.len(), names })
    }

    /// The sha256 of the weights in hex: of the file as `sha256sum` prints it, or of the list of the
    /// shards' sums when there are several.
    ///
    /// It reads every byte, so ask once for a run.
    pub fn digest(&self) -> String {
        files::digest(&self.files)
    }

    fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        if let Some(initial) = &self.initial {
            return Ok(initial.values(name, shape));
        }
        let Some(entry) = self.entries.get(name) else {
            return Err(NetsError::MissingTensor {
                name: name.to_owned(),
                path: self.path.clone(),
                expected: shape.to_vec(),
                nearest: self.nearest(name),
            });
        };
        let file = &self.files[entry.file];
        if entry.shape != shape {
            return Err(NetsError::WrongShape {
                name: name.to_owned(),
                path: file.path.clone(),
                expected: shape.to_vec(),
                found: entry.shape.clone(),
            });
        }
        let values = convert::to_f32(entry.dtype, file.bytes(entry)).ok_or_else(|| NetsError::WrongType {
            name: name.to_owned(),
            path: file.path.clone(),
            found: format!("{:?}", entry.dtype).to_lowercase(),
        })?;
        file.release(entry);
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        Ok(values)
    }

    /// A tensor with the same ending, for a checkpoint whose names carry another prefix.
    fn nearest(&self, name: &str) -> String {
        let same_ending = |ending: &str| {
            self.names().find(|other| {
                let head = other.strip_suffix(ending);
                head.is_some_and(|head| head.is_empty() || head.ends_with('.'))
            })
        };
        let mut ending = name;
        while let Some((_, rest)) = ending.split_once('.').filter(|(_, rest)| rest.contains('.')) {
            if let Some(other) = same_ending(rest) {
                return format!("; did you mean `{other}`");
            }
            ending = rest;
        }
        String::new()
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(suffix), _) => name.ends_with(suffix),
        (None, Some(prefix)) => name.starts_with(prefix),
        (None, None) => name == pattern,
    }
}

/// Weights seen from one module of the network: names are relative to its prefix.
///
/// The functions of [`layers`](crate::layers) take their tensors through it.
#[derive(Debug, Clone)]
pub struct Scope<'w> {
    weights: &'w Weights,
    prefix: String,
    device: Device,
    dtype: FloatDType,
}

impl<'w> Scope<'w> {
    /// The scope of a submodule: `scope.enter("encoder").enter(0)` reads `encoder.0.…`.
    pub fn enter(&self, name: impl std::fmt::Display) -> Scope<'w> {
        Scope {
            weights: self.weights,
            prefix: format!("{}{name}.", self.prefix),
            device: self.device.clone(),
            dtype: self.dtype,
        }
    }

    /// The same scope with tensors in another type than the device's own.
    #[must_use]
    pub fn in_type(self, dtype: FloatDType) -> Self {
        Self { dtype, ..self }
    }

    /// The full name of a tensor in this scope.
    pub fn full_name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.weights.contains(&self.full_name(name))
    }

    /// Whether two tensors are equal byte for byte, as where upstream has saved a shared one twice.
    pub fn same_bytes(&self, one: &str, other: &str) -> bool {
        let bytes = |name: &str| {
            let name = self.full_name(name);
            Some((self.weights.shape(&name)?, self.weights.bytes(&name)?))
        };
        bytes(one).is_some_and(|one| bytes(other) == Some(one))
    }

    /// The shape of a tensor in the file.
    pub fn shape(&self, name: &str) -> Option<&'w [usize]> {
        self.weights.shape(&self.full_name(name))
    }

    /// The device that tensors are placed on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Takes a tensor in the device's default type.
    ///
    /// # Errors
    /// As [`Weights::tensor`].
    pub fn tensor<const D: usize>(&self, name: &str, shape: [usize; D]) -> Result<Tensor<D>> {
        self.weights.tensor_in(&self.full_name(name), shape, &self.device, self.dtype)
    }

    /// Takes a tensor as a parameter of a module.
    ///
    /// # Errors
    /// As [`Weights::tensor`].
    pub fn param<const D: usize>(&self, name: &str, shape: [usize; D]) -> Result<Param<Tensor<D>>> {
        Ok(Param::from_tensor(self.tensor(name, shape)?))
    }

    /// Takes a PyTorch `Linear` weight of shape `[output, input]` as `[input, output]`, the order that burn
    /// multiplies by.
    ///
    /// # Errors
    /// As [`Weights::tensor`]; `[output, input]` is the shape in the file.
    pub fn transposed(&self, name: &str, output: usize, input: usize) -> Result<Tensor<2>> {
        let values = self.weights.values(&self.full_name(name), &[output, input])?;
        let values = TensorData::new(convert::transpose(&values, output, input), [input, output]);
        Ok(Tensor::from_data(values, (&self.device, self.dtype.into())))
    }
}

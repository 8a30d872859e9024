//! The parameters of a module as named tensors, and back.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::error::{Result, TrainerError};
use crate::guidance::host;

/// Tensors by name: shape and numbers.
pub type Named = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Gives a parameter's path in the module the name it is saved under.
pub type Rename = fn(&str) -> String;

/// All parameters of a module in PyTorch's layout: matrices as `[outputs, inputs]`.
pub fn collect<M: Module>(module: &M, rename: Rename) -> Named {
    let mut visitor = Collect { path: Vec::new(), rename, named: Named::new() };
    module.visit(&mut visitor);
    visitor.named
}

/// The module with the saved parameters; `part` names it in errors.
///
/// # Errors
/// [`TrainerError::State`] naming a tensor that is missing, unused or of another shape.
pub fn restore<M: Module>(module: M, mut named: Named, rename: Rename, part: &str) -> Result<M> {
    let mut mapper = Restore { path: Vec::new(), rename, named: &mut named, faults: Vec::new() };
    let module = module.map(&mut mapper);
    let mut faults = mapper.faults;
    faults.extend(named.keys().map(|name| format!("`{name}` is not used")));
    match faults.is_empty() {
        true => Ok(module),
        false => Err(TrainerError::state(part, faults.join(", "))),
    }
}

/// As a safetensors file.
///
/// # Errors
/// [`TrainerError::State`].
pub(crate) fn to_safetensors(named: &Named, part: &str) -> Result<Vec<u8>> {
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = named
        .iter()
        .map(|(name, (shape, numbers))| {
            let bytes = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
            (name.clone(), shape.clone(), bytes)
        })
        .collect();
    let views = bytes
        .iter()
        .map(|(name, shape, bytes)| TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| (name.as_str(), view)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TrainerError::state(part, error))?;
    safetensors::serialize(views, None).map_err(|error| TrainerError::state(part, error))
}

/// From a safetensors file of f32 tensors.
///
/// # Errors
/// [`TrainerError::State`].
pub(crate) fn from_safetensors(bytes: &[u8], part: &str) -> Result<Named> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| TrainerError::state(part, error))?;
    file.tensors()
        .into_iter()
        .map(|(name, view)| {
            if view.dtype() != Dtype::F32 {
                let message = format!("`{name}` is {:?}, expected F32", view.dtype());
                return Err(TrainerError::state(part, message));
            }
            let numbers = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
            Ok((name, (view.shape().to_vec(), numbers)))
        })
        .collect()
}

struct Collect {
    path: Vec<String>,
    rename: Rename,
    named: Named,
}

impl ModuleVisitor for Collect {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        let (shape, numbers) = if D == 2 {
            let value = value.swap_dims(0, 1);
            (value.dims(), host(value))
        } else {
            (value.dims(), host(value))
        };
        self.named.insert((self.rename)(&self.path.join(".")), (shape.to_vec(), numbers));
    }
}

struct Restore<'a> {
    path: Vec<String>,
    rename: Rename,
    named: &'a mut Named,
    faults: Vec<String>,
}

impl ModuleMapper for Restore<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = (self.rename)(&self.path.join("."));
        let mut expected = param.dims().to_vec();
        if D == 2 {
            expected.reverse();
        }
        let Some((shape, numbers)) = self.named.remove(&name) else {
            self.faults.push(format!("`{name}` is missing"));
            return param;
        };
        if shape != expected {
            self.faults.push(format!("`{name}` is {shape:?}, expected {expected:?}"));
            return param;
        }
        param.map(|old| {
            let (device, tracked) = (old.device(), old.is_require_grad());
            let data = TensorData::new(numbers, shape);
            let value = Tensor::<D>::from_data(data, &device);
            let value = if D == 2 { contiguous(value.swap_dims(0, 1)) } else { value };
            if tracked { value.require_grad() } else { value.detach() }
        })
    }
}

/// The same numbers in row-major order, so that a restored parameter computes exactly as the
/// saved one did.
fn contiguous<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    let (shape, device) = (tensor.dims(), tensor.device());
    Tensor::from_data(TensorData::new(host(tensor), shape), &device)
}

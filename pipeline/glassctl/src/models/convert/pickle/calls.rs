//! What a file of tensors may call, and what comes of it.

use std::rc::Rc;

use super::super::tensor::{DType, View};
use super::machine::Machine;
use super::{Fault, Value};

/// The axes that a tensor of torch can have.
const MOST_AXES: usize = 64;

/// Everything that may be called. There is no way to name anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Callable {
    OrderedDict,
    RebuildTensor,
    RebuildTensorV2,
    RebuildParameter,
    Size,
    /// The class of a storage: it is named in a storage's id, and not called.
    StorageOf(DType),
}

impl Callable {
    /// From module and name.
    pub(super) fn named(module: &str, name: &str) -> Result<Self, Fault> {
        let storage = || DType::of_storage(name).map(Self::StorageOf);
        let known = match (module, name) {
            ("collections", "OrderedDict") => Some(Self::OrderedDict),
            ("torch._utils", "_rebuild_tensor") => Some(Self::RebuildTensor),
            ("torch._utils", "_rebuild_tensor_v2") => Some(Self::RebuildTensorV2),
            ("torch._utils", "_rebuild_parameter") => Some(Self::RebuildParameter),
            ("torch", "Size") => Some(Self::Size),
            ("torch", _) => storage(),
            _ => None,
        };
        known.ok_or_else(|| Fault::Call(format!("{module}.{name}")))
    }
}

impl Machine {
    /// What a call gives.
    pub(super) fn call(&mut self, callable: &Value, arguments: &Value) -> Result<Value, Fault> {
        let Value::Callable(callable) = callable else {
            return Err(Fault::new("it calls something that is no function"));
        };
        let Value::Tuple(place) = arguments else {
            return Err(Fault::new("it calls a function without arguments"));
        };
        let arguments = self.nodes[*place].clone();
        self.count(arguments.len())?;
        match (callable, arguments.as_slice()) {
            (Callable::OrderedDict, arguments) => self.ordered_dict(arguments),
            (
                Callable::RebuildTensor | Callable::RebuildTensorV2,
                [Value::Storage(storage, dtype), offset, shape, stride, ..],
            ) => {
                let view = View {
                    storage: storage.to_string(),
                    dtype: *dtype,
                    offset: number(offset)?,
                    shape: self.numbers(shape)?,
                    stride: self.numbers(stride)?,
                };
                Ok(Value::Tensor(Rc::new(view)))
            }
            (Callable::RebuildParameter, [tensor @ Value::Tensor(_), ..]) => Ok(tensor.clone()),
            (Callable::Size, [sizes]) => Ok(sizes.clone()),
            _ => Err(Fault::new(format!("it calls {callable:?} in a way that torch does not"))),
        }
    }

    /// `OrderedDict()`, or of a list of pairs.
    fn ordered_dict(&mut self, arguments: &[Value]) -> Result<Value, Fault> {
        let mut entries = Vec::new();
        if let [Value::List(list)] = arguments {
            self.count(2 * self.nodes[*list].len())?;
            for pair in &self.nodes[*list] {
                match pair {
                    Value::Tuple(pair) | Value::List(pair) if self.nodes[*pair].len() == 2 => {
                        entries.extend_from_slice(&self.nodes[*pair]);
                    }
                    _ => return Err(Fault::new("an entry of a dictionary is no pair")),
                }
            }
        }
        Ok(Value::Dict(self.node(entries)))
    }

    /// A storage from `("storage", class, key, device, elements)`; before 1.0 a view could follow.
    pub(super) fn storage(&mut self, id: &Value) -> Result<Value, Fault> {
        let Value::Tuple(place) = id else {
            return Err(Fault::new("the id of a storage is no tuple"));
        };
        let (id, view) = self.nodes[*place].split_at(self.nodes[*place].len().min(5));
        match (id, view) {
            (
                [Value::Text(tag), Value::Callable(Callable::StorageOf(dtype)), Value::Text(key), _, _],
                [] | [Value::None],
            ) if **tag == *"storage" => {
                let (key, dtype) = (key.clone(), *dtype);
                match self.storages.insert(key.to_string(), dtype) {
                    Some(other) if other != dtype => Err(Fault::new(format!("its storage `{key}` has two types"))),
                    _ => Ok(Value::Storage(key, dtype)),
                }
            }
            _ => Err(Fault::new("the id of a storage is not one that torch writes")),
        }
    }

    fn numbers(&self, value: &Value) -> Result<Vec<u64>, Fault> {
        match value {
            Value::Tuple(place) | Value::List(place) if self.nodes[*place].len() <= MOST_AXES => {
                self.nodes[*place].iter().map(number).collect()
            }
            _ => Err(Fault::new("a shape in it is none that torch has")),
        }
    }
}

fn number(value: &Value) -> Result<u64, Fault> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    }
    .ok_or_else(|| Fault::new("a size in it is no natural number"))
}

//! A PyTorch file as a table of tensors.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::Context as _;
use glass_stage::Explain;

use super::container::Container;
use super::pickle::{Fault, Pickled, Value, View};
use super::tensor::Tensor;
use super::{legacy, zip};

/// The tensors of a file, with their bytes still in it.
pub(super) struct Checkpoint {
    pub(super) file: File,
    pub(super) tensors: BTreeMap<String, Tensor>,
}

impl Checkpoint {
    /// Opens a file that `torch.save` wrote; `key` is the entry that holds the tensors.
    pub(super) fn open(path: &Path, key: Option<&str>) -> anyhow::Result<Self> {
        let unreadable = || format!("cannot read `{}`", path.display());
        let file = File::open(path).with_context(unreadable).blame_user()?;
        let length = file.metadata().with_context(unreadable)?.len();
        let refused = || format!("cannot use `{}`", path.display());
        let container = match container(&file, length) {
            Ok(container) => container,
            Err(fault) => {
                let hint = fault.hint();
                return Err(fault).with_context(refused).blame_user().hint(hint);
            }
        };
        let views = tensors(&container.object, key).with_context(refused)?;
        let locate = |(name, view): (String, &View)| match located(&container, view, length) {
            Some(tensor) => Ok((name, tensor)),
            None => Err(anyhow::anyhow!("tensor `{name}` does not lie within the file"))
                .blame_user()
                .hint("the file is damaged: fetch it again"),
        };
        let tensors = views.into_iter().map(locate).collect::<anyhow::Result<_>>();
        Ok(Self { tensors: tensors.with_context(refused)?, file })
    }
}

fn container(file: &File, length: u64) -> Result<Container, Fault> {
    let mut head = Vec::new();
    file.take(legacy::MAGIC.len() as u64).read_to_end(&mut head)?;
    // Reading moves the place that all handles of a file share.
    std::io::Seek::rewind(&mut &*file)?;
    if head.starts_with(&zip::MAGIC) {
        zip::open(file, length)
    } else if head == legacy::MAGIC {
        legacy::open(file, length)
    } else {
        Err(Fault::new("it is no file that `torch.save` wrote"))
    }
}

fn located(container: &Container, view: &View, length: u64) -> Option<Tensor> {
    Tensor::new(view, *container.storages.get(&view.storage)?, length)
}

/// The tensors of the saved dictionary, by name.
fn tensors<'p>(object: &'p Pickled, key: Option<&str>) -> anyhow::Result<BTreeMap<String, &'p View>> {
    let place = match key {
        None => &object.root,
        Some(key) => object
            .entry(&object.root, key)
            .with_context(|| format!("it has no entry `{key}`"))
            .blame_user()
            .hint(format!("its entries: {}", list(&entries(object))))?,
    };
    let Some(pairs) = object.pairs(place) else {
        return Err(anyhow::anyhow!("it holds something other than a dictionary of tensors"))
            .blame_user()
            .hint("save the model's `state_dict()`");
    };
    let mut tensors = BTreeMap::new();
    let mut nested = Vec::new();
    for (name, value) in pairs {
        match (name, value) {
            (Value::Text(name), Value::Tensor(view)) => {
                tensors.insert(name.to_string(), &**view);
            }
            (Value::Text(name), value) if holds_tensors(object, value) => nested.push(name.to_string()),
            _ => {}
        }
    }
    // Weights are never left out silently.
    if !nested.is_empty() {
        return Err(anyhow::anyhow!("its tensors lie in more than one dictionary"))
            .blame_user()
            .hint(format!("name the one to take with --key: {}", list(&nested)));
    }
    if tensors.is_empty() {
        return Err(anyhow::anyhow!("it holds no tensors")).blame_user();
    }
    Ok(tensors)
}

fn holds_tensors(object: &Pickled, value: &Value) -> bool {
    let pairs = object.pairs(value).unwrap_or_default();
    pairs.iter().any(|(_, value)| matches!(value, Value::Tensor(_)))
}

fn entries(object: &Pickled) -> Vec<String> {
    let pairs = object.pairs(&object.root).unwrap_or_default();
    let text = |(key, _): &(&Value, &Value)| match key {
        Value::Text(key) => Some(key.to_string()),
        _ => None,
    };
    pairs.iter().filter_map(text).collect()
}

/// The first of them, for a hint.
fn list(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(8).map(|name| format!("`{name}`")).collect();
    let more = if names.len() > shown.len() { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

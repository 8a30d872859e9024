//! The demo's report: one HTML file that needs nothing beside it.

pub(crate) mod curves;
pub(crate) mod html;
pub(crate) mod pictures;
pub mod results;
pub(crate) mod samples;
mod sections;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use glass_dataset::{Store, StoreOptions};
use glass_schemas::spec::RunSpec;
use glass_stage::WholeFile;

/// What a report is made of.
pub struct Inputs<'a> {
    /// Folder that the spec's relative paths start from.
    pub root: &'a Path,
    /// The run spec.
    pub spec: &'a RunSpec,
    /// The local store, which the report is written to as well.
    pub store: &'a Path,
    /// The trained run.
    pub run: &'a str,
    /// Folders of reconstructions and compositions, below the store.
    pub pictures: &'a [String; 2],
}

/// Writes `report.html` into the store's folder.
///
/// # Errors
/// What could not be read of the datasets or the run, or written.
pub async fn write(inputs: &Inputs<'_>) -> anyhow::Result<PathBuf> {
    let store = Store::open(&inputs.store.to_string_lossy(), &StoreOptions::default())?;
    let mut page = html::Page::new("GLASS, end to end");
    sections::data::scenes(&mut page, inputs, &store).await?;
    sections::data::generations(&mut page, inputs, &store).await?;
    sections::run::slots(&mut page, inputs, &store).await?;
    sections::run::numbers(&mut page, inputs, &store).await?;
    sections::run::drawings(&mut page, inputs, &store).await?;
    sections::run::losses(&mut page, inputs, &store).await?;
    let path = inputs.store.join("report.html");
    WholeFile::write(&path, page.finish()).context("cannot write the report")?;
    Ok(path)
}

//! Which store and which dataset a command is about.

use std::path::PathBuf;

use glass_dataset::{Dataset, Store, StoreOptions, gc};
use glass_schemas::ids::{DatasetId, DatasetKind};
use glass_schemas::spec::{RunSpec, StoreSpec};
use glass_stage::Explain;

/// Where to look, as the stages are told: by a run spec, a store, or both.
#[derive(clap::Args, Clone, Debug)]
pub struct StoreArgs {
    /// Run spec (TOML): names the store and how it is reached
    #[arg(id = "spec", long = "spec", value_name = "FILE")]
    pub spec: Option<PathBuf>,
    /// Change one value of the spec, e.g. `masks.low=0.4`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "spec")]
    pub set: Vec<String>,
    /// Where the datasets are (path, file://, s3://, gs://, az://); overrides the spec's [store]
    #[arg(long, value_name = "URI", required_unless_present = "spec")]
    pub store: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl StoreArgs {
    /// The store, and the spec if one is given.
    pub(crate) fn open(&self) -> anyhow::Result<(Store, Option<RunSpec>)> {
        let spec = self.spec.as_ref().map(|path| RunSpec::load_with(path, &self.set)).transpose()?;
        let mut reached = spec.as_ref().map_or_else(StoreSpec::default, |spec| spec.store.clone());
        if let Some(uri) = &self.store {
            reached.uri.clone_from(uri);
        }
        Ok((Store::open(&reached.uri, &StoreOptions::from(&reached))?, spec))
    }

    /// The dataset of this name; see [`named`].
    pub(crate) async fn dataset(&self, name: &str) -> anyhow::Result<Dataset> {
        let (store, spec) = self.open()?;
        named(&store, spec.as_ref(), name).await
    }

    /// The dataset of this name, or without one all that are meant: those the spec stands for as far
    /// as they are made, or every one in the store.
    pub(crate) async fn datasets(&self, name: Option<&str>) -> anyhow::Result<Vec<Dataset>> {
        let (store, spec) = self.open()?;
        if let Some(name) = name {
            return Ok(vec![named(&store, spec.as_ref(), name).await?]);
        }
        let mut datasets = Vec::new();
        match spec {
            Some(spec) => {
                for kind in DatasetKind::ALL {
                    match Dataset::find(&store, kind, &spec).await {
                        Ok(dataset) => datasets.push(dataset),
                        Err(glass_dataset::DatasetError::NotMade { .. }) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
            }
            None => {
                for id in gc::datasets(&store).await? {
                    datasets.push(Dataset::open(&store, &id).await?);
                }
            }
        }
        match datasets.is_empty() {
            false => Ok(datasets),
            true => Err(anyhow::anyhow!("the store `{}` holds no such dataset", store.uri()))
                .blame_user()
                .hint("check --store; a dataset appears there as soon as its stage has started"),
        }
    }
}

/// A dataset by its id, or by its kind where the spec or the store leaves no doubt.
async fn named(store: &Store, spec: Option<&RunSpec>, name: &str) -> anyhow::Result<Dataset> {
    let Ok(kind) = name.parse::<DatasetKind>() else {
        return Ok(Dataset::open(store, &name.parse::<DatasetId>()?).await?);
    };
    if let Some(spec) = spec {
        return Ok(Dataset::find(store, kind, spec).await?);
    }
    let ids = Dataset::list(store, kind).await?;
    match ids.as_slice() {
        [id] => Ok(Dataset::open(store, id).await?),
        [] => Err(anyhow::anyhow!("the store `{}` holds no {kind} dataset", store.uri()))
            .blame_user()
            .hint("`glassctl status` lists what is there"),
        several => Err(anyhow::anyhow!("the store `{}` holds {} {kind} datasets", store.uri(), several.len()))
            .blame_user()
            .hint("give its id (`glassctl status` lists them) or a run spec"),
    }
}

//! Training and scoring, one process each.

use std::path::Path;

use anyhow::Context as _;
use futures::stream::{self, StreamExt, TryStreamExt};
use glass_dataset::{Store, StoreOptions};
use glass_schemas::spec::BenchmarkSpec;
use glass_stage::Context;

use super::cost::{self, Cost};
use super::methods::{Method, teacher_is};
use crate::report::results::Results;
use crate::runner::Runner;

/// Where a benchmark is made, and with what.
pub(crate) struct Bench<'a> {
    pub(crate) runner: &'a Runner,
    pub(crate) context: &'a Context,
    pub(crate) spec: &'a BenchmarkSpec,
    /// In the order of the table.
    pub(crate) methods: &'a [Method],
    /// The store, a folder.
    pub(crate) out: &'a Path,
}

/// A method trained with one seed, and its numbers.
pub(crate) struct Measured {
    pub(crate) method: String,
    pub(crate) seed: u64,
    pub(crate) run: String,
    /// Of its evaluation, below the store.
    pub(crate) folder: String,
    pub(crate) results: Results,
    pub(crate) cost: Cost,
    /// `metrics.jsonl`
    pub(crate) metrics: String,
}

impl Measured {
    /// The method's masks, as the evaluation calls them: the first that its spec asks for.
    pub(crate) fn masks(&self) -> &str {
        let methods = self.results.protocols.first().map(|protocol| &protocol.methods);
        methods.and_then(|methods| methods.first()).map_or("", |method| &method.method)
    }
}

impl Bench<'_> {
    /// Trains and scores every method with every seed.
    ///
    /// # Errors
    /// What a program could not do; what is finished stays.
    pub(crate) async fn all(&self) -> anyhow::Result<Vec<Measured>> {
        let mut measured: Vec<Measured> = Vec::new();
        let last = self.methods.iter().map(|method| method.wave).max().unwrap_or(0);
        // Seed by seed, so that an interrupted benchmark has every method once before any twice.
        for &seed in &self.spec.seeds {
            for wave in 0..=last {
                let methods = self.methods.iter().filter(|method| method.wave == wave);
                let earlier = &measured;
                let more: Vec<Measured> = stream::iter(methods.collect::<Vec<_>>())
                    .map(|method| self.one(method, seed, earlier))
                    .buffered(self.runner.workers)
                    .try_collect()
                    .await?;
                measured.extend(more);
            }
        }
        Ok(measured)
    }

    /// What needs no training, scored once, as the reference's spec asks for it.
    ///
    /// # Errors
    /// As [`Bench::all`].
    pub(crate) async fn untrained(&self) -> anyhow::Result<Results> {
        let folder = self.runner.score("evaluate-untrained", None, &self.reference()?.set, self.context).await?;
        Results::at(&self.store()?, &folder).await
    }

    /// The method that the others are compared with: the spec's, or the first.
    ///
    /// # Errors
    /// Where there is no method.
    pub(crate) fn reference(&self) -> anyhow::Result<&Method> {
        match &self.spec.reference {
            None => self.methods.first().context("there is no method"),
            Some(name) => self
                .methods
                .iter()
                .find(|method| method.name == *name)
                .with_context(|| format!("`benchmark.reference` is `{name}`, which is not trained")),
        }
    }

    async fn one(&self, method: &Method, seed: u64, earlier: &[Measured]) -> anyhow::Result<Measured> {
        let mut set = method.set.clone();
        if let Some(teacher) = &method.teacher {
            let run = earlier.iter().find(|run| run.method == *teacher && run.seed == seed);
            set.push(teacher_is(&run.with_context(|| format!("`{teacher}` was not trained"))?.run));
        }
        let mut flags: Vec<String> = ["--seed", &seed.to_string()].map(str::to_owned).to_vec();
        flags.extend(self.spec.minutes.iter().flat_map(|minutes| ["--minutes".to_owned(), minutes.to_string()]));
        let name = format!("{}-{seed}", method.name);
        let run = self.runner.train(&format!("train-{name}"), &flags, &set, self.context).await?.id;
        // What needs no training is scored once and not beside every run.
        set.push("evaluation.baselines=[]".to_owned());
        let folder = self.runner.score(&format!("evaluate-{name}"), Some(&run), &set, self.context).await?;
        let store = self.store()?;
        let metrics = store.get(&format!("runs/{run}/metrics.jsonl")).await?;
        Ok(Measured {
            method: method.name.clone(),
            seed,
            results: Results::at(&store, &folder).await?,
            cost: cost::of(&store, &run).await?,
            metrics: String::from_utf8_lossy(&metrics).into_owned(),
            run,
            folder,
        })
    }

    fn store(&self) -> anyhow::Result<Store> {
        Ok(Store::open(&self.out.to_string_lossy(), &StoreOptions::default())?)
    }
}

//! Which methods, with which changes of the spec, in which order.

use std::path::Path;

use glass_schemas::spec::trainer::DataSource;
use glass_schemas::spec::{BASELINES, BenchmarkSpec, RunSpec};
use glass_stage::Explain;
use serde::{Deserialize, Serialize};

/// A way of training.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Method {
    /// Its name in the spec.
    pub(crate) name: String,
    /// What it is, in words.
    pub(crate) title: String,
    /// Its changes of the spec, the budget among them.
    pub(crate) set: Vec<String>,
    /// The method whose run of the same seed it learns from.
    pub(crate) teacher: Option<String>,
    /// What it is trained on.
    pub(crate) images: DataSource,
    /// How many teachers are above it: those of one number can be trained at the same time.
    pub(crate) wave: usize,
}

/// What this crate reads of a method's file.
#[derive(Default, Deserialize)]
struct File {
    title: Option<String>,
    needs: Option<String>,
}

/// The spec's methods in its order, teachers before those that learn from them, asked for or not.
///
/// # Errors
/// The user's: no method, an unknown one, a change that is wrong.
pub(crate) fn chosen(spec_file: &Path, set: &[String], spec: &BenchmarkSpec) -> anyhow::Result<Vec<Method>> {
    if spec.methods.is_empty() {
        return Err(anyhow::anyhow!("`benchmark.methods` is empty"))
            .blame_user()
            .hint(format!("methods are {}", BASELINES.map(|(name, _)| format!("`{name}`")).join(", ")));
    }
    let mut chosen: Vec<Method> = Vec::new();
    for name in &spec.methods {
        // From the method up to the first teacher that is there already.
        let mut above: Vec<Method> = Vec::new();
        let mut next = Some(name.clone());
        while let Some(name) = next.take_if(|name| chosen.iter().all(|other| other.name != **name)) {
            anyhow::ensure!(above.iter().all(|other| other.name != name), "`{name}` learns from itself");
            let method = method(spec_file, set, spec, &name)?;
            next.clone_from(&method.teacher);
            above.push(method);
        }
        for mut method in above.into_iter().rev() {
            let teacher = chosen.iter().find(|other| method.teacher.as_ref() == Some(&other.name));
            method.wave = teacher.map_or(0, |teacher| teacher.wave + 1);
            chosen.push(method);
        }
    }
    Ok(chosen)
}

fn method(spec_file: &Path, set: &[String], spec: &BenchmarkSpec, name: &str) -> anyhow::Result<Method> {
    let changes = spec.changes.get(name).cloned().unwrap_or_default();
    // A variant says itself which method it changes.
    let base = match changes.iter().find_map(|change| change.trim().strip_prefix("method=")) {
        Some(base) => base.trim_matches('"').to_owned(),
        None => name.to_owned(),
    };
    let shipped = BASELINES.iter().find(|(id, _)| *id == base);
    let file: File = match shipped {
        Some((_, text)) => toml::from_str(text)?,
        None => File::default(),
    };
    let mut own = vec![format!("method=\"{base}\"")];
    own.extend(changes);
    own.extend(budget(spec));
    // The run is not known yet; that there is one is all that the spec is asked here.
    let teacher = file.needs.iter().map(|teacher| teacher_is(teacher));
    let whole: Vec<String> = set.iter().chain(&own).cloned().chain(teacher).collect();
    let merged = RunSpec::load_with(spec_file, &whole)?;
    if merged.evaluation.masks.is_empty() {
        return Err(anyhow::anyhow!("`evaluation.masks` of `{name}` is empty")).blame_user();
    }
    Ok(Method {
        title: file.title.filter(|_| base == name).unwrap_or_else(|| name.to_owned()),
        name: name.to_owned(),
        set: own,
        teacher: file.needs,
        images: merged.trainer.data.source,
        wave: 0,
    })
}

/// The override that names the teacher's run.
pub(crate) fn teacher_is(run: &str) -> String {
    format!("trainer.guidance.teacher=\"{run}\"")
}

/// The same steps of the same batch for all, in one phase: what a method would do in a second one is
/// training too.
fn budget(spec: &BenchmarkSpec) -> Vec<String> {
    let steps = spec
        .steps
        .iter()
        .flat_map(|steps| [format!("trainer.phase1.steps={steps}"), "trainer.phase2.steps=0".to_owned()]);
    steps.chain(spec.batch.iter().map(|batch| format!("trainer.phase1.batch={batch}"))).collect()
}

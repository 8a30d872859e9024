//! One sample.

use glass_dataset::Dataset;
use glass_schemas::dataset::{GenerationRow, MaskRow, QuarantineRow};
use glass_schemas::ids::{DatasetKind, SampleId};
use glass_schemas::manifest::Commit;
use glass_stage::Explain;
use image::RgbImage;
use serde_json::Value;

use super::InspectArgs;
use super::find::{Place, failures, family, places};
use super::known::{columns, on_a_line};
use super::panels::{grid, panels, picture};
use crate::{output, text};

/// Everything known of a sample.
#[derive(serde::Serialize)]
struct Known {
    sample_id: SampleId,
    /// The real image it was drawn from, or what was drawn from it.
    related: Vec<SampleId>,
    rows: Vec<Found>,
    quarantined: Vec<Failure>,
}

/// A row and what made it.
#[derive(serde::Serialize)]
struct Found {
    dataset: String,
    stage: String,
    run_seed: u64,
    spec: Value,
    weights: Value,
    row: usize,
    commit: Commit,
    columns: Value,
}

#[derive(serde::Serialize)]
struct Failure {
    dataset: String,
    #[serde(flatten)]
    row: QuarantineRow,
}

/// Prints what is known of a sample and draws it if a picture is asked for.
pub(super) async fn inspect(args: &InspectArgs, id: SampleId) -> anyhow::Result<Option<RgbImage>> {
    let datasets = args.target.datasets(None).await?;
    let family = family(&datasets, id).await?;
    let (mut found, mut quarantined) = (Vec::new(), Vec::new());
    for dataset in &datasets {
        found.extend(places(dataset, &family).await?);
        let failed = failures(dataset, &family).await?.into_iter();
        quarantined.extend(failed.map(|row| Failure { dataset: dataset.id().to_string(), row }));
    }
    if found.is_empty() && quarantined.is_empty() {
        return Err(anyhow::anyhow!("no dataset of the store holds sample {id}"))
            .blame_user()
            .hint("`glassctl inspect` without a sample lists some; shards that are not committed are not looked at");
    }
    let mut rows = Vec::new();
    for place in &found {
        rows.push(describe(place).await?);
    }
    let related = family.into_iter().filter(|other| *other != id).collect();
    let known = Known { sample_id: id, related, rows, quarantined };
    let drawing = match args.picture {
        Some(_) => Some(draw(&found, &known).await?),
        None => None,
    };
    match args.target.json {
        true => output::json(&known)?,
        false => output::text(&page(&known))?,
    }
    Ok(drawing)
}

async fn describe(place: &Place) -> anyhow::Result<Found> {
    let identity = place.dataset.identity();
    Ok(Found {
        dataset: identity.id.to_string(),
        stage: identity.stage.clone(),
        run_seed: identity.run_seed,
        spec: identity.spec.clone(),
        weights: serde_json::to_value(&identity.weights)?,
        row: place.row,
        commit: place.dataset.commit(place.shard).await?,
        columns: columns(place).await?,
    })
}

/// A row of panels for each mask, or the pictures where there is none.
async fn draw(found: &[Place], known: &Known) -> anyhow::Result<RgbImage> {
    let of = |kind| found.iter().filter(move |place| place.dataset.id().kind() == kind);
    let mut rows = Vec::new();
    for place in of(DatasetKind::Generations) {
        let row: GenerationRow = place.read().await?;
        let picture = picture(&row.image)?;
        let before = rows.len();
        for place in of(DatasetKind::Masks).filter(|mask| is_of(&mask.dataset, &place.dataset)) {
            let mask: MaskRow = place.read().await?;
            if mask.sample_id == row.sample_id {
                rows.push(panels(&picture, &mask)?);
            }
        }
        if rows.len() == before {
            rows.push(picture);
        }
    }
    match rows.is_empty() {
        false => Ok(grid(&rows, 1)),
        true => Err(anyhow::anyhow!("nothing was drawn from sample {}", known.sample_id))
            .blame_user()
            .hint("the store holds generated images only; leave out --picture"),
    }
}

/// Whether masks were made of the pass that drew these pictures.
fn is_of(masks: &Dataset, drawings: &Dataset) -> bool {
    let upstream = masks.identity().upstream.iter();
    upstream.map(|id| id.sibling(DatasetKind::Generations)).any(|id| id == *drawings.id())
}

/// Where the row lies; an adopted shard lies in the dataset it was adopted from.
fn object(commit: &Commit) -> String {
    match &commit.dataset {
        None => commit.data_key.clone(),
        Some(dataset) => format!("{}/{}", dataset.path(), commit.data_key),
    }
}

fn page(known: &Known) -> String {
    let mut page = format!("sample {}\n", known.sample_id);
    for related in &known.related {
        page.push_str(&format!("related {related}\n"));
    }
    for found in &known.rows {
        let Found { dataset, stage, row, commit, .. } = found;
        page.push_str(&format!("\n{dataset}  {stage}, run seed {}\n", found.run_seed));
        let mut lines =
            vec![["shard".to_owned(), format!("{} row {row}", commit.shard)], ["object".to_owned(), object(commit)]];
        let columns = found.columns.as_object().into_iter().flatten();
        lines.extend(columns.map(|(key, value)| [key.clone(), on_a_line(value)]));
        page.extend(text::table(&lines).lines().map(|line| format!("  {line}\n")));
    }
    for Failure { dataset, row } in &known.quarantined {
        let message = on_a_line(&Value::String(row.message.clone()));
        page.push_str(&format!(
            "\n{dataset}  quarantined by {}\n  shard {:05}, {}, attempt {}: {message}\n",
            row.stage, row.shard, row.error_class, row.attempt
        ));
    }
    page
}

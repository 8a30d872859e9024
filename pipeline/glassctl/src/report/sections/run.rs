//! Slots beside the truth, numbers, drawings, losses.

use anyhow::Context;
use glass_dataset::Store;
use serde_json::Value;

use crate::report::Inputs;
use crate::report::curves;
use crate::report::html::{Figure, Page};
use crate::report::results::{METRICS, Results};
use crate::report::samples::Samples;

/// Validation images with ground truth and slots.
pub(in crate::report) async fn slots(page: &mut Page, inputs: &Inputs<'_>, store: &Store) -> anyhow::Result<()> {
    let (folder, _) = Results::newest_with_folder(store, inputs.run).await?;
    let samples: Samples = json(store, &format!("{folder}/samples/samples.json")).await?;
    page.section(
        "Slots on real images",
        &format!(
            "Slot Attention was trained on generated images only; here it sees validation images. \
             Each colour is a slot. The truth is shown as protocol {} counts it.",
            samples.protocol
        ),
    );
    for sample in samples.samples {
        let mut figures = Vec::new();
        for view in sample.views {
            let picture = store.get(&format!("{folder}/samples/{}", view.file)).await?.to_vec();
            figures.push(Figure { picture, caption: view.caption });
        }
        page.row(&sample.image, &figures);
    }
    Ok(())
}

/// The metric table, with its protocol beside every number.
pub(in crate::report) async fn numbers(page: &mut Page, inputs: &Inputs<'_>, store: &Store) -> anyhow::Result<()> {
    let results = Results::newest(store, inputs.run).await?;
    page.section(
        "Numbers",
        &format!(
            "{} validation images; mean ± standard deviation over the seeds of the initial slots. \
             Protocols differ in what counts as an object, so their numbers do not compare with \
             one another. Evaluation {}, run {}.",
            results.pictures, results.eval_id, inputs.run
        ),
    );
    for protocol in &results.protocols {
        let mut heads = vec![protocol.id.clone()];
        heads.extend(METRICS.iter().map(|(_, name)| (*name).to_owned()));
        let rows: Vec<Vec<String>> = protocol
            .methods
            .iter()
            .map(|method| {
                let cells = METRICS.iter().map(|(key, _)| method.cell(key));
                std::iter::once(method.method.clone()).chain(cells).collect()
            })
            .collect();
        page.table(&heads, &rows);
    }
    Ok(())
}

/// Reconstructions and compositions.
pub(in crate::report) async fn drawings(page: &mut Page, inputs: &Inputs<'_>, store: &Store) -> anyhow::Result<()> {
    let [generated, composed] = inputs.pictures;
    page.section(
        "Drawing from slots",
        "The diffusion decoder draws validation images from their slots, and from edited slots: a \
         slot removed, added from another image, or swapped between two images.",
    );
    let sheets = [
        (generated, "grid.png", "pairs: validation image, drawn from its slots"),
        (composed, "sheet.png", "each line: image, its slots, drawn from them, drawn after the edit"),
    ];
    for (folder, file, caption) in sheets {
        let picture = store.get(&format!("{folder}/{file}")).await?.to_vec();
        page.sheet(&Figure { picture, caption: caption.to_owned() });
    }
    for folder in [generated, composed] {
        scores(page, store, folder).await?;
    }
    let index: Value = json(store, &format!("{composed}/compositions.json")).await?;
    let edits = index["compositions"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let rows: Vec<Vec<String>> = edits
        .iter()
        .map(|edit| {
            let keys = ["edit", "image", "slot", "other", "other_slot"];
            keys.map(|key| text(&edit[key]).replace("null", "–")).to_vec()
        })
        .collect();
    page.table(&["edit", "image", "slot", "other image", "other slot"].map(str::to_owned), &rows);
    Ok(())
}

/// How near drawn pictures come to real ones, with the number of pictures and what has to be said beside.
async fn scores(page: &mut Page, store: &Store, folder: &str) -> anyhow::Result<()> {
    let metrics: Value = json(store, &format!("{folder}/metrics.json")).await?;
    let number = |value: &Value| value.as_f64().map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"));
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let rows: Vec<Vec<String>> = metrics["scores"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|score| {
            let remarks = [text(&score["network"]), text(&score["note"])];
            let remarks: Vec<String> = remarks.into_iter().filter(|remark| !remark.is_empty()).collect();
            vec![
                text(&score["of"]),
                text(&score["metric"]),
                number(&score["value"]),
                number(&score["sd"]),
                text(&score["pictures"]),
                text(&score["real"]),
                remarks.join("; "),
            ]
        })
        .collect();
    if !rows.is_empty() {
        let heads = ["edit", "metric", "value", "sd", "drawn pictures", "real pictures", "remarks"];
        page.table(&heads.map(str::to_owned), &rows);
    }
    Ok(())
}

/// Loss curves.
pub(in crate::report) async fn losses(page: &mut Page, inputs: &Inputs<'_>, store: &Store) -> anyhow::Result<()> {
    let lines = metrics(inputs, store).await?;
    page.section(
        "Training",
        "Losses, gradients, slots and drift over the steps of both phases (means over the steps \
         between two points; slots at the points). slots/share: tokens that each slot wins, \
         slots/used: slots that win any, attention/entropy: 1 where tokens have not chosen, \
         drift/changed: tokens that changed their slot since phase 1. The semantic weight starts \
         at zero and rises once slots compete.",
    );
    page.raw("<div class=curves>");
    for (name, curves) in curves::grouped(curves::series(&lines)) {
        if name != "phase" && curves.iter().any(|points| points.len() > 1) {
            page.raw(&curves::draw(&name, &curves));
        }
    }
    page.raw("</div>");
    Ok(())
}

/// The newest metrics of a run.
async fn metrics(inputs: &Inputs<'_>, store: &Store) -> anyhow::Result<String> {
    let mut keys = store.list_keys(&format!("runs/{}", inputs.run)).await?;
    keys.retain(|key| key.ends_with("metrics.jsonl"));
    keys.sort();
    let key = keys.pop().with_context(|| format!("run `{}` has no metrics", inputs.run))?;
    Ok(String::from_utf8_lossy(&store.get(&key).await?).into_owned())
}

async fn json<T: serde::de::DeserializeOwned>(store: &Store, key: &str) -> anyhow::Result<T> {
    let bytes = store.get(key).await?;
    serde_json::from_slice(&bytes).with_context(|| format!("cannot read `{key}`"))
}

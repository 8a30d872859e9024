//! Captions that differ.

use glass_dataset::Dataset;
use glass_schemas::dataset::CaptionRow;
use glass_stage::{Context, ExitStatus};

use super::{Overlap, pairs, shards};
use crate::output::{self, Array};

/// One sample whose caption or classes differ.
#[derive(serde::Serialize)]
struct Change<'a> {
    sample_id: String,
    source_uri: &'a str,
    a: &'a str,
    b: &'a str,
    classes_a: Vec<&'a str>,
    classes_b: Vec<&'a str>,
}

#[derive(Debug, Default, serde::Serialize)]
struct Sums {
    #[serde(flatten)]
    overlap: Overlap,
    captions_changed: u64,
    classes_changed: u64,
}

pub(super) async fn diff(left: &Dataset, right: &Dataset, json: bool, context: &Context) -> anyhow::Result<ExitStatus> {
    let mut sums = Sums::default();
    let (both, skipped) = shards(left, right).await?;
    let mut changes = json.then(Array::printed);
    if json {
        output::text("{\"changes\": ")?;
    }
    sums.overlap.shards_skipped = skipped;
    for shard in both {
        if context.stop.is_set() {
            return Ok(ExitStatus::Interrupted);
        }
        let paired = pairs(left, right, shard, |row: &CaptionRow| row.sample_id, &mut sums.overlap);
        for (a, b) in paired.await? {
            let change = change(&a, &b);
            let captions = change.a != change.b;
            let classes = change.classes_a != change.classes_b;
            sums.captions_changed += u64::from(captions);
            sums.classes_changed += u64::from(classes);
            if !(captions || classes) {
                continue;
            }
            match &mut changes {
                Some(changes) => changes.add(&change)?,
                None => print(&change)?,
            }
        }
    }
    match changes {
        Some(changes) => {
            changes.end()?;
            // The rest of the object that the changes are the first field of.
            let sums = serde_json::to_string(&sums)?;
            output::text(&format!(",\n{}\n", sums.trim_start_matches('{')))?;
        }
        None => output::text(&format!(
            "{} of {} captions differ, the classes of {}; {} only in A, {} only in B, {} shards not in both\n",
            sums.captions_changed,
            sums.overlap.samples,
            sums.classes_changed,
            sums.overlap.only_in_a,
            sums.overlap.only_in_b,
            sums.overlap.shards_skipped,
        ))?,
    }
    Ok(ExitStatus::Done)
}

fn change<'a>(a: &'a CaptionRow, b: &'a CaptionRow) -> Change<'a> {
    let names = |row: &'a CaptionRow| row.classes.iter().map(|class| class.name.as_str()).collect();
    Change {
        sample_id: a.sample_id.to_string(),
        source_uri: &a.source_uri,
        a: &a.caption,
        b: &b.caption,
        classes_a: names(a),
        classes_b: names(b),
    }
}

fn print(change: &Change<'_>) -> anyhow::Result<()> {
    let line = |mark: char, caption: &str, classes: &[&str]| format!("  {mark} {caption} [{}]\n", classes.join(", "));
    let before = line('-', change.a, &change.classes_a);
    let after = line('+', change.b, &change.classes_b);
    output::text(&format!("{}\n{before}{after}", change.source_uri))
}

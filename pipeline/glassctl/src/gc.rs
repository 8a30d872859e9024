//! `glassctl gc`: what dead attempts left behind.

use std::time::Duration;

use glass_dataset::gc::{self, Clock, MIN_GRACE, Removed, Rubbish};
use glass_stage::{Context, ExitStatus};

use crate::target::StoreArgs;
use crate::{output, text};

/// Show, and with --delete remove, objects that no commit names
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Without --delete nothing is removed. An object that a commit names is never touched, and none younger
than the grace period; with --delete the store's clock decides what is. Uploads in parts that were never
completed are shown for S3 when they are a day old; Google needs a lifecycle rule for them (abort
incomplete multipart uploads), Azure drops them after a week.

Example:
  glassctl gc --store s3://bucket/glass
  glassctl gc --store s3://bucket/glass --delete")]
pub struct GcArgs {
    /// The dataset, by id or kind [default: every one]
    #[arg(value_name = "DATASET")]
    pub dataset: Option<String>,
    /// Remove what is shown
    #[arg(long)]
    pub delete: bool,
    /// Leave alone what is younger, e.g. `36h` or `7d`; at least `1h`
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = grace)]
    pub older_than: Duration,
    /// Where to look
    #[command(flatten)]
    pub target: StoreArgs,
}

#[derive(serde::Serialize)]
struct Document {
    deleted: bool,
    objects: Vec<Object>,
    bytes: u64,
}

#[derive(serde::Serialize)]
struct Object {
    key: String,
    bytes: u64,
    kind: &'static str,
    removed: bool,
}

/// Prints a line for each object, then what they come to.
///
/// # Errors
/// The user's (store, dataset, grace period) and the store's.
pub async fn gc(args: GcArgs, context: Context) -> anyhow::Result<ExitStatus> {
    let mut objects = Vec::new();
    let clock = if args.delete { Clock::Store } else { Clock::Here };
    for dataset in args.target.datasets(args.dataset.as_deref()).await? {
        for rubbish in gc::find(&dataset, args.older_than, clock).await? {
            if context.stop.is_set() {
                return Ok(ExitStatus::Interrupted);
            }
            let removed = args.delete && gc::remove(dataset.store(), &rubbish).await? == Removed::Gone;
            objects.push(object(rubbish, removed));
        }
    }
    let bytes = objects.iter().map(|object| object.bytes).sum();
    let document = Document { deleted: args.delete, objects, bytes };
    match args.target.json {
        true => output::json(&document)?,
        false => output::text(&table(&document))?,
    }
    Ok(ExitStatus::Done)
}

fn object(rubbish: Rubbish, removed: bool) -> Object {
    Object { key: rubbish.key, bytes: rubbish.bytes, kind: rubbish.kind.as_str(), removed }
}

fn table(document: &Document) -> String {
    let row = |object: &Object| {
        let what = match (document.deleted, object.removed) {
            (false, _) => "would remove",
            (true, true) => "removed",
            (true, false) => "kept: committed meanwhile",
        };
        [what.to_owned(), object.kind.to_owned(), text::bytes(object.bytes), object.key.clone()]
    };
    let rows: Vec<_> = document.objects.iter().map(row).collect();
    let total = format!("{} objects, {}", rows.len(), text::bytes(document.bytes));
    let advice = match (rows.is_empty(), document.deleted) {
        (true, _) => ": nothing was left behind, or it is younger than --older-than",
        (false, true) => "",
        (false, false) => "; --delete removes them",
    };
    format!("{}{total}{advice}\n", text::table(&rows))
}

/// `90m`, `36h`, `7d`.
fn grace(text: &str) -> Result<Duration, String> {
    let seconds = match text.char_indices().last() {
        Some((_, 'm')) => 60,
        Some((_, 'h')) => 3600,
        Some((_, 'd')) => 86_400,
        _ => return Err("write minutes, hours or days, e.g. `36h`".to_owned()),
    };
    let count: u64 = text[..text.len() - 1].parse().map_err(|_| format!("`{text}` is no time"))?;
    let time = Duration::from_secs(count.saturating_mul(seconds));
    match time >= MIN_GRACE {
        true => Ok(time),
        false => Err("attempts that still run may be an hour behind: at least `1h`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grace_period_has_a_unit_and_is_an_hour_at_least() {
        assert_eq!(grace("36h"), Ok(Duration::from_secs(36 * 3600)));
        assert_eq!(grace("7d"), Ok(Duration::from_secs(7 * 86_400)));
        assert_eq!(grace("60m"), Ok(MIN_GRACE));
        for bad in ["59m", "0d", "24", "h", "", "-1h", "1ü"] {
            assert!(grace(bad).is_err(), "{bad}");
        }
    }
}

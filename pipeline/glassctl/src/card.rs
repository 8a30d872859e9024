//! `glassctl card`: a dataset's card, from its manifest.

use glass_dataset::card as text_of;
use glass_stage::{ExitStatus, Explain};

use crate::output;
use crate::target::StoreArgs;

/// Print a dataset's card, or write it anew as README.md beside the manifest
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
A card is written when a dataset is complete. It says what the manifest says: counts, columns, what the
dataset was made of, licences, and how to load it; its head is what the Hugging Face hub reads.

Example:
  glassctl card masks --store demo-out
  glassctl card --store s3://bucket/glass --write")]
pub struct CardArgs {
    /// The dataset, by id or kind [default: every one that is complete]
    #[arg(value_name = "DATASET")]
    pub dataset: Option<String>,
    /// Write it to the store
    #[arg(long)]
    pub write: bool,
    /// Where to look
    #[command(flatten)]
    pub target: StoreArgs,
}

#[derive(serde::Serialize)]
struct Document {
    dataset: String,
    written: bool,
    card: String,
}

/// Prints or writes the cards.
///
/// # Errors
/// The user's (store, dataset, one that is not complete) and the store's.
pub async fn card(args: CardArgs) -> anyhow::Result<ExitStatus> {
    let mut documents = Vec::new();
    for dataset in args.target.datasets(args.dataset.as_deref()).await? {
        let id = dataset.id().to_string();
        let Some(manifest) = dataset.manifest().await? else {
            if args.dataset.is_none() {
                continue;
            }
            return Err(anyhow::anyhow!("`{id}` has no manifest yet"))
                .blame_user()
                .hint("run its stage to the end; `glassctl status` tells how far it is");
        };
        let card = text_of(&manifest);
        if args.write {
            let key = format!("{}/README.md", dataset.id().path());
            dataset.store().put(&key, card.clone().into()).await?;
        }
        documents.push(Document { dataset: id, written: args.write, card });
    }
    match (args.target.json, args.write) {
        (true, _) => output::json(&documents)?,
        (false, true) => {
            let lines = documents.iter().map(|it| format!("{}  README.md written\n", it.dataset));
            output::text(&lines.collect::<String>())?;
        }
        (false, false) => {
            let cards: Vec<&str> = documents.iter().map(|it| it.card.as_str()).collect();
            output::text(&cards.join("\n"))?;
        }
    }
    Ok(ExitStatus::Done)
}

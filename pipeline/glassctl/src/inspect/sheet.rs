//! The first samples of a dataset.

use glass_dataset::Dataset;
use glass_schemas::dataset::{GenerationRow, MaskRow};
use glass_schemas::ids::{DatasetKind, SampleId, ShardIndex};
use glass_stage::Explain;
use image::RgbImage;

use super::InspectArgs;
use super::panels::{grid, masked, picture};
use crate::joined::{Pairs, Rows, drawings_of};
use crate::output;

/// Samples in a row of the sheet.
const ACROSS: usize = 4;

/// A line about a sample.
#[derive(serde::Serialize)]
struct Line {
    sample_id: SampleId,
    shard: ShardIndex,
    prompt: String,
    classes: Vec<String>,
    /// Of the mask, where there is one.
    agreement: Option<f32>,
}

/// What is listed and drawn so far.
struct Sheet<'a> {
    args: &'a InspectArgs,
    lines: Vec<Line>,
    tiles: Vec<RgbImage>,
}

/// Lists the first samples and draws them if a picture is asked for.
pub(super) async fn inspect(args: &InspectArgs) -> anyhow::Result<Option<RgbImage>> {
    let dataset = args.target.dataset(&args.dataset).await?;
    let mut sheet = Sheet { args, lines: Vec::new(), tiles: Vec::new() };
    match dataset.id().kind() {
        DatasetKind::Masks => sheet.masks(&dataset).await?,
        DatasetKind::Generations => sheet.generations(&dataset).await?,
        kind => {
            return Err(anyhow::anyhow!("a {kind} dataset has no pictures to show"))
                .blame_user()
                .hint("give a masks or generations dataset");
        }
    }
    match args.target.json {
        true => output::json(&sheet.lines)?,
        false => sheet.lines.iter().map(text).try_for_each(|line| output::text(&line))?,
    }
    Ok((!sheet.tiles.is_empty()).then(|| grid(&sheet.tiles, ACROSS)))
}

impl Sheet<'_> {
    async fn masks(&mut self, masks: &Dataset) -> anyhow::Result<()> {
        let drawings = drawings_of(masks).await?;
        for shard in masks.committed().await? {
            if self.is_full() {
                break;
            }
            let mut pairs = Pairs::open(masks, &drawings, shard).await?;
            while !self.is_full() {
                let Some(pair) = pairs.next().await? else { break };
                self.add(shard, &pair.drawing, Some(&pair.mask))?;
            }
        }
        Ok(())
    }

    async fn generations(&mut self, generations: &Dataset) -> anyhow::Result<()> {
        for shard in generations.committed().await? {
            if self.is_full() {
                break;
            }
            let mut rows = Rows::<GenerationRow>::open(generations, shard).await?;
            while !self.is_full() {
                let Some(row) = rows.next().await? else { break };
                self.add(shard, &row, None)?;
            }
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.lines.len() >= self.args.count
    }

    fn add(&mut self, shard: ShardIndex, row: &GenerationRow, mask: Option<&MaskRow>) -> anyhow::Result<()> {
        if self.args.picture.is_some() {
            let picture = picture(&row.image)?;
            self.tiles.push(match mask {
                Some(mask) => grid(&[picture.clone(), masked(&picture, mask)?], 2),
                None => picture,
            });
        }
        self.lines.push(Line {
            sample_id: row.sample_id,
            shard,
            prompt: row.prompt.clone(),
            classes: row.classes.iter().map(|class| class.name.clone()).collect(),
            agreement: mask.map(|mask| mask.agreement),
        });
        Ok(())
    }
}

fn text(line: &Line) -> String {
    let agreement = line.agreement.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
    let columns =
        [&line.sample_id.to_string(), &line.shard.to_string(), &agreement, &line.prompt.replace(['\n', '\t'], " ")];
    format!("{}\n", columns.map(String::as_str).join("\t"))
}

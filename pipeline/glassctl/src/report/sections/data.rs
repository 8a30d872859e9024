//! Scenes with captions; generated images with maps and masks.

use anyhow::Context;
use glass_dataset::{Columns, Dataset, Store, StoreOptions};
use glass_schemas::dataset::{AttentionRow, CaptionRow, ClassQuality, GenerationRow, MapKind, MaskRow, Part, Row};
use glass_schemas::ids::{DatasetKind, ShardIndex};

use crate::report::Inputs;
use crate::report::html::{Figure, Page};
use crate::report::pictures::{heat, mask};

/// Scenes shown.
const SCENES: usize = 12;
/// Generated images shown.
const IMAGES: usize = 12;

/// Real images and what the captioner says of them.
pub(in crate::report) async fn scenes(page: &mut Page, inputs: &Inputs<'_>, store: &Store) -> anyhow::Result<()> {
    let captions = find(inputs, store, DatasetKind::Captions).await?;
    let rows: Vec<CaptionRow> = first(&captions, SCENES).await?;
    let source = inputs.root.join(&inputs.spec.source.uri);
    let source = Store::open(&source.to_string_lossy(), &StoreOptions::default())?;
    let mut figures = Vec::new();
    for row in rows {
        let classes: Vec<&str> = row.classes.iter().map(|class| class.name.as_str()).collect();
        figures.push(Figure {
            picture: source.get(&row.source_uri).await?.to_vec(),
            caption: format!("{} → {}", row.caption, classes.join(", ")),
        });
    }
    page.section(
        "Real images, captions, classes",
        &format!(
            "The captioner (BLIP-2) describes each real image; the nouns of its caption become \
             classes. It misses and invents objects; what follows shows how that is caught. \
             Dataset {}.",
            captions.id()
        ),
    );
    page.row("", &figures);
    Ok(())
}

/// Generated images with their class maps, pseudo-masks and reliability.
pub(in crate::report) async fn generations(page: &mut Page, inputs: &Inputs<'_>, store: &Store) -> anyhow::Result<()> {
    let generations = find(inputs, store, DatasetKind::Generations).await?;
    let attention = find(inputs, store, DatasetKind::Attention).await?;
    let masks = find(inputs, store, DatasetKind::Masks).await?;
    page.section(
        "Generated images, attention, pseudo-masks",
        &format!(
            "Stable Diffusion draws “caption; classes”. The cross-attention of each class prompt, \
             spread by self-attention, becomes a pseudo-mask: colours are classes, grey is \
             undecided (never a target), dark is the ground. Agreement compares the masks of even \
             and odd sampling steps: low where a class was asked for but not drawn. Datasets {}, {}, {}.",
            generations.id(),
            attention.id(),
            masks.id()
        ),
    );
    let images: Vec<GenerationRow> = first(&generations, IMAGES).await?;
    let maps: Vec<AttentionRow> = first(&attention, IMAGES).await?;
    let labels: Vec<MaskRow> = first(&masks, IMAGES).await?;
    for image in &images {
        let map = maps.iter().find(|row| row.sample_id == image.sample_id);
        let label = labels.iter().find(|row| row.sample_id == image.sample_id);
        let figures = views(image, map, label, inputs.spec.masks.cross_resolutions[0])?;
        page.row(&image.prompt, &figures);
    }
    Ok(())
}

fn views(
    image: &GenerationRow,
    maps: Option<&AttentionRow>,
    label: Option<&MaskRow>,
    resolution: u32,
) -> anyhow::Result<Vec<Figure>> {
    let mut figures = vec![Figure { picture: image.image.bytes.clone(), caption: "generated".to_owned() }];
    let cross = maps.and_then(|maps| maps.map(MapKind::Cross, resolution, Part::All));
    let size = (resolution * resolution) as usize;
    let class_maps = cross.as_deref().unwrap_or_default().chunks_exact(size);
    for (class, map) in image.classes.iter().zip(class_maps) {
        figures.push(Figure {
            picture: heat(map, resolution)?,
            caption: format!("attention to “{}”, {resolution}²", class.name),
        });
    }
    if let Some(label) = label {
        let picture = image::load_from_memory(&image.image.bytes).context("cannot read a generated image")?.to_rgb8();
        let labels = image::load_from_memory(&label.mask.bytes).context("cannot read a pseudo-mask")?.to_luma8();
        let order: Vec<u32> = label.classes.iter().map(|class| class.id).collect();
        let quality = label.classes.iter().zip(&label.quality);
        let quality: Vec<String> = quality.map(|(class, q)| trust(&class.name, q)).collect();
        figures.push(Figure {
            picture: mask(&picture, &labels, &order)?,
            caption: format!("pseudo-mask · {}", quality.join("; ")),
        });
    }
    Ok(figures)
}

fn trust(name: &str, quality: &ClassQuality) -> String {
    let dropped = if quality.dropped { ", dropped" } else { "" };
    format!("{name}: agreement {:.2}, area {:.0} %{dropped}", quality.agreement, quality.area * 100.0)
}

async fn find(inputs: &Inputs<'_>, store: &Store, kind: DatasetKind) -> anyhow::Result<Dataset> {
    Ok(Dataset::find(store, kind, inputs.spec).await?)
}

/// The first rows of a dataset.
async fn first<R: Row>(dataset: &Dataset, count: usize) -> anyhow::Result<Vec<R>> {
    let mut rows = Vec::new();
    for shard in 0..dataset.identity().shards {
        for batch in dataset.read_shard(ShardIndex(shard), Columns::All).await? {
            rows.extend(R::decode(&batch)?);
        }
        if rows.len() >= count {
            break;
        }
    }
    rows.truncate(count);
    Ok(rows)
}

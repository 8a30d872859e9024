//! A store with small datasets whose bytes are always the same.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use glass_dataset::{Dataset, Store, StoreOptions};
use glass_schemas::dataset::{CaptionRow, ClassLabel, EncodedImage, GenerationRow, MaskRow, QuarantineRow, Row};
use glass_schemas::ids::{DatasetId, DatasetKind, Digest, SampleId, ShardIndex};
use glass_schemas::manifest::{Identity, IdentityParts};

use super::Outcome;

/// Images of a shard; the last one of each is quarantined by the captioner.
pub const ROWS: u32 = 4;
pub const SHARDS: u32 = 3;
const SIDE: u32 = 8;

/// A store in a folder, and the datasets in it.
pub struct Shelf {
    folder: tempfile::TempDir,
    pub captions: Dataset,
    pub generations: Dataset,
    pub masks: Dataset,
}

impl Shelf {
    /// Captions and generations complete, masks without their last shard. Shards were committed a
    /// minute apart.
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let captions = dataset(&store, DatasetKind::Captions, "captioner", source_spec(), None).await;
        let drawn = serde_json::json!({ "replicates": 1 });
        let generations = dataset(&store, DatasetKind::Generations, "sd-generator", drawn, Some(&captions)).await;
        let masks = dataset(
            &store,
            DatasetKind::Masks,
            "attention-mask-extractor",
            serde_json::json!({ "low": 0.4 }),
            Some(&generations),
        )
        .await;
        for shard in (0..SHARDS).map(ShardIndex) {
            let (rows, failed) = captioned(shard, "a red bus");
            write(&captions, shard, &rows, &failed).await;
            let drawings: Vec<GenerationRow> = rows.iter().map(drawn_from).collect();
            write(&generations, shard, &drawings, &[]).await;
            if shard.0 + 1 < SHARDS {
                let masks_of: Vec<MaskRow> = drawings.iter().map(|row| mask_of(row, 3)).collect();
                write(&masks, shard, &masks_of, &[]).await;
            }
        }
        captions.finish().await.unwrap().unwrap();
        generations.finish().await.unwrap().unwrap();
        let shelf = Self { folder, captions, generations, masks };
        shelf.age();
        shelf
    }

    /// Commits a minute apart, on a day long ago; everything else at that day's start.
    pub fn age(&self) {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        for file in files(self.folder.path()) {
            let name = file.file_stem().unwrap().to_string_lossy().into_owned();
            let committed = file.parent().unwrap().ends_with("commits");
            let minutes = if committed { name.parse().unwrap_or(0) } else { 0 };
            let time = start + Duration::from_secs(60 * minutes);
            std::fs::File::open(&file).unwrap().set_modified(time).unwrap();
        }
    }

    pub fn path(&self, dataset: &Dataset, relative: &str) -> PathBuf {
        self.folder.path().join(dataset.id().path()).join(relative)
    }

    /// The data object of a committed shard.
    pub async fn data(&self, dataset: &Dataset, shard: u32) -> PathBuf {
        let commit = dataset.commit(ShardIndex(shard)).await.unwrap();
        self.path(dataset, &commit.data_key)
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// `glassctl …` on this store.
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        let mut command = Command::new(env!("CARGO_BIN_EXE_glassctl"));
        Outcome::of(command.args(arguments).arg("--store").arg(self.folder.path()).env_remove("RUST_LOG"))
    }
}

/// A second captions dataset in the store: its prompts differ for one image of each shard.
pub async fn other_captions(shelf: &Shelf) -> Dataset {
    let store = open(shelf.root());
    let mut spec = source_spec();
    spec["captioner"] = serde_json::json!({ "beams": 2 });
    let captions = dataset(&store, DatasetKind::Captions, "captioner", spec, None).await;
    for shard in (0..SHARDS).map(ShardIndex) {
        let (mut rows, failed) = captioned(shard, "a red bus");
        rows[1].caption = "a tall giraffe".to_owned();
        write(&captions, shard, &rows, &failed).await;
    }
    captions
}

/// A second masks dataset in the store, whose class covers more of each picture.
pub async fn other_masks(shelf: &Shelf) -> Dataset {
    let store = open(shelf.root());
    let spec = serde_json::json!({ "low": 0.3 });
    let masks = dataset(&store, DatasetKind::Masks, "attention-mask-extractor", spec, Some(&shelf.generations)).await;
    for shard in (0..SHARDS - 1).map(ShardIndex) {
        let (rows, _) = captioned(shard, "a red bus");
        let drawings = rows.iter().map(drawn_from);
        let rows: Vec<MaskRow> = drawings.map(|row| mask_of(&row, 4)).collect();
        write(&masks, shard, &rows, &[]).await;
    }
    masks
}

pub fn open(folder: &Path) -> Store {
    Store::open(folder.to_str().unwrap(), &StoreOptions::default()).unwrap()
}

fn source_spec() -> serde_json::Value {
    serde_json::json!({ "source": { "rows_per_shard": ROWS, "kind": "files" } })
}

async fn dataset(
    store: &Store,
    kind: DatasetKind,
    stage: &'static str,
    spec: serde_json::Value,
    upstream: Option<&Dataset>,
) -> Dataset {
    planned(store, Part { kind, stage, run_seed: 7, spec, shards: SHARDS }, upstream).await
}

/// What a dataset is, but for what it was made from.
pub struct Part {
    pub kind: DatasetKind,
    pub stage: &'static str,
    pub run_seed: u64,
    pub spec: serde_json::Value,
    pub shards: u32,
}

/// An empty dataset.
pub async fn planned(store: &Store, part: Part, upstream: Option<&Dataset>) -> Dataset {
    let upstream: Vec<DatasetId> = upstream.map(|dataset| dataset.id().clone()).into_iter().collect();
    let identity = Identity::new(IdentityParts {
        kind: part.kind,
        stage: part.stage.to_owned(),
        run_seed: part.run_seed,
        spec: part.spec,
        upstream,
        weights: BTreeMap::new(),
        shards: part.shards,
    });
    Dataset::create(store, &identity).await.unwrap()
}

pub async fn write<R: Row>(dataset: &Dataset, shard: ShardIndex, rows: &[R], failed: &[QuarantineRow]) {
    let batches = vec![R::encode(rows).unwrap()];
    dataset.write_shard(shard, R::schema(), batches, failed).await.unwrap();
}

/// Adds a round of retries to a committed shard: these rows, and what is left in quarantine.
pub async fn add_round<R: Row>(dataset: &Dataset, shard: u32, rows: &[R], left: &[QuarantineRow]) {
    let shard = ShardIndex(shard);
    let round = dataset.parts(shard).await.unwrap().len();
    let mut writer = dataset.shard_writer(shard, R::schema()).unwrap();
    writer.write(R::encode(rows).unwrap()).await.unwrap();
    let written = writer.finish(left).await.unwrap();
    written.commit_retry(u32::try_from(round).unwrap()).await.unwrap();
}

/// The caption and the drawing of a shard's last image, which the captioner had put aside.
pub fn mended(shard: u32) -> (CaptionRow, GenerationRow) {
    let caption = caption_row(ShardIndex(shard), ROWS - 1, "a red bus");
    let drawing = drawn_from(&caption);
    (caption, drawing)
}

fn class() -> ClassLabel {
    ClassLabel { id: 6, name: "bus".to_owned() }
}

pub fn captioned(shard: ShardIndex, caption: &str) -> (Vec<CaptionRow>, Vec<QuarantineRow>) {
    let failed = QuarantineRow {
        stage: "captioner".to_owned(),
        shard: shard.0,
        item: format!("{:03}.jpg", shard.0 * ROWS + ROWS - 1),
        sample_id: None,
        error_class: if shard.0 == 0 { "unsupported" } else { "unreadable" }.to_owned(),
        attempt: 1,
        message: "the file ends too early".to_owned(),
        inputs: String::new(),
    };
    let row = |number| caption_row(shard, number, caption);
    ((0..ROWS - 1).map(row).collect(), vec![failed])
}

fn caption_row(shard: ShardIndex, number: u32, caption: &str) -> CaptionRow {
    let digest = Digest::of(&(shard.0 * ROWS + number).to_le_bytes());
    CaptionRow {
        sample_id: SampleId::of_source(&digest),
        source_uri: format!("{:03}.jpg", shard.0 * ROWS + number),
        source_digest: digest,
        width: SIDE,
        height: SIDE,
        caption: caption.to_owned(),
        classes: vec![class()],
        class_source: "caption".to_owned(),
        flags: Vec::new(),
        prompt: format!("{caption}; bus"),
    }
}

pub fn drawn_from(caption: &CaptionRow) -> GenerationRow {
    GenerationRow {
        sample_id: SampleId::generated(&caption.source_digest, &caption.prompt, 0),
        source_id: caption.sample_id,
        source_uri: caption.source_uri.clone(),
        replicate: 0,
        seed: 7,
        caption: caption.caption.clone(),
        classes: caption.classes.clone(),
        prompt: caption.prompt.clone(),
        image: EncodedImage {
            bytes: png(&image::DynamicImage::ImageRgb8(image::RgbImage::from_pixel(
                SIDE,
                SIDE,
                image::Rgb([200, 40, 40]),
            ))),
            path: "x.png".to_owned(),
        },
        width: SIDE,
        height: SIDE,
        latent: vec![0.0; 4],
        latent_shape: vec![4, 1, 1],
    }
}

/// A mask whose first `columns` columns are the class.
pub fn mask_of(drawing: &GenerationRow, columns: u32) -> MaskRow {
    let labels = image::GrayImage::from_fn(SIDE, SIDE, |x, _| image::Luma([if x < columns { 6 } else { 0 }]));
    MaskRow {
        sample_id: drawing.sample_id,
        classes: vec![class()],
        mask: EncodedImage { bytes: png(&image::DynamicImage::ImageLuma8(labels)), path: "x.png".to_owned() },
        width: SIDE,
        height: SIDE,
        extractor: "test".to_owned(),
        quality: Vec::new(),
        agreement: 1.0,
    }
}

fn png(picture: &image::DynamicImage) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

pub fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

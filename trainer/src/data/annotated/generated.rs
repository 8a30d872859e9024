//! Datasets of ours: generated images with their pseudo-masks as truth.
//!
//! Shards are read whole, the last two are kept: memory grows with `rows_per_shard`, not with the dataset.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::AsArray;
use arrow::datatypes::UInt32Type;
use bytes::Bytes;
use glass_dataset::{Columns, Dataset, Store};
use glass_schemas::dataset::UNCERTAIN;
use glass_schemas::ids::{DatasetId, DatasetKind, ShardIndex};
use glass_schemas::spec::ImagesSpec;
use tokio::runtime::Handle;

use super::error::{DataError, Faults, Result};
use super::files::Access;
use super::folders::some;
use super::label_png::label_map;
use super::maps::{MapSource, Maps, fault};
use super::open::{Opened, number};
use super::picture::Picture;
use super::tables::binary;
use super::{Annotations, Labels, PictureSource};

/// Images and masks of one sample as they are stored.
type Sample = (Option<Bytes>, Option<Bytes>);
/// Samples of a shard by their id.
type Samples = HashMap<String, Sample>;

/// Masks with the generations they were made from.
struct Pair {
    generations: Dataset,
    masks: Dataset,
    runtime: Handle,
    /// Shards that were read last.
    shards: Mutex<Vec<(u32, Arc<Samples>)>>,
}

/// Opens the masks dataset that `annotations` names, or the only one of the store.
pub(super) fn open(spec: &ImagesSpec, access: &Access, faults: &mut Faults) -> Result<Opened> {
    let Some(runtime) = access.runtime.clone() else {
        return Err(refuse(&spec.uri, "is a store, which cannot be read from here", "open it within a runtime"));
    };
    let store = Store::open(&spec.uri, &access.options)?;
    let masks = match spec.annotations.as_str() {
        "" => runtime.block_on(only(&store))?,
        id => id.parse().map_err(|_| {
            refuse(&spec.uri, &format!("has no dataset `{id}`"), "ids are like `masks-0123456789abcdef`")
        })?,
    };
    let masks = runtime.block_on(Dataset::open(&store, &masks))?;
    let attention = masks.identity().upstream.iter().find(|id| id.kind() == DatasetKind::Attention);
    let attention = attention
        .ok_or_else(|| refuse(&spec.uri, &format!("`{}` holds no masks", masks.id()), "name a masks dataset"))?;
    let generations = attention.sibling(DatasetKind::Generations);
    let generations = runtime.block_on(Dataset::open(&store, &generations))?;
    let listing = vec![format!("{}\t{}\n", generations.id(), masks.id())];
    let pair = Arc::new(Pair { generations, masks, runtime, shards: Mutex::default() });
    let limit = spec.limit.map_or(usize::MAX, |limit| limit as usize);
    let mut pictures = Vec::new();
    for shard in 0..pair.masks.identity().shards {
        if pictures.len() >= limit {
            break;
        }
        let found = faults.take(pair.runtime.block_on(pair.list(shard)))?;
        pictures.extend(found.unwrap_or_default());
    }
    pictures.truncate(limit);
    number(&mut pictures);
    let name = PathBuf::from(format!("{}/{}", store.uri(), pair.masks.id()));
    some(&pictures, &name, "masks are made by attention-mask-extractor", faults)?;
    let void = Some(u16::from(UNCERTAIN));
    let annotations = Annotations {
        name,
        pictures,
        classes: Vec::new(),
        labels: Labels::Maps { source: Box::new(Shared(pair.clone())), void },
    };
    Ok(Opened { annotations, source: Box::new(Shared(pair)), listing })
}

/// The masks dataset of a store that has one.
async fn only(store: &Store) -> Result<DatasetId> {
    let ids = Dataset::list(store, DatasetKind::Masks).await?;
    match ids.as_slice() {
        [id] => Ok(id.clone()),
        [] => Err(refuse(store.uri(), "holds no masks dataset", "make one with attention-mask-extractor")),
        ids => {
            let names: Vec<String> = ids.iter().map(ToString::to_string).collect();
            Err(refuse(
                store.uri(),
                "holds several masks datasets",
                &format!("`annotations` is one of {}", names.join(", ")),
            ))
        }
    }
}

fn refuse(uri: &str, problem: &str, hint: &str) -> DataError {
    DataError::Format { uri: uri.to_owned(), problem: problem.to_owned(), hint: hint.to_owned() }
}

impl Pair {
    /// The pictures of a shard of masks.
    async fn list(&self, shard: u32) -> Result<Vec<Picture>> {
        let columns = Columns::Only(&["sample_id", "width", "height"]);
        let mut pictures = Vec::new();
        for batch in self.masks.read_shard(ShardIndex(shard), columns).await? {
            let column = |name: &str| batch.column_by_name(name).ok_or_else(|| self.without(name));
            let (names, widths, heights) = (column("sample_id")?, column("width")?, column("height")?);
            for row in 0..batch.num_rows() {
                let side = |column: &arrow::array::ArrayRef| {
                    column.as_primitive_opt::<UInt32Type>().map_or(0, |column| column.value(row) as usize)
                };
                let name = names.as_string_opt::<i32>().ok_or_else(|| self.without("sample_id"))?.value(row).to_owned();
                let (width, height) = (side(widths), side(heights));
                pictures.push(Picture { name, width, height, ..Picture::of_row(shard as usize) });
            }
        }
        Ok(pictures)
    }

    fn without(&self, column: &str) -> DataError {
        refuse(&self.masks.id().to_string(), &format!("has no column `{column}`"), "it was made by another version")
    }

    /// The samples of a shard, both sides.
    fn shard(&self, shard: u32) -> Result<Arc<Samples>> {
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, samples)) = shards.iter().find(|(read, _)| *read == shard) {
            return Ok(samples.clone());
        }
        let samples = Arc::new(self.runtime.block_on(self.read(ShardIndex(shard)))?);
        shards.truncate(1);
        shards.insert(0, (shard, samples.clone()));
        Ok(samples)
    }

    async fn read(&self, shard: ShardIndex) -> Result<Samples> {
        let mut samples = Samples::new();
        for (dataset, column) in [(&self.masks, "mask"), (&self.generations, "image")] {
            for batch in dataset.read_shard(shard, Columns::Only(&["sample_id", column])).await? {
                let cells = binary(&batch, column)
                    .map_err(|problem| fault(dataset.id().to_string().into(), column.to_owned(), problem))?;
                let names = batch.column_by_name("sample_id").and_then(|names| names.as_string_opt::<i32>());
                let names = names.ok_or_else(|| self.without("sample_id"))?;
                for row in 0..batch.num_rows() {
                    let bytes = Some(Bytes::copy_from_slice(cells.as_binary::<i64>().value(row)));
                    let sample = samples.entry(names.value(row).to_owned()).or_default();
                    if column == "mask" { sample.1 = bytes } else { sample.0 = bytes }
                }
            }
        }
        Ok(samples)
    }

    fn name(&self, picture: &Picture) -> PathBuf {
        Path::new(&self.masks.id().to_string()).join(&picture.name)
    }

    fn sample(&self, picture: &Picture) -> Result<Sample> {
        let shard = self.shard(picture.stored_row() as u32)?;
        Ok(shard.get(&picture.name).cloned().unwrap_or_default())
    }
}

/// One pair serves pictures and maps.
struct Shared(Arc<Pair>);

impl PictureSource for Shared {
    fn bytes(&self, picture: &Picture) -> Result<Bytes> {
        let missing =
            || fault(self.0.name(picture), "the image".into(), "of this mask is not in its generations".into());
        self.0.sample(picture)?.0.ok_or_else(missing)
    }

    fn name(&self, picture: &Picture) -> PathBuf {
        self.0.name(picture)
    }
}

impl MapSource for Shared {
    fn maps(&self, picture: &Picture) -> Result<Maps> {
        let refuse = |problem: String| fault(self.0.name(picture), "the mask".into(), problem);
        let bytes = self.0.sample(picture)?.1.ok_or_else(|| refuse("is not there".into()))?;
        Ok(Maps::of_classes(label_map(&bytes).map_err(refuse)?))
    }
}

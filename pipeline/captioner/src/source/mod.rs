//! The real images: a sorted listing, and what is read of it shard by shard.

mod files;
mod listing;
mod parquet;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use glass_dataset::{Store, StoreOptions};
use glass_nets::image::{ImageProcessor, decode};
use glass_schemas::ids::{Digest, SampleId, ShardIndex};
use glass_schemas::plan::Plan;
use glass_schemas::spec::{SourceKind, SourceSpec};
use glass_stage::{ErrorClass, Explain, Failure, ItemStream, Loaded, Source, StageError, all_at_once};

pub use listing::Listing;

use crate::worker::Picture;

/// An image as it lies in the source: its name and its file contents.
struct Raw {
    uri: String,
    bytes: Bytes,
}

/// Reads raw images by their position in the listing.
trait Reader: Send + Sync {
    /// The images of a range, in order. A single unreadable one is a [`Failure`].
    fn read(&self, shard: ShardIndex, range: Range<u64>) -> BoxFuture<'_, Result<Vec<Loaded<Raw>>, StageError>>;
}

/// The images of a source, decoded and resized for the captioner while it computes.
pub struct Images {
    reader: Box<dyn Reader>,
    plan: Plan,
    processor: Arc<ImageProcessor>,
}

impl Images {
    /// Lists a source. Returns the images and what the listing says of them.
    ///
    /// # Errors
    /// The user's: a source that cannot be read, or one without images.
    pub async fn list(
        spec: &SourceSpec,
        options: &StoreOptions,
        processor: ImageProcessor,
    ) -> anyhow::Result<(Self, Listing)> {
        let (root, pattern) = listing::split(&spec.uri);
        let store = Store::open(&root, options)?;
        let (reader, listing): (Box<dyn Reader>, Listing) = match spec.kind {
            SourceKind::Files => {
                let endings = ["jpg", "jpeg", "png", "webp"];
                let listing = listing::list(&store, &pattern, &endings, spec.limit).await?;
                (Box::new(files::Files::new(store, &listing)), listing)
            }
            SourceKind::Parquet => {
                let listing = listing::list(&store, &pattern, &["parquet"], 0).await?;
                let tables = parquet::Tables::open(store, &listing, spec).await?;
                let listing = listing.with_images(tables.rows(), tables.sums());
                (Box::new(tables), listing)
            }
        };
        if listing.items() == 0 {
            return Err(anyhow::anyhow!("there is no image in the source `{}`", spec.uri))
                .blame_user()
                .hint("`source.uri` takes a folder, a glob or a prefix with JPEG, PNG or WebP files, or Parquet with `source.kind = \"parquet\"`");
        }
        let plan = Plan::new(listing.items(), spec.rows_per_shard);
        let processor = Arc::new(processor);
        Ok((Self { reader, plan, processor }, listing))
    }

    /// How the listing is cut into shards.
    pub fn plan(&self) -> Plan {
        self.plan
    }

    async fn pictures(&self, shard: ShardIndex, range: Range<u64>) -> Result<Vec<Loaded<Picture>>, StageError> {
        let raw = self.reader.read(shard, range).await?;
        let processor = self.processor.clone();
        // Decoding is work for a processor, not for the runtime's few threads.
        tokio::task::spawn_blocking(move || {
            raw.into_iter().map(|raw| raw.and_then(|raw| prepare(raw, &processor))).collect()
        })
        .await
        .map_err(|e| StageError::Panicked(e.to_string()))
    }
}

/// Images read and decoded at once; more would only wait in memory.
const CHUNK: u64 = 32;

impl Source for Images {
    type Item = Picture;

    fn load(&self, shard: ShardIndex) -> ItemStream<'_, Picture> {
        self.load_from(shard, 0)
    }

    fn load_from(&self, shard: ShardIndex, first: u64) -> ItemStream<'_, Picture> {
        use futures::StreamExt;
        let range = self.plan.range(shard);
        let range = (range.start + first).min(range.end)..range.end;
        let starts = range.clone().step_by(CHUNK as usize);
        let chunks = starts.map(move |start| start..(start + CHUNK).min(range.end));
        futures::stream::iter(chunks).flat_map(move |chunk| all_at_once(Box::pin(self.pictures(shard, chunk)))).boxed()
    }

    fn name(&self, picture: &Picture) -> (String, SampleId) {
        (picture.uri.clone(), picture.sample_id)
    }
}

fn prepare(raw: Raw, processor: &ImageProcessor) -> Loaded<Picture> {
    let digest = Digest::of(&raw.bytes);
    let sample_id = SampleId::of_source(&digest);
    let fail =
        |class, error: glass_nets::NetsError| Failure::new(&raw.uri, class, chain(&error)).with_sample(sample_id);
    let picture = decode(&raw.bytes).map_err(|e| fail(ErrorClass::Unreadable, e))?;
    let pixels = processor.fit(&picture).map_err(|e| fail(ErrorClass::Unsupported, e))?;
    Ok(Picture { sample_id, uri: raw.uri, digest, width: picture.width(), height: picture.height(), pixels })
}

/// An error with its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

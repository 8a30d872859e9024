//! Reads and decodes every image of a dataset, for ci/bench/readers.py.
//!
//! ```text
//! read_images STORE DATASET COLUMN THREADS PASSES       read_images demo-out generations-0123456789abcdef image 1 3
//! ```
//!
//! Shards are streamed by [`Dataset::stream_shard`], which fetches the ranges of that column alone; so many
//! threads decode. Prints a line `images bytes seconds` for each pass over the dataset: encoded bytes, and
//! the time from the first request to the last image.

use std::time::Instant;

use arrow::array::{Array, BinaryArray, RecordBatch, StructArray};
use futures::stream::{self, StreamExt, TryStreamExt};
use glass_dataset::{Columns, Dataset, Store, StoreOptions};

type Error = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [store, dataset, column, threads, passes] = arguments.as_slice() else {
        return Err("usage: read_images STORE DATASET COLUMN THREADS PASSES".into());
    };
    let (threads, passes): (usize, usize) = (threads.parse()?, passes.parse()?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    runtime.block_on(async {
        let store = Store::open(store, &StoreOptions::default())?;
        let dataset = Dataset::open(&store, &dataset.parse()?).await?;
        for _ in 0..passes {
            let started = Instant::now();
            let (images, bytes) = pass(&dataset, column, threads).await?;
            println!("{images} {bytes} {:.4}", started.elapsed().as_secs_f64());
        }
        Ok(())
    })
}

/// Images and encoded bytes of the dataset, each decoded once.
async fn pass(dataset: &Dataset, column: &str, threads: usize) -> Result<(usize, usize), Error> {
    let shards = dataset.committed().await?;
    // The next shard's footer and first rows are fetched while one is decoded.
    let batches = stream::iter(shards)
        .map(|shard| {
            let dataset = dataset.clone();
            async move { dataset.stream_shard(shard, Columns::Only(&[column])).await }
        })
        .buffered(2)
        .try_flatten()
        .map_err(Error::from);
    let slices = batches.map_ok(|batch| stream::iter(slices(&batch)).map(Ok::<_, Error>)).try_flatten();
    slices
        .map(|slice| async {
            let slice = slice?;
            tokio::task::spawn_blocking(move || decode(&slice)).await?
        })
        .buffered(threads)
        .try_fold((0, 0), |(images, bytes), (more, length)| std::future::ready(Ok((images + more, bytes + length))))
        .await
}

/// A batch in pieces of some images, so that several threads have something to do.
fn slices(batch: &RecordBatch) -> Vec<RecordBatch> {
    const ROWS: usize = 16;
    (0..batch.num_rows()).step_by(ROWS).map(|row| batch.slice(row, ROWS.min(batch.num_rows() - row))).collect()
}

fn decode(batch: &RecordBatch) -> Result<(usize, usize), Error> {
    let column = batch.column(0).as_any().downcast_ref::<StructArray>();
    let files = column.and_then(|column| column.column_by_name("bytes"));
    let files = files.and_then(|files| files.as_any().downcast_ref::<BinaryArray>());
    let files = files.ok_or("the column holds no images")?;
    let mut bytes = 0;
    for file in files.iter().flatten() {
        bytes += file.len();
        std::hint::black_box(image::load_from_memory(file)?.to_rgb8());
    }
    Ok((files.len(), bytes))
}

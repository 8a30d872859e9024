//! Caption rows, once per replicate.

use futures::future::BoxFuture;
use futures::stream::{self, StreamExt, TryStreamExt};
use glass_dataset::{Columns, Dataset};
use glass_schemas::dataset::{CaptionRow, Row};
use glass_schemas::ids::{SampleId, ShardIndex};
use glass_stage::{ItemStream, Source, StageError};

use crate::draw::Request;

/// The prompts of the captions dataset.
pub(crate) struct Prompts {
    pub(crate) captions: Dataset,
    pub(crate) replicates: u32,
}

impl Prompts {
    fn requests(&self, row: CaptionRow) -> impl Iterator<Item = Request> + use<> {
        (0..self.replicates).map(move |replicate| Request {
            sample_id: SampleId::generated(&row.source_digest, &row.prompt, replicate),
            replicate,
            caption: row.clone(),
        })
    }
}

impl Source for Prompts {
    type Item = Request;

    fn load(&self, shard: ShardIndex) -> ItemStream<'_, Request> {
        stream::once(self.captions.stream_shard(shard, Columns::All))
            .try_flatten()
            .map_err(StageError::from)
            .and_then(|batch| async move { Ok(CaptionRow::decode(&batch)?) })
            .map_ok(|rows| {
                let requests = rows.into_iter().flat_map(|row| self.requests(row));
                stream::iter(requests.map(|request| Ok(Ok(request))))
            })
            .try_flatten()
            .boxed()
    }

    fn name(&self, request: &Request) -> (String, SampleId) {
        (request.name(), request.sample_id)
    }

    fn inputs(&self, shard: ShardIndex) -> BoxFuture<'_, Result<Option<u64>, StageError>> {
        Box::pin(async move {
            let parts = self.captions.parts(shard).await?;
            let captions: u64 = parts.iter().map(|part| part.rows).sum();
            Ok(Some(captions * u64::from(self.replicates)))
        })
    }
}

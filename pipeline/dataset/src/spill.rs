//! Parts of a shard put aside while the rest is made, so that a killed worker does not lose them all.
//!
//! A spill holds what became of the inputs `start..end` of a shard: their rows as a table, the failed
//! ones in its record. Rows are a pure function of their sample, so a spill that is whole is as good
//! as any other, whoever wrote it and however often the worker was restarted in between. It is put
//! under a key of its attempt, data first and then the small record with the digest, and nothing
//! depends on it: a spill that is torn, damaged, doubled or gone costs the work it would have spared.
//! Readers of the dataset never look at them.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use glass_schemas::dataset::QuarantineRow;
use glass_schemas::ids::ShardIndex;
use glass_schemas::manifest::Spill;

use crate::attempt::Attempt;
use crate::commit::{from_json, to_json};
use crate::dataset::Dataset;
use crate::error::{DatasetError, Result};
use crate::layout;
use crate::read::{self, BatchStream, Columns, Promised};
use crate::write::TableWriter;

/// Writes the rows of a part of a shard as they are made.
pub struct SpillWriter {
    dataset: Dataset,
    shard: ShardIndex,
    start: u64,
    attempt: Attempt,
    table: TableWriter,
}

impl SpillWriter {
    /// Appends rows.
    ///
    /// # Errors
    /// As [`crate::ShardWriter::write`].
    pub async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        self.table.write(batch).await
    }

    /// Puts the part aside: it covers the inputs from the writer's start to `end`, of which these
    /// failed.
    ///
    /// # Errors
    /// As [`crate::ShardWriter::write`]; then there is no spill.
    pub async fn finish(self, end: u64, quarantine: Vec<QuarantineRow>) -> Result<Spill> {
        let table = self.table.finish().await?;
        let spill = Spill {
            shard: self.shard,
            start: self.start,
            end,
            dataset: None,
            data_key: layout::spill_key(self.shard, self.start, &self.attempt),
            digest: table.digest,
            bytes: table.bytes,
            rows: table.rows,
            quarantine,
            attempt: self.attempt.to_string(),
        };
        let key = self.dataset.layout().spill(self.shard, self.start, &spill.attempt);
        self.dataset.store().put(&key, to_json(&key, &spill)?).await?;
        Ok(spill)
    }

    /// Gives the part up; what was uploaded is dropped.
    pub async fn abort(self) {
        self.table.abort().await;
    }
}

impl Dataset {
    /// Starts to put aside what is made of the inputs of a shard from number `start` on. An attempt at
    /// several datasets has one name in all of them.
    ///
    /// # Errors
    /// [`DatasetError::Parquet`] if the schema has a type that Parquet does not.
    pub fn spill_writer(
        &self,
        shard: ShardIndex,
        start: u64,
        attempt: &Attempt,
        schema: SchemaRef,
    ) -> Result<SpillWriter> {
        let key = self.layout().absolute(&layout::spill_key(shard, start, attempt));
        Ok(SpillWriter {
            dataset: self.clone(),
            shard,
            start,
            attempt: attempt.clone(),
            table: TableWriter::new(self.store().clone(), key, schema)?,
        })
    }

    /// The records of a shard's spills, from one listing. One that cannot be read is left out.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn spills(&self, shard: ShardIndex) -> Result<Vec<Spill>> {
        let mut keys = self.store().list_keys(&self.layout().spills(shard)).await?;
        keys.sort();
        let mut spills = Vec::new();
        for key in keys.iter().filter(|key| key.ends_with(".json")) {
            spills.extend(self.spill_at(key).await?);
        }
        spills.retain(|spill| spill.shard == shard && spill.start < spill.end);
        Ok(spills)
    }

    /// The same attempt's spill of the same inputs as one of another dataset.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn spill_beside(&self, other: &Spill) -> Result<Option<Spill>> {
        let key = self.layout().spill(other.shard, other.start, &other.attempt);
        let found = self.spill_at(&key).await?;
        Ok(found.filter(|spill| (spill.start, spill.end) == (other.start, other.end)))
    }

    async fn spill_at(&self, key: &str) -> Result<Option<Spill>> {
        let Some(bytes) = self.store().get_if_there(key).await? else {
            return Ok(None);
        };
        match from_json(key, &bytes) {
            Ok(spill) => Ok(Some(spill)),
            Err(error) => {
                tracing::warn!(key, %error, "a spill that cannot be read is passed over");
                Ok(None)
            }
        }
    }

    /// The rows of a spill; the digest is verified as they pass.
    ///
    /// # Errors
    /// [`DatasetError::Missing`], [`DatasetError::Damaged`], [`DatasetError::Parquet`], the store's.
    pub async fn stream_spill(&self, spill: &Spill) -> Result<BatchStream> {
        let key = self.layout().object(spill.dataset.as_ref(), &spill.data_key);
        let promised = Promised { digest: spill.digest, bytes: spill.bytes };
        read::stream(self.store().clone(), key, promised, Columns::All).await
    }

    /// Removes the record of a spill that turned out to be of no use.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn forget_spill(&self, spill: &Spill) -> Result<()> {
        let key = self.layout().spill(spill.shard, spill.start, &spill.attempt);
        self.store().delete(&key).await
    }

    /// Removes every spill of a shard, for one that is committed. Records go first, so that none
    /// stands for an object that is gone.
    ///
    /// # Errors
    /// The store's errors; what is left then is removed by garbage collection.
    pub async fn drop_spills(&self, shard: ShardIndex) -> Result<()> {
        self.drop_below(&self.layout().spills(shard)).await
    }

    /// Removes every spill, for when every shard is committed: one whose process died between its
    /// commit and the spills' end is visited by nobody any more.
    pub(crate) async fn drop_all_spills(&self) -> Result<()> {
        self.drop_below(&self.layout().all_spills()).await
    }

    async fn drop_below(&self, prefix: &str) -> Result<()> {
        let mut keys = self.store().list_keys(prefix).await?;
        keys.sort_by_key(|key| !key.ends_with(".json"));
        for key in keys {
            self.store().delete(&key).await?;
        }
        Ok(())
    }
}

impl DatasetError {
    /// Whether the object itself is at fault, so that reading it again changes nothing.
    pub fn is_of_object(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::Damaged { .. } | Self::Parquet { .. } | Self::Schema(_))
    }
}

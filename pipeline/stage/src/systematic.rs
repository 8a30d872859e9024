//! Telling broken samples from a broken job.

use std::collections::HashMap;

use glass_schemas::ids::ShardIndex;

use crate::error::StageError;
use crate::failure::{ErrorClass, Failure};
use crate::job::SystematicFailure;

/// Different messages that are counted; a job that fails in more ways is not counted finer.
const MESSAGES: usize = 64;

/// Counts failures over a shard, or over as many small shards as it takes to see enough samples.
#[derive(Debug)]
pub(crate) struct Watch {
    limit: SystematicFailure,
    seen: usize,
    failed: usize,
    kinds: HashMap<(ErrorClass, String), (usize, String)>,
}

impl Watch {
    pub(crate) fn new(limit: SystematicFailure) -> Self {
        Self { limit, seen: 0, failed: 0, kinds: HashMap::new() }
    }

    pub(crate) fn success(&mut self) {
        self.seen += 1;
    }

    pub(crate) fn failure(&mut self, failure: &Failure) {
        self.seen += 1;
        if failure.class == ErrorClass::Rejected {
            return;
        }
        self.failed += 1;
        let kind = (failure.class, failure.message.clone());
        if self.kinds.len() < MESSAGES || self.kinds.contains_key(&kind) {
            let entry = self.kinds.entry(kind).or_insert_with(|| (0, failure.item.clone()));
            entry.0 += 1;
        }
    }

    /// An error when too large a share failed; to be asked after each batch.
    pub(crate) fn check(&self, shard: ShardIndex) -> Result<(), StageError> {
        let share = self.failed as f64 / self.seen.max(1) as f64;
        if self.seen < self.limit.samples.max(1) || share <= self.limit.share {
            return Ok(());
        }
        let commonest = self.kinds.iter().max_by(|a, b| (a.1.0, &b.0.1).cmp(&(b.1.0, &a.0.1)));
        let Some(((class, message), (count, item))) = commonest else {
            return Ok(());
        };
        Err(StageError::Systematic {
            shard,
            failed: self.failed,
            seen: self.seen,
            count: *count,
            class: *class,
            message: message.clone(),
            item: item.clone(),
        })
    }

    /// A shard is over: forget it if it was large enough to judge.
    pub(crate) fn end_shard(&mut self) {
        if self.seen >= self.limit.samples {
            *self = Self::new(self.limit);
        }
    }
}

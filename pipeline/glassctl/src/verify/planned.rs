//! Which samples a shard must hold, from what it was made of.

use std::collections::HashMap;

use glass_dataset::{Dataset, Store};
use glass_schemas::ids::{DatasetKind, Digest, SampleId, ShardIndex};
use glass_schemas::manifest::Identity;

use super::{table, upstream};

/// How often each sample is planned. An image that lies twice in a source is one sample twice.
pub(super) type Counts = HashMap<String, u32>;

/// Where the plan of a dataset comes from.
pub(super) enum Planned {
    /// Real images: only how many a shard holds is known without the source.
    Source {
        /// Images of every shard but the last.
        rows_per_shard: u64,
    },
    /// Every caption is drawn so often.
    Drawn { captions: Dataset, replicates: u32 },
    /// One sample for one upstream.
    Same { upstream: Dataset },
    /// The dataset it was made from is not in this store.
    Unknown,
}

impl Planned {
    pub(super) async fn open(store: &Store, identity: &Identity, notes: &mut Vec<String>) -> anyhow::Result<Self> {
        let spec = &identity.spec;
        if identity.id.kind() == DatasetKind::Captions {
            return Ok(match spec["source"]["rows_per_shard"].as_u64() {
                Some(rows_per_shard) => Self::Source { rows_per_shard },
                None => Self::Unknown,
            });
        }
        let Some(upstream) = upstream(store, identity).await? else {
            notes.push(
                "what it was made from is not in this store: its samples are not compared with a plan".to_owned(),
            );
            return Ok(Self::Unknown);
        };
        Ok(match identity.id.kind() {
            DatasetKind::Generations | DatasetKind::Attention => {
                let replicates = spec["replicates"].as_u64().and_then(|n| u32::try_from(n).ok());
                Self::Drawn { captions: upstream, replicates: replicates.unwrap_or(1) }
            }
            DatasetKind::Masks | DatasetKind::Captions => Self::Same { upstream },
        })
    }

    /// The samples of a shard, where they can be computed.
    pub(super) async fn samples(&self, shard: ShardIndex) -> anyhow::Result<Option<Counts>> {
        let mut counts = Counts::new();
        match self {
            Self::Source { .. } | Self::Unknown => return Ok(None),
            Self::Drawn { captions, replicates } => {
                let columns = ["source_digest", "prompt"];
                let [digests, prompts] = read(captions, shard, columns).await?;
                for (digest, prompt) in digests.iter().zip(&prompts) {
                    let digest: Digest = digest.parse()?;
                    for replicate in 0..*replicates {
                        let id = SampleId::generated(&digest, prompt, replicate);
                        *counts.entry(id.to_string()).or_default() += 1;
                    }
                }
            }
            Self::Same { upstream } => {
                let [ids] = read(upstream, shard, ["sample_id"]).await?;
                for id in ids {
                    *counts.entry(id).or_default() += 1;
                }
            }
        }
        Ok(Some(counts))
    }
}

/// Text columns of an upstream shard.
async fn read<const N: usize>(
    dataset: &Dataset,
    shard: ShardIndex,
    columns: [&str; N],
) -> anyhow::Result<[Vec<String>; N]> {
    let mut found = [const { Vec::new() }; N];
    for part in dataset.parts(shard).await? {
        let folder = part.dataset.as_ref().unwrap_or(dataset.id()).path();
        let key = format!("{folder}/{}", part.data_key);
        let batches = table::columns(dataset.store(), &key, part.bytes, &columns).await?;
        for (texts, column) in found.iter_mut().zip(columns) {
            texts.extend(table::texts(&batches, column)?.into_iter().flatten());
        }
    }
    Ok(found)
}

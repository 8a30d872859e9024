//! Where an attempt at a shard begins: at its start, or where the spills of earlier attempts end.

use std::collections::BTreeMap;

use glass_dataset::Dataset;
use glass_schemas::ids::ShardIndex;
use glass_schemas::manifest::Spill;

use crate::error::Result;

/// Spills that together cover the first inputs of a shard without a gap.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taken {
    /// In the order of the inputs; each in the order of the job's datasets.
    pub(crate) links: Vec<Vec<Spill>>,
}

impl Taken {
    /// The spills that reach furthest, of whatever attempts; one counts if every dataset has it.
    pub(crate) async fn of_shard(datasets: &[Dataset], shard: ShardIndex) -> Result<Self> {
        let Some((head, others)) = datasets.split_last() else {
            return Ok(Self::default());
        };
        let mut found = head.spills(shard).await?;
        loop {
            let chain = longest(&found);
            let mut links = Vec::with_capacity(chain.len());
            let mut alone = None;
            for index in chain {
                match beside(others, &found[index]).await? {
                    Some(link) => links.push(link),
                    None => alone = alone.or(Some(index)),
                }
            }
            match alone {
                Some(index) => drop(found.swap_remove(index)),
                None => return Ok(Self { links }),
            }
        }
    }

    /// Inputs they cover.
    pub(crate) fn end(&self) -> u64 {
        let last = self.links.last().and_then(|link| link.last());
        last.map_or(0, |spill| spill.end)
    }
}

/// A spill of the last dataset with those of the others.
async fn beside(others: &[Dataset], head: &Spill) -> Result<Option<Vec<Spill>>> {
    let mut link = Vec::with_capacity(others.len() + 1);
    for other in others {
        match other.spill_beside(head).await? {
            Some(spill) => link.push(spill),
            None => return Ok(None),
        }
    }
    link.push(head.clone());
    Ok(Some(link))
}

/// The positions of the spills that lead furthest from the first input on; of several ways there, one
/// that is always the same.
fn longest(spills: &[Spill]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..spills.len()).collect();
    order.sort_by(|a, b| {
        let key = |index: &usize| (spills[*index].start, spills[*index].end, &spills[*index].attempt);
        key(b).cmp(&key(a))
    });
    // By the input a spill begins with: how far one comes from there, and with which spill first.
    let mut furthest: BTreeMap<u64, (u64, usize)> = BTreeMap::new();
    for index in order {
        let spill = &spills[index];
        let reach = furthest.get(&spill.end).map_or(spill.end, |(reach, _)| *reach);
        let known = furthest.entry(spill.start).or_insert((reach, index));
        if reach > known.0 {
            *known = (reach, index);
        }
    }
    let mut chain = Vec::new();
    let mut at = 0;
    while let Some((_, index)) = furthest.get(&at) {
        chain.push(*index);
        at = spills[*index].end;
    }
    chain
}

#[cfg(test)]
mod tests {
    use glass_schemas::ids::Digest;

    use super::*;

    fn chain(ranges: &[(u64, u64)]) -> Vec<(u64, u64)> {
        let spill = |(number, (start, end)): (usize, &(u64, u64))| Spill {
            shard: ShardIndex(0),
            start: *start,
            end: *end,
            dataset: None,
            data_key: String::new(),
            digest: Digest::of(b""),
            bytes: 0,
            rows: 0,
            quarantine: Vec::new(),
            attempt: number.to_string(),
        };
        let spills: Vec<Spill> = ranges.iter().enumerate().map(spill).collect();
        longest(&spills).into_iter().map(|index| ranges[index]).collect()
    }

    #[test]
    fn the_spills_that_lead_furthest_are_taken() {
        assert_eq!(chain(&[]), []);
        assert_eq!(chain(&[(8, 16)]), [], "the first inputs are not covered");
        assert_eq!(chain(&[(8, 16), (0, 8)]), [(0, 8), (8, 16)]);
        // The longer first step leads nowhere.
        assert_eq!(chain(&[(0, 12), (0, 8), (8, 20)]), [(0, 8), (8, 20)]);
        assert_eq!(chain(&[(0, 8), (0, 12), (12, 20), (8, 16)]), [(0, 12), (12, 20)]);
        assert_eq!(chain(&[(0, 8), (16, 24)]), [(0, 8)], "a gap ends it");
    }
}

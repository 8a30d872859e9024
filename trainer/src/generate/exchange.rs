//! Slots exchanged within groups of pictures: what the composition scores of the slot papers are made of.

use burn::tensor::Tensor;
use glass_schemas::seeds::{Purpose, Stream};
use glass_schemas::spec::evaluation::Exchange;
use serde::Serialize;

use super::job::Studio;
use super::queue::{Queue, Waiting};
use super::shelf::Shelf;
use crate::decoders::Sampling;
use crate::eval::annotations::Picture;

/// One composed picture in `compositions.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Exchanged {
    /// How.
    pub exchange: Exchange,
    /// The picture whose place and initial noise it has.
    pub image: String,
    /// The picture that each slot came from.
    pub sources: Vec<String>,
    /// The file.
    pub file: String,
}

/// Groups, and the seed of their orders.
#[derive(Debug, Clone, Copy)]
pub struct Groups {
    /// Pictures of a group; the last has what is left.
    pub size: usize,
    /// Seed.
    pub seed: u64,
}

/// For every picture of a group, the place in the group that each of its slots comes from.
pub fn sources(exchange: Exchange, pictures: usize, slots: usize, seed: u64, group: usize) -> Vec<Vec<usize>> {
    let columns: Vec<Vec<usize>> = (0..slots)
        .map(|slot| {
            let mut order: Vec<usize> = (0..pictures).collect();
            match exchange {
                Exchange::Shift => order.rotate_left(slot % pictures.max(1)),
                Exchange::Shuffle => {
                    Stream::new(seed, format!("exchange {group} {slot}"), Purpose::Composition).shuffle(&mut order);
                }
            }
            order
        })
        .collect();
    (0..pictures).map(|picture| columns.iter().map(|order| order[picture]).collect()).collect()
}

/// Draws every picture with the slots that its group gives it. The slots of one group are in memory.
///
/// # Errors
/// Where a picture or a network cannot be used, or the shelf refuses.
pub fn draw_exchanges(
    studio: &Studio<'_>,
    pictures: &[Picture],
    exchanges: &[Exchange],
    groups: Groups,
    sampling: &Sampling,
    shelf: &mut dyn Shelf,
) -> anyhow::Result<Vec<Exchanged>> {
    let mut entries = Vec::new();
    let mut queue = Queue::new(shelf.names()?, studio.batch);
    for (number, group) in pictures.chunks(groups.size.max(1)).enumerate() {
        let first = number * groups.size.max(1);
        let missing =
            exchanges.iter().any(|&exchange| (0..group.len()).any(|at| !queue.has(&file_name(exchange, first + at))));
        let slots = if missing { read(studio, group)? } else { Vec::new() };
        for &exchange in exchanges {
            for (at, from) in sources(exchange, group.len(), studio.slots, groups.seed, number).iter().enumerate() {
                let file = file_name(exchange, first + at);
                let subject = group[at].name.clone();
                if !slots.is_empty() {
                    let row = |(slot, &place): (usize, &usize)| slots[place].clone().narrow(0, slot, 1);
                    let slots = Tensor::cat(from.iter().enumerate().map(row).collect(), 0);
                    let waiting =
                        Waiting { file: file.clone(), slots, subject: subject.clone(), steps: sampling.steps };
                    queue.push(waiting, studio.painter.as_ref(), sampling, shelf)?;
                }
                let sources = from.iter().map(|&place| group[place].name.clone()).collect();
                entries.push(Exchanged { exchange, image: subject, sources, file });
            }
        }
    }
    queue.finish(studio.painter.as_ref(), sampling, shelf)?;
    Ok(entries)
}

/// The slots of a group, `[slots, dim]` each.
fn read(studio: &Studio<'_>, group: &[Picture]) -> anyhow::Result<Vec<Tensor<2>>> {
    let mut slots = Vec::with_capacity(group.len());
    for batch in group.chunks(studio.batch) {
        let scenes = studio.reader().read(&batch.iter().collect::<Vec<_>>())?;
        slots.extend(scenes.into_iter().map(|scene| scene.slots));
    }
    Ok(slots)
}

/// The file of the picture at a place of the validation set.
pub fn file_name(exchange: Exchange, place: usize) -> String {
    format!("{place:05}-{}.png", exchange_name(exchange))
}

/// Its name in files and tables.
pub fn exchange_name(exchange: Exchange) -> &'static str {
    match exchange {
        Exchange::Shift => "shift",
        Exchange::Shuffle => "shuffle",
    }
}

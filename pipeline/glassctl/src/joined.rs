//! Pseudo-masks with the pictures they are of, read side by side.

use anyhow::Context as _;
use futures::{StreamExt, TryStreamExt};
use glass_dataset::{BatchStream, Columns, Dataset};
use glass_schemas::dataset::{EncodedImage, GenerationRow, MaskRow, Row};
use glass_schemas::ids::{DatasetKind, ShardIndex};
use glass_schemas::manifest::Commit;
use glass_stage::Explain;
use image::GrayImage;

/// A pseudo-mask and its picture.
pub(crate) struct Pair {
    pub(crate) drawing: GenerationRow,
    pub(crate) mask: MaskRow,
}

/// The pairs of one shard, part by part. Both datasets are cut alike, and the masks of a part follow
/// the order of the pictures, so a row group of each is all that is held.
pub(crate) struct Pairs {
    generations: Dataset,
    drawings: Rows<GenerationRow>,
    dataset: Dataset,
    masks: Rows<MaskRow>,
    /// Parts of the masks that are still to come.
    parts: std::vec::IntoIter<Commit>,
    shard: ShardIndex,
}

/// The rows of a shard, one after the other.
pub(crate) struct Rows<R> {
    batches: BatchStream,
    ready: std::vec::IntoIter<R>,
}

impl<R: Row> Rows<R> {
    pub(crate) async fn open(dataset: &Dataset, shard: ShardIndex) -> anyhow::Result<Self> {
        Ok(Self::of(dataset.stream_shard(shard, Columns::All).await?))
    }

    fn of(batches: BatchStream) -> Self {
        Self { batches, ready: Vec::new().into_iter() }
    }

    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<R>> {
        loop {
            if let Some(row) = self.ready.next() {
                return Ok(Some(row));
            }
            match self.batches.try_next().await? {
                Some(batch) => self.ready = R::decode(&batch)?.into_iter(),
                None => return Ok(None),
            }
        }
    }
}

impl Pairs {
    /// Starts on a shard that is committed in both datasets.
    pub(crate) async fn open(masks: &Dataset, drawings: &Dataset, shard: ShardIndex) -> anyhow::Result<Self> {
        let mut parts = masks.parts(shard).await?.into_iter();
        let none = || Rows::of(futures::stream::empty().boxed());
        let first = match parts.next() {
            Some(part) => Rows::of(masks.stream_part(&part, Columns::All).await?),
            None => none(),
        };
        Ok(Self {
            generations: drawings.clone(),
            drawings: Rows::open(drawings, shard).await?,
            dataset: masks.clone(),
            masks: first,
            parts,
            shard,
        })
    }

    /// The next pair. A picture without a mask is passed over: the extractor quarantined it.
    ///
    /// # Errors
    /// The store's; a damaged shard, which shows at its end at the latest; a mask without a picture.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Pair>> {
        let mask = loop {
            if let Some(mask) = self.masks.next().await? {
                break mask;
            }
            // The digest is compared when everything has passed by.
            while self.drawings.next().await?.is_some() {}
            let Some(part) = self.parts.next() else {
                return Ok(None);
            };
            self.masks = Rows::of(self.dataset.stream_part(&part, Columns::All).await?);
            self.drawings = Rows::open(&self.generations, self.shard).await?;
        };
        while let Some(drawing) = self.drawings.next().await? {
            if drawing.sample_id == mask.sample_id {
                return Ok(Some(Pair { drawing, mask }));
            }
        }
        anyhow::bail!("sample {} of shard {} has a mask and no picture", mask.sample_id, self.shard)
    }
}

/// The generations that a masks dataset is of.
pub(crate) async fn drawings_of(masks: &Dataset) -> anyhow::Result<Dataset> {
    if masks.id().kind() != DatasetKind::Masks {
        return Err(anyhow::anyhow!("`{}` is not a masks dataset", masks.id()))
            .blame_user()
            .hint("give a masks dataset; its pictures are found by themselves");
    }
    let upstream = masks.identity().upstream.first();
    let upstream = upstream.with_context(|| format!("`{}` names no dataset it was made from", masks.id()))?;
    Ok(Dataset::open(masks.store(), &upstream.sibling(DatasetKind::Generations)).await?)
}

/// A mask's labels: class ids, 0 the ground, 255 uncertain.
pub(crate) fn labels(mask: &EncodedImage) -> anyhow::Result<GrayImage> {
    let picture = image::load_from_memory(&mask.bytes).context("cannot read a mask")?;
    Ok(picture.to_luma8())
}

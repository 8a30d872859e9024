//! What a source holds: keys in one order, and a digest that names them.

use anyhow::Context;
use futures::TryStreamExt;
use glass_dataset::Store;
use glass_schemas::ids::Digest;
use glass_stage::Explain;
use glob::{MatchOptions, Pattern};

/// The sorted objects of a source.
#[derive(Clone, Debug)]
pub struct Listing {
    /// All of them, those beyond the limit too.
    pub(super) keys: Vec<String>,
    pub(super) sizes: Vec<u64>,
    /// Objects that are part of the dataset.
    taken: usize,
    items: u64,
    /// Images in the first so many objects, where an object holds many.
    sums: Option<Vec<u64>>,
}

impl Listing {
    /// Number of images.
    pub fn items(&self) -> u64 {
        self.items
    }

    /// Objects that hold many images: `sums` counts those of the first object, of the first two, …
    pub(super) fn with_images(self, items: u64, sums: Vec<u64>) -> Self {
        Self { items, sums: Some(sums), ..self }
    }

    /// Digest of names and sizes: another set of images is another dataset. Contents are digested
    /// image by image as they are read; a listing of 100,000 files must not read them all.
    pub fn digest(&self) -> Digest {
        let lines: Vec<String> = self.lines().take(self.taken).collect();
        Digest::of_parts(lines.iter().map(String::as_bytes))
    }

    /// How many images were taken of a listing with this digest of which this one, without its limit,
    /// is a continuation; the same one counts too. `limit` is what the other took at most, 0 for all.
    pub(crate) fn images_of(&self, digest: &Digest, limit: u64) -> Option<u64> {
        let lines: Vec<String> = self.lines().collect();
        let mut prefixes = Digest::of_prefixes(lines.iter().map(String::as_bytes));
        let objects = prefixes.position(|prefix| prefix == *digest)?;
        let images = match &self.sums {
            Some(sums) => *sums.get(objects)?,
            None => objects as u64 + 1,
        };
        Some(if limit > 0 { images.min(limit) } else { images })
    }

    fn lines(&self) -> impl Iterator<Item = String> {
        self.keys.iter().zip(&self.sizes).map(|(key, size)| format!("{key}\t{size}\n"))
    }
}

/// A source's URI as the store to open and the glob below it (`**` without wildcards).
pub(super) fn split(uri: &str) -> (String, String) {
    let wildcard = uri.split('/').position(|part| part.contains(['*', '?', '[', '{']));
    match wildcard {
        None => (uri.to_owned(), "**".to_owned()),
        Some(position) => {
            let parts: Vec<&str> = uri.split('/').collect();
            let root = parts[..position].join("/");
            let root = match (root.is_empty(), uri.starts_with('/')) {
                (true, true) => "/".to_owned(),
                (true, false) => ".".to_owned(),
                _ => root,
            };
            (root, parts[position..].join("/"))
        }
    }
}

/// Lists what matches, sorted by key; `limit` 0 takes all.
pub(super) async fn list(store: &Store, pattern: &str, endings: &[&str], limit: u64) -> anyhow::Result<Listing> {
    let glob = Pattern::new(pattern).with_context(|| format!("`source.uri`: invalid glob `{pattern}`")).blame_user()?;
    // `*` stays within one folder; `**` does not.
    let options = MatchOptions { require_literal_separator: true, ..MatchOptions::default() };
    let mut entries: Vec<(String, u64)> = store
        .list("")
        .try_filter_map(|entry| {
            let wanted = has_ending(&entry.key, endings) && glob.matches_with(&entry.key, options);
            futures::future::ready(Ok(wanted.then_some((entry.key, entry.bytes))))
        })
        .try_collect()
        .await?;
    entries.sort();
    let taken = match usize::try_from(limit).unwrap_or(usize::MAX) {
        0 => entries.len(),
        limit => limit.min(entries.len()),
    };
    let (keys, sizes) = entries.into_iter().unzip();
    Ok(Listing { keys, sizes, taken, items: taken as u64, sums: None })
}

fn has_ending(key: &str, endings: &[&str]) -> bool {
    let ending = key.rsplit_once('.').map(|(_, ending)| ending.to_lowercase());
    ending.is_some_and(|ending| endings.contains(&ending.as_str()))
}

#[cfg(test)]
mod tests {
    use super::{Listing, split};

    fn listing(names: &[&str], taken: usize) -> Listing {
        let keys: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let sizes = vec![7; keys.len()];
        Listing { keys, sizes, taken, items: taken as u64, sums: None }
    }

    #[test]
    fn a_listing_knows_what_it_continues() {
        let now = listing(&["a", "b", "c", "d"], 3);
        let of = |other: &Listing, limit| now.images_of(&other.digest(), limit);
        assert_eq!(of(&listing(&["a", "b"], 2), 0), Some(2), "images were added at the end");
        assert_eq!(of(&listing(&["a", "b", "c", "d"], 2), 2), Some(2), "fewer were taken");
        assert_eq!(of(&listing(&["a", "b", "c", "d"], 4), 0), Some(4), "more were taken");
        assert_eq!(of(&now, 3), Some(3));
        assert_eq!(of(&listing(&["a", "c"], 2), 0), None, "one was added in between");
        assert_eq!(of(&listing(&["a", "b", "c", "d", "e"], 5), 0), None, "one was removed");
        let tables = listing(&["x", "y"], 2).with_images(25, vec![10, 30]);
        assert_eq!(tables.images_of(&listing(&["x"], 1).digest(), 0), Some(10));
        assert_eq!(tables.images_of(&listing(&["x", "y"], 2).digest(), 15), Some(15));
    }

    #[test]
    fn a_glob_is_split_from_the_store_to_open() {
        let split = |uri: &str| {
            let (root, pattern) = split(uri);
            format!("{root} {pattern}")
        };
        assert_eq!(split("a/b"), "a/b **");
        assert_eq!(split("a/b/*.jpg"), "a/b *.jpg");
        assert_eq!(split("s3://bucket/x/*/y.png"), "s3://bucket/x */y.png");
        assert_eq!(split("/*.jpg"), "/ *.jpg");
        assert_eq!(split("*.jpg"), ". *.jpg");
    }
}

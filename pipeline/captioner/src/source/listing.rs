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
    pub(super) keys: Vec<String>,
    pub(super) sizes: Vec<u64>,
    items: u64,
}

impl Listing {
    /// Number of images.
    pub fn items(&self) -> u64 {
        self.items
    }

    pub(super) fn with_items(self, items: u64) -> Self {
        Self { items, ..self }
    }

    /// Digest of names and sizes: another set of images is another dataset. Contents are digested
    /// image by image as they are read; a listing of 100,000 files must not read them all.
    pub fn digest(&self) -> Digest {
        let entries = self.keys.iter().zip(&self.sizes);
        let lines: Vec<String> = entries.map(|(key, size)| format!("{key}\t{size}\n")).collect();
        Digest::of_parts(lines.iter().map(String::as_bytes))
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
pub(super) async fn list(
    store: &Store,
    pattern: &str,
    endings: &[&str],
    limit: u64,
) -> anyhow::Result<Listing> {
    let glob = Pattern::new(pattern)
        .with_context(|| format!("`source.uri`: invalid glob `{pattern}`"))
        .blame_user()?;
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
    if limit > 0 {
        entries.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    let items = entries.len() as u64;
    let (keys, sizes) = entries.into_iter().unzip();
    Ok(Listing { keys, sizes, items })
}

fn has_ending(key: &str, endings: &[&str]) -> bool {
    let ending = key.rsplit_once('.').map(|(_, ending)| ending.to_lowercase());
    ending.is_some_and(|ending| endings.contains(&ending.as_str()))
}

#[cfg(test)]
mod tests {
    use super::split;

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

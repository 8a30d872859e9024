//! The folder of an export, and how far it is.
//!
//! `export.json` says what is exported. `parts/<shard>.jsonl` appears when a shard's files are all
//! there and holds a line for each of its samples, from which the lists of all samples are made.
//! `parts/assembled` says that they are.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use glass_schemas::ids::{SampleId, ShardIndex};
use glass_stage::{Explain, WholeFile};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

const RECIPE: &str = "export.json";
const PARTS: &str = "parts";
const ASSEMBLED: &str = "parts/assembled";

/// The folder.
pub(super) struct Folder {
    root: PathBuf,
}

/// One line of a part record.
#[derive(Serialize, Deserialize)]
struct Entry<T> {
    sample_id: SampleId,
    entry: T,
}

/// The lines of one part record.
type Entries<T> = Box<dyn Iterator<Item = anyhow::Result<Entry<T>>>>;

impl Folder {
    /// Starts or goes on with an export.
    ///
    /// # Errors
    /// The user's: a folder that cannot be written, holds another export or anything else.
    pub(super) fn open(root: &Path, recipe: &Value) -> anyhow::Result<Self> {
        let folder = Self { root: root.to_owned() };
        let path = folder.path(RECIPE);
        let known = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice::<Value>(&bytes).ok(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read `{}`", path.display())).blame_user();
            }
        };
        match known {
            Some(known) if known == *recipe => return Ok(folder),
            None if folder.is_new()? => {}
            _ => {
                return Err(anyhow::anyhow!("`{}` holds something else", root.display()))
                    .blame_user()
                    .hint("give a new folder, or what its export.json names to go on with it");
            }
        }
        folder.make(PARTS).blame_user()?;
        folder.write_json(RECIPE, recipe).blame_user()?;
        Ok(folder)
    }

    /// Whether there is nothing in it but what [`Folder::open`] makes before the recipe.
    fn is_new(&self) -> anyhow::Result<bool> {
        if !self.root.exists() {
            return Ok(true);
        }
        let recipe = WholeFile::unfinished(&self.path(RECIPE));
        for entry in fs::read_dir(&self.root)? {
            let path = entry?.path();
            let empty = path.ends_with(PARTS) && fs::read_dir(&path)?.next().is_none();
            if !empty && path != recipe {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// Makes a folder in it.
    pub(super) fn make(&self, relative: &str) -> anyhow::Result<()> {
        let path = self.path(relative);
        fs::create_dir_all(&path).with_context(|| format!("cannot create `{}`", path.display()))
    }

    /// Writes a file, which is there whole or not at all.
    pub(super) fn write(&self, relative: &str, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(WholeFile::write(self.path(relative), bytes)?)
    }

    /// Writes a document, as [`Folder::write`].
    pub(super) fn write_json(&self, relative: &str, document: &impl Serialize) -> anyhow::Result<()> {
        self.write(relative, format!("{}\n", serde_json::to_string_pretty(document)?).as_bytes())
    }

    /// Starts a file that appears when it is finished.
    pub(super) fn replace(&self, relative: &str) -> anyhow::Result<WholeFile> {
        Ok(WholeFile::create(self.path(relative))?)
    }

    /// Whether a shard is written.
    pub(super) fn has(&self, shard: ShardIndex) -> bool {
        self.path(&part_name(shard)).exists()
    }

    /// Starts the record of a shard.
    pub(super) fn part(&self, shard: ShardIndex) -> anyhow::Result<Part> {
        Ok(Part { file: self.replace(&part_name(shard))? })
    }

    /// Samples of each shard that is written.
    pub(super) fn counts(&self) -> anyhow::Result<BTreeMap<ShardIndex, usize>> {
        let count = |shard| anyhow::Ok((shard, self.lines(shard)?.count()));
        self.shards()?.into_iter().map(count).collect()
    }

    /// What was kept of each sample, shard by shard; of one that is in several, once.
    pub(super) fn entries<T: DeserializeOwned + 'static>(
        &self,
    ) -> anyhow::Result<impl Iterator<Item = anyhow::Result<T>>> {
        let shards = self.shards()?;
        let mut seen = HashSet::new();
        // One part record is open at a time.
        let entries = shards.into_iter().flat_map(|shard| -> Entries<T> {
            match self.lines(shard) {
                Ok(lines) => Box::new(lines.map(parse)),
                Err(error) => Box::new(std::iter::once(Err(error))),
            }
        });
        Ok(entries.filter_map(move |entry| match entry {
            Ok(entry) => seen.insert(entry.sample_id).then_some(Ok(entry.entry)),
            Err(error) => Some(Err(error)),
        }))
    }

    pub(super) fn assembled(&self) -> bool {
        self.path(ASSEMBLED).exists()
    }

    /// Says that the lists name every sample there is.
    pub(super) fn set_assembled(&self) -> anyhow::Result<()> {
        self.write(ASSEMBLED, b"")
    }

    /// Says that they do not, before that is so.
    pub(super) fn unset_assembled(&self) -> anyhow::Result<()> {
        match fs::remove_file(self.path(ASSEMBLED)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).context("cannot remove `parts/assembled`")
            }
            _ => Ok(()),
        }
    }

    fn shards(&self) -> anyhow::Result<Vec<ShardIndex>> {
        let mut shards = Vec::new();
        for entry in fs::read_dir(self.path(PARTS)).context("cannot list the part records")? {
            let name = entry?.file_name();
            let digits = name.to_str().and_then(|name| name.strip_suffix(".jsonl"));
            shards.extend(digits.and_then(|digits| digits.parse().ok()).map(ShardIndex));
        }
        shards.sort();
        Ok(shards)
    }

    fn lines(&self, shard: ShardIndex) -> anyhow::Result<impl Iterator<Item = std::io::Result<String>> + use<>> {
        let path = self.path(&part_name(shard));
        let file = File::open(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        Ok(BufReader::new(file).lines())
    }
}

fn parse<T: DeserializeOwned>(line: std::io::Result<String>) -> anyhow::Result<T> {
    let read = || Ok::<_, anyhow::Error>(serde_json::from_str(&line?)?);
    read().context("cannot read a part record")
}

fn part_name(shard: ShardIndex) -> String {
    format!("{PARTS}/{shard}.jsonl")
}

/// The record of a shard, which ends it.
pub(super) struct Part {
    file: WholeFile,
}

impl Part {
    pub(super) fn add(&mut self, sample_id: SampleId, entry: Value) -> anyhow::Result<()> {
        serde_json::to_writer(&mut self.file, &Entry { sample_id, entry }).map_err(std::io::Error::from)?;
        Ok(self.file.write_all(b"\n")?)
    }

    pub(super) fn finish(self) -> anyhow::Result<()> {
        Ok(self.file.finish()?)
    }
}

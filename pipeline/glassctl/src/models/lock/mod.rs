//! The lock file of a checkpoint: which files of which repository, and their digests.

mod check;
mod pin;
mod shelf;

use std::path::Path;

use anyhow::Context as _;
use glass_schemas::spec::nearest_key;
use glass_stage::Explain;
use serde::Deserialize;

pub(super) use check::{is_commit, is_plain};
pub(super) use pin::{Pin, Pins};
pub(super) use shelf::{NamedLock, Shelf};

/// The version of lock files that this build reads.
const LOCK_VERSION: u32 = 1;

/// A published checkpoint, as `manifests/weights/*.toml` describes it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lock {
    /// Version of this format.
    pub(super) version: u32,
    /// Which network the files are of.
    pub(super) kind: Kind,
    /// The repository on the hub, `owner/name`.
    pub(super) repository: String,
    /// A commit, or a branch until the first fetch has found the commit.
    pub(super) revision: String,
    /// What the weights may be used for, by name.
    pub(super) licence: String,
    /// The files that this project reads; a `*.index.json` brings the shards that it names.
    pub(super) files: Vec<LockedFile>,
}

/// One file of a checkpoint.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LockedFile {
    /// Path in the repository.
    pub(super) path: String,
    /// Digest of the contents in hex; absent until the first fetch.
    pub(super) sha256: Option<String>,
    /// Size; absent until the first fetch.
    pub(super) bytes: Option<u64>,
    /// The network loads without this file, so that its absence on the hub is no error.
    #[serde(default)]
    pub(super) optional: bool,
}

/// The networks there are loaders or converters for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    StableDiffusion,
    Blip2,
    Blip,
    Clip,
    Dinov2,
    Dino,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::StableDiffusion => "stable-diffusion",
            Self::Blip2 => "blip2",
            Self::Blip => "blip",
            Self::Clip => "clip",
            Self::Dinov2 => "dinov2",
            Self::Dino => "dino",
        }
    }
}

impl Lock {
    /// Reads and checks a lock file.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the lock file `{}`", path.display()))
            .blame_user()?;
        Self::parse(&text, path)
    }

    /// Parses and checks a lock file; `path` names it in errors.
    pub(super) fn parse(text: &str, path: &Path) -> anyhow::Result<Self> {
        let refuse = |message: &str, hint: Option<String>| -> anyhow::Result<Self> {
            let message = format!("invalid lock file `{}`: {message}", path.display());
            let error = Err(anyhow::anyhow!(message)).blame_user();
            match hint {
                Some(hint) => error.hint(hint),
                None => error,
            }
        };
        let lock: Self = match toml::from_str(text) {
            Ok(lock) => lock,
            Err(error) => {
                return refuse(error.to_string().trim_end(), nearest_key(error.message()));
            }
        };
        match lock.fault() {
            Some((message, hint)) => refuse(&message, Some(hint.to_owned())),
            None => Ok(lock),
        }
    }

    /// A file that stands in for those that an index names.
    pub(super) fn shard(path: String) -> LockedFile {
        LockedFile { path, sha256: None, bytes: None, optional: false }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::path::Path;

    use super::Lock;

    const GOOD: &str = r#"
version = 1
kind = "dinov2"
repository = "facebook/dinov2-base"
revision = "main"
licence = "Apache-2.0"
[[files]]
path = "config.json"
"#;

    fn refused(from: &str, to: &str) -> String {
        let text = GOOD.replace(from, to);
        assert_ne!(text, GOOD);
        let error = Lock::parse(&text, Path::new("a.toml")).unwrap_err();
        assert_eq!(glass_stage::status(&error).code(), 1);
        glass_stage::render(&error)
    }

    #[test]
    fn a_plain_lock_file_is_read() {
        let lock = Lock::parse(GOOD, Path::new("a.toml")).unwrap();
        assert_eq!(lock.files[0].path, "config.json");
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest() {
        let text = refused("path =", "sha265 = \"00\"\npath =");
        assert!(text.contains("a.toml") && text.contains("did you mean `sha256`?"), "{text}");
        assert!(refused("\"dinov2\"", "\"dinov2s\"").contains("did you mean `dinov2`?"));
    }

    #[test]
    fn a_path_or_name_that_could_leave_the_cache_is_refused() {
        for path in ["../config.json", "/config.json", "a/../b", "a//b", ""] {
            assert!(refused("config.json", path).contains("path"), "{path}");
        }
        for repository in ["../x", "a/b/c", "a/..", "dinov2", "a b/c"] {
            assert!(refused("facebook/dinov2-base", repository).contains("repository"), "{repository}");
        }
        assert!(refused("\"main\"", "\"../main\"").contains("revision"));
    }

    #[test]
    fn digests_versions_and_doubles_are_checked() {
        assert!(refused("version = 1", "version = 2").contains("`version` is 2"));
        assert!(refused("path =", "sha256 = \"ABC\"\npath =").contains("sha256"));
        assert!(refused("path = \"config.json\"", "path = \"a\"\n[[files]]\npath = \"a\"").contains("twice"));
    }
}

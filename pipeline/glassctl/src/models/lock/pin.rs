//! Writing what a first fetch found into the lock file.
//!
//! Lines are added to the text as it stands, so that comments and order stay; the result is read
//! again and must say what was meant, or nothing is written.

use std::fmt::Write;
use std::path::Path;

use anyhow::Context as _;
use glass_stage::Explain;

use super::{Lock, LockedFile};

/// The contents of one file, as found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Pin {
    pub(in super::super) path: String,
    pub(in super::super) sha256: String,
    pub(in super::super) bytes: u64,
}

/// What a lock file does not say yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Pins {
    /// The commit that the branch stood at.
    pub(in super::super) commit: String,
    pub(in super::super) files: Vec<Pin>,
}

impl Pins {
    /// Of all that was found, what `lock` lacks.
    pub(in super::super) fn missing_from(lock: &Lock, commit: &str, found: Vec<Pin>) -> Option<Self> {
        let known = |pin: &Pin| {
            let file = lock.files.iter().find(|file| file.path == pin.path);
            file.is_some_and(|file| file.sha256.is_some() && file.bytes.is_some())
        };
        let files: Vec<Pin> = found.into_iter().filter(|pin| !known(pin)).collect();
        let news = lock.revision != commit || !files.is_empty();
        news.then(|| Self { commit: commit.to_owned(), files })
    }

    /// The lock with what was found.
    fn applied(&self, lock: &Lock) -> Lock {
        let mut lock = lock.clone();
        lock.revision.clone_from(&self.commit);
        for pin in &self.files {
            let place = lock.files.iter().position(|file| file.path == pin.path);
            let place = place.unwrap_or_else(|| {
                lock.files.push(Lock::shard(pin.path.clone()));
                lock.files.len() - 1
            });
            let file: &mut LockedFile = &mut lock.files[place];
            file.sha256 = Some(pin.sha256.clone());
            file.bytes = Some(pin.bytes);
        }
        lock
    }

    /// For people: one line a fact.
    pub(in super::super) fn describe(&self) -> String {
        let mut text = format!("  revision = \"{}\"\n", self.commit);
        for pin in &self.files {
            let _ = writeln!(text, "  {}  sha256 {}  {} bytes", pin.path, pin.sha256, pin.bytes);
        }
        text
    }

    /// Writes them into the lock file.
    pub(in super::super) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read `{shown}`"))?;
        let meant = self.applied(&Lock::parse(&text, path)?);
        let text = self.insert(&text);
        if Lock::parse(&text, path).ok() != Some(meant) {
            return Err(anyhow::anyhow!("`{shown}` is laid out in a way that cannot be added to"))
                .blame_user()
                .hint("write each file as a `[[files]]` table with one key a line");
        }
        let fresh = path.with_extension("toml.new");
        std::fs::write(&fresh, text)
            .and_then(|()| std::fs::rename(&fresh, path))
            .with_context(|| format!("cannot write `{shown}`"))
            .blame_user()
    }

    fn insert(&self, text: &str) -> String {
        let mut out = String::new();
        let mut listed = Vec::new();
        for line in text.lines() {
            let key = line.split('=').next().unwrap_or_default().trim();
            let pin = value(line, "path").and_then(|path| self.files.iter().find(|pin| pin.path == path));
            match (key, pin) {
                ("revision", _) => {
                    let _ = writeln!(out, "revision = \"{}\"", self.commit);
                }
                (_, Some(pin)) => {
                    let _ = writeln!(out, "{line}\n{}", facts(pin));
                    listed.push(&pin.path);
                }
                // Half a pin is replaced by the whole.
                ("sha256" | "bytes", None) if listed_last(&out, &self.files) => {}
                _ => {
                    let _ = writeln!(out, "{line}");
                }
            }
        }
        for pin in self.files.iter().filter(|pin| !listed.contains(&&pin.path)) {
            let _ = writeln!(out, "\n[[files]]\npath = \"{}\"\n{}", pin.path, facts(pin));
        }
        out
    }
}

fn facts(pin: &Pin) -> String {
    format!("sha256 = \"{}\"\nbytes = {}", pin.sha256, pin.bytes)
}

/// Whether the facts of a pin were the last thing written: the line at hand is of the same file.
fn listed_last(out: &str, pins: &[Pin]) -> bool {
    pins.iter().any(|pin| out.trim_end().ends_with(&facts(pin)))
}

/// The text of a line `key = "text"`.
fn value<'l>(line: &'l str, key: &str) -> Option<&'l str> {
    let rest = line.trim().strip_prefix(key)?.trim_start().strip_prefix('=')?.trim_start();
    rest.strip_prefix('"')?.split('"').next()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::{Lock, Pin, Pins};

    const COMMIT: &str = "0123456789012345678901234567890123456789";
    const TEXT: &str = r#"# Kept.
version = 1
kind = "dinov2"
repository = "o/n"
revision = "main"
licence = "MIT"

[[files]]
path = "config.json" # kept too

[[files]]
path = "a.json"
optional = true
"#;

    fn pin(path: &str) -> Pin {
        Pin { path: path.to_owned(), sha256: "ab".repeat(32), bytes: 7 }
    }

    #[test]
    fn facts_are_added_and_the_rest_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.toml");
        std::fs::write(&path, TEXT).unwrap();
        let lock = Lock::read(&path).unwrap();
        let found = vec![pin("config.json"), pin("shard-1"), pin("a.json")];
        let pins = Pins::missing_from(&lock, COMMIT, found.clone()).unwrap();
        pins.write(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# Kept.") && text.contains("# kept too"), "{text}");
        let written = Lock::read(&path).unwrap();
        assert_eq!(written.revision, COMMIT);
        assert!(written.files.iter().all(|file| file.bytes == Some(7) && file.sha256.is_some()));
        assert_eq!(written.files.len(), 3);
        assert!(written.files[1].optional);
        assert_eq!(Pins::missing_from(&written, COMMIT, found), None);
    }

    #[test]
    fn half_a_pin_is_made_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.toml");
        std::fs::write(&path, TEXT.replace("# kept too", "\nbytes = 7")).unwrap();
        let pins = Pins { commit: COMMIT.to_owned(), files: vec![pin("config.json")] };
        pins.write(&path).unwrap();
        assert!(Lock::read(&path).unwrap().files[0].sha256.is_some());
    }

    #[test]
    fn a_layout_that_cannot_be_added_to_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.toml");
        let text = TEXT.split("[[files]]").next().unwrap().to_owned() + "files = [{ path = \"a\" }]\n";
        std::fs::write(&path, &text).unwrap();
        let pins = Pins { commit: COMMIT.to_owned(), files: vec![pin("a")] };
        assert!(glass_stage::render(&pins.write(&path).unwrap_err()).contains("[[files]]"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}

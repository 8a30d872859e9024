//! Starting the program with a home of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Hub;

/// A folder with lock files and a cache, and the environment that points there.
pub struct Place {
    folder: tempfile::TempDir,
    endpoint: String,
}

/// What the program said.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Place {
    pub fn new(hub: &Hub) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), endpoint: hub.endpoint() }
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Where the cache keeps the repository of the tests.
    pub fn repository(&self) -> PathBuf {
        self.path("cache/hub/models--owner--name")
    }

    /// The snapshot of the hub's commit.
    pub fn snapshot(&self) -> PathBuf {
        self.repository().join("snapshots").join(Hub::COMMIT)
    }

    /// A lock file of these `[[files]]`, given as their lines.
    pub fn lock(&self, revision: &str, files: &[&str]) -> PathBuf {
        let head = "version = 1\nkind = \"dinov2\"\nrepository = \"owner/name\"\nlicence = \"MIT\"\n";
        let files: String = files.iter().map(|file| format!("\n[[files]]\n{file}\n")).collect();
        let path = self.path("locks/net.toml");
        write(&path, format!("{head}revision = \"{revision}\"\n{files}"));
        path
    }

    pub fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_with(arguments, &[])
    }

    /// `glassctl models …` with further variables.
    pub fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Outcome {
        Outcome::of(self.command(arguments).envs(variables.iter().copied()))
    }

    /// `glassctl models …`, not started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_glassctl"));
        command.arg("models").args(arguments).current_dir(self.folder.path());
        if arguments[0] != "convert" {
            command.arg("--manifests").arg(self.path("locks"));
        }
        for name in ["HF_TOKEN", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_TOKEN_PATH", "RUST_LOG"] {
            command.env_remove(name);
        }
        command.env("HF_HOME", self.path("cache")).env("HF_ENDPOINT", &self.endpoint);
        command.env("NO_PROXY", "*");
        command
    }
}

impl Outcome {
    /// Runs a command to its end.
    pub fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        Self {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// It ended with this code and said all of these.
    #[track_caller]
    pub fn says(&self, code: i32, texts: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        for text in texts {
            let said = self.stderr.contains(text) || self.stdout.contains(text);
            assert!(said, "`{text}` is not in\n{}{}", self.stdout, self.stderr);
        }
    }
}

pub fn write(path: &Path, contents: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, contents).unwrap();
}

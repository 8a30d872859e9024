//! Digests of files too large to hold.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

/// A sha256 over bytes as they come.
#[derive(Clone, Default)]
pub(super) struct Running {
    hash: Sha256,
    bytes: u64,
}

impl Running {
    /// Over what is in a file so far.
    pub(super) fn of_file(path: &Path) -> io::Result<Self> {
        let mut running = Self::default();
        let mut file = File::open(path)?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(running),
                count => running.update(&buffer[..count]),
            }
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    /// How many bytes went in.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// In hex, as `sha256sum` prints it.
    pub(super) fn finish(self) -> String {
        hex::encode(self.hash.finalize())
    }
}

/// The sha256 of a file and its size.
pub(super) async fn of_file(path: &Path) -> io::Result<Running> {
    let path = path.to_owned();
    // Gigabytes take seconds; signals must be seen meanwhile.
    tokio::task::spawn_blocking(move || Running::of_file(&path)).await.map_err(io::Error::other)?
}

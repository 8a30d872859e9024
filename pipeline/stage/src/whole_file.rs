//! Files that are there whole or not at all: a reader never meets half of one, whatever ends the writer.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A file under way. It takes the place of what is at its path when it is finished, and never if it is not.
///
/// Its errors name the file.
#[derive(Debug)]
pub struct WholeFile {
    /// Gone when it is finished.
    file: Option<BufWriter<File>>,
    path: PathBuf,
}

impl WholeFile {
    /// Starts a file.
    ///
    /// # Errors
    /// The disk's.
    pub fn create(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let file = File::create(Self::unfinished(&path)).map_err(|error| naming(&path, &error))?;
        Ok(Self { file: Some(BufWriter::new(file)), path })
    }

    /// Writes a file at once.
    ///
    /// # Errors
    /// The disk's.
    pub fn write(path: impl Into<PathBuf>, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let mut file = Self::create(path)?;
        file.write_all(bytes.as_ref())?;
        file.finish()
    }

    /// Where a file is until it is finished. One that was left behind is written over.
    pub fn unfinished(path: &Path) -> PathBuf {
        let mut name = path.as_os_str().to_owned();
        name.push(".unfinished");
        name.into()
    }

    /// Gives it its name.
    ///
    /// # Errors
    /// The disk's.
    pub fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        let renamed = fs::rename(Self::unfinished(&self.path), &self.path);
        renamed.map_err(|error| naming(&self.path, &error))?;
        self.file = None;
        Ok(())
    }

    fn file(&mut self) -> io::Result<&mut BufWriter<File>> {
        self.file.as_mut().ok_or_else(|| io::Error::other("the file is finished"))
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file()?.write(bytes);
        written.map_err(|error| naming(&self.path, &error))
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.file()?.flush();
        flushed.map_err(|error| naming(&self.path, &error))
    }
}

/// What is not finished is no use, and takes room that may be short.
impl Drop for WholeFile {
    fn drop(&mut self) {
        let Some(file) = self.file.take() else { return };
        // Without a last try to write what is buffered.
        drop(file.into_parts());
        let unfinished = Self::unfinished(&self.path);
        if let Err(error) = fs::remove_file(&unfinished) {
            tracing::debug!(file = %unfinished.display(), %error, "an unfinished file stays behind");
        }
    }
}

fn naming(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot write `{}`: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn what_is_not_finished_is_not_there_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        WholeFile::write(&path, "first").unwrap();
        let mut second = WholeFile::create(&path).unwrap();
        second.write_all(b"half").unwrap();
        drop(second);
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        WholeFile::write(&path, "third").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"third");
    }

    #[test]
    fn an_error_names_the_file_and_keeps_its_kind() {
        let folder = tempfile::tempdir().unwrap();
        let error = WholeFile::write(folder.path().join("missing/a.json"), "x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("missing/a.json`: "), "{error}");
    }

    /// A device that is always full; not every system has it.
    #[test]
    fn a_full_disk_is_an_error_of_the_write() {
        if !Path::new("/dev/full").exists() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        std::os::unix::fs::symlink("/dev/full", WholeFile::unfinished(&path)).unwrap();
        let error = WholeFile::write(&path, vec![0; 1 << 20]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(!path.exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

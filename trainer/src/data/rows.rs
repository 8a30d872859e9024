//! Files of rows of one size, read by position.
//!
//! Training visits samples in random order many times; columns of Parquet are made for neither.
//! What training needs of a sample is therefore unpacked once into plain files beside the run; the
//! page cache keeps them in memory where they fit.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::error::{Result, TrainerError};

/// Writes rows in order.
#[derive(Debug)]
pub struct RowWriter {
    path: PathBuf,
    file: BufWriter<File>,
}

impl RowWriter {
    /// Creates or empties the file.
    ///
    /// # Errors
    /// [`TrainerError::File`].
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).map_err(TrainerError::file(path))?;
        Ok(Self { path: path.to_owned(), file: BufWriter::with_capacity(1 << 20, file) })
    }

    /// Appends a row of bytes.
    ///
    /// # Errors
    /// [`TrainerError::File`].
    pub fn push(&mut self, row: &[u8]) -> Result<()> {
        self.file.write_all(row).map_err(TrainerError::file(&self.path))
    }

    /// Appends a row of numbers, little-endian.
    ///
    /// # Errors
    /// [`TrainerError::File`].
    pub fn push_f32(&mut self, row: &[f32]) -> Result<()> {
        let bytes: Vec<u8> = row.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.push(&bytes)
    }

    /// Makes the rows durable.
    ///
    /// # Errors
    /// [`TrainerError::File`].
    pub fn finish(mut self) -> Result<()> {
        self.file.flush().and_then(|()| self.file.get_ref().sync_all()).map_err(TrainerError::file(&self.path))
    }
}

/// Reads rows in any order.
#[derive(Debug)]
pub struct Rows {
    path: PathBuf,
    file: File,
    row_bytes: usize,
}

impl Rows {
    /// Opens a file of `count` rows of `row_bytes` bytes.
    ///
    /// # Errors
    /// [`TrainerError::File`]; [`TrainerError::State`] where the file has another size.
    pub fn open(path: &Path, row_bytes: usize, count: usize) -> Result<Self> {
        let file = File::open(path).map_err(TrainerError::file(path))?;
        let found = file.metadata().map_err(TrainerError::file(path))?.len();
        let expected = (row_bytes * count) as u64;
        if found != expected {
            return Err(TrainerError::state(
                &format!("`{}`", path.display()),
                format!("{found} bytes where {expected} are expected"),
            ));
        }
        Ok(Self { path: path.to_owned(), file, row_bytes })
    }

    /// The bytes of one row.
    ///
    /// # Errors
    /// [`TrainerError::File`].
    pub fn read(&self, row: usize, into: &mut Vec<u8>) -> Result<()> {
        let start = into.len();
        into.resize(start + self.row_bytes, 0);
        self.file
            .read_exact_at(&mut into[start..], (row * self.row_bytes) as u64)
            .map_err(TrainerError::file(&self.path))
    }

    /// The numbers of one row, appended.
    ///
    /// # Errors
    /// [`TrainerError::File`].
    pub fn read_f32(&self, row: usize, into: &mut Vec<f32>) -> Result<()> {
        let mut bytes = Vec::new();
        self.read(row, &mut bytes)?;
        into.extend(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])));
        Ok(())
    }
}

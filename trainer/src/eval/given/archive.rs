//! `.npz`: a zip of arrays, stored or deflated.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, Mutex};

use flate2::read::DeflateDecoder;

use super::{Content, Given, Missing, Source, settle, stem};
use crate::eval::EvalError;
use crate::eval::annotations::{Annotations, Picture};

/// Record that ends a zip, and the longest comment behind it.
const END: [u8; 4] = *b"PK\x05\x06";
const END_LENGTH: u64 = 22;
const LONGEST_COMMENT: u64 = 65_535;
const ENTRY: [u8; 4] = *b"PK\x01\x02";
const LOCAL: [u8; 4] = *b"PK\x03\x04";
/// In a 32-bit field: the number is in a 64-bit record.
const ELSEWHERE: u32 = u32::MAX;

/// Largest array that is believed, bytes.
const LARGEST_ENTRY: u64 = 1 << 31;

trait Bytes: Read + Seek + Send {}
impl<T: Read + Seek + Send> Bytes for T {}

/// An archive whose directory has been read.
pub struct Archive {
    bytes: Mutex<Box<dyn Bytes>>,
    entries: BTreeMap<String, Entry>,
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.entries.keys()).finish()
    }
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    method: u16,
    compressed: u64,
    size: u64,
    start: u64,
}

/// Finds the array of every picture, named by its file stem.
pub fn open<'a>(path: &Path, annotations: &'a Annotations, missing: Missing) -> Result<Source<'a>, EvalError> {
    let file = File::open(path).map_err(EvalError::read(path))?;
    let archive = Archive::of(Box::new(file)).map_err(|problem| EvalError::Given {
        path: path.to_owned(),
        field: "the archive".into(),
        problem,
        hint: "write it with numpy.savez or numpy.savez_compressed, one array a file stem".into(),
    })?;
    let archive = Arc::new(archive);
    let named = |picture: &&Picture| archive.entries.contains_key(stem(&picture.name));
    let (present, absent): (Vec<_>, Vec<_>) = annotations.pictures().iter().partition(named);
    let expected = |picture: &Picture| format!("the array `{}`", stem(&picture.name));
    settle(missing, path, &absent, annotations.pictures().len(), expected)?;
    Ok(Box::new(present.into_iter().map(move |picture| {
        let content = Content::Entry(Arc::clone(&archive), stem(&picture.name).to_owned());
        Ok(Given { picture, content })
    })))
}

impl Archive {
    /// An archive in memory.
    pub fn of_bytes(bytes: Vec<u8>) -> Result<Self, String> {
        Self::of(Box::new(Cursor::new(bytes)))
    }

    fn of(mut bytes: Box<dyn Bytes>) -> Result<Self, String> {
        let entries = directory(&mut *bytes).map_err(|error| format!("is no readable zip: {error}"))?;
        Ok(Self { bytes: Mutex::new(bytes), entries })
    }

    /// The array of a name, without `.npy`.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        let entry = self.entries.get(name).ok_or_else(|| format!("has no array `{name}`"))?;
        let mut bytes = self.bytes.lock().map_err(|_| "could not be read".to_owned())?;
        let packed = entry.packed(&mut **bytes).map_err(|error| format!("is damaged: {error}"))?;
        drop(bytes);
        match entry.method {
            0 => Ok(packed),
            8 => {
                let mut unpacked = Vec::new();
                let mut decoder = DeflateDecoder::new(packed.as_slice()).take(entry.size + 1);
                decoder.read_to_end(&mut unpacked).map_err(|error| format!("is damaged: {error}"))?;
                if unpacked.len() as u64 == entry.size { Ok(unpacked) } else { Err("is damaged".into()) }
            }
            other => Err(format!("is compressed by method {other}, which numpy does not write")),
        }
    }

    /// The array of an archive that has one, or calls it `masks` or `labels`.
    pub fn only(&self) -> Result<Vec<u8>, String> {
        let mut names = self.entries.keys();
        let name = match (names.next(), names.next()) {
            (Some(only), None) => only.as_str(),
            _ => ["masks", "labels"]
                .into_iter()
                .find(|name| self.entries.contains_key(*name))
                .ok_or_else(|| format!("has {} arrays and none is called `masks` or `labels`", self.entries.len()))?,
        };
        self.read(name)
    }
}

impl Entry {
    fn packed(&self, bytes: &mut dyn Bytes) -> std::io::Result<Vec<u8>> {
        let mut local = [0; 30];
        bytes.seek(SeekFrom::Start(self.start))?;
        bytes.read_exact(&mut local)?;
        if local[..4] != LOCAL {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        let skipped = i64::from(short(&local, 26)) + i64::from(short(&local, 28));
        bytes.seek(SeekFrom::Current(skipped))?;
        let mut packed = Vec::new();
        bytes.take(self.compressed).read_to_end(&mut packed)?;
        if packed.len() as u64 != self.compressed {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(packed)
    }
}

fn directory(bytes: &mut dyn Bytes) -> std::io::Result<BTreeMap<String, Entry>> {
    let invalid = |problem: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, problem.to_owned());
    let length = bytes.seek(SeekFrom::End(0))?;
    bytes.seek(SeekFrom::Start(length.saturating_sub(END_LENGTH + LONGEST_COMMENT)))?;
    let mut tail = Vec::new();
    bytes.read_to_end(&mut tail)?;
    let at = tail.windows(END_LENGTH as usize).rposition(|window| window[..4] == END);
    let end = &tail[at.ok_or_else(|| invalid("its directory is missing, the file may be truncated"))?..];
    let (size, start) = (long(end, 12), long(end, 16));
    if start == ELSEWHERE || short(end, 10) == u16::MAX {
        return Err(invalid("it is larger than 4 GiB; split it, or write one file a picture"));
    }
    bytes.seek(SeekFrom::Start(start.into()))?;
    let mut list = Vec::new();
    bytes.take(size.into()).read_to_end(&mut list)?;
    let mut entries = BTreeMap::new();
    let mut rest = list.as_slice();
    while rest.len() >= 46 && rest[..4] == ENTRY {
        let lengths = [28, 30, 32].map(|at| usize::from(short(rest, at)));
        let next = 46 + lengths.iter().sum::<usize>();
        let name = rest.get(46..46 + lengths[0]).ok_or_else(|| invalid("its directory is damaged"))?;
        let name = String::from_utf8_lossy(name);
        let entry = Entry {
            method: short(rest, 10),
            compressed: long(rest, 20).into(),
            size: long(rest, 24).into(),
            start: long(rest, 42).into(),
        };
        if entry.size > LARGEST_ENTRY || entry.compressed > LARGEST_ENTRY {
            return Err(invalid(&format!("its entry `{name}` is too large")));
        }
        entries.insert(name.strip_suffix(".npy").unwrap_or(&name).to_owned(), entry);
        rest = rest.get(next..).unwrap_or_default();
    }
    Ok(entries)
}

fn short(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn long(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

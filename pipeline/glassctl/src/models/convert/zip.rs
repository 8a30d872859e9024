//! The archive that torch writes since 1.6: a zip whose entries are stored as they are.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Cursor};
use std::os::unix::fs::FileExt;

use super::container::{Container, Span};
use super::pickle::{self, Fault};

/// What a zip begins with.
pub(super) const MAGIC: [u8; 4] = *b"PK\x03\x04";

const ENTRY: [u8; 4] = *b"PK\x01\x02";
const END: [u8; 4] = *b"PK\x05\x06";
const END_64: [u8; 4] = *b"PK\x06\x06";
const LOCATOR_64: [u8; 4] = *b"PK\x06\x07";
/// Length of the end record, and the longest comment that may follow it.
const END_LENGTH: u64 = 22;
const COMMENT: u64 = 65_535;
/// The pickle holds names and shapes; directories are as small.
const LARGEST_TEXT: u64 = 64 << 20;

/// Reads the directory and the pickle.
pub(super) fn open(file: &File, length: u64) -> Result<Container, Fault> {
    let entries = entries(file, length)?;
    let pickle = entries.keys().find(|name| *name == "data.pkl" || name.ends_with("/data.pkl"));
    let pickle = pickle.ok_or_else(|| Fault::new("it holds no `data.pkl`"))?;
    let prefix = pickle.strip_suffix("data.pkl").unwrap_or_default().to_owned();
    if let Some(order) = entries.get(&format!("{prefix}byteorder"))
        && read(file, *order)? != b"little"
    {
        return Err(Fault::new("it was written on a big-endian machine"));
    }
    let object = pickle::read(&mut Cursor::new(read(file, entries[pickle])?))?;
    let prefix = format!("{prefix}data/");
    let storage = |(name, span): (String, Span)| Some((name.strip_prefix(&prefix)?.to_owned(), span));
    Ok(Container { object, storages: entries.into_iter().filter_map(storage).collect() })
}

fn read(file: &File, span: Span) -> Result<Vec<u8>, Fault> {
    if span.length > LARGEST_TEXT {
        return Err(Fault::new(format!("a part that should be small has {} bytes", span.length)));
    }
    let mut bytes = vec![0; span.length as usize];
    file.read_exact_at(&mut bytes, span.start)?;
    Ok(bytes)
}

/// Where the contents of each entry lie.
fn entries(file: &File, length: u64) -> Result<HashMap<String, Span>, Fault> {
    let (count, directory) = directory(file, length)?;
    let directory = read(file, directory)?;
    let mut fields = Fields(&directory);
    let mut entries = HashMap::new();
    for _ in 0..count {
        if fields.take(4)? != ENTRY {
            return Err(Fault::new("its directory is damaged"));
        }
        fields.take(6)?;
        let method = fields.u16()?;
        fields.take(8)?;
        let (packed, size) = (u64::from(fields.u32()?), u64::from(fields.u32()?));
        let (name, extra, comment) = (fields.u16()?, fields.u16()?, fields.u16()?);
        fields.take(8)?;
        let start = u64::from(fields.u32()?);
        let name = String::from_utf8_lossy(fields.take(name.into())?).into_owned();
        let extra = fields.take(extra.into())?;
        fields.take(comment.into())?;
        if method != 0 {
            return Err(Fault::new(format!("its entry `{name}` is compressed, which torch does not do")));
        }
        let [size, _, start] = large([size, packed, start], extra)?;
        entries.insert(name, contents(file, start, size, length)?);
    }
    Ok(entries)
}

/// Number of entries, and where the directory lies.
fn directory(file: &File, length: u64) -> Result<(u64, Span), Fault> {
    let tail = length.min(END_LENGTH + COMMENT);
    let tail = read(file, Span { start: length - tail, length: tail })?;
    let at = tail.windows(4).rposition(|bytes| bytes == END);
    let at = at.ok_or_else(|| Fault::new("it is truncated: the end of the archive is missing"))?;
    let mut fields = Fields(&tail[at + 10..]);
    let (count, size) = (u64::from(fields.u16()?), u64::from(fields.u32()?));
    let start = u64::from(fields.u32()?);
    let span = Span { start, length: size };
    let found = match tail[..at].len().checked_sub(20).map(|locator| &tail[locator..at]) {
        Some(locator) if locator.starts_with(&LOCATOR_64) => {
            let end = Fields(&locator[8..]).u64()?;
            let mut record = [0; 56];
            file.read_exact_at(&mut record, end)?;
            if !record.starts_with(&END_64) {
                return Err(Fault::new("its directory is damaged"));
            }
            let mut fields = Fields(&record[32..]);
            let (count, length) = (fields.u64()?, fields.u64()?);
            (count, Span { start: fields.u64()?, length })
        }
        _ => (count, span),
    };
    inside(found.1, length).map(|span| (found.0, span))
}

/// Numbers that need 64 bits stand in an extra field, in this order, and only those.
fn large(mut numbers: [u64; 3], extra: &[u8]) -> Result<[u64; 3], Fault> {
    let mut fields = Fields(extra);
    while !fields.0.is_empty() {
        let (kind, length) = (fields.u16()?, fields.u16()?);
        let mut field = Fields(fields.take(length.into())?);
        if kind == 1 {
            for number in numbers.iter_mut().filter(|number| **number == u64::from(u32::MAX)) {
                *number = field.u64()?;
            }
        }
    }
    Ok(numbers)
}

/// An entry's own header stands before its contents and has a length of its own.
fn contents(file: &File, start: u64, size: u64, length: u64) -> Result<Span, Fault> {
    let mut header = [0; 30];
    inside(Span { start, length: 30 }, length)?;
    file.read_exact_at(&mut header, start)?;
    let mut fields = Fields(&header);
    if fields.take(4)? != MAGIC {
        return Err(Fault::new("its directory is damaged"));
    }
    fields.take(22)?;
    let skipped = 30 + u64::from(fields.u16()?) + u64::from(fields.u16()?);
    inside(Span { start: start + skipped, length: size }, length)
}

fn inside(span: Span, length: u64) -> Result<Span, Fault> {
    match span.start.checked_add(span.length) {
        Some(end) if end <= length => Ok(span),
        _ => Err(Fault::new("it is truncated: a part lies beyond its end")),
    }
}

/// Little-endian numbers, one after the other.
struct Fields<'b>(&'b [u8]);

impl<'b> Fields<'b> {
    fn take(&mut self, count: usize) -> Result<&'b [u8], Fault> {
        let Some((taken, rest)) = self.0.split_at_checked(count) else {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        };
        self.0 = rest;
        Ok(taken)
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    fn u16(&mut self) -> Result<u16, Fault> {
        self.number().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, Fault> {
        self.number().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Fault> {
        self.number().map(u64::from_le_bytes)
    }
}

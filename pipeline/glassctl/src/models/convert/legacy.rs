//! What torch wrote until 1.5: pickles one after the other, then the storages.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek};

use super::container::{Container, Span};
use super::pickle::{self, Fault, Pickled, Value};

/// The first pickle: torch's number for these files, written as a long.
pub(super) const MAGIC: [u8; 15] =
    [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, b'.'];

/// The only layout that torch itself reads.
const PROTOCOL: i64 = 1001;

/// Reads the pickles and finds the storages behind them.
pub(super) fn open(file: &File, length: u64) -> Result<Container, Fault> {
    let mut reader = BufReader::new(file);
    pickle::read(&mut reader)?;
    if !matches!(pickle::read(&mut reader)?.root, Value::Int(PROTOCOL)) {
        return Err(Fault::new("its layout is of another version of torch"));
    }
    let system = pickle::read(&mut reader)?;
    if !matches!(system.entry(&system.root, "little_endian"), Some(Value::Bool(true))) {
        return Err(Fault::new("it was written on a big-endian machine"));
    }
    let object = pickle::read(&mut reader)?;
    let keys = pickle::read(&mut reader)?;
    let storages = storages(&mut reader, &object, &keys, length)?;
    Ok(Container { storages, object })
}

/// Each storage is its number of elements, then the elements; the pickle tells how wide they are.
fn storages(
    reader: &mut BufReader<&File>,
    object: &Pickled,
    keys: &Pickled,
    length: u64,
) -> Result<HashMap<String, Span>, Fault> {
    let damaged = || Fault::new("its list of storages is damaged");
    let mut storages = HashMap::new();
    for key in keys.items(&keys.root).ok_or_else(damaged)? {
        let Value::Text(key) = key else { return Err(damaged()) };
        let width = object.storages.get(&**key).ok_or_else(damaged)?.size();
        let mut count = [0; 8];
        reader.read_exact(&mut count)?;
        let bytes = u64::from_le_bytes(count).checked_mul(width).ok_or_else(damaged)?;
        let start = reader.stream_position()?;
        if start.checked_add(bytes).is_none_or(|end| end > length) {
            return Err(Fault::new("it is truncated: a part lies beyond its end"));
        }
        reader.seek_relative(i64::try_from(bytes).map_err(|_| damaged())?)?;
        storages.insert(key.to_string(), Span { start, length: bytes });
    }
    Ok(storages)
}

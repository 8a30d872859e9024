//! MATLAB 5 files, as far as SBD uses them: a struct of matrices, perhaps compressed.
//!
//! The layout is that of MathWorks' "MAT-File Format", level 5: elements of a tag (type and size) and data padded to
//! eight bytes; a matrix element holds flags, dimensions, a name and its values, column by column.

use std::io::Read as _;

use flate2::read::ZlibDecoder;
use glass_metrics::LabelMap;

/// Bytes of the largest variable that is unpacked.
const LARGEST: u64 = 1 << 28;

const HEADER: usize = 128;
const MI_INT8: u32 = 1;
const MI_UINT8: u32 = 2;
const MI_INT16: u32 = 3;
const MI_UINT16: u32 = 4;
const MI_INT32: u32 = 5;
const MI_UINT32: u32 = 6;
const MI_SINGLE: u32 = 7;
const MI_DOUBLE: u32 = 9;
const MI_MATRIX: u32 = 14;
const MI_COMPRESSED: u32 = 15;
const MX_STRUCT: u8 = 2;
const MX_NUMERIC: std::ops::RangeInclusive<u8> = 6..=15;

/// A matrix of numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Its name in the struct.
    pub name: String,
    /// Sizes, rows first.
    pub dims: Vec<usize>,
    /// Values, column by column.
    pub values: Vec<f64>,
}

/// The numeric fields of the first struct of a MATLAB 5 file; fields of other kinds (cells, sparse matrices) are left
/// out.
///
/// # Errors
/// What is wrong with the file, as the end of a sentence.
pub fn read_struct(bytes: &[u8]) -> Result<Vec<Array>, String> {
    if bytes.len() < HEADER || !bytes.starts_with(b"MATLAB 5.0") {
        return Err("is no MATLAB 5 file".into());
    }
    if &bytes[HEADER - 2..HEADER] != b"IM" {
        return Err("is a MATLAB file of the other byte order".into());
    }
    let mut rest = &bytes[HEADER..];
    while !rest.is_empty() {
        let element = Element::take(&mut rest)?;
        let unpacked = match element.kind {
            MI_COMPRESSED => Some(unpack(element.data)?),
            _ => None,
        };
        let variable = match &unpacked {
            Some(data) => Element::take(&mut data.as_slice())?,
            None => element,
        };
        if let Some(arrays) = struct_of(&variable)? {
            return Ok(arrays);
        }
    }
    Err("holds no struct".into())
}

fn unpack(packed: &[u8]) -> Result<Vec<u8>, String> {
    let mut data = Vec::new();
    let mut decoder = ZlibDecoder::new(packed).take(LARGEST);
    decoder.read_to_end(&mut data).map_err(|error| format!("cannot be unpacked: {error}"))?;
    Ok(data)
}

/// SBD's label map: the field `Segmentation` of `GTinst` or `GTcls`.
pub(super) fn segmentation(bytes: &[u8]) -> Result<LabelMap, String> {
    let arrays = read_struct(bytes)?;
    let map = arrays
        .into_iter()
        .find(|array| array.name == "Segmentation")
        .ok_or("has no field `Segmentation`, as SBD's `GTinst` and `GTcls` have")?;
    let [height, width] = map.dims[..] else { return Err(format!("`Segmentation` has the sizes {:?}", map.dims)) };
    let mut labels = vec![0; width * height];
    for (at, &value) in map.values.iter().enumerate() {
        if !(0.0..f64::from(glass_metrics::OVERLAP)).contains(&value) || value.fract() != 0.0 {
            return Err(format!("`Segmentation` has the value {value}, which is no label"));
        }
        labels[at % height * width + at / height] = value as u16;
    }
    LabelMap::new(width, height, labels).map_err(|error| error.to_string())
}

/// A tag and its data.
#[derive(Clone, Copy)]
struct Element<'a> {
    kind: u32,
    data: &'a [u8],
}

impl<'a> Element<'a> {
    /// The next element; `bytes` is left behind it.
    fn take(bytes: &mut &'a [u8]) -> Result<Self, String> {
        let all = *bytes;
        let word = |at: usize| all.get(at..at + 4)?.first_chunk::<4>().map(|word| u32::from_le_bytes(*word));
        let cut = || String::from("ends inside an element");
        let first = word(0).ok_or_else(cut)?;
        // Up to four bytes of data stand in the tag itself.
        let (kind, length, start): (u32, usize, usize) = match first >> 16 {
            0 => (first, word(4).ok_or_else(cut)? as usize, 8),
            length => (first & 0xffff, length as usize, 4),
        };
        let data = all.get(start..start.saturating_add(length)).ok_or_else(cut)?;
        // Compressed elements alone are not padded.
        let padded = match kind {
            MI_COMPRESSED => start + length,
            _ => (start + length).next_multiple_of(8),
        };
        *bytes = all.get(padded..).unwrap_or_default();
        Ok(Self { kind, data })
    }

    /// Its numbers.
    fn numbers(&self) -> Result<Vec<f64>, String> {
        macro_rules! numbers {
            ($kind:ty) => {
                self.data
                    .chunks_exact(size_of::<$kind>())
                    .filter_map(|bytes| Some(<$kind>::from_le_bytes(bytes.try_into().ok()?) as f64))
                    .collect()
            };
        }
        Ok(match self.kind {
            MI_INT8 => numbers!(i8),
            MI_UINT8 => numbers!(u8),
            MI_INT16 => numbers!(i16),
            MI_UINT16 => numbers!(u16),
            MI_INT32 => numbers!(i32),
            MI_UINT32 => numbers!(u32),
            MI_SINGLE => numbers!(f32),
            MI_DOUBLE => numbers!(f64),
            kind => return Err(format!("has numbers of the unknown type {kind}")),
        })
    }
}

/// What every matrix begins with: its class and its sizes; `rest` is left behind its name.
fn matrix_head(rest: &mut &[u8]) -> Result<(u8, Vec<usize>), String> {
    let flags = Element::take(rest)?;
    let class = *flags.data.first().ok_or("has a matrix without flags")?;
    let dims = Element::take(rest)?.numbers()?.into_iter().map(|side| side as usize).collect();
    Element::take(rest)?;
    Ok((class, dims))
}

/// The numeric fields of a struct matrix; `None` where it is none.
fn struct_of(element: &Element<'_>) -> Result<Option<Vec<Array>>, String> {
    if element.kind != MI_MATRIX {
        return Ok(None);
    }
    let mut rest = element.data;
    let (class, _) = matrix_head(&mut rest)?;
    if class != MX_STRUCT {
        return Ok(None);
    }
    let length = Element::take(&mut rest)?.numbers()?.first().map_or(0, |length| *length as usize);
    let names = Element::take(&mut rest)?.data;
    let names = names.chunks_exact(length.max(1)).map(|name| {
        let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
        String::from_utf8_lossy(&name[..end]).into_owned()
    });
    let mut arrays = Vec::new();
    for name in names {
        let field = Element::take(&mut rest)?;
        if let Some(array) = numeric(&field, name)? {
            arrays.push(array);
        }
    }
    Ok(Some(arrays))
}

fn numeric(field: &Element<'_>, name: String) -> Result<Option<Array>, String> {
    let mut rest = field.data;
    if field.kind != MI_MATRIX || rest.is_empty() {
        return Ok(None);
    }
    let (class, dims) = matrix_head(&mut rest)?;
    if !MX_NUMERIC.contains(&class) {
        return Ok(None);
    }
    let values = Element::take(&mut rest)?.numbers()?;
    if dims.iter().try_fold(1_usize, |size, &side| size.checked_mul(side)) != Some(values.len()) {
        return Err(format!("`{name}` has {} values, its sizes {dims:?} ask for others", values.len()));
    }
    Ok(Some(Array { name, dims, values }))
}

//! Arrays as numpy writes them.

use super::Segments;
use crate::eval::annotations::Picture;

const MAGIC: &[u8] = b"\x93NUMPY";

/// An array: what `.npy` holds.
struct Array<'a> {
    kind: u8,
    width: usize,
    big_endian: bool,
    shape: Vec<usize>,
    data: &'a [u8],
}

/// The segments of an array: integers `[height, width]` are labels, floats `[masks, height, width]` soft masks,
/// integers or truth values `[masks, height, width]` one mask each, where the first of overlapping masks wins and pixels
/// under none are a segment.
pub fn segments(bytes: &[u8], picture: &Picture) -> Result<Segments, String> {
    let array = Array::parse(bytes)?;
    let floats = array.kind == b'f';
    match *array.shape.as_slice() {
        [height, width] if !floats => Segments::of_values(width, height, &array.integers()?),
        [_, _] => Err("is a single map of floats: labels are integers, soft masks have three axes".into()),
        [slots, height, width] if floats => Segments::of_scores(array.floats()?, [slots, height, width], picture),
        [slots, height, width] => stack(&array.integers()?, [slots, height, width]),
        _ => Err(format!("has the shape {:?}", array.shape)),
    }
}

/// Shape and numbers of an array of floats.
pub(crate) fn numbers(bytes: &[u8]) -> Result<(Vec<usize>, Vec<f64>), String> {
    let array = Array::parse(bytes)?;
    match (array.kind, array.width) {
        (b'f', 8) => Ok((array.shape.clone(), array.values().map(f64::from_le_bytes).collect())),
        (b'f', _) => Ok((array.shape.clone(), array.floats()?.into_iter().map(f64::from).collect())),
        _ => Err("holds no floats".into()),
    }
}

fn stack(values: &[i64], [slots, height, width]: [usize; 3]) -> Result<Segments, String> {
    if values.iter().any(|value| !(0..=1).contains(value)) {
        return Err("is a stack of integers other than 0 and 1: one map has two axes, masks are 0 or 1".into());
    }
    let pixels = width * height;
    let mut labels = vec![0; pixels];
    for slot in (0..slots).rev() {
        for (label, &inside) in labels.iter_mut().zip(&values[slot * pixels..(slot + 1) * pixels]) {
            if inside == 1 {
                *label = slot as i64 + 1;
            }
        }
    }
    Segments::of_values(width, height, &labels)
}

impl<'a> Array<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        let damaged = || "is no readable .npy array".to_owned();
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(damaged)?;
        let (length, start) = match rest {
            [1, _, a, b, ..] => (usize::from(u16::from_le_bytes([*a, *b])), 4),
            [2 | 3, _, a, b, c, d, ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, 6),
            _ => return Err(damaged()),
        };
        let header = rest.get(start..start + length).ok_or_else(damaged)?;
        let header = std::str::from_utf8(header).map_err(|_| damaged())?;
        let descr = value(header, "descr").and_then(|text| text.split(['\'', '"']).nth(1)).ok_or_else(damaged)?;
        if value(header, "fortran_order").is_some_and(|text| text.trim_start().starts_with("True")) {
            return Err("is stored column by column; save it with numpy.ascontiguousarray".into());
        }
        let shape = value(header, "shape").and_then(|text| text.split(['(', ')']).nth(1)).ok_or_else(damaged)?;
        let sides = shape.split(',').map(str::trim).filter(|side| !side.is_empty()).map(str::parse);
        let shape: Vec<usize> = sides.collect::<Result<_, _>>().map_err(|_| damaged())?;
        let (order, kind) = descr.split_at_checked(1).ok_or_else(damaged)?;
        let unknown = || format!("has values of type `{descr}`, not integers, floats or truth values");
        let (kind, width) = kind.split_at_checked(1).ok_or_else(unknown)?;
        let width: usize = width.parse().map_err(|_| unknown())?;
        let kind = kind.as_bytes()[0];
        if !matches!((kind, width), (b'u' | b'i', 1 | 2 | 4 | 8) | (b'f', 2 | 4 | 8) | (b'b', 1)) {
            return Err(unknown());
        }
        let data = &rest[start + length..];
        let expected = shape.iter().try_fold(width, |size, &side| size.checked_mul(side));
        if expected != Some(data.len()) {
            return Err(format!("holds {} bytes, its shape {shape:?} of `{descr}` asks for others", data.len()));
        }
        Ok(Self { kind, width, big_endian: order == ">", shape, data })
    }

    /// Bytes of each value, lowest first.
    fn values(&self) -> impl Iterator<Item = [u8; 8]> + '_ {
        self.data.chunks_exact(self.width).map(|chunk| {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            if self.big_endian {
                bytes[..chunk.len()].reverse();
            }
            bytes
        })
    }

    fn integers(&self) -> Result<Vec<i64>, String> {
        let shift = 64 - 8 * self.width as u32;
        let signed = self.kind == b'i';
        let read = |bytes: [u8; 8]| {
            let value = i64::from_le_bytes(bytes);
            if signed { Ok(value << shift >> shift) } else { u64::from_le_bytes(bytes).try_into() }
        };
        self.values()
            .map(read)
            .collect::<Result<_, std::num::TryFromIntError>>()
            .map_err(|_| "has a label above 2⁶³".into())
    }

    fn floats(&self) -> Result<Vec<f32>, String> {
        let read = |bytes: [u8; 8]| match self.width {
            2 => half(u16::from_le_bytes([bytes[0], bytes[1]])),
            4 => f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
            _ => f64::from_le_bytes(bytes) as f32,
        };
        Ok(self.values().map(read).collect())
    }
}

/// What follows `'key':` in the header, a Python dictionary.
fn value<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let at = header.find(&format!("'{key}'"))?;
    header[at + key.len() + 2..].split_once(':').map(|(_, rest)| rest)
}

/// IEEE half precision.
fn half(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2_f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1024.0 + fraction) * 2_f32.powi(exponent - 25),
    }
}

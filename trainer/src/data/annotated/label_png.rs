//! Label maps in PNG files: grey values or palette indices, never colours.

use std::io::Cursor;

use glass_metrics::{LabelMap, OVERLAP};
use png::{BitDepth, ColorType, Decoder, Transformations};

/// Pixels of the largest map that is decoded.
const LARGEST: usize = 1 << 28;

/// Width, height and the stored values of a grey (1 to 16 bits) or palette PNG, row by row.
///
/// # Errors
/// What is wrong with the file, as the end of a sentence.
pub fn label_values(bytes: &[u8]) -> Result<(usize, usize, Vec<u16>), String> {
    let mut decoder = Decoder::new(Cursor::new(bytes));
    // As stored: the usual transformations turn indices into colours and stretch small depths.
    decoder.set_transformations(Transformations::IDENTITY);
    let mut reader = decoder.read_info().map_err(|error| format!("is no readable PNG: {error}"))?;
    let size = reader.output_buffer_size().filter(|size| *size <= 2 * LARGEST).ok_or("is too large")?;
    let mut buffer = vec![0; size];
    let frame = reader.next_frame(&mut buffer).map_err(|error| format!("is damaged: {error}"))?;
    if !matches!(frame.color_type, ColorType::Grayscale | ColorType::Indexed) {
        return Err(format!("has colours ({:?}), segments are one number a pixel", frame.color_type));
    }
    let (width, height) = (frame.width as usize, frame.height as usize);
    let mut values = Vec::with_capacity(width * height);
    for row in buffer.chunks_exact(frame.line_size).take(height) {
        unpack(row, width, frame.bit_depth, &mut values);
    }
    if frame.color_type == ColorType::Indexed {
        let colours = reader.info().palette.as_ref().map_or(0, |palette| palette.len() / 3);
        if let Some(at) = values.iter().position(|&index| usize::from(index) >= colours) {
            return Err(format!(
                "has the index {} at {}, its palette ends at {}",
                values[at],
                position(at, width),
                colours.saturating_sub(1)
            ));
        }
    }
    Ok((width, height, values))
}

/// A label map as it is stored.
pub(super) fn label_map(bytes: &[u8]) -> Result<LabelMap, String> {
    let (width, height, values) = label_values(bytes)?;
    if let Some(at) = values.iter().position(|&value| value >= OVERLAP) {
        return Err(format!("has the label {} at {}, labels end at {}", values[at], position(at, width), OVERLAP - 1));
    }
    LabelMap::new(width, height, values).map_err(|error| error.to_string())
}

/// `column …, row …` of a pixel.
pub(super) fn position(at: usize, width: usize) -> String {
    format!("column {}, row {}", at % width.max(1), at / width.max(1))
}

/// Width and height in the first bytes of a PNG.
pub(super) fn size_in_head(head: &[u8]) -> Result<(usize, usize), String> {
    let number = |at: usize| {
        let bytes = head.get(at..at + 4)?.first_chunk::<4>()?;
        usize::try_from(u32::from_be_bytes(*bytes)).ok()
    };
    if !head.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Err("is no PNG".into());
    }
    match (number(16), number(20)) {
        (Some(width), Some(height)) if width * height > 0 && width * height <= LARGEST => Ok((width, height)),
        (Some(width), Some(height)) => Err(format!("is {width}×{height} pixels, which no map is")),
        _ => Err("ends before its size".into()),
    }
}

/// Bytes of a PNG that hold its size.
pub(super) const HEAD: u64 = 24;

fn unpack(row: &[u8], width: usize, depth: BitDepth, values: &mut Vec<u16>) {
    match depth {
        BitDepth::Sixteen => {
            values.extend(row.chunks_exact(2).take(width).map(|pair| u16::from_be_bytes([pair[0], pair[1]])));
        }
        BitDepth::Eight => values.extend(row.iter().take(width).map(|&value| u16::from(value))),
        _ => {
            let bits = depth as usize;
            let mask = (1_u8 << bits) - 1;
            values.extend((0..width).map(|x| {
                let shift = 8 - bits - x * bits % 8;
                u16::from(row[x * bits / 8] >> shift & mask)
            }));
        }
    }
}

//! Label maps in PNG files: grey values or palette indices, never colours.

use std::io::Cursor;

use png::{BitDepth, ColorType, Decoder, Transformations};

use super::Segments;

/// The segments of a grey (1 to 16 bits) or palette PNG.
pub fn segments(bytes: &[u8]) -> Result<Segments, String> {
    let mut decoder = Decoder::new(Cursor::new(bytes));
    // As stored: the usual transformations turn indices into colours and stretch small depths.
    decoder.set_transformations(Transformations::IDENTITY);
    let mut reader = decoder.read_info().map_err(|error| format!("is no readable PNG: {error}"))?;
    let size = reader.output_buffer_size().ok_or("is too large")?;
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
        if let Some(at) = values.iter().position(|&index| index >= colours as i64) {
            return Err(format!(
                "has the index {} at column {}, row {}, its palette ends at {}",
                values[at],
                at % width,
                at / width,
                colours.saturating_sub(1)
            ));
        }
    }
    Segments::of_values(width, height, &values)
}

fn unpack(row: &[u8], width: usize, depth: BitDepth, values: &mut Vec<i64>) {
    match depth {
        BitDepth::Sixteen => {
            values
                .extend(row.chunks_exact(2).take(width).map(|pair| i64::from(u16::from_be_bytes([pair[0], pair[1]]))));
        }
        BitDepth::Eight => values.extend(row.iter().take(width).map(|&value| i64::from(value))),
        _ => {
            let bits = depth as usize;
            let mask = (1_u8 << bits) - 1;
            values.extend((0..width).map(|x| {
                let shift = 8 - bits - x * bits % 8;
                i64::from(row[x * bits / 8] >> shift & mask)
            }));
        }
    }
}

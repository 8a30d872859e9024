//! Bytes of a safetensors file to `f32`.

use half::{bf16, f16};
use rayon::prelude::*;
use safetensors::Dtype;

/// Elements that one task converts.
const CHUNK: usize = 1 << 16;

/// Little-endian floats of 16 or 32 bits as `f32`; `None` for any other type.
pub(super) fn to_f32(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    match dtype {
        Dtype::F16 => Some(map(bytes, |b: [u8; 2]| f16::from_le_bytes(b).to_f32())),
        Dtype::BF16 => Some(map(bytes, |b: [u8; 2]| bf16::from_le_bytes(b).to_f32())),
        Dtype::F32 => Some(map(bytes, f32::from_le_bytes)),
        _ => None,
    }
}

fn map<const N: usize>(bytes: &[u8], convert: impl Fn([u8; N]) -> f32 + Sync) -> Vec<f32> {
    let (elements, _) = bytes.as_chunks::<N>();
    let mut out = vec![0.0; elements.len()];
    out.par_chunks_mut(CHUNK).zip(elements.par_chunks(CHUNK)).for_each(|(to, from)| {
        for (to, from) in to.iter_mut().zip(from) {
            *to = convert(*from);
        }
    });
    out
}

/// A row-major `[rows, columns]` matrix as `[columns, rows]`, in blocks that stay in the cache.
pub(super) fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    const BLOCK: usize = 32;
    let mut out = vec![0.0; values.len()];
    if values.is_empty() {
        return out;
    }
    out.par_chunks_mut(BLOCK * rows).enumerate().for_each(|(block, out)| {
        let first = block * BLOCK;
        let width = out.len() / rows;
        for top in (0..rows).step_by(BLOCK) {
            for column in 0..width {
                for row in top..rows.min(top + BLOCK) {
                    out[column * rows + row] = values[row * columns + first + column];
                }
            }
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_floats_keep_their_values() {
        let bytes: Vec<u8> = [1.0f32, -2.5, 65504.0].iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect();
        assert_eq!(to_f32(Dtype::F16, &bytes), Some(vec![1.0, -2.5, 65504.0]));
        let bytes: Vec<u8> = [1.0f32, -2.5, 1e30].iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect();
        assert_eq!(to_f32(Dtype::BF16, &bytes).map(|v| v[1]), Some(-2.5));
        assert_eq!(to_f32(Dtype::I64, &[0; 8]), None);
    }

    #[test]
    fn transpose_moves_every_element() {
        for (rows, columns) in [(1, 1), (3, 70), (65, 33), (32, 64)] {
            let values: Vec<f32> = (0..rows * columns).map(|v| v as f32).collect();
            let turned = transpose(&values, rows, columns);
            for row in 0..rows {
                for column in 0..columns {
                    assert_eq!(turned[column * rows + row], values[row * columns + column]);
                }
            }
        }
    }
}

//! One tensor in a PyTorch file: a strided view of a storage.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::container::Span;

/// The element types that both formats have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum DType {
    F64,
    I64,
    F32,
    I32,
    F16,
    BF16,
    I16,
    I8,
    U8,
    Bool,
}

impl DType {
    /// From the name of a storage class of torch.
    pub(super) fn of_storage(class: &str) -> Option<Self> {
        Some(match class {
            "DoubleStorage" => Self::F64,
            "LongStorage" => Self::I64,
            "FloatStorage" => Self::F32,
            "IntStorage" => Self::I32,
            "HalfStorage" => Self::F16,
            "BFloat16Storage" => Self::BF16,
            "ShortStorage" => Self::I16,
            "CharStorage" => Self::I8,
            "ByteStorage" => Self::U8,
            "BoolStorage" => Self::Bool,
            _ => return None,
        })
    }

    /// As safetensors calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::F64 => "F64",
            Self::I64 => "I64",
            Self::F32 => "F32",
            Self::I32 => "I32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::I16 => "I16",
            Self::I8 => "I8",
            Self::U8 => "U8",
            Self::Bool => "BOOL",
        }
    }

    /// Bytes of an element.
    pub(super) fn size(self) -> u64 {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }
}

/// How a tensor looks at its storage, as the pickle says it; nothing here is checked yet.
#[derive(Clone, Debug)]
pub(super) struct View {
    /// Key of the storage.
    pub(super) storage: String,
    pub(super) dtype: DType,
    /// Elements before the first.
    pub(super) offset: u64,
    pub(super) shape: Vec<u64>,
    /// Elements from one index to the next, an axis each.
    pub(super) stride: Vec<u64>,
}

/// A tensor whose bytes are known to lie in the file.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    pub(super) dtype: DType,
    pub(super) shape: Vec<u64>,
    stride: Vec<u64>,
    /// From the first element to the last.
    window: Span,
    /// Size when written down row by row.
    pub(super) bytes: u64,
}

impl Tensor {
    /// Checks a view against its storage. None of the numbers can be believed; a view that repeats
    /// elements may be larger than its storage, but not than the file.
    pub(super) fn new(view: &View, storage: Span, file: u64) -> Option<Self> {
        let size = view.dtype.size();
        if view.shape.len() != view.stride.len() {
            return None;
        }
        let count = view.shape.iter().try_fold(1u64, |count, length| count.checked_mul(*length))?;
        let bytes = count.checked_mul(size).filter(|bytes| *bytes <= file)?;
        let mut elements = u64::from(count > 0);
        for (length, stride) in view.shape.iter().zip(&view.stride).filter(|_| count > 0) {
            elements = elements.checked_add((length - 1).checked_mul(*stride)?)?;
        }
        let skipped = view.offset.checked_mul(size)?;
        let length = elements.checked_mul(size)?;
        let inside = skipped.checked_add(length)? <= storage.length;
        inside.then(|| Self {
            dtype: view.dtype,
            shape: view.shape.clone(),
            stride: view.stride.clone(),
            window: Span { start: storage.start + skipped, length },
            bytes,
        })
    }

    /// The elements row by row, little-endian as in the file.
    pub(super) fn read(&self, file: &File) -> io::Result<Vec<u8>> {
        let too_large = |_| io::Error::other("tensor is larger than the memory of this machine");
        let mut window = vec![0; usize::try_from(self.window.length).map_err(too_large)?];
        file.read_exact_at(&mut window, self.window.start)?;
        if self.is_contiguous() {
            return Ok(window);
        }
        Ok(self.gather(&window))
    }

    fn is_contiguous(&self) -> bool {
        let mut expected = 1u64;
        self.shape.iter().zip(&self.stride).rev().all(|(length, stride)| {
            let fits = *length == 1 || *stride == expected;
            expected = (*length).max(1).saturating_mul(expected);
            fits
        })
    }

    /// Takes the elements out of the window in order; axes are counted like the digits of a number.
    fn gather(&self, window: &[u8]) -> Vec<u8> {
        let size = self.dtype.size();
        let mut out = Vec::with_capacity(self.bytes as usize);
        let mut index = vec![0; self.shape.len()];
        for _ in 0..self.bytes / size {
            let element: u64 = index.iter().zip(&self.stride).map(|(at, stride)| at * stride).sum();
            let start = (element * size) as usize;
            out.extend_from_slice(&window[start..start + size as usize]);
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                if index[axis] < self.shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::{DType, Span, Tensor, View};

    fn tensor(shape: &[u64], stride: &[u64], offset: u64, length: u64) -> Option<Tensor> {
        let (shape, stride) = (shape.to_vec(), stride.to_vec());
        let view = View { storage: "0".to_owned(), dtype: DType::I16, offset, shape, stride };
        Tensor::new(&view, Span { start: 100, length }, 1000)
    }

    #[test]
    fn a_view_must_lie_in_its_storage() {
        assert!(tensor(&[2, 3], &[3, 1], 0, 12).is_some());
        assert!(tensor(&[2, 3], &[3, 1], 1, 12).is_none());
        assert!(tensor(&[2, 3], &[4, 1], 0, 12).is_none());
        assert!(tensor(&[0, 3], &[3, 1], 0, 0).is_some());
        assert!(tensor(&[2], &[3, 1], 0, 12).is_none());
    }

    #[test]
    fn numbers_without_bound_are_refused() {
        for shape in [[u64::MAX, 2], [1 << 40, 1], [600, 1]] {
            assert!(tensor(&shape, &[0, 0], 0, 12).is_none(), "{shape:?}");
        }
        assert!(tensor(&[2, 2], &[u64::MAX, 1], 0, 12).is_none());
        assert!(tensor(&[1], &[1], u64::MAX, 12).is_none());
    }
}

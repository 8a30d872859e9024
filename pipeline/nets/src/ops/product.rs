//! Matrix products on slices.

/// A matrix inside a slice.
#[derive(Debug, Clone, Copy)]
pub(super) struct Matrix<'a> {
    pub values: &'a [f32],
    /// Distance between rows, and between columns.
    pub strides: (usize, usize),
}

/// `to` `[m, n]`, its rows `stride` apart, becomes `a` `[m, k]` · `b` `[k, n]`, or that is added to it.
pub(super) fn product(to: &mut [f32], stride: usize, [m, n, k]: [usize; 3], a: Matrix<'_>, b: Matrix<'_>, add: bool) {
    if m == 0 || n == 0 || k == 0 {
        return;
    }
    let last = |(rows, columns): (usize, usize), m: usize, n: usize| (m - 1) * rows + (n - 1) * columns;
    assert!(last((stride, 1), m, n) < to.len());
    assert!(last(a.strides, m, k) < a.values.len() && last(b.strides, k, n) < b.values.len());
    // SAFETY: the last element of each matrix lies inside its slice, and `to` is borrowed alone.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            to.as_mut_ptr(),
            1,
            stride as isize,
            add,
            a.values.as_ptr(),
            a.strides.1 as isize,
            a.strides.0 as isize,
            b.values.as_ptr(),
            b.strides.1 as isize,
            b.strides.0 as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

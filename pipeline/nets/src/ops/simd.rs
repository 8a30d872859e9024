//! Running a slice kernel compiled for the widest vectors that this processor has.
//!
//! The kernels are plain loops that the compiler vectorises; [`dispatch!`] compiles each for AVX-512, for
//! AVX2 and for the build's baseline, and picks at run time.

/// Defines `$name`, which runs the `#[inline(always)]` function `$kernel` compiled for this processor.
macro_rules! dispatch {
    ($name:ident, $kernel:path, ($($arg:ident: $type:ty),*) $(-> $out:ty)?) => {
        pub(super) fn $name($($arg: $type),*) $(-> $out)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,fma")]
                fn wide($($arg: $type),*) $(-> $out)? { $kernel($($arg),*) }
                #[target_feature(enable = "avx2,fma")]
                fn medium($($arg: $type),*) $(-> $out)? { $kernel($($arg),*) }
                if $crate::ops::simd::has_avx512() {
                    // SAFETY: the processor has the features that `wide` is compiled for.
                    return unsafe { wide($($arg),*) };
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    // SAFETY: the processor has the features that `medium` is compiled for.
                    return unsafe { medium($($arg),*) };
                }
            }
            $kernel($($arg),*)
        }
    };
}
pub(super) use dispatch;

#[cfg(target_arch = "x86_64")]
pub(in crate::ops) fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
}

/// eˣ to two units in the last place: 2ⁿ times a polynomial (Cephes `expf`). Below −87 it stays at e⁻⁸⁷.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2²³: adding it rounds to an integer
    let x = x.clamp(-87.0, 88.0);
    let n = x.mul_add(std::f32::consts::LOG2_E, ROUND) - ROUND;
    let r = n.mul_add(2.121_944_4e-4, n.mul_add(-0.693_359_4, x));
    let p = 1.987_569_1e-4_f32;
    let p = p.mul_add(r, 1.398_199_9e-3);
    let p = p.mul_add(r, 8.333_452e-3);
    let p = p.mul_add(r, 4.166_579_6e-2);
    let p = p.mul_add(r, 1.666_666_5e-1);
    let p = p.mul_add(r, 0.5);
    let y = p.mul_add(r * r, r) + 1.0;
    f32::from_bits(y.to_bits().wrapping_add(((n as i32) << 23) as u32))
}

/// σ(x).
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// erf(x) to 2·10⁻⁷ (Abramowitz and Stegun 7.1.26), and e^(−x²).
#[inline(always)]
pub(super) fn erf(x: f32) -> (f32, f32) {
    let size = x.abs();
    let bell = exp(-size * size);
    let t = 1.0 / 0.327_591_1_f32.mul_add(size, 1.0);
    let p = 1.061_405_4_f32.mul_add(t, -1.453_152);
    let p = p.mul_add(t, 1.421_413_7);
    let p = p.mul_add(t, -0.284_496_74);
    let p = p.mul_add(t, 0.254_829_6);
    ((1.0 - p * t * bell).copysign(x), bell)
}

/// How many partial sums a reduction keeps, so that it vectorises and stays exact over long rows.
pub(super) const LANES: usize = 16;

/// Σ x, accumulated in lanes.
#[inline(always)]
pub(super) fn sum(values: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value;
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().sum::<f32>()
}

/// Σ a b, accumulated in lanes.
#[inline(always)]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for i in 0..LANES {
            lanes[i] = a[i].mul_add(b[i], lanes[i]);
        }
    }
    lanes.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

/// The largest value.
#[inline(always)]
pub(super) fn max(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = if *value > *lane { *value } else { *lane };
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |max, value| max.max(*value))
}

#[cfg(test)]
mod tests {
    #[test]
    fn elementary_functions_agree_with_libm() {
        for i in -4000..4000 {
            let x = i as f32 * 0.01;
            let expected = x.exp();
            assert!((super::exp(x) - expected).abs() <= 3e-7 * expected, "{x}");
            assert!((super::sigmoid(x) - 1.0 / (1.0 + (-x).exp())).abs() < 2e-7, "{x}");
        }
        for (x, expected) in [(0.0, 0.0), (0.5, 0.520_499_9), (-1.0, -0.842_700_8), (3.0, 0.999_977_9)] {
            assert!((super::erf(x).0 - expected).abs() < 3e-7, "{x}");
        }
    }
}

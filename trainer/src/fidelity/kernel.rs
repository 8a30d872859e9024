//! KID on the device: scalar products as one matrix product a subset.

use burn::tensor::{Device, Tensor, TensorData};
use glass_metrics::{FeatureSample, KernelDistance, Products, kernel_of_products, subset};
use glass_schemas::seeds::{Purpose, Stream};
use glass_schemas::spec::pictures::PictureMetricsSpec;

use super::networks::floats;
use crate::eval::EvalError;

/// The kernel distance over random subsets of two samples, and how many pictures a subset had (torchmetrics,
/// `KernelInceptionDistance`).
pub(super) fn kernel_distance(
    samples: [&FeatureSample; 2],
    spec: &PictureMetricsSpec,
    device: &Device,
) -> Result<(KernelDistance, usize), EvalError> {
    let dim = samples[0].dim();
    let sets: [Vec<&[f32]>; 2] = samples.map(|sample| sample.rows().collect());
    let size = (spec.kernel_subset_size as usize).min(sets[0].len()).min(sets[1].len());
    let stream = Stream::new(spec.seed, "kernel", Purpose::Bootstrap);
    let mut position = 0;
    let mut draw = |bound: usize| {
        position += 1;
        stream.below(position, bound as u64) as usize
    };
    let mut distances = Vec::new();
    for _ in 0..spec.kernel_subsets {
        let [first, second] = [&sets[0], &sets[1]].map(|set| {
            let rows: Vec<f32> =
                subset(set.len(), size, &mut draw).into_iter().flat_map(|at| set[at]).copied().collect();
            Tensor::<2>::from_data(TensorData::new(rows, [size, dim]), device)
        });
        let products = [(&first, &first), (&second, &second), (&first, &second)]
            .map(|(a, b)| floats(a.clone().matmul(b.clone().transpose())));
        let [of_first, of_second, across] = products;
        let (of_first, of_second, across) = (of_first?, of_second?, across?);
        let products = Products { first: &of_first, second: &of_second, across: &across };
        distances.push(kernel_of_products(products, size, dim)?);
        // All pictures in every subset: the other subsets are the same.
        if size == sets[0].len() && size == sets[1].len() {
            break;
        }
    }
    Ok((KernelDistance::of(&distances)?, size))
}

//! Which slot answers for which component.

use glass_metrics::{MetricsError, Objective, assign};

use super::components::{Component, UNCERTAIN};

/// Intersection over union of every slot's hard mask with every component, `[slots][components]`
/// in row-major order. Uncertain pixels count for nobody.
///
/// `owner[pixel]` is the slot that holds the pixel, `labels[pixel]` the pseudo-mask's label.
pub fn overlaps(owner: &[u8], labels: &[u8], slots: usize, components: &[Component]) -> Vec<f64> {
    let mut column: [Option<usize>; 256] = [None; 256];
    for (index, component) in components.iter().enumerate() {
        column[usize::from(component.label)] = Some(index);
    }
    let mut held = vec![0u32; slots];
    let mut shared = vec![0u32; slots * components.len()];
    for (&slot, &label) in owner.iter().zip(labels) {
        if label == UNCERTAIN {
            continue;
        }
        held[usize::from(slot)] += 1;
        if let Some(column) = column[usize::from(label)] {
            shared[usize::from(slot) * components.len() + column] += 1;
        }
    }
    let mut overlap = Vec::with_capacity(shared.len());
    for slot in 0..slots {
        for (index, component) in components.iter().enumerate() {
            let both = f64::from(shared[slot * components.len() + index]);
            let either = f64::from(held[slot]) + f64::from(component.area) - both;
            overlap.push(both / (either + 1e-8));
        }
    }
    overlap
}

/// The assignment of least total 1 − IoU as (slot, component) pairs; the surplus on either side
/// stays unmatched.
///
/// # Errors
/// [`MetricsError`] where the matrix has another size.
pub fn match_components(overlap: &[f64], slots: usize, components: usize) -> Result<Vec<(usize, usize)>, MetricsError> {
    let cost: Vec<f64> = overlap.iter().map(|iou| 1.0 - iou).collect();
    let columns = assign(&cost, slots, components, Objective::Minimise)?;
    Ok(columns.into_iter().enumerate().filter_map(|(slot, column)| column.map(|column| (slot, column))).collect())
}

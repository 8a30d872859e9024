use glass_metrics::{Objective, assign};
use proptest::prelude::*;

fn best_by_trying(values: &[f64], rows: usize, columns: usize, used: u32, row: usize) -> f64 {
    if row == rows {
        return 0.0;
    }
    let free = columns as u32 - used.count_ones();
    let mut best = f64::NEG_INFINITY;
    if (rows - row) as u32 > free {
        best = best_by_trying(values, rows, columns, used, row + 1);
    }
    for column in (0..columns).filter(|&column| used & (1 << column) == 0) {
        let rest = best_by_trying(values, rows, columns, used | (1 << column), row + 1);
        best = best.max(values[row * columns + column] + rest);
    }
    best
}

proptest! {
    #[test]
    fn the_sum_equals_that_of_trying_everything(
        (rows, columns, values) in (0_usize..7, 1_usize..7)
            .prop_flat_map(|(r, c)| (Just(r), Just(c), proptest::collection::vec(-3.0..3.0_f64, r * c)))
    ) {
        let chosen = assign(&values, rows, columns, Objective::Maximise).unwrap();
        prop_assert_eq!(chosen.len(), rows);
        prop_assert_eq!(chosen.iter().flatten().count(), rows.min(columns));
        let mut columns_used: Vec<usize> = chosen.iter().flatten().copied().collect();
        columns_used.sort_unstable();
        columns_used.dedup();
        prop_assert_eq!(columns_used.len(), rows.min(columns));
        let sum: f64 = chosen.iter().enumerate().filter_map(|(r, c)| c.map(|c| values[r * columns + c])).sum();
        prop_assert!((sum - best_by_trying(&values, rows, columns, 0, 0)).abs() < 1e-9);
        let negated: Vec<f64> = values.iter().map(|value| -value).collect();
        let least = assign(&negated, rows, columns, Objective::Minimise).unwrap();
        let least: f64 = least.iter().enumerate().filter_map(|(r, c)| c.map(|c| values[r * columns + c])).sum();
        prop_assert!((sum - least).abs() < 1e-9);
    }
}

#[test]
fn nothing_to_assign_is_fine() {
    assert!(assign(&[], 0, 5, Objective::Minimise).unwrap().is_empty());
    assert_eq!(assign(&[], 2, 0, Objective::Minimise).unwrap(), vec![None, None]);
}

#[test]
fn a_cost_that_is_not_a_number_is_refused_with_its_place() {
    let error = assign(&[0.0, 1.0, f64::NAN, 2.0], 2, 2, Objective::Minimise).unwrap_err();
    assert_eq!(error.to_string(), "cost at row 1, column 0 is not a finite number");
}

#[test]
fn ties_are_assigned_in_full() {
    let chosen = assign(&[1.0; 12], 3, 4, Objective::Maximise).unwrap();
    assert!(chosen.iter().all(Option::is_some));
}

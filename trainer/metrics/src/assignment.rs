use crate::MetricsError;

/// What an assignment optimises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objective {
    /// The smallest sum.
    Minimise,
    /// The largest sum.
    Maximise,
}

/// The best one-to-one assignment of rows to columns of a `rows × columns` matrix (row by row),
/// exact.
///
/// Returns the column of every row; with more rows than columns the surplus rows have none.
/// Shortest augmenting paths with potentials (Jonker and Volgenant), O(min² · max): microseconds at
/// the sizes of slots and objects.
pub fn assign(
    values: &[f64],
    rows: usize,
    columns: usize,
    objective: Objective,
) -> Result<Vec<Option<usize>>, MetricsError> {
    if values.len() != rows * columns {
        return Err(MetricsError::Length {
            what: "assignment matrix",
            width: columns,
            height: rows,
            expected: rows * columns,
            found: values.len(),
        });
    }
    if let Some(at) = values.iter().position(|value| !value.is_finite()) {
        return Err(MetricsError::Cost { row: at / columns, column: at % columns });
    }
    let sign = match objective {
        Objective::Minimise => 1.0,
        Objective::Maximise => -1.0,
    };
    if rows <= columns {
        let columns_of_rows = shortest_paths(rows, columns, |row, column| sign * values[row * columns + column]);
        return Ok(columns_of_rows.into_iter().map(Some).collect());
    }
    let rows_of_columns = shortest_paths(columns, rows, |column, row| sign * values[row * columns + column]);
    let mut result = vec![None; rows];
    for (column, row) in rows_of_columns.into_iter().enumerate() {
        result[row] = Some(column);
    }
    Ok(result)
}

/// Minimal assignment for `few <= many`: the column of every row. Index 0 of the inner arrays is a
/// sentinel.
fn shortest_paths(few: usize, many: usize, cost: impl Fn(usize, usize) -> f64) -> Vec<usize> {
    let mut row_potential = vec![0.0; few + 1];
    let mut column_potential = vec![0.0; many + 1];
    let mut row_of = vec![0_usize; many + 1];
    let mut previous = vec![0_usize; many + 1];
    for row in 1..=few {
        row_of[0] = row;
        let mut column = 0;
        let mut slack = vec![f64::INFINITY; many + 1];
        let mut visited = vec![false; many + 1];
        while row_of[column] != 0 {
            visited[column] = true;
            let current = row_of[column];
            let (mut step, mut next) = (f64::INFINITY, 0);
            for candidate in 1..=many {
                if visited[candidate] {
                    continue;
                }
                let reduced = cost(current - 1, candidate - 1) - row_potential[current] - column_potential[candidate];
                if reduced < slack[candidate] {
                    slack[candidate] = reduced;
                    previous[candidate] = column;
                }
                if slack[candidate] < step {
                    step = slack[candidate];
                    next = candidate;
                }
            }
            for candidate in 0..=many {
                if visited[candidate] {
                    row_potential[row_of[candidate]] += step;
                    column_potential[candidate] -= step;
                } else {
                    slack[candidate] -= step;
                }
            }
            column = next;
        }
        while column != 0 {
            row_of[column] = row_of[previous[column]];
            column = previous[column];
        }
    }
    let mut result = vec![0; few];
    for column in 1..=many {
        if row_of[column] != 0 {
            result[row_of[column] - 1] = column - 1;
        }
    }
    result
}

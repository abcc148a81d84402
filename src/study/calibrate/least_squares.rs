//! Weighted least squares on a handful of unknowns; knows nothing of replicas.

/// A matrix as its columns.
pub(super) type Columns = Vec<Vec<f64>>;

/// Sum of products.
pub(super) fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(a, b)| a * b).sum()
}

/// Length of a vector.
pub(super) fn norm(vector: &[f64]) -> f64 {
    dot(vector, vector).sqrt()
}

/// Columns in the order in which they add most that the columns before do not have, each with the length of what it adds
/// (Gram-Schmidt with pivoting: the diagonal of R in a rank-revealing QR). Those that are `last` come after all others.
pub(super) fn pivoted(columns: &[Vec<f64>], last: &[bool]) -> Vec<(usize, f64)> {
    let mut rest: Columns = columns.to_vec();
    let mut left: Vec<usize> = (0..columns.len()).collect();
    let mut order = Vec::new();
    while !left.is_empty() {
        let mut best = 0;
        for place in 1..left.len() {
            let (own, other) = (left[place], left[best]);
            if (last[other] && !last[own]) || (last[other] == last[own] && norm(&rest[own]) > norm(&rest[other])) {
                best = place;
            }
        }
        let chosen = left.remove(best);
        let length = norm(&rest[chosen]);
        order.push((chosen, length));
        if length > 0.0 {
            let unit: Vec<f64> = rest[chosen].iter().map(|value| value / length).collect();
            for other in &left {
                let along = dot(&unit, &rest[*other]);
                rest[*other].iter_mut().zip(&unit).for_each(|(value, part)| *value -= along * part);
            }
        }
    }
    order
}

/// x of A x = b for a symmetric positive definite A; `None` when it is not (Cholesky).
pub(super) fn solve(matrix: &[Vec<f64>], right: &[f64]) -> Option<Vec<f64>> {
    let n = right.len();
    let mut factor = vec![vec![0.0; n]; n];
    for i in 0..n {
        for j in 0..=i {
            let sum: f64 = matrix[i][j] - (0..j).map(|k| factor[i][k] * factor[j][k]).sum::<f64>();
            if i == j {
                if sum.is_nan() || sum <= 0.0 {
                    return None;
                }
                factor[i][i] = sum.sqrt();
            } else {
                factor[i][j] = sum / factor[j][j];
            }
        }
    }
    let mut x = right.to_vec();
    for i in 0..n {
        let sum: f64 = (0..i).map(|k| factor[i][k] * x[k]).sum();
        x[i] = (x[i] - sum) / factor[i][i];
    }
    for i in (0..n).rev() {
        let sum: f64 = (i + 1..n).map(|k| factor[k][i] * x[k]).sum();
        x[i] = (x[i] - sum) / factor[i][i];
    }
    Some(x)
}

/// A'A of the columns.
pub(super) fn normal_matrix(columns: &[Vec<f64>]) -> Vec<Vec<f64>> {
    columns.iter().map(|left| columns.iter().map(|right| dot(left, right)).collect()).collect()
}

/// Standard deviation of each unknown when every row has a standard deviation of 1; infinite where nothing determines them.
pub(super) fn deviations(columns: &[Vec<f64>]) -> Vec<f64> {
    let matrix = normal_matrix(columns);
    let n = columns.len();
    (0..n)
        .map(|index| {
            let unit: Vec<f64> = (0..n).map(|other| if other == index { 1.0 } else { 0.0 }).collect();
            solve(&matrix, &unit).map_or(f64::INFINITY, |column| column[index].max(0.0).sqrt())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_solved() {
        let x = solve(&[vec![4.0, 2.0], vec![2.0, 3.0]], &[10.0, 8.0]).expect("positive definite");
        assert!((x[0] - 1.75).abs() < 1e-12 && (x[1] - 1.5).abs() < 1e-12, "{x:?}");
        assert_eq!(solve(&[vec![1.0, 1.0], vec![1.0, 1.0]], &[1.0, 1.0]), None);
    }

    #[test]
    fn a_column_that_others_make_up_adds_nothing() {
        // The third is the sum of the others.
        let columns = [vec![1.0, 0.0, 0.0], vec![0.0, 2.0, 0.0], vec![1.0, 2.0, 0.0]];
        let order = pivoted(&columns, &[false; 3]);
        assert_eq!(order[0].0, 2);
        assert!(order[2].1 < 1e-12, "{order:?}");
        let order = pivoted(&columns, &[false, false, true]);
        assert_eq!((order[0].0, order[2].0), (1, 2));
        assert!(order[2].1 < 1e-12, "{order:?}");
    }

    #[test]
    fn deviations_are_those_of_a_mean() {
        // Four measurements of one number: 1 / sqrt(4).
        assert!((deviations(&[vec![1.0; 4]])[0] - 0.5).abs() < 1e-12);
        assert_eq!(deviations(&[vec![0.0; 4]]), [f64::INFINITY]);
    }
}

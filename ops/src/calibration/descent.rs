//! Coordinate descent on the squared error of a layer's outputs (Behdin et al., *`QuantEase`*, 2023): one weight at a time goes
//! to the number of the format that is best while the others of its row stay. The error e H eᵀ of a row never grows.
//! Knows nothing of number formats: a function rounds each weight.

/// Improves a rounded row of weights in at most `passes` passes over its columns. `h` has the square of the row's length in
/// numbers, and no 0 on its diagonal. `round` returns the number of the code that a number gets in a column.
pub fn descend(
    h: &[f64],
    weights: &[f32],
    rounded: &mut [f32],
    passes: usize,
    round: impl Fn(usize, f64) -> f32,
) {
    let n = weights.len();
    let difference = |rounded: &[f32], at: usize| f64::from(rounded[at]) - f64::from(weights[at]);
    // The slopes H e.
    let mut slopes = vec![0.0; n];
    for column in 0..n {
        add(&mut slopes, &h[column * n..][..n], difference(rounded, column));
    }
    for _ in 0..passes {
        let mut has_changed = false;
        for column in 0..n {
            let curvature = h[column * n + column];
            let best = f64::from(rounded[column]) - slopes[column] / curvature;
            let used = round(column, best);
            let step = f64::from(used) - f64::from(rounded[column]);
            // The gain counts only beyond rounding errors, so that a pass without a gain is the last one.
            let gain = -step * (2.0 * slopes[column] + step * curvature);
            if gain > 1e-12 * curvature * step * step {
                rounded[column] = used;
                add(&mut slopes, &h[column * n..][..n], step);
                has_changed = true;
            }
        }
        if !has_changed {
            return;
        }
    }
}

fn add(slopes: &mut [f64], row: &[f64], step: f64) {
    slopes.iter_mut().zip(row).for_each(|(slope, h)| *slope = step.mul_add(*h, *slope));
}

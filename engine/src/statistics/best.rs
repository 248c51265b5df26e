//! The points that are not significantly worse than the best, by paired values over the same units.
//!
//! A point is dropped if some other is significantly better: paired one-sided t test, 5 % divided by the number of
//! other points (comparison with the best, Hsu 1996, with Bonferroni's bound). A bootstrap of the maximum does not
//! work with three to five trainings: in a simulation from the residuals of four trainings, it dropped one of forty
//! equally good points 45 times in 200 instead of 10. Knows nothing of tables.

use super::estimate::{Error, mean};
use super::{SIGNIFICANT, student, sum_of};

/// Returns for each point whether it is not significantly worse than the best. A point is one value per unit, larger
/// is better; all points have the same units, at least two. Points with a NaN are never among the best.
#[must_use]
pub fn may_be_best(points: &[Vec<f64>]) -> Vec<bool> {
    let means: Vec<f64> = points.iter().map(|values| mean(values).unwrap_or(f64::NAN)).collect();
    let different = different(points, &means);
    let units = points.first().map_or(0, Vec::len);
    let tests = different.len().saturating_sub(1).max(1) as f64;
    // All tests have the same critical value.
    let critical = student::quantile(1.0 - SIGNIFICANT / tests, units.saturating_sub(1).max(1) as f64);
    let decide = |(values, mean): (&Vec<f64>, &f64)| {
        let mut better = different.iter().take_while(|&&other| means[other] > *mean);
        !mean.is_nan() && !better.any(|&other| is_better(&points[other], values, critical))
    };
    points.iter().zip(&means).map(decide).collect()
}

/// Returns the indices of distinct points, the largest mean first.
fn different(points: &[Vec<f64>], means: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..points.len()).filter(|&at| !means[at].is_nan()).collect();
    let by_values = |a: &usize, b: &usize| {
        let pairs = points[*a].iter().zip(&points[*b]);
        pairs.map(|(a, b)| a.total_cmp(b)).find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
    };
    order.sort_by(|a, b| means[*b].total_cmp(&means[*a]).then_with(|| by_values(a, b)));
    order.dedup_by(|a, b| points[*a] == points[*b]);
    order
}

/// Returns whether the t statistic of the paired difference exceeds the critical value. A difference that never
/// varies gives no estimate of the error, so it is not significant.
fn is_better(one: &[f64], other: &[f64], critical: f64) -> bool {
    let leads: Vec<f64> = one.iter().zip(other).map(|(one, other)| sum_of(&[*one, -other])).collect();
    let known = mean(&leads).zip(Error::from_values(&leads));
    known.is_some_and(|(mean, error)| error.size > 0.0 && mean > critical * error.size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_surely_worse_is_left_out() {
        let best = vec![0.95, 0.96, 0.955, 0.965];
        let same = best.clone();
        let close = vec![0.951, 0.958, 0.956, 0.963];
        let worse = vec![0.940, 0.9499, 0.9451, 0.9550];
        let shifted: Vec<f64> = best.iter().map(|value| value - 0.01).collect();
        // A difference that is the same in every unit is not significant.
        assert_eq!(may_be_best(&[best.clone(), shifted]), [true, true]);
        let noisy = vec![0.90, 0.97, 0.94, 0.95];
        let chance = vec![0.1, 0.12, 0.09, 0.11];
        let broken = vec![f64::NAN; 4];
        let found = may_be_best(&[chance, best, same, close, worse, noisy, broken]);
        assert_eq!(found, [false, true, true, true, false, true, false]);
        assert_eq!(may_be_best(&[]), [false; 0]);
    }

    #[test]
    fn what_may_be_best_does_not_depend_on_the_unit() {
        let points = [
            vec![0.95, 0.96, 0.955, 0.965],
            vec![0.940, 0.9499, 0.9451, 0.9550],
            vec![0.9, 0.97, 0.94, 0.95],
        ];
        for unit in [1e-13, 1e-6, 1.0, 1e12] {
            let scaled =
                points.each_ref().map(|point| point.iter().map(|value| value * unit).collect::<Vec<_>>());
            assert_eq!(may_be_best(&scaled), [true, false, true], "{unit}");
        }
    }

    /// For two points the test is the one-sided paired t test. scipy 1.17.1,
    /// `ttest_rel(a, b, alternative="greater")`: p = 0.0358 and 0.0549.
    #[test]
    fn two_points_are_a_paired_t_test() {
        let other = vec![0.0; 4];
        assert_eq!(may_be_best(&[vec![0.03, 0.012, 0.05, 0.01], other.clone()]), [true, false]);
        assert_eq!(may_be_best(&[vec![0.03, 0.01, 0.05, 0.004], other]), [true, true]);
    }

    /// Of 40 equally good points, the best is ahead by chance; nearly all others must remain.
    #[test]
    fn luck_is_no_merit() {
        let mut state = 7_u64;
        let mut left_out = 0;
        for _ in 0..200 {
            let mut value = || {
                let mut uniform = || {
                    state =
                        state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (state >> 40) as f64
                };
                (0..6).map(|_| uniform()).sum::<f64>()
            };
            let points: Vec<Vec<f64>> = (0..40).map(|_| (0..4).map(|_| value()).collect()).collect();
            // The first point is as good as any other: the test counts how often it is dropped.
            left_out += usize::from(!may_be_best(&points)[0]);
        }
        assert!((1..=20).contains(&left_out), "left out {left_out} of 200 times");
    }
}

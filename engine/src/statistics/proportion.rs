//! The confidence interval of a share of images, for one network (Wilson 1927).
//! Knows nothing of networks.

/// The 97.5 % quantile of the standard normal distribution.
pub const NORMAL_QUANTILE: f64 = 1.959_963_984_540_054;

/// Returns the 95 % confidence interval of a share observed in `n` > 0 images. The interval lies within 0 to 1 and
/// contains the share; its lower end is 0 if the share is 0, its upper end 1 if the share is 1.
#[must_use]
pub fn wilson(share: f64, n: f64) -> (f64, f64) {
    let square = NORMAL_QUANTILE * NORMAL_QUANTILE;
    let center = (share + square / (2.0 * n)) / (1.0 + square / n);
    let half =
        NORMAL_QUANTILE / (1.0 + square / n) * (share * (1.0 - share) / n + square / (4.0 * n * n)).sqrt();
    // At a share of 0 or 1 one end equals the share: there `center` and `half` cancel, and rounding would leave an
    // error.
    let low = if share > 0.0 { (center - half).clamp(0.0, share) } else { 0.0 };
    let high = if share < 1.0 { (center + half).clamp(share, 1.0) } else { 1.0 };
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values from statsmodels 0.15.0: `proportion_confint(count, n, method="wilson")`.
    #[test]
    fn the_interval_is_wilsons() {
        let check = |count: f64, n: f64, low: f64, high: f64| {
            let found = wilson(count / n, n);
            assert!((found.0 - low).abs() < 1e-9 && (found.1 - high).abs() < 1e-9, "{found:?}");
        };
        check(98.0, 100.0, 0.929_988_209_271, 0.994_498_032_450);
        check(0.0, 50.0, 0.0, 0.071_347_599_133);
        check(1957.0, 2000.0, 0.971_166_166_261, 0.983_999_219_491);
    }

    /// The interval of 0 images is 0 to z²/(n + z²), the interval of all n images n/(n + z²) to 1 (Wilson's formula
    /// at a share of 0 and of 1). At 27, 2,000 and 5,000 images, rounding moves an end out of 0 to 1, or away from
    /// the share.
    #[test]
    fn none_and_all_of_the_images_have_exact_ends() {
        let square = 1.959_963_984_540_054_f64.powi(2);
        for n in (1..=10_000).map(f64::from) {
            let [none, all] = [wilson(0.0, n), wilson(1.0, n)];
            assert_eq!((none.0, all.1), (0.0, 1.0), "{n}");
            assert!(none.0.is_sign_positive());
            assert!((none.1 - square / (n + square)).abs() < 1e-14, "{n} {none:?}");
            assert!((all.0 - n / (n + square)).abs() < 1e-14, "{n} {all:?}");
        }
    }

    #[test]
    fn an_interval_is_one_of_shares_and_contains_its_own() {
        for n in [1, 2, 3, 27, 100, 999, 10_000, 60_000, 1_000_000] {
            let counts = (0..=n.min(1_000)).flat_map(|count| [count, n - count]);
            for count in counts {
                let share = f64::from(count) / f64::from(n);
                let (low, high) = wilson(share, f64::from(n));
                assert!(0.0 <= low && low <= share && share <= high && high <= 1.0, "{count} of {n}");
            }
        }
    }
}

//! The interval of a share of images, for one network (Wilson 1927).

/// The 97.5 % quantile of the standard normal distribution.
pub const NORMAL_QUANTILE: f64 = 1.959_963_984_540_054;

/// Returns the 95 % interval of a share that was seen in `n` > 0 images.
#[must_use]
pub fn wilson(share: f64, n: f64) -> (f64, f64) {
    let square = NORMAL_QUANTILE * NORMAL_QUANTILE;
    let center = (share + square / (2.0 * n)) / (1.0 + square / n);
    let half =
        NORMAL_QUANTILE / (1.0 + square / n) * (share * (1.0 - share) / n + square / (4.0 * n * n)).sqrt();
    (center - half, center + half)
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
}

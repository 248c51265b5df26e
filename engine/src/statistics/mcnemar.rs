//! The test of `McNemar` (1947) for two networks on the same images, in its mid-p form (Fagerland, Lydersen and Laake
//! 2013).
//! Its conclusion holds for these two networks, not for networks trained like them. Records contain the result, so it
//! has the same bits on every machine: logarithms and exponentials come from `libm`. Knows nothing of networks and
//! images, only counts.

/// Returns the two-sided mid-p value. `one` is the number of images that only the first network classifies correctly,
/// `other` the number for the second. The value is twice the lower tail of a fair binomial, minus the probability of
/// the observed count.
#[must_use]
pub fn mid_p(one: u64, other: u64) -> f64 {
    let n = (one + other) as f64;
    let mass = |heads: u64| {
        let heads = heads as f64;
        let ways = libm::lgamma(n + 1.0) - libm::lgamma(heads + 1.0) - libm::lgamma(n - heads + 1.0);
        libm::exp(ways - n * std::f64::consts::LN_2)
    };
    let least = one.min(other);
    match n {
        0.0 => 1.0,
        _ if one == other => 1.0 - mass(one),
        _ => 2.0 * (0..=least).map(mass).sum::<f64>() - mass(least),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values from scipy 1.17.1: `2 * binom.cdf(k, n, 0.5) - binom.pmf(k, n, 0.5)`; those of (10, 25) and (120, 180)
    /// are also statsmodels 0.15.0: `mcnemar(table, exact=True).pvalue` less `binom.pmf(k, n, 0.5)`.
    #[test]
    fn the_mid_p_value_is_scipys() {
        let check = |one, other, expected: f64| {
            assert!((mid_p(one, other) - expected).abs() < 1e-9, "{} {expected}", mid_p(one, other));
            assert_eq!(mid_p(one, other), mid_p(other, one));
        };
        check(10, 25, 0.011_330_984_183_587_134);
        check(1, 8, 0.021_484_374_999_999_983);
        check(7, 7, 0.790_527_343_75);
        check(120, 180, 0.000_522_420_709_960_860_4);
        check(0, 3, 0.125);
        check(0, 0, 1.0);
    }
}

//! Multiplication of a 32-bit sum with a real factor in integers: y = ⌊(sum · m + 2^(n−1)) / 2^n⌋, the product rounded once, halves up.
//! m has 22 bits, so that binary64 holds every product of a sum: vector units compute what integer units do. Knows nothing of layers.

/// The bits of m.
const BITS: i32 = 22;

/// The largest shift: outputs below 2^9 have at most 53 bits.
const MOST_SHIFT: i32 = 44;

/// A real factor, at least 0, as m / 2^n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Multiplier {
    /// m: 0 to 2^22 − 1; at least 2^21 for factors from 2^−23 on.
    pub factor: i32,
    /// n: 1 to 44.
    pub shift: u32,
}

impl Multiplier {
    /// Returns the multiplier of a factor: n is the largest shift up to 44 with which m has 22 bits, m the nearest whole number, ties to
    /// even. Factors of 2^21 and more become the largest multiplier: both saturate any output but that of 0.
    #[must_use]
    pub fn of(factor: f64) -> Self {
        const MOST: i32 = (1 << BITS) - 1;
        if factor >= power(BITS - 1) {
            return Self { factor: MOST, shift: 1 };
        }
        let shift = (BITS - exponent(factor)).min(MOST_SHIFT);
        match (factor * power(shift)).round_ties_even() as i32 {
            whole if whole <= MOST => Self { factor: whole, shift: shift as u32 },
            // The number rounded up to a power of two.
            whole if shift > 1 => Self { factor: whole / 2, shift: shift as u32 - 1 },
            _ => Self { factor: MOST, shift: 1 },
        }
    }

    /// Returns the rounded product.
    #[must_use]
    #[inline(always)]
    pub fn apply(self, sum: i32) -> i64 {
        (i64::from(sum) * i64::from(self.factor) + (1_i64 << (self.shift - 1))) >> self.shift
    }

    /// Returns m / 2^n, exactly.
    #[must_use]
    pub fn number(self) -> f64 {
        f64::from(self.factor) * power(-(self.shift as i32))
    }
}

/// Factors for a sum of products of codes, with one shift: Σ u·m, rounded once, in 32 bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedMultiplier {
    /// m of each term.
    pub factors: Vec<i32>,
    /// n: 1 to 30.
    pub shift: u32,
}

impl SharedMultiplier {
    /// Returns the multipliers of positive factors, at least one. Terms are between −255 and 255, so that the largest m has
    /// 22 bits less one for each doubling of the number of terms: then no sum exceeds 2^30.
    #[must_use]
    pub fn of(factors: &[f64]) -> Self {
        const MOST: i32 = 30;
        let bits = 22 - factors.len().next_power_of_two().ilog2() as i32;
        let largest = factors.iter().copied().fold(0.0, f64::max);
        let shift = (bits - exponent(largest)).clamp(1, MOST);
        // A factor beyond saturates any output but that of 0.
        let whole = |factor: &f64| (factor * power(shift)).round_ties_even().min(power(bits)) as i32;
        Self { factors: factors.iter().map(whole).collect(), shift: shift as u32 }
    }

    /// Returns the rounded sum of terms times factors.
    #[must_use]
    #[inline(always)]
    pub fn apply(&self, terms: impl Iterator<Item = i32>) -> i32 {
        let sum: i32 = terms.zip(&self.factors).map(|(term, factor)| term * factor).sum();
        (sum + (1 << (self.shift - 1))) >> self.shift
    }
}

/// Returns e of a positive number f · 2^e with f from 1/2 to below 1; 0 for 0.
fn exponent(number: f64) -> i32 {
    libm::frexp(number).1
}

fn power(exponent: i32) -> f64 {
    libm::ldexp(1.0, exponent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn factors_at_the_ends() {
        let check = |factor: f64, m: i32, n: u32| {
            assert_eq!(Multiplier::of(factor), Multiplier { factor: m, shift: n }, "{factor}");
        };
        check(1.0, 1 << 21, 21);
        check(0.5, 1 << 21, 22);
        // Rounds up to the next power of two.
        check(1.0 - 2_f64.powi(-40), 1 << 21, 21);
        check(2_f64.powi(-23), 1 << 21, 44);
        check(2_f64.powi(-30), 1 << 14, 44);
        check(2_f64.powi(-46), 0, 44);
        check(0.0, 0, 22);
        check(2_f64.powi(20), 1 << 21, 1);
        check(2_f64.powi(21) - 2_f64.powi(-30), (1 << 22) - 1, 1);
        check(2_f64.powi(21), (1 << 22) - 1, 1);
        check(f64::INFINITY, (1 << 22) - 1, 1);
        let one = Multiplier::of(1.0);
        assert_eq!(
            [0, 1, -1, i32::MAX, i32::MIN].map(|sum| one.apply(sum)),
            [0, 1, -1, 2_147_483_647, -2_147_483_648]
        );
        let half = Multiplier::of(0.5);
        assert_eq!([1, -1, 3, -3].map(|sum| half.apply(sum)), [1, 0, 2, -1], "halves go up");
    }

    proptest! {
        #[test]
        fn products_are_within_half_a_step(sum: i32, exponent in -50..32, fraction in 0.5..1.0) {
            let factor = fraction * 2_f64.powi(exponent);
            let (found, exact) = (Multiplier::of(factor).apply(sum) as f64, f64::from(sum) * factor);
            // Outputs have 8 bits; beyond them all products saturate alike.
            prop_assert!(
                (found - exact).abs() <= 0.5 + exact.abs() * 2_f64.powi(-22) + 2_f64.powi(-14)
                    || found.abs().min(exact.abs()) > 1e6
            );
        }

        /// Binary64 gives every product below 512 as integers do.
        #[test]
        fn binary64_is_exact(sum: i32, exponent in -50..32, fraction in 0.5..1.0, near in -600_i32..600) {
            let multiplier = Multiplier::of(fraction * 2_f64.powi(exponent));
            // Any sum, and one whose product is near a half.
            let at_half = (f64::from(near) + 0.5) / multiplier.number().max(1e-9);
            for sum in [sum, at_half.floor() as i32, at_half.ceil() as i32] {
                let whole = multiplier.apply(sum);
                let wide = (f64::from(sum) * multiplier.number() + 0.5).floor();
                prop_assert!(wide as i64 == whole || wide.abs() >= 512.0 && whole.abs() >= 512, "{sum} {multiplier:?}");
            }
        }

        #[test]
        fn shared_shifts_never_overflow(
            terms in prop::collection::vec(-255..256, 1..9),
            exponents in prop::collection::vec(-40..40, 8),
        ) {
            let factors: Vec<f64> = exponents[..terms.len()].iter().map(|e| 0.7 * 2_f64.powi(*e)).collect();
            let shared = SharedMultiplier::of(&factors);
            let exact: f64 = terms.iter().zip(&factors).map(|(term, factor)| f64::from(*term) * factor).sum();
            let sum: i64 = terms.iter().zip(&shared.factors).map(|(term, m)| i64::from(*term) * i64::from(*m)).sum();
            prop_assert!(sum.abs() <= 1 << 30, "{sum}");
            let found = f64::from(shared.apply(terms.iter().copied()));
            let largest = factors.iter().copied().fold(0.0, f64::max);
            if largest < 1000.0 {
                prop_assert!((found - exact).abs() <= 0.5 + 255.0 * 8.0 * (largest * 2_f64.powi(-19)).max(2_f64.powi(-31)), "{found} {exact}");
            }
        }
    }
}

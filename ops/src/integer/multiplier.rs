//! Multiplication of a 32-bit sum with a real factor in integers: y = ⌊(sum · m + 2^(n−1)) / 2^n⌋, the product rounded once, halves up.
//! This is the rounding of TensorFlow Lite with `TFLITE_SINGLE_ROUNDING`. Knows nothing of layers.

/// The bits of m.
const BITS: i32 = 31;

/// The largest shift.
const MOST_SHIFT: i32 = 62;

/// A positive real factor as m / 2^n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Multiplier {
    /// m: 2^30 to 2^31 − 1, or 0.
    pub factor: i32,
    /// n: 1 to 62.
    pub shift: u32,
}

impl Multiplier {
    /// Returns the nearest multiplier. Factors below 2^−32 become 0: no sum times such a factor rounds to anything else. Factors of
    /// 2^30 and more become one just below: both saturate any output but that of 0.
    #[must_use]
    pub fn of(factor: f64) -> Self {
        if !(factor >= power(-32)) {
            return Self { factor: 0, shift: 1 };
        }
        if factor >= power(30) {
            return Self { factor: i32::MAX, shift: 1 };
        }
        let mut exponent = exponent(factor);
        let mut whole = (factor * power(BITS - exponent)).round_ties_even();
        if whole >= power(BITS) {
            whole /= 2.0;
            exponent += 1;
        }
        // A factor that rounds to 2^30 has no shift left.
        match BITS - exponent {
            1.. => Self { factor: whole as i32, shift: (BITS - exponent).min(MOST_SHIFT) as u32 },
            _ => Self { factor: i32::MAX, shift: 1 },
        }
    }

    /// Returns the rounded product.
    #[must_use]
    #[inline(always)]
    pub fn apply(self, sum: i32) -> i64 {
        (i64::from(sum) * i64::from(self.factor) + (1_i64 << (self.shift - 1))) >> self.shift
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
        check(1.0, 1 << 30, 30);
        check(0.5, 1 << 30, 31);
        // Rounds up to the next power of two.
        check(1.0 - 2_f64.powi(-40), 1 << 30, 30);
        check(2_f64.powi(-32), 1 << 30, 62);
        check(2_f64.powi(-32) * (1.0 - f64::EPSILON), 0, 1);
        check(0.0, 0, 1);
        check(2_f64.powi(29), 1 << 30, 1);
        check(2_f64.powi(30), i32::MAX, 1);
        check(f64::MAX, i32::MAX, 1);
        check(f64::INFINITY, i32::MAX, 1);
        let one = Multiplier::of(1.0);
        assert_eq!(
            [0, 1, -1, i32::MAX, i32::MIN].map(|sum| one.apply(sum)),
            [0, 1, -1, 2_147_483_647, -2_147_483_648]
        );
        let half = Multiplier::of(0.5);
        assert_eq!([1, -1, 3, -3].map(|sum| half.apply(sum)), [1, 0, 2, -1], "halves go up");
        for end in [Multiplier::of(f64::MAX), Multiplier::of(2_f64.powi(-32))] {
            for sum in [i32::MIN, i32::MAX] {
                let product = i128::from(sum) * i128::from(end.factor) + (1 << (end.shift - 1)) >> end.shift;
                assert_eq!(i128::from(end.apply(sum)), product);
            }
        }
    }

    proptest! {
        #[test]
        fn products_are_within_half_a_step(sum: i32, exponent in -40..32, fraction in 0.5..1.0) {
            let factor = fraction * 2_f64.powi(exponent);
            let (found, exact) = (Multiplier::of(factor).apply(sum) as f64, f64::from(sum) * factor);
            // Outputs have 8 bits; beyond them all products saturate alike.
            prop_assert!((found - exact).abs() <= 0.5 + exact.abs() * 2_f64.powi(-30) || found.abs().min(exact.abs()) > 1e6);
        }

        #[test]
        fn shared_shifts_never_overflow(
            terms in prop::collection::vec(-255..256, 1..9),
            exponents in prop::collection::vec(-40..40, 8),
        ) {
            let factors: Vec<f64> = exponents[..terms.len()].iter().map(|e| 0.7 * 2_f64.powi(*e)).collect();
            let shared = SharedMultiplier::of(&factors);
            let exact: f64 = terms.iter().zip(&factors).map(|(term, factor)| f64::from(*term) * factor).sum();
            let found = f64::from(shared.apply(terms.iter().copied()));
            let largest = factors.iter().copied().fold(0.0, f64::max);
            if largest < 1000.0 {
                prop_assert!((found - exact).abs() <= 0.5 + 255.0 * 8.0 * (largest * 2_f64.powi(-19)).max(2_f64.powi(-31)), "{found} {exact}");
            }
        }
    }
}

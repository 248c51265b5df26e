//! The exponential function and its kin as chains of fused multiply-adds, each rounded once. Knows nothing of layers.
//!
//! The chains are stated here because generated code must give the same bits. exp(x) = 2ⁿ · (1 + r·q(r)), with
//! n = round(x / ln 2), r = x − n·ln 2 in [−ln 2 / 2, ln 2 / 2], and q the Taylor polynomial of (exp(r) − 1) / r up to
//! r⁶: its first left-out term is r⁷ / 40320 < 1.5e-8. ln 2 is the sum of two binary32 numbers, the first of which has
//! few bits, so that n times it is exact (Cody & Waite 1980).

/// 1.5 · 2²³: adding and subtracting it rounds a small number to a whole one, ties to even.
const ROUNDER: f32 = 12_582_912.0;

/// 1 / ln 2, and ln 2 in two parts.
const LOG2_E: f32 = std::f32::consts::LOG2_E;
const LN_2_HIGH: f32 = 355.0 / 512.0;
const LN_2_LOW: f32 = -2.121_944_4e-4;

/// The inputs beyond which the result is 0 or infinite.
const LEAST: f32 = -104.0;
const MOST: f32 = 89.0;

/// The input from which on tanh rounds to 1, doubled.
const TANH_IS_ONE: f32 = 40.0;

/// Returns n, and r·q(r).
#[inline(always)]
fn reduce(x: f32) -> (f32, f32) {
    let n = x.mul_add(LOG2_E, ROUNDER) - ROUNDER;
    let r = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, x));
    let mut q = 1.0 / 5040.0;
    for factorial in [720.0, 120.0, 24.0, 6.0, 2.0, 1.0] {
        q = f32::mul_add(q, r, 1.0 / factorial);
    }
    (n, r * q)
}

/// Returns x · 2ⁿ for n from −252 to 254, rounded once.
#[inline(always)]
fn scale(x: f32, n: f32) -> f32 {
    // A power of two below 2⁻¹²⁶ has no normal number, so the product takes two steps.
    let n = n as i32;
    let (first, second) = (n >> 1, n - (n >> 1));
    let power = |n: i32| f32::from_bits(((n + 127) as u32) << 23);
    x * power(first) * power(second)
}

/// Returns exp(x); infinite above 88.72, and 0 below −103.98.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Comparisons, unlike `min` and `max`, keep NaN.
    let x = if x > MOST { MOST } else { x };
    let x = if x < LEAST { LEAST } else { x };
    let (n, rest) = reduce(x);
    scale(1.0 + rest, n)
}

/// Returns 1 / (1 + exp(−x)).
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Returns tanh(x) = e / (e + 2) with e = exp(2x) − 1, which is r·q(r) itself where n is 0.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    let double = x + x;
    let double = if double > TANH_IS_ONE { TANH_IS_ONE } else { double };
    let double = if double < -TANH_IS_ONE { -TANH_IS_ONE } else { double };
    let (n, rest) = reduce(double);
    let e = if n == 0.0 { rest } else { scale(1.0 + rest, n) - 1.0 };
    e / (e + 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the largest error of a function in units of the last place of the exact result, over inputs that are
    /// dense within a range.
    fn worst(from: f32, to: f32, own: fn(f32) -> f32, exact: fn(f64) -> f64) -> f64 {
        let steps = 400_000;
        let inputs = (0..=steps).map(|step| from + (to - from) * step as f32 / steps as f32);
        let error = |x: f32| {
            let exact = exact(f64::from(x));
            let unit = f64::from((exact as f32).abs().max(f32::MIN_POSITIVE)) * f64::from(f32::EPSILON) / 2.0;
            (f64::from(own(x)) - exact).abs() / (2.0 * unit)
        };
        inputs.map(error).fold(0.0, f64::max)
    }

    #[test]
    fn results_are_near_the_exact_ones() {
        assert!(worst(-87.0, 88.7, exp, f64::exp) < 2.0);
        assert!(worst(-87.0, 20.0, sigmoid, |x| 1.0 / (1.0 + (-x).exp())) < 3.0);
        assert!(worst(-10.0, 10.0, tanh, f64::tanh) < 4.0);
        assert!(worst(-0.01, 0.01, tanh, f64::tanh) < 2.0);
    }

    #[test]
    fn ends_are_met() {
        let check = |x: f32, expected: [f32; 3]| {
            let found = [exp(x), sigmoid(x), tanh(x)];
            assert_eq!(found.map(f32::to_bits), expected.map(f32::to_bits), "{x}: {found:?}");
        };
        check(0.0, [1.0, 0.5, 0.0]);
        check(f32::INFINITY, [f32::INFINITY, 1.0, 1.0]);
        check(f32::NEG_INFINITY, [0.0, 0.0, -1.0]);
        check(1e30, [f32::INFINITY, 1.0, 1.0]);
        assert!([exp(f32::NAN), sigmoid(f32::NAN), tanh(f32::NAN)].iter().all(|number| number.is_nan()));
        assert!(exp(-103.0) > 0.0, "subnormal numbers are there");
    }
}

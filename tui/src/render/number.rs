//! Numbers as text.
//! Knows nothing of the statistics.

use fewbits_engine::statistics::SIGNIFICANT;
use fewbits_engine::statistics::estimate::Estimate;

/// The absolute values that are written without an exponent.
const PLAIN: std::ops::Range<f64> = 1e-3..1e6;

/// The absolute values that are written without an exponent if an error follows: the error's digits show the precision.
const PLAIN_WITH_ERROR: std::ops::Range<f64> = 1e-3..1e9;

/// The share of a number that the rounding of a calculation may change.
const ROUNDING: f64 = 1e-13;

/// Writes a number: whole ones below 10^9 without decimals; others from 1,000 on with one decimal, below with four, or more
/// if four significant digits need them; very small or large ones with four significant digits and an exponent.
#[must_use]
pub fn number(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        "0".to_owned()
    } else if !value.is_finite() || (value.fract() == 0.0 && size < 1e9) {
        format!("{value:.0}")
    } else if PLAIN.contains(&size) && size >= 1e3 {
        format!("{value:.1}")
    } else if PLAIN.contains(&size) {
        let digits = (3 - magnitude(size)).max(4) as usize;
        let text = format!("{value:.digits$}");
        // Zeros beyond four decimals are dropped.
        let spare = text.len() - text.trim_end_matches('0').len();
        text[..text.len() - spare.min(digits - 4)].to_owned()
    } else {
        format!("{value:.3e}")
    }
}

/// Writes a number with the fewest digits that distinguish it from every other binary64 number; very small or large
/// ones with an exponent.
#[must_use]
pub fn exact(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || !value.is_finite() || (1e-5..1e16).contains(&size) {
        format!("{value}")
    } else {
        format!("{value:e}")
    }
}

/// Writes a mean with half the width of its interval: the half width with two digits, the mean with the same last
/// decimal. Near chance, writes the least and the greatest value instead. A star marks a significant test.
#[must_use]
pub fn estimate(value: &Estimate) -> String {
    let mark = if value.adjusted.is_some_and(|p| p < SIGNIFICANT) { " *" } else { "" };
    // Values that differ by the rounding of a calculation alone are equal.
    let rounding = ROUNDING * value.least.abs().max(value.most.abs());
    let half = value.half_width().filter(|half| *half > rounding);
    let text = match half {
        Some(_) if value.near_chance && value.most - value.least > rounding => range(value.least, value.most),
        Some(half) => with_error(value.mean, half),
        None => number(value.mean),
    };
    text + mark
}

/// Writes a number with as many decimals as the largest value of a range needs; `sign` writes `+` before a positive
/// number.
#[must_use]
pub fn short(value: f64, range: Option<(f64, f64)>, sign: bool) -> String {
    let size = range.map_or(value.abs(), |(low, high)| low.abs().max(high.abs()));
    let plus = if sign && value > 0.0 { "+" } else { "" };
    let decimals = match size {
        1e-3..10.0 => 4,
        10.0..1e3 => 2,
        1e3..1e7 => 0,
        _ => return format!("{plus}{}", number(value)),
    };
    // A value that rounds to zero is written without a sign.
    let value = if value.abs() < 0.5 * 10_f64.powi(-(decimals as i32)) { 0.0 } else { value };
    if sign { format!("{value:+.decimals$}") } else { format!("{value:.decimals$}") }
}

/// Writes a number with its error: the error with two digits, the number with the same last decimal. Very small and
/// large numbers have one exponent for both. The digits do not depend on the unit.
#[must_use]
pub fn with_error(value: f64, error: f64) -> String {
    if !value.is_finite() || !error.is_finite() || error <= 0.0 {
        return format!("{} ±{}", number(value), number(error));
    }
    let digits = Digits::choose(value.abs().max(error), error);
    match digits.exponent {
        0 => format!("{} ±{}", digits.write(value), digits.write(error)),
        exponent => format!("({} ±{})e{exponent}", digits.write(value), digits.write(error)),
    }
}

/// Writes the least and the greatest of some numbers, with two digits of their difference.
fn range(least: f64, most: f64) -> String {
    if !least.is_finite() || !most.is_finite() {
        return format!("{}–{}", number(least), number(most));
    }
    let digits = Digits::choose(least.abs().max(most.abs()), most - least);
    match digits.exponent {
        0 => format!("{}–{}", digits.write(least), digits.write(most)),
        exponent => format!("({}–{})e{exponent}", digits.write(least), digits.write(most)),
    }
}

/// The notation of the numbers of a figure: multiples of a power of ten, down to a last digit.
struct Digits {
    /// The power of ten that the numbers are divided by.
    exponent: i32,
    /// The power of ten of the last digit.
    last: i32,
}

impl Digits {
    /// Chooses the notation for numbers up to `size`, so that `error`, which is above zero, has two digits.
    fn choose(size: f64, error: f64) -> Self {
        let exponent = if PLAIN_WITH_ERROR.contains(&size) { 0 } else { magnitude(size) };
        // The error is rounded to two digits first: 9.97 becomes 10 and needs one decimal less.
        let rounded = format!("{error:.1e}").parse().unwrap_or(error);
        Self { exponent, last: magnitude(rounded) - 1 }
    }

    fn write(&self, value: f64) -> String {
        // A power of ten below 10^−308 is subnormal, so the division takes two steps.
        let half = self.exponent / 2;
        let value = value / 10_f64.powi(half) / 10_f64.powi(self.exponent - half);
        let last = self.last - self.exponent;
        let (unit, decimals) = (10_f64.powi(last.max(0)), last.min(0).unsigned_abs() as usize);
        let value = if last > 0 { (value / unit).round() * unit } else { value };
        // A number that rounds to zero has no sign.
        let value = if value.abs() < 0.5 * 10_f64.powi(last) { 0.0 } else { value };
        format!("{value:.decimals$}")
    }
}

/// Returns the power of ten of the first digit of a number above zero.
fn magnitude(size: f64) -> i32 {
    size.log10().floor() as i32
}

/// Writes a count of bytes in the largest unit that gives at least 1.
#[must_use]
pub fn bytes(count: u64) -> String {
    match count {
        0..1024 => format!("{count} B"),
        1024..1_048_576 => format!("{:.1} KiB", count as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", count as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", count as f64 / 1_073_741_824.0),
    }
}

/// Returns a count with its noun: `1 task`, `2 tasks`.
#[must_use]
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_numbers_are_read_back() {
        let check = |value: f64, text: &str| {
            assert_eq!(exact(value), text);
            assert!(text.parse::<f64>().unwrap() == value || value.is_nan());
        };
        check(0.1, "0.1");
        check(-0.0, "-0");
        check(2.0_f64.powi(-20), "9.5367431640625e-7");
        check(2.0_f64.powi(127), "1.7014118346046923e38");
        check(f64::NEG_INFINITY, "-inf");
        check(f64::NAN, "NaN");
    }

    #[test]
    fn numbers_read_well() {
        let check = |value, text: &str| assert_eq!(number(value), text);
        check(8000.0, "8000");
        check(0.97346, "0.9735");
        check(0.000_012_34, "1.234e-5");
        check(-0.5, "-0.5000");
        check(-2.776e-15, "-2.776e-15");
        check(0.0, "0");
        check(-0.0, "0");
        check(0.001_234, "0.001234");
        check(0.098, "0.0980");
        check(0.012_34, "0.01234");
        check(12.345_678, "12.3457");
        check(28_063.2, "28063.2");
        check(1e300, "1.000e300");
        check(f64::INFINITY, "inf");
        check(f64::NAN, "NaN");
        assert_eq!(bytes(1536), "1.5 KiB");
    }

    #[test]
    fn a_mean_is_no_finer_than_its_interval() {
        let check = |mean: f64, half: Option<f64>, text: &str| {
            let interval = half.map(|half| (mean - half, mean + half));
            let value = Estimate { interval, n: 4, ..Estimate::from_values(&[mean]).unwrap() };
            assert_eq!(estimate(&value), text);
        };
        check(0.931_25, Some(0.003_712), "0.9313 ±0.0037");
        check(82.825, Some(0.3703), "82.83 ±0.37");
        check(-9.5e-8, Some(1.31e-9), "(-9.50 ±0.13)e-8");
        check(1.118_37e-14, Some(5.31e-16), "(1.118 ±0.053)e-14");
        check(3.6e-9, Some(2.4e-8), "(0.4 ±2.4)e-8");
        check(0.5, Some(1.2e-7), "0.50000000 ±0.00000012");
        check(1.5e300, Some(1e299), "(1.50 ±0.10)e300");
        check(1.5e-310, Some(1.2e-311), "(1.50 ±0.12)e-310");
        check(86_250.4, Some(1310.0), "86300 ±1300");
        check(0.0, Some(0.0), "0");
        check(39.0, Some(9.1646), "39.0 ±9.2");
        check(39.0, Some(9.9701), "39 ±10");
        check(0.5, Some(0.0996), "0.50 ±0.10");
        check(0.5, Some(0.000_999_6), "0.5000 ±0.0010");
        check(-0.000_01, Some(0.012), "0.000 ±0.012");
        check(120.0, Some(133.0), "120 ±130");
        check(0.098, Some(0.0), "0.0980");
        check(0.098, None, "0.0980");
        let chance = Estimate { near_chance: true, ..Estimate::from_values(&[0.098, 0.102]).unwrap() };
        assert_eq!(estimate(&chance), "0.0980–0.1020");
        let equal = Estimate::from_values(&[0.215, 0.215 + 3e-17, 0.215 + 6e-17]).unwrap();
        assert_eq!(estimate(&equal), "0.2150");
        assert_eq!(estimate(&Estimate { near_chance: true, ..equal }), "0.2150");
        let marked = Estimate { adjusted: Some(0.01), ..Estimate::from_values(&[0.1, 0.1]).unwrap() };
        assert_eq!(estimate(&marked), "0.1000 *");
    }

    #[test]
    fn the_digits_of_a_figure_do_not_depend_on_its_unit() {
        let check = |mean: f64, half: f64, texts: [&str; 3]| {
            let found = [1e-12, 1.0, 1e12].map(|unit| with_error(mean * unit, half * unit));
            assert_eq!(found, texts);
        };
        check(0.931_27, 0.003_712, ["(9.313 ±0.037)e-13", "0.9313 ±0.0037", "(9.313 ±0.037)e11"]);
        check(39.0, 9.9701, ["(3.9 ±1.0)e-11", "39 ±10", "(3.9 ±1.0)e13"]);
        check(4.2, 17.0, ["(0.4 ±1.7)e-11", "4 ±17", "(0.4 ±1.7)e13"]);
    }
}

//! Numbers as people read them.

use fewbits_engine::statistics::SIGNIFICANT;
use fewbits_engine::statistics::estimate::Estimate;

/// Below this, a number is what is left of a difference of equal numbers.
const NOISE: f64 = 1e-13;

/// Returns a number: whole ones as they are, others with four decimals, very small or large ones with an exponent.
#[must_use]
pub fn number(value: f64) -> String {
    let size = value.abs();
    if size < NOISE {
        "0".to_owned()
    } else if value.fract() == 0.0 && size < 1e9 {
        format!("{value:.0}")
    } else if (1e-3..1e6).contains(&size) {
        format!("{value:.4}")
    } else {
        format!("{value:.3e}")
    }
}

/// Returns a number in as few digits as tell it from every other binary64, very small or large ones with an exponent.
#[must_use]
pub fn exact(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || !value.is_finite() || (1e-5..1e16).contains(&size) {
        format!("{value}")
    } else {
        format!("{value:e}")
    }
}

/// Returns a mean with half the width of its interval, where it has one: that in two digits, the mean no finer. Near
/// chance, the least and the largest value instead. A star marks what the table's test finds.
#[must_use]
pub fn estimate(value: &Estimate) -> String {
    let mark = if value.adjusted.is_some_and(|p| p < SIGNIFICANT) { " *" } else { "" };
    let half = value.half_width().filter(|half| *half >= NOISE);
    let text = match half {
        Some(_) if value.near_chance && value.least < value.most => {
            let decimals = decimals(value.most - value.least);
            format!("{:.decimals$}–{:.decimals$}", value.least, value.most)
        }
        Some(half) => with_error(value.mean, half),
        None => number(value.mean),
    };
    text + mark
}

/// Returns a number with its error, both with as many decimals as give the error two digits; very small ones with an
/// exponent.
#[must_use]
pub fn with_error(value: f64, error: f64) -> String {
    if error < 1e-5 && value.abs() < 1e-3 {
        return format!("{value:.1e} ±{error:.1e}");
    }
    let decimals = decimals(error);
    // A number that rounds to zero has no sign.
    let value = if value.abs() < 0.5 * 10_f64.powi(-(decimals as i32)) { 0.0 } else { value };
    format!("{value:.decimals$} ±{error:.decimals$}")
}

/// Returns how many decimals give a size two digits; four, where there is none.
fn decimals(size: f64) -> usize {
    if size < NOISE { 4 } else { (1.0 - size.log10().floor()).clamp(0.0, 6.0) as usize }
}

/// Returns a count of bytes in the unit that reads best.
#[must_use]
pub fn bytes(count: u64) -> String {
    match count {
        0..1024 => format!("{count} B"),
        1024..1_048_576 => format!("{:.1} KiB", count as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", count as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", count as f64 / 1_073_741_824.0),
    }
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
        check(-2.776e-15, "0");
        assert_eq!(bytes(1536), "1.5 KiB");
    }

    #[test]
    fn a_mean_is_no_finer_than_its_interval() {
        let check = |mean: f64, half: Option<f64>, text: &str| {
            let interval = half.map(|half| (mean - half, mean + half));
            let value = Estimate { interval, n: 4, ..Estimate::of(&[mean]).unwrap() };
            assert_eq!(estimate(&value), text);
        };
        check(0.931_25, Some(0.003_712), "0.9313 ±0.0037");
        check(82.825, Some(0.3703), "82.83 ±0.37");
        check(-9.5e-8, Some(1.31e-9), "-9.5e-8 ±1.3e-9");
        check(39.0, Some(9.1646), "39.0 ±9.2");
        check(-0.000_01, Some(0.012), "0.000 ±0.012");
        check(120.0, Some(133.0), "120 ±133");
        check(0.098, Some(0.0), "0.0980");
        check(0.098, None, "0.0980");
        let chance = Estimate { near_chance: true, ..Estimate::of(&[0.098, 0.102]).unwrap() };
        assert_eq!(estimate(&chance), "0.0980–0.1020");
        let marked = Estimate { adjusted: Some(0.01), ..Estimate::of(&[0.1, 0.1]).unwrap() };
        assert_eq!(estimate(&marked), "0.1000 *");
    }
}

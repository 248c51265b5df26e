//! Numbers as people read them.

use fewbits_engine::table::estimate::Estimate;

/// Returns a number: whole ones as they are, others with four decimals, very small or large ones with an exponent.
#[must_use]
pub fn number(value: f64) -> String {
    let size = value.abs();
    if value.fract() == 0.0 && size < 1e9 {
        format!("{value:.0}")
    } else if (1e-3..1e6).contains(&size) {
        format!("{value:.4}")
    } else {
        format!("{value:.3e}")
    }
}

/// Returns a mean with half the width of its interval, where it has one.
#[must_use]
pub fn estimate(value: &Estimate) -> String {
    match value.half_width {
        Some(half) if half > 0.0 => format!("{} ±{half:.4}", number(value.mean)),
        Some(_) | None => number(value.mean),
    }
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
    fn numbers_read_well() {
        let check = |value, text: &str| assert_eq!(number(value), text);
        check(8000.0, "8000");
        check(0.97345, "0.9734");
        check(0.000_012_34, "1.234e-5");
        check(-0.5, "-0.5000");
        assert_eq!(bytes(1536), "1.5 KiB");
    }
}

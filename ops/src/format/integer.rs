//! Integers and fixed point: the multiples of a power of two between two limits, with one zero.
//! Knows nothing of scales and of the fit of a zero point.

use serde::Serialize;

use super::error::FormatError;
use super::grid::{Magnitudes, power};
use super::rounding::{Draw, Rounding};

/// The range of integers that b bits represent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub enum Range {
    /// −(2^(b−1) − 1) to 2^(b−1) − 1; the code of −2^(b−1) is not used.
    #[default]
    Symmetric,
    /// −2^(b−1) to 2^(b−1) − 1: two's complement.
    Full,
    /// 2^b integers around a zero point that is fitted to each tensor.
    Asymmetric,
}

/// The multiples of 2^`exponent` from `low` to `high`. A code is the multiple in two's complement, or, with a zero
/// point, its distance above `low`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Integer {
    bits: u32,
    exponent: i32,
    low: i32,
    high: i32,
    /// Whether codes count from `low` up.
    offset: bool,
}

impl Integer {
    /// Makes signed integers of `bits` bits, 2 to 24. `Asymmetric` has its zero point in the middle until
    /// `with_zero_point` sets one.
    pub fn new(bits: u32, range: Range) -> Result<Self, FormatError> {
        if !(2..=24).contains(&bits) {
            return Err(FormatError::IntegerBits { bits });
        }
        let half = 1 << (bits - 1);
        let low = match range {
            Range::Symmetric => 1 - half,
            Range::Full | Range::Asymmetric => -half,
        };
        Ok(Self { bits, exponent: 0, low, high: half - 1, offset: range == Range::Asymmetric })
    }

    /// Makes two's complement fixed point of a sign, `int` integer and `frac` fraction bits, together 2 to 24: from
    /// −2^int to 2^int − 2^−frac. `int` or `frac` may be negative.
    pub fn fixed(int: i32, frac: i32) -> Result<Self, FormatError> {
        let bits = 1 + int + frac;
        if !(2..=24).contains(&bits) || frac > 149 || int > 127 {
            return Err(FormatError::Fixed { int, frac });
        }
        let half = 1 << (bits - 1);
        Ok(Self { bits: bits as u32, exponent: -frac, low: -half, high: half - 1, offset: false })
    }

    /// Makes OCP's element `INT8` at any width: symmetric, with `bits` − 2 fraction bits, so magnitudes are below 2.
    pub fn mx(bits: u32) -> Result<Self, FormatError> {
        Self::new(bits, Range::Symmetric).map(|integer| Self { exponent: 2 - bits as i32, ..integer })
    }

    /// Returns the same width with `zero_point` integers below zero.
    pub(crate) fn with_zero_point(self, zero_point: u32) -> Self {
        let count = (1 << self.bits) - 1;
        Self { low: -(zero_point as i32), high: count - zero_point as i32, ..self }
    }

    /// Returns the bits of a code, 2 to 24.
    #[must_use]
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// Returns the largest magnitude of either sign.
    #[must_use]
    pub fn largest(&self) -> f64 {
        f64::from(self.high.max(-self.low)) * power(self.exponent)
    }

    /// Returns the lowest and the highest number.
    #[must_use]
    pub fn limits(&self) -> (f64, f64) {
        let unit = power(self.exponent);
        (f64::from(self.low) * unit, f64::from(self.high) * unit)
    }

    /// Returns the number of a code, exact; bits above `bits()` are ignored.
    #[must_use]
    pub fn value(&self, code: u32) -> f64 {
        let unused = 32 - self.bits;
        let count = if self.offset {
            (code << unused >> unused) as i32 + self.low
        } else {
            (code << unused) as i32 >> unused
        };
        f64::from(count) * power(self.exponent)
    }

    /// Returns the code that a number rounds to, or `None` for NaN.
    #[must_use]
    pub fn encode(&self, value: f64, rounding: Rounding, draw: Draw) -> Option<u32> {
        let rounded = self.round(value, rounding, draw);
        if rounded.is_nan() {
            return None;
        }
        let count = (rounded * power(-self.exponent)) as i32;
        let code = if self.offset { count - self.low } else { count };
        Some(code as u32 & ((1 << self.bits) - 1))
    }

    /// Rounds a number to a multiple; ties of `Nearest` go to the even multiple. Infinities saturate, NaN stays NaN.
    #[must_use]
    pub fn round(&self, value: f64, rounding: Rounding, draw: Draw) -> f64 {
        self.grid().round(value, rounding, draw)
    }

    /// Returns the numbers as a grid.
    pub(crate) fn grid(&self) -> Magnitudes {
        Magnitudes::steps(self.exponent, self.low, self.high)
    }
}

//! Small floats: one sign bit, e exponent bits, m mantissa bits, every code a finite number.
//! Knows nothing of scales, tensors and of how codes are stored.

use serde::Serialize;

use super::error::FormatError;
use super::fit::fit;
use super::grid::{Grid, power};
use super::rounding::{Draw, Draws, Rounding};
use super::scale::{Scale, StoredScale};

/// Exponents of the least and of the greatest power of two that is a binary32.
const BINARY32: (i32, i32) = (-149, 127);

/// What is subtracted from the exponent field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Bias {
    /// 2^(e−1) − 1, and 0 at e = 0 (IEEE 754-2019, 3.4).
    Ieee,
    /// This number.
    Exactly(i32),
}

/// A float of 1 + e + m bits. Exponent field 0 stands for ±(M / 2^m)·2^(1−bias), field E for
/// ±(1 + M / 2^m)·2^(E−bias); e = 0 is fixed point. No code is kept for infinity or NaN.
///
/// A code is the bits sign, exponent, mantissa, from the highest of `bits()` down to the lowest; without its sign
/// it counts the magnitudes from 0 up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Float {
    e: u32,
    m: u32,
    bias: Bias,
}

impl Float {
    /// Makes a format of `e` (0 to 8) exponent and `m` (0 to 23) mantissa bits, not both 0. It is an error if no
    /// code but zero is a binary32. `Exactly` with the IEEE bias becomes `Ieee`: one format has one description.
    pub fn new(e: u32, m: u32, bias: Bias) -> Result<Self, FormatError> {
        if e > 8 || m > 23 {
            return Err(FormatError::TooWide { e, m });
        }
        if e + m == 0 {
            return Err(FormatError::SignAlone);
        }
        let ieee = if e == 0 { 0 } else { (1 << (e - 1)) - 1 };
        let Bias::Exactly(exactly) = bias else { return Ok(Self { e, m, bias }) };
        let (least, greatest) = (1 - m as i32 - BINARY32.1, (1 << e) - 1 - BINARY32.0);
        if exactly < least || exactly > greatest {
            let side = if exactly < least { "above" } else { "below" };
            return Err(FormatError::OutOfRange { e, m, bias: exactly, side, least, greatest });
        }
        Ok(Self { e, m, bias: if exactly == ieee { Bias::Ieee } else { bias } })
    }

    /// Returns e, the number of exponent bits.
    #[must_use]
    pub fn exponent_bits(&self) -> u32 {
        self.e
    }

    /// Returns m, the number of mantissa bits.
    #[must_use]
    pub fn mantissa_bits(&self) -> u32 {
        self.m
    }

    /// Returns the bias as a number.
    #[must_use]
    pub fn bias(&self) -> i32 {
        match self.bias {
            Bias::Ieee if self.e == 0 => 0,
            Bias::Ieee => (1 << (self.e - 1)) - 1,
            Bias::Exactly(bias) => bias,
        }
    }

    /// Returns the bits of a code: 1 + e + m, so 2 to 32.
    #[must_use]
    pub fn bits(&self) -> u32 {
        1 + self.e + self.m
    }

    /// Returns the largest number to which anything is rounded: the largest code that is a finite binary32.
    #[must_use]
    pub fn largest(&self) -> f32 {
        self.grid().largest() as f32
    }

    /// Returns the code of the largest number.
    #[must_use]
    pub fn largest_code(&self) -> u32 {
        let grid = self.grid();
        self.code(&grid, grid.largest())
    }

    /// Returns the exact number of a code; bits above `bits()` are ignored. Never infinite: a shifted bias reaches
    /// down to 2^−426 and up to 2^405.
    #[must_use]
    pub fn value(&self, code: u32) -> f64 {
        let mantissa = code & mask(self.m);
        let field = (code >> self.m) & mask(self.e);
        let significand = if field == 0 { mantissa } else { mantissa | 1 << self.m };
        let exponent = field.max(1) as i32 - self.bias() - self.m as i32;
        let sign = if code >> (self.e + self.m) & 1 == 1 { -1.0 } else { 1.0 };
        sign * f64::from(significand) * power(exponent)
    }

    /// Returns the number of a code as binary32: exact for every code to which a binary32 is rounded, rounded to
    /// nearest even for codes finer than binary32, infinite for codes above it.
    #[must_use]
    pub fn decode(&self, code: u32) -> f32 {
        self.value(code) as f32
    }

    /// Returns the code to which a number is rounded, and nothing for NaN, which has no code. Infinities saturate.
    #[must_use]
    pub fn encode(&self, value: f64, rounding: Rounding, draw: Draw) -> Option<u32> {
        if value.is_nan() {
            return None;
        }
        let grid = self.grid();
        let rounded = grid.round(value, rounding, draw);
        let sign = u32::from(rounded.is_sign_negative()) << (self.e + self.m);
        Some(sign | self.code(&grid, rounded.abs()))
    }

    /// Returns the number to which a number is rounded. Infinities saturate; NaN stays NaN, though it has no code.
    #[must_use]
    pub fn round(&self, value: f64, rounding: Rounding, draw: Draw) -> f64 {
        self.grid().round(value, rounding, draw)
    }

    /// Replaces every weight w by binary32(round(w ÷ s)·s); division and product are binary64's, and the product is
    /// exact, so it is rounded once. `scale` is positive and finite; the draw of an element is that of its place.
    pub fn round_slice(&self, weights: &mut [f32], scale: f32, rounding: Rounding, draws: &Draws) {
        self.grid().round_slice(weights, scale, rounding, draws);
    }

    /// Returns the scale for a tensor's finite weights, already rounded to its stored type.
    #[must_use]
    pub fn fit(&self, scale: Scale, weights: &[f32]) -> StoredScale {
        let grid = self.grid();
        if grid.has_even_steps() {
            fit(scale, weights, grid.largest(), |quotient| grid.nearest_step(quotient))
        } else {
            fit(scale, weights, grid.largest(), |quotient| grid.nearest(quotient))
        }
    }

    /// Returns every code, in the order of codes, with its exact number.
    pub fn values(&self) -> impl Iterator<Item = (u32, f64)> + use<> {
        let format = *self;
        (0..1_u64 << self.bits()).map(move |code| (code as u32, format.value(code as u32)))
    }

    /// Returns the magnitudes as a grid, the largest included.
    fn grid(&self) -> Grid {
        let least = 1 - self.bias();
        let top = self.value(mask(self.e + self.m));
        let largest = if top > f64::from(f32::MAX) {
            // Above the top code the grid would go on with binades that fixed point does not have; here it does not.
            Grid::new(self.m, least, f64::INFINITY).toward_zero(f64::from(f32::MAX))
        } else {
            // Where codes are finer than binary32 every binary32 is a code, so the one at or below the top is.
            f64::from(at_or_below(top))
        };
        Grid::new(self.m, least, largest)
    }

    /// Returns the code of a magnitude of the grid.
    fn code(&self, grid: &Grid, magnitude: f64) -> u32 {
        if magnitude < grid.least_binade() {
            return (magnitude * power(self.bias() + self.m as i32 - 1)) as u32;
        }
        let offset = i64::from(1023 - self.bias()) << self.m;
        ((magnitude.to_bits() >> (52 - self.m)) as i64 - offset) as u32
    }
}

/// Returns a number with the lowest `bits` (at most 31) set.
fn mask(bits: u32) -> u32 {
    (1 << bits) - 1
}

/// Returns the greatest binary32 that is at most `value`, a positive number.
fn at_or_below(value: f64) -> f32 {
    let near = value as f32;
    if f64::from(near) > value { near.next_down() } else { near }
}

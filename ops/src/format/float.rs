//! Small floats: one sign bit, e exponent bits, m mantissa bits, and optional codes for infinity and NaN.
//! Knows nothing of scales, tensors and the storage of codes.

use std::fmt;

use serde::Serialize;

use super::error::FormatError;
use super::grid::{Magnitudes, power};
use super::named::NAMES;
use super::rounding::{Draw, Rounding};

/// The exponents of the least and of the greatest power of two in binary32.
const BINARY32: (i32, i32) = (-149, 127);

/// The exponent bias: the number subtracted from the exponent field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Bias {
    /// 2^(e−1) − 1, and 0 at e = 0 (IEEE 754-2019, 3.4).
    Ieee,
    /// This number.
    Exactly(i32),
}

/// The codes that stand for infinity or NaN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub enum Specials {
    /// None: every code is a finite number.
    #[default]
    None,
    /// The codes of the largest exponent: ±∞ where the mantissa is 0, else NaN (IEEE 754-2019, 3.4; OCP's E5M2).
    Ieee,
    /// NaN where exponent and mantissa are all ones, no infinity (OCP's E4M3; `fn` in `ml_dtypes`' names).
    Ocp,
    /// NaN in place of −0, no infinity (Noune et al. 2022; `fnuz` in `ml_dtypes`' names).
    Fnuz,
    /// NaN in place of −0, ±∞ in place of the largest magnitude (IEEE P3109's extended formats).
    P3109,
}

/// The meaning of codes with an exponent field of 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub enum Subnormals {
    /// Numbers below the least binade, in even steps (IEEE 754).
    #[default]
    On,
    /// All of them mean zero: no code lies between 0 and the least binade. The encoder writes mantissa 0 only.
    Flush,
}

/// The rounding of numbers beyond the largest code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub enum Overflow {
    /// Numbers and infinities saturate at the largest number of their sign.
    #[default]
    Saturate,
    /// A number that rounds past the largest becomes infinity, or NaN in formats without infinity (IEEE 754, 4.3).
    Special,
}

/// The rounding of NaN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum OfNan {
    /// NaN stays NaN, even in formats without a code for it.
    #[default]
    Nan,
    /// NaN becomes the zero of the other sign, as in `ml_dtypes` 0.6's types without NaN.
    OppositeZero,
}

/// A float of 1 + e + m bits. Exponent field 0 stands for ±(M / 2^m)·2^(1−bias), exponent field E for
/// ±(1 + M / 2^m)·2^(E−bias); e = 0 is fixed point.
///
/// A code holds sign, exponent and mantissa, from the highest of `bits()` down to the lowest. Without its sign bit, a
/// code is the rank of its magnitude, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Float {
    e: u32,
    m: u32,
    bias: Bias,
    #[serde(skip_serializing_if = "is_default")]
    specials: Specials,
    #[serde(skip_serializing_if = "is_default")]
    subnormals: Subnormals,
    #[serde(skip_serializing_if = "is_default")]
    overflow: Overflow,
    /// Not serialized: weights are finite, so this field never changes a weight.
    #[serde(skip)]
    of_nan: OfNan,
}

/// The spelling in an experiment: a name if the float has one, else its fields without those of default value.
impl fmt::Display for Float {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = NAMES.into_iter().find(|name| Self::named(name) == Some(*self)) {
            return f.write_str(name);
        }
        write!(f, "Float(e: {}, m: {}", self.e, self.m)?;
        if self.bias != Bias::Ieee {
            write!(f, ", bias: {:?}", self.bias)?;
        }
        if !is_default(&self.specials) {
            write!(f, ", specials: {:?}", self.specials)?;
        }
        if !is_default(&self.subnormals) {
            write!(f, ", subnormals: {:?}", self.subnormals)?;
        }
        if !is_default(&self.overflow) {
            write!(f, ", overflow: {:?}", self.overflow)?;
        }
        f.write_str(")")
    }
}

impl Float {
    /// Makes a format of `e` (0 to 8) exponent and `m` (0 to 23) mantissa bits, not both 0, in which every code is
    /// finite. It is an error if zero is the only code in binary32. `Exactly` with the IEEE bias becomes `Ieee`, so
    /// that one format has one description.
    pub fn new(e: u32, m: u32, bias: Bias) -> Result<Self, FormatError> {
        Self::with(e, m, bias, Specials::None, Subnormals::On, Overflow::Saturate)
    }

    /// Makes a format with codes for infinity or NaN. It is an error if those codes leave no number but zero, or if
    /// `Overflow::Special` has no such code to use.
    pub fn with(
        e: u32,
        m: u32,
        bias: Bias,
        specials: Specials,
        subnormals: Subnormals,
        overflow: Overflow,
    ) -> Result<Self, FormatError> {
        if e > 8 || m > 23 {
            return Err(FormatError::TooWide { e, m });
        }
        if e + m == 0 {
            return Err(FormatError::SignAlone);
        }
        let bare = Self { e, m, bias: Bias::Exactly(0), specials, subnormals, overflow, of_nan: OfNan::Nan };
        if bare.top() < bare.least() {
            return Err(FormatError::NoNumbers { e, m });
        }
        if specials == Specials::None && overflow == Overflow::Special {
            return Err(FormatError::NoSpecials { e, m });
        }
        let ieee = if e == 0 { 0 } else { (1 << (e - 1)) - 1 };
        if let Bias::Exactly(exactly) = bias {
            let [least, top] = [bare.least(), bare.top()].map(|code| exponent(bare.value(code)));
            let (least, greatest) = (least - BINARY32.1, top - BINARY32.0);
            if exactly < least || exactly > greatest {
                let side = if exactly < least { "above" } else { "below" };
                return Err(FormatError::OutOfRange { e, m, bias: exactly, side, least, greatest });
            }
        }
        Ok(Self { bias: if bias == Bias::Exactly(ieee) { Bias::Ieee } else { bias }, ..bare })
    }

    /// Returns the format that rounds NaN to the zero of the other sign: `ml_dtypes`' rule for types without NaN.
    pub(super) fn with_nan_as_opposite_zero(self) -> Self {
        Self { of_nan: OfNan::OppositeZero, ..self }
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

    /// Returns the meaning of codes with an exponent field of 0.
    #[must_use]
    pub fn subnormals(&self) -> Subnormals {
        self.subnormals
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

    /// Returns the bits of a code: 1 + e + m, from 2 to 32.
    #[must_use]
    pub fn bits(&self) -> u32 {
        1 + self.e + self.m
    }

    /// Returns whether numbers beyond the largest become infinite or NaN.
    #[must_use]
    pub fn overflows(&self) -> bool {
        self.overflow == Overflow::Special
    }

    /// Returns the largest result of rounding: the number of the largest code that is a finite binary32.
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

    /// Returns the exact number of a code; bits above `bits()` are ignored. Every finite number fits binary64: with a
    /// shifted bias the magnitudes range from 2^−426 to 2^405.
    #[must_use]
    pub fn value(&self, code: u32) -> f64 {
        let magnitude = code & mask(self.e + self.m);
        let negative = code >> (self.e + self.m) & 1 == 1;
        let sign = if negative { -1.0 } else { 1.0 };
        if magnitude > self.top() {
            return self.special(magnitude).copysign(sign);
        }
        let (mantissa, field) = (magnitude & mask(self.m), magnitude >> self.m);
        match (field, self.subnormals) {
            _ if self.has_one_zero() && negative && magnitude == 0 => -f64::NAN.abs(),
            (0, Subnormals::Flush) => 0.0 * sign,
            (0, Subnormals::On) => sign * f64::from(mantissa) * power(1 - self.bias() - self.m as i32),
            (1.., _) => {
                let significand = f64::from(mantissa | 1 << self.m);
                sign * significand * power(field as i32 - self.bias() - self.m as i32)
            }
        }
    }

    /// Returns the number of a code as binary32. It is exact for every code that a binary32 number rounds to. Codes
    /// finer than binary32 round to nearest even, and codes above binary32 become infinite.
    #[must_use]
    pub fn decode(&self, code: u32) -> f32 {
        self.value(code) as f32
    }

    /// Returns the code that a number rounds to, or `None` for NaN without a code.
    #[must_use]
    pub fn encode(&self, value: f64, rounding: Rounding, draw: Draw) -> Option<u32> {
        let grid = self.grid();
        let rounded = self.round(value, rounding, draw);
        let sign = u32::from(rounded.is_sign_negative()) << (self.e + self.m);
        if rounded.is_finite() {
            return Some(sign | self.code(&grid, rounded.abs()));
        }
        let (infinity, ones) = (mask(self.e) << self.m, mask(self.e + self.m));
        match self.specials {
            Specials::None => None,
            Specials::Ieee if rounded.is_infinite() => Some(sign | infinity),
            // The quiet NaN; with m = 0 the format has no NaN.
            Specials::Ieee => (self.m > 0).then(|| sign | infinity | 1 << (self.m - 1)),
            Specials::P3109 if rounded.is_infinite() => Some(sign | ones),
            Specials::Ocp => Some(sign | ones),
            Specials::Fnuz | Specials::P3109 => Some(1 << (self.e + self.m)),
        }
    }

    /// Rounds a number to the format. NaN stays NaN, even without a code for it.
    #[must_use]
    pub fn round(&self, value: f64, rounding: Rounding, draw: Draw) -> f64 {
        if value.is_nan() && self.of_nan == OfNan::OppositeZero {
            return 0.0_f64.copysign(-1.0_f64.copysign(value));
        }
        let rounded = self.grid().round(value, rounding, draw);
        // The only NaN has the code of −0, so its sign is negative.
        if rounded.is_nan() && self.has_one_zero() { -f64::NAN.abs() } else { rounded }
    }

    /// Returns the numbers as a grid that ends at the largest.
    pub(crate) fn grid(&self) -> Magnitudes {
        let least = 1 - self.bias();
        let top = self.value(self.top());
        let largest = if top > f64::from(f32::MAX) {
            // Above the top code an unbounded grid has binades that fixed point lacks; this branch never reaches them.
            Magnitudes::new(self.m, least, f64::INFINITY).toward_zero(f64::from(f32::MAX))
        } else {
            // Codes finer than binary32 include every binary32 number, so the binary32 at or below the top has a code.
            f64::from(at_or_below(top))
        };
        let mut grid = Magnitudes::new(self.m, least, largest);
        if self.subnormals == Subnormals::Flush {
            grid = grid.without_subnormals();
        }
        if self.has_one_zero() {
            grid = grid.with_one_zero();
        }
        match (self.overflow, self.specials) {
            (Overflow::Saturate, _) | (_, Specials::None) => grid,
            (Overflow::Special, Specials::Ieee | Specials::P3109) => grid.overflowing_to(f64::INFINITY),
            (Overflow::Special, Specials::Ocp | Specials::Fnuz) => grid.overflowing_to(f64::NAN),
        }
    }

    /// Returns the code of a magnitude of the grid.
    fn code(&self, grid: &Magnitudes, magnitude: f64) -> u32 {
        if magnitude < grid.least_binade() {
            return (magnitude * power(self.bias() + self.m as i32 - 1)) as u32;
        }
        let offset = i64::from(1023 - self.bias()) << self.m;
        ((magnitude.to_bits() >> (52 - self.m)) as i64 - offset) as u32
    }

    fn has_one_zero(&self) -> bool {
        matches!(self.specials, Specials::Fnuz | Specials::P3109)
    }

    /// Returns the largest code of a finite positive number, in binary32 or beyond it.
    fn top(&self) -> u32 {
        let ones = mask(self.e + self.m);
        match self.specials {
            Specials::None | Specials::Fnuz => ones,
            Specials::Ocp | Specials::P3109 => ones - 1,
            Specials::Ieee => (mask(self.e) << self.m).saturating_sub(1),
        }
    }

    /// Returns the least code of a positive number other than zero.
    fn least(&self) -> u32 {
        match self.subnormals {
            Subnormals::On => 1,
            Subnormals::Flush => 1 << self.m,
        }
    }

    /// Returns the infinity or NaN of a magnitude code above `top`.
    fn special(&self, magnitude: u32) -> f64 {
        match self.specials {
            Specials::P3109 => f64::INFINITY,
            Specials::Ieee if magnitude & mask(self.m) == 0 => f64::INFINITY,
            Specials::None | Specials::Ieee | Specials::Ocp | Specials::Fnuz => f64::NAN,
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Returns ⌊log2 x⌋ of a positive binary64 that is not subnormal.
fn exponent(x: f64) -> i32 {
    (x.to_bits() >> 52) as i32 - 1023
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

//! Named floats: OCP's, `ml_dtypes`', IEEE P3109's and those of hardware. A name is a shorthand for a
//! [`Float`] with all its fields.

use super::error::FormatError;
use super::float::{Bias, Float, Overflow, Specials, Subnormals};

/// The names of formats without fields.
pub const NAMES: [&str; 21] = [
    "E2M1",
    "E3M2",
    "E2M3",
    "E4M3",
    "E5M2",
    "F16",
    "Bf16",
    "F32",
    "bfloat16",
    "float16",
    "float4_e2m1fn",
    "float6_e2m3fn",
    "float6_e3m2fn",
    "float8_e3m4",
    "float8_e4m3",
    "float8_e4m3b11fnuz",
    "float8_e4m3fn",
    "float8_e4m3fnuz",
    "float8_e5m2",
    "float8_e5m2fnuz",
    "float32",
];

/// The domain of an IEEE P3109 format: with or without infinities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Domain {
    /// Finite numbers and infinities.
    Extended,
    /// Finite numbers only.
    Finite,
}

impl Float {
    /// Returns the float of a name, or `None` for an unknown name.
    ///
    /// OCP's formats (OFP8 1.0, Microscaling Formats 1.0), `F16` (IEEE 754 binary16), `Bf16` and `F32` saturate,
    /// because weights should not become infinite. `ml_dtypes`' names are bit-equal to `ml_dtypes`, overflow and NaN
    /// included. `F32` is binary32.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        use Overflow::{Saturate, Special};
        use Specials::{Fnuz, Ieee, None as Finite, Ocp};
        let float = |e, m, specials, overflow| {
            // Every row below is a valid format.
            Self::with(e, m, Bias::Ieee, specials, Subnormals::On, overflow).ok()
        };
        let shifted = |e, m, bias| Self::with(e, m, Bias::Exactly(bias), Fnuz, Subnormals::On, Special).ok();
        match name {
            "E2M1" => float(2, 1, Finite, Saturate),
            "E3M2" => float(3, 2, Finite, Saturate),
            "E2M3" => float(2, 3, Finite, Saturate),
            "E4M3" => float(4, 3, Ocp, Saturate),
            "E5M2" => float(5, 2, Ieee, Saturate),
            "F16" => float(5, 10, Ieee, Saturate),
            "Bf16" => float(8, 7, Ieee, Saturate),
            "F32" => float(8, 23, Ieee, Saturate),
            "bfloat16" => float(8, 7, Ieee, Special),
            "float16" => float(5, 10, Ieee, Special),
            "float32" => float(8, 23, Ieee, Special),
            "float4_e2m1fn" => float(2, 1, Finite, Saturate).map(Self::with_nan_as_opposite_zero),
            "float6_e2m3fn" => float(2, 3, Finite, Saturate).map(Self::with_nan_as_opposite_zero),
            "float6_e3m2fn" => float(3, 2, Finite, Saturate).map(Self::with_nan_as_opposite_zero),
            "float8_e3m4" => float(3, 4, Ieee, Special),
            "float8_e4m3" => float(4, 3, Ieee, Special),
            "float8_e4m3fn" => float(4, 3, Ocp, Special),
            "float8_e5m2" => float(5, 2, Ieee, Special),
            "float8_e4m3b11fnuz" => shifted(4, 3, 11),
            "float8_e4m3fnuz" => shifted(4, 3, 8),
            "float8_e5m2fnuz" => shifted(5, 2, 16),
            _ => None,
        }
    }

    /// Makes IEEE P3109's signed format of `bits` (2 to 15) bits and `precision` (1 to bits − 1) significant bits, the
    /// hidden bit included: bias 2^(bits − precision − 1), one zero, one NaN.
    pub fn p3109(bits: u32, precision: u32, domain: Domain, overflow: Overflow) -> Result<Self, FormatError> {
        if !(2..=15).contains(&bits) || !(1..bits).contains(&precision) || bits - precision > 8 {
            return Err(FormatError::P3109 { bits, precision });
        }
        let (e, m) = (bits - precision, precision - 1);
        let specials = match domain {
            Domain::Extended => Specials::P3109,
            Domain::Finite => Specials::Fnuz,
        };
        Self::with(e, m, Bias::Exactly(1 << (e - 1)), specials, Subnormals::On, overflow)
    }
}

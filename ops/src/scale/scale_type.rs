//! The stored types of scales. Knows nothing of the fit of a scale.

use serde::Serialize;

use crate::format::{Draw, Float, grid::Magnitudes, grid::power, rounding::Rounding};

/// The stored type of a scale. A scale rounds to the nearest number of the type, ties to the even code, but stays
/// positive and finite: at least the least positive number, at most the largest. A group of zeros in a format without
/// zero has the scale 0, in types that have a zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub enum ScaleType {
    /// binary32.
    #[default]
    F32,
    /// IEEE 754 binary16, 65504 at most.
    F16,
    /// bfloat16.
    Bf16,
    /// OCP's E4M3: 2^−9 to 448.
    E4M3,
    /// OCP's E8M0: 2^−127 to 2^127, the exponent plus 127 in a byte.
    E8M0,
}

impl ScaleType {
    /// Returns the bytes of one scale.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::E4M3 | Self::E8M0 => 1,
        }
    }

    /// Returns whether the type has a zero.
    #[must_use]
    pub fn holds_zero(self) -> bool {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 | Self::E4M3 => true,
            Self::E8M0 => false,
        }
    }

    /// Returns the stored number nearest to a scale that is positive or NaN.
    pub(crate) fn round(self, scale: f64) -> f32 {
        match self.float() {
            Some(float) => {
                let rounded = float.round(scale, Rounding::Nearest, Draw::none());
                (rounded as f32).clamp(float.decode(1), float.largest())
            }
            // On the grid that starts at 2^−128 every code is E8M0's plus two, so ties go to the same even codes.
            None => Magnitudes::new(0, -128, power(127)).nearest(scale).max(power(-127)) as f32,
        }
    }

    /// Appends the bytes of a stored number, least significant first.
    pub(crate) fn write(self, scale: f32, bytes: &mut Vec<u8>) {
        let code = match self.float() {
            Some(float) => float.encode(f64::from(scale), Rounding::Nearest, Draw::none()).unwrap_or(0),
            None => ((f64::from(scale).to_bits() >> 52) as u32) - (1023 - 127),
        };
        bytes.extend(&code.to_le_bytes()[..self.bytes()]);
    }

    /// Returns the number of stored bytes.
    pub(crate) fn decode(self, bytes: &[u8]) -> f32 {
        let code = bytes.iter().rev().fold(0, |code, byte| code << 8 | u32::from(*byte));
        match self.float() {
            Some(float) => float.decode(code),
            None => power(code as i32 - 127) as f32,
        }
    }

    /// Returns the type as a float; E8M0 has neither sign nor zero.
    fn float(self) -> Option<Float> {
        match self {
            Self::F32 => Float::named("F32"),
            Self::F16 => Float::named("F16"),
            Self::Bf16 => Float::named("Bf16"),
            Self::E4M3 => Float::named("E4M3"),
            Self::E8M0 => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_rounded_to_what_is_stored() {
        let check = |store: ScaleType, scale: f64, expected: f32| {
            assert_eq!(store.round(scale), expected, "{store:?} {scale}");
            let mut bytes = vec![];
            store.write(expected, &mut bytes);
            assert_eq!((bytes.len(), store.decode(&bytes)), (store.bytes(), expected), "{store:?}");
        };
        check(ScaleType::F32, 0.1, 0.1);
        check(ScaleType::F32, 1e-60, f32::from_bits(1));
        check(ScaleType::F32, 1e60, f32::MAX);
        // numpy.float16(0.1) and ml_dtypes.bfloat16(0.1).
        check(ScaleType::F16, 0.1, 0.099_975_586);
        check(ScaleType::F16, 1e9, 65504.0);
        check(ScaleType::Bf16, 0.1, 0.100_097_656);
        check(ScaleType::E4M3, 0.1, 0.101_562_5);
        check(ScaleType::E4M3, 1e-9, 0.001_953_125);
        check(ScaleType::E4M3, 1e9, 448.0);
        // The code of 1 is 127, odd, and that of 2 is even.
        check(ScaleType::E8M0, 1.5, 2.0);
        check(ScaleType::E8M0, 3.0, 2.0);
        check(ScaleType::E8M0, 0.7, 0.5);
        check(ScaleType::E8M0, 1e-60, 2.0_f32.powi(-127));
        check(ScaleType::E8M0, 1e60, 2.0_f32.powi(127));
    }

    /// IEEE 754 and OCP OFP8 1.0: the code of +0 is all zeros. E8M0's code 0 is 2^−127 (OCP Microscaling Formats 1.0).
    #[test]
    fn a_scale_of_zero_is_stored_where_there_is_one() {
        for store in [ScaleType::F32, ScaleType::F16, ScaleType::Bf16, ScaleType::E4M3] {
            let mut bytes = vec![];
            store.write(0.0, &mut bytes);
            assert_eq!((store.holds_zero(), &bytes), (true, &vec![0; store.bytes()]), "{store:?}");
            assert_eq!(store.decode(&bytes).to_bits(), 0);
        }
        assert_eq!((ScaleType::E8M0.holds_zero(), ScaleType::E8M0.decode(&[0])), (false, 2.0_f32.powi(-127)));
    }
}

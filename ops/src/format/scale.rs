//! The scale that stands beside the codes of a tensor: how it is asked for and what is stored of it.
//! Knows nothing of formats and of how a scale is found.

use serde::Serialize;

use super::error::FormatError;

/// The scale asked for: one number s per tensor, by which weights are divided before they are rounded.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum Scale {
    /// s = 1, and nothing is stored.
    None,
    /// s = 2^k, stored as an exponent of 8 bits, −127 to 127.
    PowerOfTwo {
        /// How k is chosen.
        fit: PowerFit,
    },
    /// Any s, stored as binary32.
    Real {
        /// How s is chosen.
        fit: RealFit,
    },
}

/// How the exponent k of a power-of-two scale is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum PowerFit {
    /// The least 2^k with max|w| ≤ 2^k·largest: nothing saturates.
    MaxAbs,
    /// ⌊log2 max|w|⌋ − ⌊log2 largest⌋: the rule of OCP's Microscaling Formats 1.0, 6.3. The largest weights may
    /// saturate.
    MaxExponent,
    /// The least squared error under rounding to nearest, from one octave above `MaxAbs` to eight below; of equals
    /// the larger.
    LeastSquares,
}

/// How a real scale is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum RealFit {
    /// max|w| / largest.
    MaxAbs,
    /// This percentile of |w| over largest; larger weights saturate. A percentile of 0 gives `MaxAbs`.
    Percentile(Percent),
    /// The least squared error under rounding to nearest, of 145 candidates around `MaxAbs`, then improved step by
    /// step; of equals the larger.
    LeastSquares,
}

/// A percentile, above 0 and at most 100, by nearest rank: of n numbers the ⌈n·p/100⌉th in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Percent(f64);

impl Percent {
    /// Makes a percentile; an error unless it is above 0 and at most 100.
    pub fn new(percent: f64) -> Result<Self, FormatError> {
        if percent > 0.0 && percent <= 100.0 {
            Ok(Self(percent))
        } else {
            Err(FormatError::Percentile { percent })
        }
    }

    /// Returns the percentile.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

/// A scale as it is stored, already rounded to its stored type.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum StoredScale {
    /// 1, stored in no bytes.
    None,
    /// 2^k with k from −127 to 127, stored in one byte.
    PowerOfTwo(i8),
    /// A positive, finite binary32, stored in four bytes.
    Real(f32),
}

impl StoredScale {
    /// Returns the scale as a number.
    #[must_use]
    pub fn value(self) -> f32 {
        match self {
            Self::None => 1.0,
            Self::PowerOfTwo(exponent) => super::grid::power(i32::from(exponent)) as f32,
            Self::Real(scale) => scale,
        }
    }

    /// Returns the bytes that are stored: none, the exponent in two's complement, or a binary32 in little-endian.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::None => Vec::new(),
            Self::PowerOfTwo(exponent) => exponent.to_le_bytes().to_vec(),
            Self::Real(scale) => scale.to_le_bytes().to_vec(),
        }
    }

    /// Reads the stored scale of the kind asked for from the front of `bytes`, and returns it with the rest; nothing
    /// if `bytes` is too short.
    #[must_use]
    pub fn from_bytes(scale: Scale, bytes: &[u8]) -> Option<(Self, &[u8])> {
        match scale {
            Scale::None => Some((Self::None, bytes)),
            Scale::PowerOfTwo { .. } => {
                let (exponent, rest) = bytes.split_first_chunk()?;
                Some((Self::PowerOfTwo(i8::from_le_bytes(*exponent)), rest))
            }
            Scale::Real { .. } => {
                let (scale, rest) = bytes.split_first_chunk()?;
                Some((Self::Real(f32::from_le_bytes(*scale)), rest))
            }
        }
    }
}

impl Scale {
    /// Returns how many bytes the stored scale of one tensor takes.
    #[must_use]
    pub fn bytes(self) -> u64 {
        match self {
            Self::None => 0,
            Self::PowerOfTwo { .. } => 1,
            Self::Real { .. } => 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_is_read_back_as_it_was_stored() {
        let check = |scale: Scale, stored: StoredScale, value: f32| {
            let mut bytes = stored.to_bytes();
            assert_eq!(bytes.len() as u64, scale.bytes());
            assert_eq!(stored.value(), value);
            assert_eq!(StoredScale::from_bytes(scale, &bytes), Some((stored, &[][..])));
            if bytes.pop().is_some() {
                assert_eq!(StoredScale::from_bytes(scale, &bytes), None);
            }
        };
        let power = Scale::PowerOfTwo { fit: PowerFit::MaxAbs };
        check(Scale::None, StoredScale::None, 1.0);
        check(power, StoredScale::PowerOfTwo(-3), 0.125);
        check(power, StoredScale::PowerOfTwo(-127), f32::MIN_POSITIVE / 2.0);
        check(power, StoredScale::PowerOfTwo(127), f32::MAX / 2.0 + f32::EPSILON * f32::MAX / 4.0);
        check(Scale::Real { fit: RealFit::MaxAbs }, StoredScale::Real(0.3), 0.3);
    }

    #[test]
    fn a_percentile_is_above_0_and_at_most_100() {
        for percent in [0.0, -1.0, 100.5, f64::NAN] {
            assert!(Percent::new(percent).is_err(), "{percent}");
        }
        assert_eq!(Percent::new(100.0).map(Percent::get), Ok(100.0));
    }

    #[test]
    fn scales_are_written_with_their_fit() {
        let check = |scale: Scale, expected: &str| {
            assert_eq!(serde_json::to_string(&scale).unwrap(), expected);
        };
        check(Scale::None, r#""None""#);
        check(Scale::PowerOfTwo { fit: PowerFit::MaxExponent }, r#"{"PowerOfTwo":{"fit":"MaxExponent"}}"#);
        let fit = RealFit::Percentile(Percent::new(99.5).unwrap());
        check(Scale::Real { fit }, r#"{"Real":{"fit":{"Percentile":99.5}}}"#);
    }
}

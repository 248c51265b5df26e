//! The scale that stands beside the codes of a tensor: how it is asked for and over what it is taken.
//! Knows formats by their numbers only.

pub(crate) mod fit;
mod groups;
mod store;

use serde::Serialize;

use crate::format::FormatError;
pub use groups::Groups;
pub use store::Store;

/// The scale asked for: numbers s by which weights are divided before they are rounded.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum Scale {
    /// s = 1, and nothing is stored.
    None,
    /// s = 2^k, stored as `E8M0`.
    PowerOfTwo {
        /// What has a scale of its own.
        #[serde(skip_serializing_if = "is_tensor")]
        per: Per,
        /// How k is chosen.
        fit: PowerFit,
    },
    /// Any s that its stored type can hold.
    Real {
        /// What has a scale of its own.
        #[serde(skip_serializing_if = "is_tensor")]
        per: Per,
        /// How s is chosen.
        fit: RealFit,
        /// What s is stored as.
        #[serde(skip_serializing_if = "is_f32")]
        store: Store,
    },
}

/// What of a tensor has a scale of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub enum Per {
    /// All of it.
    #[default]
    Tensor,
    /// Each place in its first dimension; all of it, if it has only one dimension.
    Channel,
    /// So many weights in a row of the flattened dimensions behind the first, at least 1; a row's last block may be
    /// shorter. A tensor of one dimension is one row.
    Block(usize),
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
    /// For `Binary` mean|w| (Rastegari et al., *XNOR-Net*, 2016); for `Ternary` mean|w| over the weights beyond the
    /// threshold 0.7·mean|w|, within which weights are zero (Li et al., *Ternary Weight Networks*, 2016).
    Mean,
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

impl Scale {
    /// Returns what has a scale of its own.
    #[must_use]
    pub fn per(self) -> Per {
        match self {
            Self::None => Per::Tensor,
            Self::PowerOfTwo { per, .. } | Self::Real { per, .. } => per,
        }
    }

    /// Returns what scales are stored as, and nothing where none are stored.
    #[must_use]
    pub fn store(self) -> Option<Store> {
        match self {
            Self::None => None,
            Self::PowerOfTwo { .. } => Some(Store::E8M0),
            Self::Real { store, .. } => Some(store),
        }
    }
}

fn is_tensor(per: &Per) -> bool {
    *per == Per::Tensor
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_f32(store: &Store) -> bool {
    *store == Store::F32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_above_0_and_at_most_100() {
        for percent in [0.0, -1.0, 100.5, f64::NAN] {
            assert!(Percent::new(percent).is_err(), "{percent}");
        }
        assert_eq!(Percent::new(100.0).map(Percent::get), Ok(100.0));
    }

    #[test]
    fn scales_are_written_without_what_is_usual() {
        let check = |scale: Scale, expected: &str| {
            assert_eq!(serde_json::to_string(&scale).unwrap(), expected);
        };
        check(Scale::None, r#""None""#);
        let power = Scale::PowerOfTwo { per: Per::Tensor, fit: PowerFit::MaxExponent };
        check(power, r#"{"PowerOfTwo":{"fit":"MaxExponent"}}"#);
        let fit = RealFit::Percentile(Percent::new(99.5).unwrap());
        let real = Scale::Real { per: Per::Tensor, fit, store: Store::F32 };
        check(real, r#"{"Real":{"fit":{"Percentile":99.5}}}"#);
        let blocks = Scale::Real { per: Per::Block(16), fit: RealFit::MaxAbs, store: Store::E4M3 };
        check(blocks, r#"{"Real":{"per":{"Block":16},"fit":"MaxAbs","store":"E4M3"}}"#);
    }
}

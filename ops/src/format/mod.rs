//! Number formats: what a weight can be stored as. One variant per kind of format, one file per variant.
//! Knows nothing of networks and files; a tensor is a slice of binary32.

mod error;
mod fit;
mod float;
mod grid;
pub mod pack;
mod rounding;
mod scale;

use serde::Serialize;

pub use error::FormatError;
pub use float::{Bias, Float};
pub use rounding::{Draw, Draws, RandomBits, Rounding};
pub use scale::{Percent, PowerFit, RealFit, Scale, StoredScale};

/// A number format.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Format {
    /// A small float, or fixed point at e = 0.
    Float(Float),
}

impl Format {
    /// Returns the nominal width of a code in bits.
    #[must_use]
    pub fn code_bits(&self) -> u32 {
        match self {
            Self::Float(float) => float.bits(),
        }
    }

    /// Returns the scale that the format has where none is asked for.
    #[must_use]
    pub fn default_scale(&self) -> Scale {
        match self {
            Self::Float(_) => Scale::None,
        }
    }

    /// Returns the largest magnitude that the format rounds to, at a scale of 1.
    #[must_use]
    pub fn largest(&self) -> f32 {
        match self {
            Self::Float(float) => float.largest(),
        }
    }

    /// Returns the scale for a tensor's finite weights, already rounded to its stored type.
    #[must_use]
    pub fn fit(&self, scale: Scale, weights: &[f32]) -> StoredScale {
        match self {
            Self::Float(float) => float.fit(scale, weights),
        }
    }

    /// Replaces every weight w by binary32(round(w ÷ s)·s), the division in binary64; the draw of an element is that
    /// of its place in the slice.
    pub fn round_slice(&self, weights: &mut [f32], scale: StoredScale, rounding: Rounding, draws: &Draws) {
        match self {
            Self::Float(float) => float.round_slice(weights, scale.value(), rounding, draws),
        }
    }

    /// Returns the code to which a number (a weight over its scale) is rounded, and nothing for NaN without a code.
    #[must_use]
    pub fn encode(&self, quotient: f64, rounding: Rounding, draw: Draw) -> Option<u32> {
        match self {
            Self::Float(float) => float.encode(quotient, rounding, draw),
        }
    }

    /// Returns the exact number of a code, at a scale of 1.
    #[must_use]
    pub fn value(&self, code: u32) -> f64 {
        match self {
            Self::Float(float) => float.value(code),
        }
    }
}

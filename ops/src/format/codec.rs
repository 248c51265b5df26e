//! The codec of a format: bits to numbers and numbers to bits, at a scale of 1. Knows nothing of the names of formats
//! and of the choice of scales.

use super::codebook::Codebook;
use super::float::Float;
use super::grid::Magnitudes;
use super::integer::Integer;
use super::rounding::{Draw, Rounding};

/// A mapping from codes to numbers.
#[derive(Clone, Debug)]
pub enum Codec {
    /// Sign, exponent, mantissa.
    Float(Float),
    /// Multiples of a power of two.
    Integer(Integer),
    /// A table.
    Codebook(Box<Codebook>),
}

/// The numbers of a codec, prepared for rounding.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CodecNumbers<'a> {
    Grid(Magnitudes),
    Table(&'a Codebook),
}

impl Codec {
    /// Returns the bits of a code, 1 to 32.
    #[must_use]
    pub fn bits(&self) -> u32 {
        match self {
            Self::Float(float) => float.bits(),
            Self::Integer(integer) => integer.bits(),
            Self::Codebook(codebook) => codebook.bits(),
        }
    }

    /// Returns the largest magnitude that numbers round to.
    #[must_use]
    pub fn largest(&self) -> f64 {
        match self {
            Self::Float(float) => f64::from(float.largest()),
            Self::Integer(integer) => integer.largest(),
            Self::Codebook(codebook) => codebook.largest(),
        }
    }

    /// Returns the largest magnitude that a scale maps to the group's maximum: for integers the largest positive
    /// number.
    #[must_use]
    pub fn reach(&self) -> f64 {
        match self {
            Self::Integer(integer) => integer.grid().largest(),
            Self::Float(_) | Self::Codebook(_) => self.largest(),
        }
    }

    /// Returns the lowest and the highest number that numbers round to.
    #[must_use]
    pub fn limits(&self) -> (f64, f64) {
        match self {
            Self::Float(float) => (-f64::from(float.largest()), f64::from(float.largest())),
            Self::Integer(integer) => integer.limits(),
            Self::Codebook(codebook) => codebook.limits(),
        }
    }

    /// Returns the exact number of every code, in the order of codes, including infinities and NaN; `None` for unused
    /// codes. Codes have at most 16 bits here.
    #[must_use]
    pub fn table(&self) -> Vec<Option<f64>> {
        let codes = 0..1_u32 << self.bits().min(16);
        match self {
            Self::Float(float) => codes.map(|code| Some(float.value(code))).collect(),
            Self::Integer(integer) => codes.map(|code| Some(integer.value(code))).collect(),
            Self::Codebook(codebook) => codebook.table(),
        }
    }

    /// Returns the code that a number rounds to, or `None` for NaN without a code.
    #[must_use]
    pub fn encode(&self, value: f64, rounding: Rounding, draw: Draw) -> Option<u32> {
        match self {
            Self::Float(float) => float.encode(value, rounding, draw),
            Self::Integer(integer) => integer.encode(value, rounding, draw),
            Self::Codebook(codebook) => codebook.encode(value, rounding, draw),
        }
    }

    /// Rounds a number to the number of its code.
    #[must_use]
    pub fn round(&self, value: f64, rounding: Rounding, draw: Draw) -> f64 {
        match self {
            Self::Float(float) => float.round(value, rounding, draw),
            Self::Integer(integer) => integer.round(value, rounding, draw),
            Self::Codebook(codebook) => codebook.round(value, rounding, draw),
        }
    }

    /// Returns the function from codes to exact numbers.
    pub(crate) fn decoder(&self) -> impl Fn(u32) -> f64 {
        let table = match self {
            Self::Codebook(codebook) => codebook.table(),
            Self::Float(_) | Self::Integer(_) => vec![],
        };
        move |code| match self {
            Self::Float(float) => float.value(code),
            Self::Integer(integer) => integer.value(code),
            Self::Codebook(_) => table.get(code as usize).copied().flatten().unwrap_or(0.0),
        }
    }

    pub(crate) fn numbers(&self) -> CodecNumbers<'_> {
        match self {
            Self::Float(float) => CodecNumbers::Grid(float.grid()),
            Self::Integer(integer) => CodecNumbers::Grid(integer.grid()),
            Self::Codebook(codebook) => CodecNumbers::Table(codebook),
        }
    }
}

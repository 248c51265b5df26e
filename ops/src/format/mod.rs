//! Number formats for weights. A [`Format`] is the format as the user writes it; its [`Codec`] is the
//! function between bit patterns and numbers. Knows nothing of networks and files; a tensor is a slice of binary32.

mod codebook;
pub(crate) mod codec;
mod error;
mod float;
pub(crate) mod grid;
mod integer;
pub(crate) mod k_means;
mod named;
pub mod pack;
mod posit;
pub(crate) mod rounding;
mod search;
pub(crate) mod slice;
mod text;
mod wide;

use serde::Serialize;

pub use codebook::{Codebook, MOST_VALUES};
pub use codec::Codec;
pub use error::FormatError;
pub use float::{Bias, Float, Overflow, Specials, Subnormals};
pub use integer::{Integer, Range};
pub use named::{Domain, NAMES};
pub use rounding::{Draw, Draws, RandomBits, Rounding};
pub use slice::Group;

/// The 16 numbers of `NF4`, code 0 to 15: quantiles of the normal distribution, divided by the largest quantile
/// (Dettmers et al., *`QLoRA`*, 2023, appendix E).
pub const NF4: [f32; 16] = [
    -1.0,
    -0.696_192_8,
    -0.525_073_05,
    -0.394_917_5,
    -0.284_441_38,
    -0.184_773_43,
    -0.091_050_036,
    0.0,
    0.079_580_3,
    0.160_930_2,
    0.246_112_3,
    0.337_915_24,
    0.440_709_83,
    0.562_617,
    0.722_956_84,
    1.0,
];

/// A number format.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Format {
    /// A small float, or fixed point at e = 0.
    Float(Float),
    /// Integers of `bits` bits, 2 to 24, with a scale.
    Int {
        /// The bits of a code.
        bits: u32,
        /// The integers that the codes stand for.
        range: Range,
    },
    /// Two's complement fixed point.
    Fixed {
        /// Bits before the binary point, without the sign.
        int: i32,
        /// Bits after the binary point.
        frac: i32,
    },
    /// A sign and an exponent: 0 and ±2^k, k from 0 down to 2 − 2^(bits−1) (Miyashita et al. 2016; Zhou et al.,
    /// *INQ*, 2017), 2 to 8 bits.
    PowerOfTwo {
        /// The bits of a code.
        bits: u32,
    },
    /// A posit of `n` bits, 2 to 16, with `es` exponent bits.
    Posit {
        /// The bits of a code.
        n: u32,
        /// The exponent bits.
        es: u32,
    },
    /// −1, 0 and 1, packed five to a byte, with a scale.
    Ternary,
    /// −1 and 1, with a scale. Zero becomes 1, but a tensor, channel or block of zeros has a scale of 0.
    Binary,
    /// The 16 numbers of [`NF4`] with a block scale: the largest magnitude of the block, as binary32.
    Nf4 {
        /// Weights in a block.
        block: usize,
    },
    /// The codebook of 2^bits numbers with the least squared error for each tensor, 1 to 8 bits, stored as binary32.
    KMeans {
        /// The bits of a code.
        bits: u32,
    },
    /// A codebook given by the user; a code is a position in the list. The decoder knows the list, so it is not stored.
    Values(Vec<f32>),
    /// A block of elements that share an exponent of 8 bits (OCP Microscaling Formats 1.0).
    Mx {
        /// The format of each element.
        element: Element,
        /// Weights in a block.
        block: usize,
    },
    /// Block floating point: a sign and bits − 1 mantissa bits per weight, and a shared exponent of 8 bits per block.
    BlockFloat {
        /// The bits of a code, 2 to 24.
        bits: u32,
        /// Weights in a block.
        block: usize,
    },
}

/// An element of a block with a shared exponent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Element {
    /// A small float.
    Float(Float),
    /// An integer with a sign, one bit before the binary point and the rest after it: OCP's INT8 at any width, without
    /// its least number.
    Int {
        /// The bits of a code, 2 to 24.
        bits: u32,
    },
}

/// The layout of a tensor's codes in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Codes of this many bits, least significant bit first.
    Bits(u32),
    /// Five codes below 3 in each byte, the first code as the lowest base-3 digit.
    FiveToAByte,
}

impl Format {
    /// Returns the codec; an error if the format's parameters are invalid. A format that is fitted to each tensor gets
    /// a codec of its width: `KMeans` counts from 0, and `Asymmetric` integers have their zero point in the middle.
    pub fn codec(&self) -> Result<Codec, FormatError> {
        let codebook = |values: &[f32]| Codebook::new(values).map(Box::new).map(Codec::Codebook);
        match *self {
            Self::Float(float) | Self::Mx { element: Element::Float(float), .. } => Ok(Codec::Float(float)),
            Self::Int { bits, range } => Integer::new(bits, range).map(Codec::Integer),
            Self::Fixed { int, frac } => Integer::fixed(int, frac).map(Codec::Integer),
            Self::PowerOfTwo { bits } => powers(bits).map(Codec::Float),
            Self::Posit { n, es } => posit::posit(n, es).map(Box::new).map(Codec::Codebook),
            Self::Ternary => codebook(&[-1.0, 0.0, 1.0]),
            // The code is the sign bit. A tie goes to the even code, so zero becomes 1.
            Self::Binary => codebook(&[1.0, -1.0]),
            Self::Nf4 { .. } => codebook(&NF4),
            Self::KMeans { bits } if !(1..=8).contains(&bits) => Err(FormatError::KMeansBits { bits }),
            Self::KMeans { bits } => codebook(&(0..1 << bits).map(|code| code as f32).collect::<Vec<f32>>()),
            Self::Values(ref values) => codebook(values),
            Self::Mx { element: Element::Int { bits }, .. } => Integer::mx(bits).map(Codec::Integer),
            Self::BlockFloat { bits, .. } => match bits {
                // Magnitudes are below 2, so the shared exponent is the exponent of the block's largest weight.
                2..=24 => Float::new(0, bits - 1, Bias::Exactly(0)).map(Codec::Float),
                _ => Err(FormatError::IntegerBits { bits }),
            },
        }
    }

    /// Returns whether the codec depends on the tensor.
    #[must_use]
    pub fn is_fitted(&self) -> bool {
        matches!(self, Self::KMeans { .. } | Self::Int { range: Range::Asymmetric, .. })
    }

    /// Returns whether the format has no zero, so that only a scale of 0 keeps zeros. Codebooks that the user gives
    /// (`Values`) or that are fitted (`KMeans`) do not count: their zeros go to the nearest number.
    #[must_use]
    pub fn lacks_zero(&self) -> bool {
        match self {
            Self::Binary => true,
            Self::Float(_)
            | Self::Int { .. }
            | Self::Fixed { .. }
            | Self::PowerOfTwo { .. }
            | Self::Posit { .. }
            | Self::Ternary
            | Self::Nf4 { .. }
            | Self::KMeans { .. }
            | Self::Values(_)
            | Self::Mx { .. }
            | Self::BlockFloat { .. } => false,
        }
    }

    /// Returns the layout of codes in bytes.
    #[must_use]
    pub fn packing(&self) -> Packing {
        match *self {
            Self::Ternary => Packing::FiveToAByte,
            Self::Binary => Packing::Bits(1),
            Self::Nf4 { .. } => Packing::Bits(4),
            Self::Float(float) | Self::Mx { element: Element::Float(float), .. } => {
                Packing::Bits(float.bits())
            }
            Self::Fixed { int, frac } => Packing::Bits((1 + int + frac) as u32),
            Self::Posit { n, .. } => Packing::Bits(n),
            Self::Values(ref values) => {
                Packing::Bits(usize::BITS - values.len().saturating_sub(1).leading_zeros())
            }
            Self::Int { bits, .. }
            | Self::PowerOfTwo { bits }
            | Self::KMeans { bits }
            | Self::Mx { element: Element::Int { bits }, .. }
            | Self::BlockFloat { bits, .. } => Packing::Bits(bits),
        }
    }

    /// Returns the nominal width of a weight in bits: its code, plus its share of the block scale (of a full block) for
    /// formats that include a scale.
    #[must_use]
    pub fn code_bits(&self) -> f64 {
        let code = match self.packing() {
            Packing::Bits(bits) => f64::from(bits),
            Packing::FiveToAByte => 8.0 / 5.0,
        };
        match *self {
            Self::Nf4 { block } => code + 32.0 / block as f64,
            Self::Mx { block, .. } | Self::BlockFloat { block, .. } => code + 8.0 / block as f64,
            _ => code,
        }
    }

    /// Returns the name of the variant.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Float(_) => "Float",
            Self::Int { .. } => "Int",
            Self::Fixed { .. } => "Fixed",
            Self::PowerOfTwo { .. } => "PowerOfTwo",
            Self::Posit { .. } => "Posit",
            Self::Ternary => "Ternary",
            Self::Binary => "Binary",
            Self::Nf4 { .. } => "Nf4",
            Self::KMeans { .. } => "KMeans",
            Self::Values(_) => "Values",
            Self::Mx { .. } => "Mx",
            Self::BlockFloat { .. } => "BlockFloat",
        }
    }
}

/// Returns zero and the powers of two from 1 down: e = bits − 1, m = 0.
fn powers(bits: u32) -> Result<Float, FormatError> {
    if !(2..=8).contains(&bits) {
        return Err(FormatError::PowerOfTwoBits { bits });
    }
    Float::new(bits - 1, 0, Bias::Exactly((1 << (bits - 1)) - 1))
}

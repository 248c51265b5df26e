//! The numbers that some formats fit to a tensor beside its scales: zero points, a codebook, or thresholds. A format
//! decides on them in [`AdditionKind::of`] only. Knows nothing of the fit of scales.

use std::borrow::Cow;

use super::Quantization;
use crate::format::{Codebook, Codec, Format, Range, Rounding, pack};
use crate::scale::{RealFit, Scale};

/// The kind of numbers that a quantization fits beside the scales.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AdditionKind {
    /// Nothing.
    None,
    /// A zero point of this many bits for each group: the code of zero.
    ZeroPoints(u32),
    /// A number for each code of this many bits.
    Codebook(u32),
    /// A magnitude for each group, up to which ternary weights are zero; it is not stored.
    Thresholds,
}

/// The fitted numbers beside the scales.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Addition {
    /// Nothing.
    None,
    /// The zero point of each group, and the bits of one.
    ZeroPoints(u32, Vec<u32>),
    /// The number of each code.
    Codebook(Vec<f32>),
    /// The threshold of each group.
    Thresholds(Vec<f32>),
}

impl AdditionKind {
    /// Returns the kind of a quantization.
    pub(super) fn of(quantization: &Quantization) -> Self {
        match (&quantization.format, quantization.scale) {
            (Format::Int { range: Range::Asymmetric, bits }, _) => Self::ZeroPoints(*bits),
            (Format::KMeans { bits }, _) => Self::Codebook(*bits),
            (Format::Ternary, Scale::Real { fit: RealFit::Mean, .. }) => Self::Thresholds,
            _ => Self::None,
        }
    }

    /// Returns the bytes that a tensor of this many groups stores.
    pub(super) fn bytes(self, groups: usize) -> u64 {
        match self {
            Self::None | Self::Thresholds => 0,
            Self::ZeroPoints(bits) => pack::packed_bytes(groups, bits),
            Self::Codebook(bits) => 4 << bits,
        }
    }

    /// Reads the stored numbers of this many groups from [`Self::bytes`] bytes.
    pub(super) fn read(self, groups: usize, bytes: &[u8]) -> Addition {
        match self {
            // Codes decode without thresholds.
            Self::None | Self::Thresholds => Addition::None,
            Self::ZeroPoints(bits) => Addition::ZeroPoints(bits, pack::unpack(bytes, bits, groups)),
            Self::Codebook(_) => {
                let numbers = bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four));
                Addition::Codebook(numbers.collect())
            }
        }
    }
}

impl Addition {
    /// Returns the zero point of each group; empty without zero points.
    pub(super) fn zero_points(&self) -> &[u32] {
        if let Self::ZeroPoints(_, points) = self { points } else { &[] }
    }

    /// Returns the threshold of each group; empty if the rounding decides alone.
    pub(super) fn thresholds(&self, rounding: Rounding) -> &[f32] {
        match (self, rounding) {
            (Self::Thresholds(thresholds), Rounding::Nearest | Rounding::NearestAway) => thresholds,
            _ => &[],
        }
    }

    /// Returns the codec of a group: with the group's zero point, or with the codebook.
    pub(super) fn codec<'a>(&self, codec: &'a Codec, group: usize) -> Cow<'a, Codec> {
        match (self, codec) {
            (Self::ZeroPoints(_, points), Codec::Integer(integer)) => {
                let point = points.get(group);
                point.map_or(Cow::Borrowed(codec), |point| {
                    Cow::Owned(Codec::Integer(integer.with_zero_point(*point)))
                })
            }
            (Self::Codebook(numbers), _) => Cow::Owned(codebook(numbers)),
            _ => Cow::Borrowed(codec),
        }
    }

    /// Returns whether groups have codecs of their own.
    pub(super) fn differs_by_group(&self) -> bool {
        matches!(self, Self::ZeroPoints(..))
    }
}

fn codebook(numbers: &[f32]) -> Codec {
    let mut values = numbers.to_vec();
    values.dedup();
    if values.len() == 1 {
        // A tensor with a single distinct number: the second codebook value is never used by that tensor.
        let other = values[0].next_up();
        values.push(if other.is_finite() { other } else { values[0].next_down() });
    }
    match Codebook::new(&values) {
        Ok(book) => Codec::Codebook(Box::new(book)),
        Err(error) => unreachable!("centres are finite, different and at least two: {error}"),
    }
}

//! The quantization of a tensor: format, rounding and scale. Knows nothing of tensors.

use serde::Serialize;

use super::addition::AdditionKind;
use crate::format::{Format, FormatError, Packing, Rounding, pack};
use crate::scale::{Scale, ScaleGroups};

/// A format with its rounding and scale.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Quantization {
    /// The number format of the weights.
    pub format: Format,
    /// The rounding mode.
    pub rounding: Rounding,
    /// The scale of each tensor, channel or block.
    pub scale: Scale,
}

impl Quantization {
    /// Makes a quantization; `None` stands for the format's own scale. It is an error if the format is invalid, or if it does
    /// not accept the scale.
    pub fn new(format: Format, rounding: Rounding, scale: Option<Scale>) -> Result<Self, FormatError> {
        format.codec()?;
        let scale = format.scale(scale)?;
        Ok(Self { format, rounding, scale })
    }

    /// Returns the bytes of a tensor's scales, zero points and codebook.
    #[must_use]
    pub fn side_bytes(&self, shape: &[usize]) -> u64 {
        let groups = ScaleGroups::new(self.scale.per(), shape).count();
        let scales = self.scale.store().map_or(0, |store| groups * store.bytes()) as u64;
        scales + AdditionKind::of(self).bytes(groups)
    }

    /// Returns the bytes of `count` codes, the last byte padded.
    #[must_use]
    pub fn code_bytes(&self, count: usize) -> u64 {
        match self.format.packing() {
            Packing::Bits(bits) => pack::packed_bytes(count, bits),
            Packing::FiveToAByte => count.div_ceil(5) as u64,
        }
    }
}

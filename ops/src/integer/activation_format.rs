//! The activations of an integer network as a user asks for them: bits, and the rule that fits their ranges. Knows nothing of networks.

use serde::Serialize;

use super::range_fit::RangeFit;
use crate::format::{Format, Range};
use crate::quantize::Quantization;
use crate::scale::Per;

/// The widest codes of activations and weights.
pub const MOST_BITS: u32 = 8;

/// Integer activations.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ActivationFormat {
    /// The bits of a code, 2 to 8.
    pub bits: u32,
    /// The rule that fits the range of each value.
    pub fit: RangeFit,
}

/// Returns whether integer arithmetic can multiply with weights of a quantization: integers of at most 8 bits without a zero point,
/// with a scale for the tensor or each output, or none.
#[must_use]
pub fn takes_weights(quantization: &Quantization) -> bool {
    let is_int = matches!(
        quantization.format,
        Format::Int { bits: 2..=MOST_BITS, range: Range::Symmetric | Range::Full }
    );
    is_int && matches!(quantization.scale.per(), Per::Tensor | Per::Channel)
}

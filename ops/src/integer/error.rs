//! The errors of integer networks.

use thiserror::Error;

/// An error in an integer network or in its parameters.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum IntegerError {
    /// A weight is no code times its scale.
    #[error("layer {layer}: weight {element} is {value}, which is no code of {bits} bits times its scale")]
    Weight {
        /// The layer.
        layer: String,
        /// The element of the flattened weight.
        element: usize,
        /// The weight.
        value: f32,
        /// The bits of a code.
        bits: u32,
    },
    /// A bias is infinite or NaN.
    #[error("layer {layer}: bias {element} is {value}; only finite biases become integers")]
    Bias {
        /// The layer.
        layer: String,
        /// The output.
        element: usize,
        /// The bias.
        value: f32,
    },
    /// The sums of a layer have too many terms.
    #[error(
        "layer {layer}: {terms} inputs of an output; with the range of its inputs, integer arithmetic takes at most {most}"
    )]
    Terms {
        /// The layer.
        layer: String,
        /// The terms of a sum.
        terms: usize,
        /// The most terms.
        most: usize,
    },
    /// The sums of a layer can exceed 32 bits.
    #[error("layer {layer}: its sums can exceed 2^30; choose weights of fewer bits")]
    Sums {
        /// The layer.
        layer: String,
    },
    /// A layer that occurs in training only.
    #[error("layer {layer}: a {kind} occurs in training only")]
    Layer {
        /// The layer.
        layer: String,
        /// Its kind.
        kind: &'static str,
    },
    /// Parameters that do not fit the network.
    #[error("the integer parameters of {name} {what}")]
    Parameters {
        /// The value or the layer.
        name: String,
        /// The fault.
        what: &'static str,
    },
}

//! Integer networks: activations of 2 to 8 bits, weights of `Int` formats, sums of 32 bits. docs/integer.md specifies their
//! arithmetic to the last bit.
//!
//! `range_fit.rs` fits the scale and zero point of each value to calibration images, which `parameters.rs` keeps with the model.
//! `network.rs` makes the steps of the arithmetic from both, with the weights of `product.rs` and the factors of `multiplier.rs`;
//! `inference.rs` computes them on the own kernels (`stage.rs`), and the exports write them for other programs.

pub mod activation_format;
pub mod error;
pub mod inference;
pub mod multiplier;
pub mod network;
pub mod parameters;
pub mod product;
pub mod range_fit;
pub(crate) mod roles;
mod stage;
pub mod value_scale;

#[cfg(test)]
pub(crate) mod tests;

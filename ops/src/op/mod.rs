//! The ops, one per file: parameter reader, identity, inputs and execution.

mod activations;
pub mod allocate;
pub mod compare;
pub mod confusion;
pub mod dataset;
pub mod describe;
pub mod evaluate;
mod flips;
pub mod footprint;
mod format;
pub mod import;
pub mod layer_errors;
pub mod quantize;
pub mod sensitivity;
pub mod train;

mod architecture;
mod device;
mod method;
mod quantization;

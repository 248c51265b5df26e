//! The ops of fewbits and their numerics: datasets, networks, number formats.
//! The only user of candle. Prints nothing and reads no environment.

#[cfg(test)]
extern crate self as fewbits_ops;

mod allocation;
pub mod backend;
pub mod calibration;
pub mod dataset;
mod divergence;
pub mod evaluation;
pub mod export;
pub mod format;
pub mod import;
pub mod integer;
mod limits;
mod loss;
pub mod network;
pub mod numpy;
mod op;
pub mod packed;
mod provenance;
pub mod quantize;
pub mod random;
mod range;
pub mod scale;
mod standard;
pub mod training;
pub mod weights;
mod wording;

pub use op::confusion::GIVEN_CLASS;
pub use op::evaluate::Split;
pub use op::layer_errors::LAYER;
pub use provenance::build;
pub use range::InputRange;
pub use standard::{Artifact, DatasetPort, ModelPort, Op, Port, StandardOps};

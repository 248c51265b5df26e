//! The own kernels: training and inference on the CPU, in the same bits on every processor. Knows nothing of candle.

pub(crate) mod activations;
mod block;
mod deltas;
pub mod inference;
pub(crate) mod kernels;
pub(crate) mod loss;
pub(crate) mod memory;
mod optimizer;
pub(crate) mod pass;
mod segment;
mod stage;
pub(crate) mod trainer;
mod whole_batch;

//! The forward and backward passes of the layers, sixteen images at a time ([`lanes`]). A kernel knows the
//! numbers and shapes of its layer, and nothing of neighbouring layers. Kernels run in the rayon pool of the
//! caller.

pub(crate) mod activation;
pub(crate) mod avg_pool;
pub(crate) mod batch_norm;
pub(crate) mod conv;
mod depthwise;
mod depthwise_gradient;
pub(crate) mod dropout;
pub(crate) mod exponential;
pub(crate) mod flatten;
mod grouped;
pub(crate) mod join;
pub(crate) mod lanes;
pub(crate) mod linear;
pub(crate) mod max_pool;
pub(crate) mod relu;
pub(crate) mod rescale;
pub(crate) mod taps;
pub(crate) mod tile;
mod turn;

//! The kernels that layers are computed with, forward and backward, over sixteen images at a time ([`lanes`]).
//! A kernel knows its own numbers and shapes, not the layers around it, and runs in the rayon pool of its caller.

pub(crate) mod batch_norm;
pub(crate) mod conv;
pub(crate) mod dropout;
pub(crate) mod flatten;
pub(crate) mod lanes;
pub(crate) mod linear;
pub(crate) mod max_pool;
pub(crate) mod numbers;
pub(crate) mod relu;
pub(crate) mod taps;
pub(crate) mod tile;

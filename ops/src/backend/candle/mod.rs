//! Networks on candle: layers of its tensor operations, which its autograd can follow. Knows nothing of the own
//! kernels.

pub(crate) mod forward;
mod windows;

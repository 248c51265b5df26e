//! Networks on candle: layers of its tensor operations, which its autograd can follow, on any of its devices. Of the own
//! backend it takes the numbering of random numbers alone.

pub(crate) mod device;
pub(crate) mod forward;
pub(crate) mod inference;
pub(crate) mod masks;
pub(crate) mod trainer;
mod update;
mod windows;

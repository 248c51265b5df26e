//! What computes with networks.

pub(crate) mod candle;

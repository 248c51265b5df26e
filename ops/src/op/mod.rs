//! The ops, one a file: how each is read, what identifies it, what it needs, and how it is done.

pub mod compare;
pub mod dataset;
pub mod describe;
pub mod evaluate;
mod format;
pub mod quantize;
pub mod train;

mod architecture;

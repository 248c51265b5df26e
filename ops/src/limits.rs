//! Limits of files from outside.

/// The most bytes that are read from a file of a dataset, and of an array in one.
pub(crate) const DATA_FILE: u64 = 1 << 32;

/// The maximum expansion of deflate: 258 bytes from 2 bits, without any overhead.
pub(crate) const DEFLATE_EXPANSION: u64 = 1032;

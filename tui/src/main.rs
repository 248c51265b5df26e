//! fewbits.
fn main() {}

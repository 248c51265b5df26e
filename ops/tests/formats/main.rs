//! The number formats and the quantizer from outside: against vectors of other programs, against a slow oracle, and
//! by their statistics.

mod conformance;
mod exhaustive;
mod oracle;
mod quantizing;
mod scales;
mod stochastic;

use fewbits_ops::format::{Bias, Draw, Float, RandomBits};

/// Returns a format that is known to be valid.
fn float(e: u32, m: u32, bias: Bias) -> Float {
    Float::new(e, m, bias).unwrap()
}

/// Returns the draw that deterministic roundings are given and ignore.
fn no_draw() -> Draw {
    Draw::new(0, RandomBits::default()).unwrap()
}

//! Tests of the number formats, the scales and the quantizer through their public interface: against vectors of other
//! programs, against a slow oracle, and by their statistics.

mod codecs;
mod conformance;
mod equivalences;
mod exhaustive;
mod oracle;
mod quantizing;
mod scales;
mod stochastic;

use fewbits_ops::format::{Bias, Codec, Draw, Draws, Float, Format, Rounding};

/// Returns a float whose parameters are valid.
fn float(e: u32, m: u32, bias: Bias) -> Float {
    Float::new(e, m, bias).unwrap()
}

/// Returns the draw for deterministic roundings, which ignore it.
fn no_draw() -> Draw {
    Draw::none()
}

/// Parses a format.
fn parsed(text: &str) -> Format {
    Format::parse(text).unwrap_or_else(|faults| panic!("{text}: {}", faults[0].message))
}

/// Rounds weights to a float at a scale.
fn round_slice(format: &Float, weights: &mut [f32], scale: f32, rounding: Rounding, draws: &Draws) {
    Codec::Float(*format).round_slice(weights, scale, rounding, draws);
}

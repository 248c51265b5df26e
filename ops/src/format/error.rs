//! What is wrong with a number format, a scale or a draw as it was asked for.
//! Knows nothing of files and places; the text names the parameters as the user writes them.

use thiserror::Error;

/// A format, scale or draw that cannot be.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum FormatError {
    /// More exponent or mantissa bits than binary32 has.
    #[error("Float(e: {e}, m: {m}): more bits than binary32 has; e can be 0 to 8, m 0 to 23")]
    TooWide {
        /// Exponent bits asked for.
        e: u32,
        /// Mantissa bits asked for.
        m: u32,
    },
    /// A sign and nothing else.
    #[error("Float(e: 0, m: 0): a sign alone has no value but 0; give it an exponent or a mantissa bit")]
    SignAlone,
    /// A bias under which no code but zero is a binary32 value.
    #[error(
        "Float(e: {e}, m: {m}, bias: Exactly({bias})): every code but 0 is {side} binary32's range; \
         the bias can be {least} to {greatest}"
    )]
    OutOfRange {
        /// Exponent bits.
        e: u32,
        /// Mantissa bits.
        m: u32,
        /// The bias asked for.
        bias: i32,
        /// `above` or `below`.
        side: &'static str,
        /// The least bias that works.
        least: i32,
        /// The greatest bias that works.
        greatest: i32,
    },
    /// A number of random bits that stochastic rounding cannot use.
    #[error("random_bits: {bits}: stochastic rounding draws 1 to 32 random bits")]
    RandomBits {
        /// The number asked for.
        bits: u32,
    },
    /// A random number that needs more bits than were asked for.
    #[error("random number {number} needs more than {bits} bits; raise random_bits or draw below 2^{bits}")]
    Draw {
        /// The number given.
        number: u32,
        /// The random bits in use.
        bits: u32,
    },
    /// A percentile that is none.
    #[error("Percentile({percent}): a percentile is above 0 and at most 100")]
    Percentile {
        /// The percentile asked for.
        percent: f64,
    },
}

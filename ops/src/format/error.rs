//! Errors in the parameters of a number format, a scale or a draw.
//! Knows nothing of files and positions; the text names the parameters as the user writes them.

use thiserror::Error;

/// An invalid format, scale or draw.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum FormatError {
    /// More exponent or mantissa bits than binary32 has.
    #[error("Float(e: {e}, m: {m}): more bits than binary32 has; e can be 0 to 8, m 0 to 23")]
    TooWide {
        /// Requested exponent bits.
        e: u32,
        /// Requested mantissa bits.
        m: u32,
    },
    /// A float of a sign bit only.
    #[error("Float(e: 0, m: 0): a sign alone has no value but 0; give it an exponent or a mantissa bit")]
    SignAlone,
    /// Specials that use up every code.
    #[error("Float(e: {e}, m: {m}): no code is left for a number; choose `specials: None` or more bits")]
    NoNumbers {
        /// Exponent bits.
        e: u32,
        /// Mantissa bits.
        m: u32,
    },
    /// `overflow: Special` in a format without infinity or NaN.
    #[error(
        "Float(e: {e}, m: {m}, overflow: Special): every code is a finite number; \
         choose `specials`, or let it saturate"
    )]
    NoSpecials {
        /// Exponent bits.
        e: u32,
        /// Mantissa bits.
        m: u32,
    },
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
        /// The requested bias.
        bias: i32,
        /// `above` or `below`.
        side: &'static str,
        /// The least bias that works.
        least: i32,
        /// The greatest bias that works.
        greatest: i32,
    },
    /// A width or precision that IEEE P3109 does not define.
    #[error(
        "P3109(bits: {bits}, precision: {precision}): bits can be 2 to 15, precision 1 to bits − 1 and at least \
         bits − 8"
    )]
    P3109 {
        /// Requested bits.
        bits: u32,
        /// Requested significant bits.
        precision: u32,
    },
    /// An integer width outside 2 to 24 bits.
    #[error("Int(bits: {bits}): an integer has 2 to 24 bits, the sign among them")]
    IntegerBits {
        /// Requested bits.
        bits: u32,
    },
    /// A fixed-point width outside 2 to 24 bits, or a range outside binary32.
    #[error(
        "Fixed(int: {int}, frac: {frac}): a sign, int and frac are together 2 to 24 bits, within binary32's range"
    )]
    Fixed {
        /// Requested integer bits.
        int: i32,
        /// Requested fraction bits.
        frac: i32,
    },
    /// A power-of-two width outside 2 to 8 bits.
    #[error("PowerOfTwo(bits: {bits}): a sign and an exponent are 2 to 8 bits")]
    PowerOfTwoBits {
        /// Requested bits.
        bits: u32,
    },
    /// A posit width outside 2 to 16 bits.
    #[error("Posit(n: {n}): a posit has 2 to 16 bits")]
    PositBits {
        /// Requested bits.
        n: u32,
    },
    /// A posit with at least as many exponent bits as bits.
    #[error("Posit(n: {n}, es: {es}): es must be less than n")]
    PositExponent {
        /// Requested bits.
        n: u32,
        /// Requested exponent bits.
        es: u32,
    },
    /// A posit format that exceeds the range of binary32.
    #[error(
        "Posit(n: {n}, es: {es}): its largest number is beyond binary32's range; es can be 0 to {most} there"
    )]
    PositRange {
        /// Requested bits.
        n: u32,
        /// Requested exponent bits.
        es: u32,
        /// The most exponent bits that work.
        most: u32,
    },
    /// A codebook with too few or too many values.
    #[error("Values([…]): {count} values; a codebook has 2 to 65536")]
    Values {
        /// The number of values.
        count: usize,
    },
    /// A value that is infinite or not a number.
    #[error("Values([…]): {value} is not a finite binary32")]
    Value {
        /// The value.
        value: f32,
    },
    /// A value that appears twice.
    #[error("Values([…]): {value} is there twice")]
    SameValue {
        /// The value.
        value: f32,
    },
    /// A codebook width that k-means does not fit.
    #[error("KMeans(bits: {bits}): a codebook of 1 to 8 bits is fitted")]
    KMeansBits {
        /// Requested bits.
        bits: u32,
    },
    /// A number of random bits that stochastic rounding cannot use.
    #[error("random_bits: {bits}: stochastic rounding draws 1 to 32 random bits")]
    RandomBits {
        /// The requested number of random bits.
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
    /// A percentile outside its range.
    #[error("Percentile({percent}): a percentile is above 0 and at most 100")]
    Percentile {
        /// The requested percentile.
        percent: f64,
    },
    /// A scale for a format that includes its own, or no scale for a format that needs one.
    #[error("{format}: {why}")]
    Scale {
        /// The format.
        format: &'static str,
        /// The conflict, and its fix.
        why: &'static str,
    },
}

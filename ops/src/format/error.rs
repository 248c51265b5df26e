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
    /// Specials that take every code.
    #[error("Float(e: {e}, m: {m}): no code is left for a number; choose `specials: None` or more bits")]
    NoNumbers {
        /// Exponent bits.
        e: u32,
        /// Mantissa bits.
        m: u32,
    },
    /// An overflow that has no code.
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
        /// The bias asked for.
        bias: i32,
        /// `above` or `below`.
        side: &'static str,
        /// The least bias that works.
        least: i32,
        /// The greatest bias that works.
        greatest: i32,
    },
    /// A width or precision that IEEE P3109 does not have.
    #[error(
        "P3109(bits: {bits}, precision: {precision}): bits can be 2 to 15, precision 1 to bits − 1 and at least \
         bits − 8"
    )]
    P3109 {
        /// Bits asked for.
        bits: u32,
        /// Significant bits asked for.
        precision: u32,
    },
    /// A width that an integer cannot have.
    #[error("Int(bits: {bits}): an integer has 2 to 24 bits, the sign among them")]
    IntegerBits {
        /// Bits asked for.
        bits: u32,
    },
    /// Fixed point of no or too many bits.
    #[error(
        "Fixed(int: {int}, frac: {frac}): a sign, int and frac are together 2 to 24 bits, within binary32's range"
    )]
    Fixed {
        /// Integer bits asked for.
        int: i32,
        /// Fraction bits asked for.
        frac: i32,
    },
    /// A width that a power of two cannot have.
    #[error("PowerOfTwo(bits: {bits}): a sign and an exponent are 2 to 8 bits")]
    PowerOfTwoBits {
        /// Bits asked for.
        bits: u32,
    },
    /// A width that a posit cannot have.
    #[error("Posit(n: {n}): a posit has 2 to 16 bits")]
    PositBits {
        /// Bits asked for.
        n: u32,
    },
    /// As many exponent bits as bits.
    #[error("Posit(n: {n}, es: {es}): es must be less than n")]
    PositExponent {
        /// Bits asked for.
        n: u32,
        /// Exponent bits asked for.
        es: u32,
    },
    /// A posit beyond binary32.
    #[error(
        "Posit(n: {n}, es: {es}): its largest number is beyond binary32's range; es can be 0 to {most} there"
    )]
    PositRange {
        /// Bits asked for.
        n: u32,
        /// Exponent bits asked for.
        es: u32,
        /// The most exponent bits that work.
        most: u32,
    },
    /// A codebook of no or too many values.
    #[error("Values([…]): {count} values; a codebook has 2 to 65536")]
    Values {
        /// How many there are.
        count: usize,
    },
    /// A value that is infinite or not a number.
    #[error("Values([…]): {value} is not a finite binary32")]
    Value {
        /// The value.
        value: f32,
    },
    /// A value given twice.
    #[error("Values([…]): {value} is there twice")]
    SameValue {
        /// The value.
        value: f32,
    },
    /// More centres than a codebook is searched for.
    #[error("KMeans(bits: {bits}): a codebook of 1 to 8 bits is fitted")]
    KMeansBits {
        /// Bits asked for.
        bits: u32,
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
    /// A scale for a format that brings its own, or none for one that needs it.
    #[error("{format}: {why}")]
    Scale {
        /// The format.
        format: &'static str,
        /// What does not fit, and what to do.
        why: &'static str,
    },
}

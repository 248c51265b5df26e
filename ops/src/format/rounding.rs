//! Rounding modes for numbers between two codes, and the random draws of stochastic rounding.
//! Knows nothing of formats and scales, so every format gets the same draws: comparisons are paired.

use serde::Serialize;

use super::error::FormatError;
use crate::random::Stream;

/// The purpose of rounding's streams of random numbers.
const PURPOSE: &str = "round";

/// The rounding mode of a number between two codes. All modes work on the magnitude and keep the sign, also of zero;
/// at or beyond the largest code all of them give the largest code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Rounding {
    /// To the nearer code, ties to the even code (also in formats without mantissa bits).
    Nearest,
    /// To the nearer code, ties away from zero.
    NearestAway,
    /// To the code nearer to zero.
    TowardZero,
    /// Away from zero, with a probability equal to the linear position between the two codes.
    Stochastic,
}

impl Rounding {
    /// Returns whether the result depends on seed and number of random bits.
    #[must_use]
    pub fn is_random(self) -> bool {
        match self {
            Self::Nearest | Self::NearestAway | Self::TowardZero => false,
            Self::Stochastic => true,
        }
    }
}

/// The number r of random bits in a draw, 1 to 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct RandomBits(u32);

impl RandomBits {
    /// Makes the number of random bits; an error unless it is 1 to 32.
    pub fn new(bits: u32) -> Result<Self, FormatError> {
        if (1..=32).contains(&bits) { Ok(Self(bits)) } else { Err(FormatError::RandomBits { bits }) }
    }

    /// Returns the number of bits, 1 to 32.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for RandomBits {
    /// All 32 bits that a stream gives per element.
    fn default() -> Self {
        Self(32)
    }
}

/// One random draw: u, uniform over 0 to 2^r − 1.
///
/// With f the exact linear position between two neighbouring codes and d = f·2^r rounded to the nearest even
/// integer, stochastic rounding goes away from zero iff u + d ≥ 2^r, so with probability d / 2^r.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    number: u32,
    bits: RandomBits,
}

impl Draw {
    /// Makes a draw from a given number; an error unless it is below 2^r.
    pub fn new(number: u32, bits: RandomBits) -> Result<Self, FormatError> {
        if u64::from(number) >> bits.get() == 0 {
            Ok(Self { number, bits })
        } else {
            Err(FormatError::Draw { number, bits: bits.get() })
        }
    }

    /// Returns the draw that callers pass to deterministic roundings, which ignore it: 0 of 32 bits.
    #[must_use]
    pub fn none() -> Self {
        Self { number: 0, bits: RandomBits(32) }
    }

    /// Returns u.
    #[must_use]
    pub fn number(self) -> u32 {
        self.number
    }

    /// Returns r.
    #[must_use]
    pub fn bits(self) -> RandomBits {
        self.bits
    }
}

/// The draws of one tensor, one per element.
///
/// u is the top r bits of the element's 32-bit number in the stream of (seed, "round", tensor). So fewer random bits
/// are a prefix of more, and the draws do not depend on format or scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draws {
    stream: Stream,
    bits: RandomBits,
}

impl Draws {
    /// Makes the draws of a tensor under a seed.
    #[must_use]
    pub fn new(seed: u64, tensor: &str, bits: RandomBits) -> Self {
        Self { stream: Stream::new(seed, PURPOSE, tensor), bits }
    }

    /// Returns r.
    #[must_use]
    pub fn bits(&self) -> RandomBits {
        self.bits
    }

    /// Returns the draw of one element, numbered in the flattened tensor.
    #[must_use]
    pub fn draw(&self, element: u64) -> Draw {
        Draw { number: self.stream.bits(element) >> (32 - self.bits.get()), bits: self.bits }
    }

    /// Writes u of the elements from `first` on.
    #[inline(always)]
    pub(super) fn fill(&self, first: u64, out: &mut [u32]) {
        self.stream.fill(first, out);
        let drop = 32 - self.bits.get();
        if drop > 0 {
            for number in out {
                *number >>= drop;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filling_gives_the_draws_of_the_elements() {
        for bits in [1, 5, 32] {
            let draws = Draws::new(3, "linear1.weight", RandomBits::new(bits).unwrap());
            let mut numbers = [0; 10];
            draws.fill(8, &mut numbers);
            for (index, number) in numbers.iter().enumerate() {
                assert_eq!(draws.draw(8 + index as u64).number(), *number);
            }
        }
    }

    #[test]
    fn fewer_random_bits_are_the_first_of_more() {
        let all = Draws::new(1, "a", RandomBits::default());
        let few = Draws::new(1, "a", RandomBits::new(7).unwrap());
        for element in 0..100 {
            assert_eq!(few.draw(element).number(), all.draw(element).number() >> 25);
        }
    }

    #[test]
    fn impossible_draws_are_refused() {
        for bits in [0, 33] {
            assert_eq!(RandomBits::new(bits), Err(FormatError::RandomBits { bits }));
        }
        let three = RandomBits::new(3).unwrap();
        assert!(Draw::new(7, three).is_ok());
        assert_eq!(Draw::new(8, three), Err(FormatError::Draw { number: 8, bits: 3 }));
        assert!(Draw::new(u32::MAX, RandomBits::default()).is_ok());
    }

    #[test]
    fn roundings_are_written_by_name() {
        let text = serde_json::to_string(&[Rounding::Nearest, Rounding::Stochastic]).unwrap();
        assert_eq!(text, r#"["Nearest","Stochastic"]"#);
        assert_eq!(serde_json::to_string(&RandomBits::default()).unwrap(), "32");
    }
}

//! Integers of a fixed width beyond 64 bits. Knows nothing of their use.

use std::ops::{Add, Sub};

/// 2^62: magnitudes below it fit a signed 64-bit number.
const SMALL: f64 = 4_611_686_018_427_387_904.0;

/// 2^64: the weight of the next limb.
const LIMB: f64 = 18_446_744_073_709_551_616.0;

/// An integer of 64·L bits in two's complement, least significant limb first. Results are modulo 2^(64·L), so a sum
/// that fits is correct even if its terms or partial sums do not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wide<const L: usize>([u64; L]);

impl<const L: usize> Wide<L> {
    pub(super) const ZERO: Self = Self([0; L]);

    /// Converts an integer that binary64 represents exactly.
    #[inline(always)]
    pub(super) fn from_integer(integer: f64) -> Self {
        let (mantissa, shift) = parts(integer);
        let mut limbs = [(mantissa >> 63) as u64; L];
        limbs[0] = mantissa as u64;
        Self(limbs).shifted(shift)
    }

    /// Returns the product of two integers that binary64 represents exactly.
    #[inline(always)]
    pub(super) fn product(one: f64, other: f64) -> Self {
        if one.abs() >= SMALL || other.abs() >= SMALL {
            return Self::from_integer(one).times(other);
        }
        let product = i128::from(one as i64) * i128::from(other as i64);
        let mut limbs = [(product >> 127) as u64; L];
        limbs[0] = product as u64;
        limbs[1] = (product >> 64) as u64;
        Self(limbs)
    }

    /// Returns the product with an integer that binary64 represents exactly.
    #[inline(always)]
    pub(super) fn times(self, integer: f64) -> Self {
        let (mantissa, shift) = parts(integer);
        let mut product = [0; L];
        let mut carry = 0_u128;
        for (limb, product) in self.0.iter().zip(&mut product) {
            carry += u128::from(*limb) * u128::from(mantissa as u64);
            *product = carry as u64;
            carry >>= 64;
        }
        // The loop reads a negative mantissa as unsigned, which is 2^64 too large.
        let excess = if mantissa < 0 { self.shifted(64) } else { Self::ZERO };
        (Self(product) - excess).shifted(shift)
    }

    /// Returns the product with 2^`bits`.
    #[inline(always)]
    fn shifted(self, bits: u32) -> Self {
        if bits == 0 {
            return self;
        }
        let (limbs, bits) = (bits as usize / 64, bits % 64);
        let at = |place: Option<usize>| place.and_then(|place| self.0.get(place)).copied().unwrap_or(0);
        Self(std::array::from_fn(|place| {
            let high = at(place.checked_sub(limbs)) << bits;
            // Two shifts, because a shift by 64 overflows.
            high | at(place.checked_sub(limbs + 1)) >> 1 >> (63 - bits)
        }))
    }

    /// Returns the number in binary64, with a relative error of at most 2^−50.
    #[inline(always)]
    pub(super) fn about(self) -> f64 {
        let low = self.0[0] as i64;
        if self.0[1..].iter().all(|limb| *limb == (low >> 63) as u64) {
            return low as f64;
        }
        let is_negative = self.0[L - 1] >> 63 == 1;
        let magnitude = if is_negative { Self::ZERO - self } else { self };
        let sum = magnitude.0.iter().rev().fold(0.0, |sum, limb| sum * LIMB + *limb as f64);
        if is_negative { -sum } else { sum }
    }
}

impl<const L: usize> Add for Wide<L> {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        let mut carry = false;
        Self(std::array::from_fn(|place| {
            let (sum, first) = self.0[place].overflowing_add(other.0[place]);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            carry = first || second;
            sum
        }))
    }
}

impl<const L: usize> Sub for Wide<L> {
    type Output = Self;

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        let mut borrow = false;
        Self(std::array::from_fn(|place| {
            let (difference, first) = self.0[place].overflowing_sub(other.0[place]);
            let (difference, second) = difference.overflowing_sub(u64::from(borrow));
            borrow = first || second;
            difference
        }))
    }
}

/// Returns an integer as a signed 64-bit number times a power of two.
#[inline(always)]
fn parts(integer: f64) -> (i64, u32) {
    if integer.abs() < SMALL {
        return (integer as i64, 0);
    }
    let bits = integer.to_bits();
    let mantissa = ((bits & ((1 << 52) - 1)) | 1 << 52) as i64;
    let shift = ((bits >> 52) & 0x7ff) as u32 - 1075;
    (if integer < 0.0 { -mantissa } else { mantissa }, shift)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(number: i128) -> Wide<2> {
        Wide([number as u64, (number >> 64) as u64])
    }

    /// Integers of any size that binary64 represents exactly.
    fn integer() -> impl Strategy<Value = f64> {
        (-(1_i64 << 53)..1 << 53, 0_i32..70)
            .prop_map(|(mantissa, shift)| mantissa as f64 * 2.0_f64.powi(shift))
    }

    fn whole() -> impl Strategy<Value = f64> {
        (-(1_i64 << 53)..1 << 53).prop_map(|whole| whole as f64)
    }

    proptest! {
        /// The compiler's own 128-bit numbers are the reference.
        #[test]
        fn two_limbs_are_128_bits(a: i128, b: i128, factor in integer(), small in whole()) {
            prop_assert_eq!(of(a) + of(b), of(a.wrapping_add(b)));
            prop_assert_eq!(of(a) - of(b), of(a.wrapping_sub(b)));
            prop_assert_eq!(Wide::<2>::from_integer(factor), of(factor as i128));
            prop_assert_eq!(of(a).times(factor), of(a.wrapping_mul(factor as i128)));
            prop_assert_eq!(Wide::<2>::product(factor, small), of((factor as i128).wrapping_mul(small as i128)));
            prop_assert_eq!(of(small as i128).about(), small);
            prop_assert!((of(a).about() - a as f64).abs() <= (a as f64).abs() * 2.0_f64.powi(-50));
        }

        /// (2^200 + a)·f − 2^200·f = a·f, in integers wide enough for every term.
        #[test]
        fn wide_numbers_forget_no_bit(a: i64, factor in integer()) {
            let (large, small) = (Wide::<10>::from_integer(2.0_f64.powi(200)), Wide::<10>::from_integer(1.0).times((a >> 11) as f64));
            let left = (large + small).times(factor) - large.times(factor);
            prop_assert_eq!(left, Wide::from_integer((a >> 11) as f64).times(factor));
            prop_assert_eq!(Wide::<4>::from_integer(factor).about(), factor);
        }
    }
}

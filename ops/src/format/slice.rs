//! Vectorized rounding of slices of weights. Knows no particular format: only the numbers of a codec, and scales
//! that the caller has computed.
//!
//! Every loop is compiled for several instruction sets, and the best one of the processor is selected at run time.
//! All of them compute the same bits: no operation is fused or reordered.

use pulp::Arch;

use super::codec::{Codec, CodecNumbers};
use super::rounding::{Draws, Rounding};

/// The number of elements per batch of draws: few enough to stay in the L1 cache.
const LOT: usize = 512;

/// Consecutive weights that share a scale.
#[derive(Debug)]
pub struct Group<'a> {
    /// The weights.
    pub weights: &'a mut [f32],
    /// The position of the first weight in its tensor.
    pub first: u64,
    /// The divisor of the weights: positive and finite.
    pub scale: f32,
}

impl Codec {
    /// Replaces every weight w by binary32(round(w ÷ s)·s), with division and product in binary64. A weight's draw is
    /// the draw of its position in the tensor.
    pub fn round_slice(&self, weights: &mut [f32], scale: f32, rounding: Rounding, draws: &Draws) {
        self.round_groups(std::iter::once(Group { weights, first: 0, scale }), rounding, draws, -0.0);
    }

    /// Rounds every group as [`Codec::round_slice`] does, then adds `zero`: −0 changes nothing, and +0 removes the sign
    /// of zeros.
    pub fn round_groups<'a>(
        &self,
        groups: impl Iterator<Item = Group<'a>>,
        rounding: Rounding,
        draws: &Draws,
        zero: f32,
    ) {
        let arch = Arch::new();
        // Each closure is inlined into the loop, and the loop into the function for one instruction set.
        macro_rules! run {
            ($value:ident => $rounded:expr) => {
                arch.dispatch(
                    #[inline(always)]
                    || {
                        each(
                            groups,
                            zero,
                            #[inline(always)]
                            |$value| $rounded,
                        );
                    },
                )
            };
        }
        match (self.numbers(), rounding) {
            (CodecNumbers::Grid(grid), Rounding::Nearest) if grid.has_even_steps() => {
                run!(x => grid.nearest_step(x));
            }
            (CodecNumbers::Grid(grid), Rounding::Nearest) => run!(x => grid.nearest(x)),
            (CodecNumbers::Grid(grid), Rounding::NearestAway) => run!(x => grid.nearest_away(x)),
            (CodecNumbers::Grid(grid), Rounding::TowardZero) => run!(x => grid.toward_zero(x)),
            (CodecNumbers::Grid(grid), Rounding::Stochastic) => {
                let round = grid.stochastic(draws.bits().get());
                arch.dispatch(
                    #[inline(always)]
                    || each_drawn(groups, draws, zero, round),
                );
            }
            (CodecNumbers::Table(book), Rounding::Nearest) => run!(x => book.nearest(x)),
            (CodecNumbers::Table(book), Rounding::NearestAway) => run!(x => book.nearest_away(x)),
            (CodecNumbers::Table(book), Rounding::TowardZero) => run!(x => book.toward_zero(x)),
            (CodecNumbers::Table(book), Rounding::Stochastic) => {
                let bits = draws.bits().get();
                arch.dispatch(
                    #[inline(always)]
                    || {
                        each_drawn(
                            groups,
                            draws,
                            zero,
                            #[inline(always)]
                            |x, number| book.stochastic(x, number, bits),
                        );
                    },
                );
            }
        }
    }
}

/// Replaces every ternary weight w by binary32(q·s), where q is the sign of w if |w| is above the group's threshold,
/// else 0.
pub(crate) fn cut_groups<'a>(groups: impl Iterator<Item = (Group<'a>, f32)>) {
    for (group, threshold) in groups {
        for weight in group.weights {
            let sign = if *weight > threshold { 1.0 } else { -f32::from(u8::from(*weight < -threshold)) };
            *weight = sign * group.scale + 0.0;
        }
    }
}

#[inline(always)]
fn each<'a>(groups: impl Iterator<Item = Group<'a>>, zero: f32, round: impl Fn(f64) -> f64 + Copy) {
    for group in groups {
        let scale = f64::from(group.scale);
        if let Some(inverse) = exact_inverse(scale) {
            for weight in group.weights {
                *weight = (round(f64::from(*weight) * inverse) * scale) as f32 + zero;
            }
        } else {
            for weight in group.weights {
                *weight = (round(f64::from(*weight) / scale) * scale) as f32 + zero;
            }
        }
    }
}

#[inline(always)]
fn each_drawn<'a>(
    groups: impl Iterator<Item = Group<'a>>,
    draws: &Draws,
    zero: f32,
    round: impl Fn(f64, u32) -> f64 + Copy,
) {
    let mut numbers = [0; LOT];
    for group in groups {
        let scale = f64::from(group.scale);
        let inverse = exact_inverse(scale);
        for (lot, weights) in group.weights.chunks_mut(LOT).enumerate() {
            let numbers = &mut numbers[..weights.len()];
            draws.fill(group.first + (lot * LOT) as u64, numbers);
            if let Some(inverse) = inverse {
                for (weight, &number) in weights.iter_mut().zip(&*numbers) {
                    *weight = (round(f64::from(*weight) * inverse, number) * scale) as f32 + zero;
                }
            } else {
                for (weight, &number) in weights.iter_mut().zip(&*numbers) {
                    *weight = (round(f64::from(*weight) / scale, number) * scale) as f32 + zero;
                }
            }
        }
    }
}

/// Returns 1 / s if s is a power of two: for binary32 numbers the product with it equals the quotient, to the bit.
#[inline(always)]
fn exact_inverse(scale: f64) -> Option<f64> {
    let mantissa = scale.to_bits() & ((1 << 52) - 1);
    (mantissa == 0).then(|| 1.0 / scale)
}

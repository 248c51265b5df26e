//! Rounding to numbers whose steps double from one power of two to the next, below some power of two being even:
//! the magnitudes of every small float and of fixed point. Knows nothing of codes' bits and of how scales are chosen.
//!
//! All of it is exact. A magnitude a in the binade [2^k, 2^(k+1)) lies on steps of 2^(k−m); adding 2^(k+52−m) makes
//! binary64's own unit in the last place that step, so the addition rounds to nearest even, and subtracting it again
//! is exact. There is no branch, so that loops over slices become vector code on any processor.

use super::rounding::{Draw, Draws, Rounding};

/// The exponent field of a binary64.
const EXPONENT: u64 = 0x7ff << 52;

/// 2^52, whose unit in the last place is 1.
const UNITS: f64 = 4_503_599_627_370_496.0;

/// Elements whose draws are made at a time: a multiple of four, few enough to stay in the first cache.
const LOT: usize = 512;

/// Returns 2^k, for k from −1022 to 1023.
pub(super) fn power(k: i32) -> f64 {
    f64::from_bits(((k + 1023) as u64) << 52)
}

/// The magnitudes that a format can hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Grid {
    largest: f64,
    /// 2^k0: below it steps are 2^(k0−m).
    least_binade: f64,
    /// 2^−m.
    step: f64,
    /// 2^(52−m).
    shift: f64,
    /// Where there is no mantissa bit: the exponent field, else nothing.
    alternate: u64,
    /// The lowest bit of the exponent field in binades of odd code.
    odd: u64,
}

impl Grid {
    /// Makes the grid of `m` mantissa bits whose first binade starts at 2^`least` and has an odd code if m is 0.
    pub(super) fn new(m: u32, least: i32, largest: f64) -> Self {
        Self {
            largest,
            least_binade: power(least),
            step: power(-(m as i32)),
            shift: power(52 - m as i32),
            alternate: if m == 0 { EXPONENT } else { 0 },
            odd: (power(least).to_bits() >> 52) & 1,
        }
    }

    /// Returns the largest magnitude.
    pub(super) fn largest(&self) -> f64 {
        self.largest
    }

    /// Returns the power of two at which steps begin to double.
    pub(super) fn least_binade(&self) -> f64 {
        self.least_binade
    }

    /// Returns whether an even number of steps is an even code, so that `nearest_step` is `nearest`: wherever there
    /// are mantissa bits.
    pub(super) fn has_even_steps(&self) -> bool {
        self.alternate == 0
    }

    /// Rounds one number, keeping its sign; NaN stays NaN.
    pub(super) fn round(&self, value: f64, rounding: Rounding, draw: Draw) -> f64 {
        match rounding {
            Rounding::Nearest => self.nearest(value),
            Rounding::NearestAway => self.nearest_away(value),
            Rounding::TowardZero => self.toward_zero(value),
            Rounding::Stochastic => self.stochastic(draw.bits().get())(value, draw.number()),
        }
    }

    /// Replaces every weight w by binary32(round(w ÷ s)·s), division and product in binary64.
    pub(super) fn round_slice(&self, weights: &mut [f32], scale: f32, rounding: Rounding, draws: &Draws) {
        let grid = *self;
        match rounding {
            Rounding::Nearest if grid.has_even_steps() => {
                replace(weights, scale, |value| grid.nearest_step(value));
            }
            Rounding::Nearest => replace(weights, scale, |value| grid.nearest(value)),
            Rounding::NearestAway => replace(weights, scale, |value| grid.nearest_away(value)),
            Rounding::TowardZero => replace(weights, scale, |value| grid.toward_zero(value)),
            Rounding::Stochastic => {
                let round = grid.stochastic(draws.bits().get());
                let mut numbers = [0; LOT];
                for (lot, weights) in weights.chunks_mut(LOT).enumerate() {
                    let numbers = &mut numbers[..weights.len()];
                    draws.fill((lot * LOT / 4) as u64, numbers);
                    replace_with(weights, numbers, scale, &round);
                }
            }
        }
    }

    /// Rounds to the nearest magnitude, ties to the even code.
    #[inline]
    pub(super) fn nearest(&self, value: f64) -> f64 {
        let magnitude = self.saturate(value);
        let binade = self.binade(magnitude);
        // Without mantissa bits every binade is one code, and 1.5 steps would always go up to 2: one more step in
        // the shift turns ties around in the binades whose code is even.
        let even = (((binade.to_bits() >> 52) ^ self.odd) & 1).wrapping_neg();
        let shift = binade * self.shift + f64::from_bits(binade.to_bits() & self.alternate & even);
        ((magnitude + shift) - shift).copysign(value)
    }

    /// Rounds to the nearest magnitude, ties to the even number of steps; twice as fast as `nearest`.
    #[inline]
    pub(super) fn nearest_step(&self, value: f64) -> f64 {
        let magnitude = self.saturate(value);
        let shift = self.binade(magnitude) * self.shift;
        ((magnitude + shift) - shift).copysign(value)
    }

    /// Rounds to the nearest magnitude, ties away from zero.
    #[inline]
    fn nearest_away(&self, value: f64) -> f64 {
        let magnitude = self.saturate(value);
        let (below, step) = self.below(magnitude);
        let away = (magnitude - below) * 2.0 >= step;
        (below + if away { step } else { 0.0 }).copysign(value)
    }

    /// Rounds toward zero.
    #[inline]
    pub(super) fn toward_zero(&self, value: f64) -> f64 {
        self.below(self.saturate(value)).0.copysign(value)
    }

    /// Returns the function that rounds a value by a draw of `bits` random bits.
    fn stochastic(self, bits: u32) -> impl Fn(f64, u32) -> f64 {
        // Both are powers of two, so is 1 / binade (its exponent field is 2046 less the binade's): no product rounds.
        let one = power(bits as i32) / self.step;
        move |value, number| {
            let magnitude = self.saturate(value);
            let (below, step) = self.below(magnitude);
            let inverse = f64::from_bits((2046_u64 << 52).wrapping_sub(self.binade(magnitude).to_bits()));
            // d stands in the low bits of UNITS + d, and d + u is at most 2^(r+1) − 1: its bit r decides.
            let sum = ((magnitude - below) * (inverse * one) + UNITS).to_bits() + u64::from(number);
            let away = ((sum >> bits) & 1).wrapping_neg();
            (below + f64::from_bits(step.to_bits() & away)).copysign(value)
        }
    }

    /// Returns the magnitude, at most the largest.
    #[inline]
    fn saturate(&self, value: f64) -> f64 {
        let magnitude = value.abs();
        if magnitude > self.largest { self.largest } else { magnitude }
    }

    /// Returns the power of two that the steps around a magnitude follow.
    #[inline]
    fn binade(&self, magnitude: f64) -> f64 {
        let binade = f64::from_bits(magnitude.to_bits() & EXPONENT);
        if binade > self.least_binade { binade } else { self.least_binade }
    }

    /// Returns the grid's number at or below a magnitude, and the step from it to the next.
    #[inline]
    fn below(&self, magnitude: f64) -> (f64, f64) {
        let binade = self.binade(magnitude);
        let step = binade * self.step;
        let shift = binade * self.shift;
        let near = (magnitude + shift) - shift;
        (if near > magnitude { near - step } else { near }, step)
    }
}

fn replace(weights: &mut [f32], scale: f32, round: impl Fn(f64) -> f64) {
    let scale = f64::from(scale);
    if scale == 1.0 {
        for weight in weights {
            *weight = round(f64::from(*weight)) as f32;
        }
    } else {
        for weight in weights {
            *weight = (round(f64::from(*weight) / scale) * scale) as f32;
        }
    }
}

fn replace_with(weights: &mut [f32], numbers: &[u32], scale: f32, round: impl Fn(f64, u32) -> f64) {
    let scale = f64::from(scale);
    if scale == 1.0 {
        for (weight, &number) in weights.iter_mut().zip(numbers) {
            *weight = round(f64::from(*weight), number) as f32;
        }
    } else {
        for (weight, &number) in weights.iter_mut().zip(numbers) {
            *weight = (round(f64::from(*weight) / scale, number) * scale) as f32;
        }
    }
}

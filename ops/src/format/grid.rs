//! Rounding to grids whose steps double at each power of two, and are even below the first binade: the magnitudes
//! of every small float, of fixed point and of integers. Knows nothing of the bits of codes and the choice of scales.
//!
//! All of it is exact. A magnitude a in the binade [2^k, 2^(k+1)) lies on steps of 2^(k−m); adding 2^(k+52−m) makes
//! binary64's own unit in the last place that step, so the addition rounds to nearest even, and subtracting it again
//! is exact. There is no branch, so that loops over slices become vector code on any processor.

use super::rounding::{Draw, Rounding};

/// The exponent field of a binary64.
const EXPONENT: u64 = 0x7ff << 52;

/// 2^52, whose unit in the last place is 1.
const UNITS: f64 = 4_503_599_627_370_496.0;

/// Returns 2^k, for k from −1022 to 1023.
pub(crate) fn power(k: i32) -> f64 {
    f64::from_bits(((k + 1023) as u64) << 52)
}

/// The magnitudes that a format represents.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Magnitudes {
    /// The largest magnitudes of positive and of negative numbers.
    largest: [f64; 2],
    /// The magnitudes, positive and negative, to which larger ones are clamped before rounding.
    cap: [f64; 2],
    /// A rounded magnitude above this has no code; infinite in formats that saturate.
    ceiling: f64,
    /// The result for a magnitude above `ceiling`: an infinity or NaN.
    beyond: f64,
    /// 2^k0: below it steps are even.
    least_binade: f64,
    /// The step below `least_binade`.
    least_step: f64,
    /// 2^−m: the ratio of step to binade, at or above `least_binade`.
    step: f64,
    /// The exponent field's mask in grids without mantissa bits, else 0.
    alternate: u64,
    /// The lowest bit of the exponent field in binades of odd code.
    odd: u64,
    /// The number added last: −0 changes nothing, and +0 removes the sign of zero.
    zero: f64,
}

impl Magnitudes {
    /// Makes the grid of `m` mantissa bits whose first binade starts at 2^`least` and has an odd code if m is 0.
    /// Larger magnitudes saturate at `largest`, and zero has a sign.
    pub(crate) fn new(m: u32, least: i32, largest: f64) -> Self {
        Self {
            largest: [largest; 2],
            cap: [largest; 2],
            ceiling: f64::INFINITY,
            beyond: f64::INFINITY,
            least_binade: power(least),
            least_step: power(least - m as i32),
            step: power(-(m as i32)),
            alternate: if m == 0 { EXPONENT } else { 0 },
            odd: (power(least).to_bits() >> 52) & 1,
            zero: -0.0,
        }
    }

    /// Makes the grid of the multiples of 2^`exponent` from `low` to `high`, with one zero; `low` is not positive,
    /// `high` not negative, and both have at most 30 bits.
    pub(crate) fn steps(exponent: i32, low: i32, high: i32) -> Self {
        let [positive, negative] = [high, low].map(|limit| f64::from(limit.abs()) * power(exponent));
        let limits = [positive, negative];
        Self { largest: limits, cap: limits, zero: 0.0, ..Self::new(30, exponent + 30, 0.0) }
    }

    /// Returns the grid without numbers between 0 and the first binade.
    pub(crate) fn without_subnormals(self) -> Self {
        Self { least_step: self.least_binade, ..self }
    }

    /// Returns the grid with one zero, of positive sign.
    pub(crate) fn with_one_zero(self) -> Self {
        Self { zero: 0.0, ..self }
    }

    /// Returns the grid on which numbers that round past the largest become `beyond`.
    pub(crate) fn overflowing_to(self, beyond: f64) -> Self {
        let [largest, _] = self.largest;
        Self { cap: [largest + self.unit(largest); 2], ceiling: largest, beyond, ..self }
    }

    /// Returns the largest positive number.
    pub(crate) fn largest(&self) -> f64 {
        self.largest[0]
    }

    /// Returns the power of two at which steps begin to double.
    pub(crate) fn least_binade(&self) -> f64 {
        self.least_binade
    }

    /// Returns whether every even number of steps has an even code, so that `nearest_step` equals `nearest`. This holds
    /// for grids with mantissa bits.
    pub(crate) fn has_even_steps(&self) -> bool {
        self.alternate == 0
    }

    /// Rounds one number; NaN stays NaN.
    pub(crate) fn round(&self, value: f64, rounding: Rounding, draw: Draw) -> f64 {
        match rounding {
            Rounding::Nearest => self.nearest(value),
            Rounding::NearestAway => self.nearest_away(value),
            Rounding::TowardZero => self.toward_zero(value),
            Rounding::Stochastic => self.stochastic(draw.bits().get())(value, draw.number()),
        }
    }

    /// Rounds to the nearest number, ties to the even code.
    #[inline(always)]
    pub(crate) fn nearest(&self, value: f64) -> f64 {
        let magnitude = self.capped(value);
        let binade = self.binade(magnitude);
        // Without mantissa bits every binade is one code, and 1.5 steps would always round up to 2. One more step in
        // the shift reverses ties in the binades of even code.
        let even = (((binade.to_bits() >> 52) ^ self.odd) & 1).wrapping_neg();
        let shift = self.unit(magnitude) * UNITS + f64::from_bits(binade.to_bits() & self.alternate & even);
        self.finish((magnitude + shift) - shift, value)
    }

    /// Rounds to the nearest number, ties to the even number of steps; faster than `nearest`.
    #[inline(always)]
    pub(crate) fn nearest_step(&self, value: f64) -> f64 {
        let magnitude = self.capped(value);
        let shift = self.unit(magnitude) * UNITS;
        self.finish((magnitude + shift) - shift, value)
    }

    /// Rounds to the nearest number, ties away from zero.
    #[inline(always)]
    pub(crate) fn nearest_away(&self, value: f64) -> f64 {
        let magnitude = self.capped(value);
        let (below, step) = self.below(magnitude);
        self.finish(below + only_if((magnitude - below) * 2.0 >= step, step), value)
    }

    /// Rounds toward zero: never beyond the largest number, unless the value is infinite.
    #[inline(always)]
    pub(crate) fn toward_zero(&self, value: f64) -> f64 {
        let within = cut(value, self.largest);
        let magnitude = within + only_if(value.abs() == f64::INFINITY, self.capped(value) - within);
        self.finish(self.below(magnitude).0, value)
    }

    /// Returns the function that rounds a value by a draw of `bits` random bits.
    #[inline(always)]
    pub(crate) fn stochastic(self, bits: u32) -> impl Fn(f64, u32) -> f64 + Copy {
        let one = power(bits as i32);
        #[inline(always)]
        move |value, number| {
            let magnitude = self.capped(value);
            let (below, step) = self.below(magnitude);
            // Steps are powers of two, so 1 / step is exact: its exponent field is 2046 less the step's.
            let inverse = f64::from_bits((2046_u64 << 52).wrapping_sub(step.to_bits()));
            // d stands in the low bits of UNITS + d, and d + u is at most 2^(r+1) − 1: its bit r decides.
            let sum = ((magnitude - below) * (inverse * one) + UNITS).to_bits() + u64::from(number);
            let away = ((sum >> bits) & 1).wrapping_neg();
            self.finish(below + f64::from_bits(step.to_bits() & away), value)
        }
    }

    /// Returns the magnitude, at most the cap of its sign.
    #[inline(always)]
    fn capped(&self, value: f64) -> f64 {
        cut(value, self.cap)
    }

    /// Gives a rounded magnitude the sign of `value`, and replaces a magnitude above the ceiling by `beyond`.
    #[inline(always)]
    fn finish(&self, magnitude: f64, value: f64) -> f64 {
        let magnitude = if magnitude > self.ceiling { self.beyond } else { magnitude };
        magnitude.copysign(value) + self.zero
    }

    /// Returns the power of two that sets the steps around a magnitude.
    #[inline(always)]
    fn binade(&self, magnitude: f64) -> f64 {
        let binade = f64::from_bits(magnitude.to_bits() & EXPONENT);
        if binade > self.least_binade { binade } else { self.least_binade }
    }

    /// Returns the step around a magnitude.
    #[inline(always)]
    fn unit(&self, magnitude: f64) -> f64 {
        let binade = f64::from_bits(magnitude.to_bits() & EXPONENT);
        if binade < self.least_binade { self.least_step } else { binade * self.step }
    }

    /// Returns the number at or below a magnitude, and the step from it to the next.
    #[inline(always)]
    fn below(&self, magnitude: f64) -> (f64, f64) {
        let step = self.unit(magnitude);
        let shift = step * UNITS;
        let near = (magnitude + shift) - shift;
        (near - only_if(near > magnitude, step), step)
    }
}

/// Returns the value, or 0 if the condition is false; the bit mask keeps the compiler from using a branch.
#[inline(always)]
fn only_if(holds: bool, value: f64) -> f64 {
    f64::from_bits(value.to_bits() & u64::from(holds).wrapping_neg())
}

/// Returns the magnitude of a value, at most the limit of its sign; NaN stays NaN.
#[inline(always)]
fn cut(value: f64, [positive, negative]: [f64; 2]) -> f64 {
    let value = if value > positive { positive } else { value };
    (if value < -negative { -negative } else { value }).abs()
}

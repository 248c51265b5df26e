//! Codebooks: any list of numbers, each with a code. Knows nothing of the choice of the numbers.

use std::hint::select_unpredictable;

use super::error::FormatError;
use super::rounding::{Draw, Rounding};
use super::search::NumberSearch;

/// The most numbers in a codebook: one for each code of 16 bits.
pub const MOST_VALUES: usize = 1 << 16;

/// 2^52, whose unit in the last place is 1.
const UNITS: f64 = 4_503_599_627_370_496.0;

/// Finite numbers, each with a code, and at most one zero.
///
/// A tie of `Nearest` goes to the upper number if the code of the lower is odd, so to the even code where the codes of
/// neighbours differ in parity. Numbers outside the range saturate. Between two numbers of one sign, or with zero as
/// one of them, rounding works on the magnitude. Between the least positive and the greatest negative number of a
/// codebook without zero, `TowardZero` takes the nearer, and "away from zero" means up. The position between two
/// numbers is computed in binary64: (x − low) / (high − low), each operation rounded once.
#[derive(Clone, Debug)]
pub struct Codebook {
    bits: u32,
    /// Ascending.
    values: Vec<f64>,
    /// The code of each value.
    codes: Vec<u32>,
    /// The thresholds from which the next value is taken: to nearest with ties to the even code, to nearest with ties
    /// away from zero, and toward zero.
    nearest: NumberSearch,
    nearest_away: NumberSearch,
    toward_zero: NumberSearch,
    /// The values themselves.
    floor: NumberSearch,
    /// The code of NaN and of infinities, in codebooks with such a code.
    nan: Option<u32>,
    /// Whether only zero rounds to zero.
    avoids_zero: bool,
}

/// The boundary between two neighbours: the least binary64 that is not nearer to the lower one, and whether it is a
/// tie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Boundary {
    pub(super) from: f64,
    pub(super) is_tie: bool,
}

impl Boundary {
    /// Returns the arithmetic middle of two binary32, `low` below `high`.
    fn middle(low: f64, high: f64) -> Self {
        let middle = f64::midpoint(low, high);
        // An inexact middle is rounded; the error's sign tells on which side of the exact middle it lies.
        let error = two_sum_error(low, high);
        Self { from: if error > 0.0 { middle.next_up() } else { middle }, is_tie: error == 0.0 }
    }

    /// Returns the least number that goes to the upper neighbour, given the direction of ties.
    fn threshold(self, tie_goes_up: bool) -> f64 {
        if self.is_tie && !tie_goes_up { self.from.next_up() } else { self.from }
    }
}

/// Returns the thresholds of rounding toward zero; between neighbours around zero, of rounding to nearest. With
/// `avoids_zero` no number but zero itself rounds to zero.
fn toward_zero(values: &[f64], boundaries: &[Boundary], avoids_zero: bool) -> Vec<f64> {
    let threshold = |(pair, boundary): (&[f64], &Boundary)| match (pair[0], pair[1]) {
        (low, high) if avoids_zero && (low == 0.0 || high == 0.0) => boundary.from,
        (low, high) if low >= 0.0 => high,
        (low, high) if high <= 0.0 => low.next_up(),
        _ => boundary.threshold(true),
    };
    values.windows(2).zip(boundaries).map(threshold).collect()
}

/// Returns a + b less its binary64 sum, exactly (Knuth, The Art of Computer Programming, 4.2.2).
fn two_sum_error(a: f64, b: f64) -> f64 {
    let sum = a + b;
    let (of_b, of_a) = (sum - a, sum - (sum - a));
    (a - of_a) + (b - of_b)
}

impl Codebook {
    /// Makes a codebook of 2 to 65,536 distinct finite numbers; a number's code is its position in the list.
    pub fn new(values: &[f32]) -> Result<Self, FormatError> {
        if !(2..=MOST_VALUES).contains(&values.len()) {
            return Err(FormatError::Values { count: values.len() });
        }
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return Err(FormatError::Value { value: *value });
        }
        let mut pairs: Vec<(f64, u32)> =
            values.iter().map(|value| f64::from(*value) + 0.0).zip(0..).collect();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        if let Some(pair) = pairs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(FormatError::SameValue { value: pair[0].0 as f32 });
        }
        let bits = usize::BITS - (pairs.len() - 1).leading_zeros();
        let middles: Vec<Boundary> =
            pairs.windows(2).map(|pair| Boundary::middle(pair[0].0, pair[1].0)).collect();
        Ok(Self::assembled(bits, pairs, &middles))
    }

    /// Makes a codebook of two or more ascending numbers with their codes and the boundaries between neighbours.
    pub(super) fn assembled(bits: u32, pairs: Vec<(f64, u32)>, boundaries: &[Boundary]) -> Self {
        let (values, codes): (Vec<f64>, Vec<u32>) = pairs.into_iter().unzip();
        let magnitudes = || values.iter().map(|value| value.abs()).filter(|magnitude| *magnitude > 0.0);
        let reach = magnitudes().fold(0.0, f64::max);
        let finest = magnitudes().fold(reach, f64::min) / 4.0;
        let thresholds = |goes_up: &dyn Fn(usize) -> bool| {
            let at = boundaries.iter().enumerate();
            NumberSearch::new(at.map(|(at, between)| between.threshold(goes_up(at))).collect(), finest, reach)
        };
        Self {
            bits,
            nearest: thresholds(&|at| codes[at] % 2 == 1),
            nearest_away: thresholds(&|at| values[at + 1] > 0.0),
            toward_zero: NumberSearch::new(toward_zero(&values, boundaries, false), finest, reach),
            floor: NumberSearch::new(values.clone(), finest, reach),
            values,
            codes,
            nan: None,
            avoids_zero: false,
        }
    }

    /// Returns the codebook with a code for NaN and infinities, in which only zero rounds to zero.
    pub(super) fn with_posits_rules(self, nan: u32, boundaries: &[Boundary]) -> Self {
        let (_, reach) = self.limits();
        let toward_zero = NumberSearch::new(toward_zero(&self.values, boundaries, true), 1.0 / reach, reach);
        Self { nan: Some(nan), avoids_zero: true, toward_zero, ..self }
    }

    /// Returns the bits of a code, 1 to 16.
    #[must_use]
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// Returns the numbers, ascending.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Returns the largest magnitude.
    #[must_use]
    pub fn largest(&self) -> f64 {
        self.values[0].abs().max(self.values[self.values.len() - 1].abs())
    }

    /// Returns the lowest and the highest number.
    #[must_use]
    pub fn limits(&self) -> (f64, f64) {
        (self.values[0], self.values[self.values.len() - 1])
    }

    /// Returns the number of each code, in the order of codes; `None` for unused codes.
    #[must_use]
    pub fn table(&self) -> Vec<Option<f64>> {
        let mut table = vec![None; 1 << self.bits];
        for (value, code) in self.values.iter().zip(&self.codes) {
            table[*code as usize] = Some(*value);
        }
        if let Some(nan) = self.nan {
            table[nan as usize] = Some(f64::NAN);
        }
        table
    }

    /// Returns the code that a number rounds to, or `None` for NaN without a code.
    #[must_use]
    pub fn encode(&self, value: f64, rounding: Rounding, draw: Draw) -> Option<u32> {
        if value.is_nan() || value.is_infinite() && self.nan.is_some() {
            return self.nan;
        }
        Some(self.codes[self.place(value, rounding, draw)])
    }

    /// Rounds a number to the codebook. NaN stays NaN. An infinity saturates, or becomes NaN in codebooks with a code
    /// for NaN.
    #[must_use]
    pub fn round(&self, value: f64, rounding: Rounding, draw: Draw) -> f64 {
        if value.is_nan() || value.is_infinite() && self.nan.is_some() {
            return f64::NAN;
        }
        self.values[self.place(value, rounding, draw)]
    }

    fn place(&self, value: f64, rounding: Rounding, draw: Draw) -> usize {
        match rounding {
            Rounding::Nearest => self.nearest.at_or_below(value),
            Rounding::NearestAway => self.nearest_away.at_or_below(value),
            Rounding::TowardZero => self.toward_zero.at_or_below(value),
            Rounding::Stochastic => self.place_stochastic(value, draw.number(), draw.bits().get()),
        }
    }

    /// Returns the number nearest to a finite one, ties to the even code.
    #[inline(always)]
    pub(crate) fn nearest(&self, value: f64) -> f64 {
        self.values[self.nearest.at_or_below(value)]
    }

    #[inline(always)]
    pub(super) fn nearest_away(&self, value: f64) -> f64 {
        self.values[self.nearest_away.at_or_below(value)]
    }

    #[inline(always)]
    pub(super) fn toward_zero(&self, value: f64) -> f64 {
        self.values[self.toward_zero.at_or_below(value)]
    }

    #[inline(always)]
    pub(super) fn stochastic(&self, value: f64, number: u32, bits: u32) -> f64 {
        self.values[self.place_stochastic(value, number, bits)]
    }

    #[inline(always)]
    fn place_stochastic(&self, value: f64, number: u32, bits: u32) -> usize {
        let (near, far) = self.neighbours(value);
        let (low, high) = (self.values[near], self.values[far]);
        if near == far || self.must_leave_zero(low, value) {
            return far;
        }
        let position = (value - low) / (high - low);
        // As in `Magnitudes::stochastic`: the low bits of UNITS + d hold d.
        let one = super::grid::power(bits as i32);
        let sum = (position * one + UNITS).to_bits() + u64::from(number);
        select_unpredictable((sum >> bits) & 1 == 1, far, near)
    }

    /// Returns the positions of the two numbers around a finite one, the nearer to zero first (around zero, the lower).
    /// Beyond the ends both are the last number.
    #[inline(always)]
    fn neighbours(&self, value: f64) -> (usize, usize) {
        let last = self.values.len() - 1;
        let above = self.floor.at_or_below(value);
        if above == 0 || above > last {
            return (above.min(last), above.min(last));
        }
        let is_negative = self.values[above] <= 0.0;
        let near = select_unpredictable(is_negative, above, above - 1);
        (near, above + above - 1 - near)
    }

    #[inline(always)]
    fn must_leave_zero(&self, near: f64, value: f64) -> bool {
        self.avoids_zero && near == 0.0 && value != 0.0
    }
}

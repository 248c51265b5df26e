//! How many of some ascending numbers are at or below a number: the search behind every codebook.
//! Knows nothing of formats; which table it uses changes its speed and never its answer.

use std::hint::select_unpredictable;

/// Buckets per binade at most: 2^10.
const FINEST: u32 = 10;

/// Buckets at most.
const MOST_BUCKETS: i64 = 1 << 17;

/// Ascending numbers, and a table from the leading bits of a binary64 (sign, exponent, the first of the mantissa) to
/// the few of them that have the same.
#[derive(Clone, Debug)]
pub(super) struct NumberSearch {
    /// The numbers, and behind them NaN, at or below nothing: as many as the search may look at beyond the last.
    numbers: Vec<f64>,
    /// Of each bucket how many numbers lie in lower ones.
    before: Vec<u32>,
    /// What of a magnitude's leading bits is the bucket 0 of its sign; lower ones are in it too.
    first: i64,
    /// The buckets of one sign, less one.
    last: i64,
    /// The bits of a binary64 behind those that choose a bucket.
    shift: u32,
    /// The first step of the search in a bucket: a power of two, and 2·step − 1 numbers at most are in any.
    step: usize,
}

impl NumberSearch {
    /// Makes the search among `numbers`, ascending and finite. Magnitudes between `finest` and `reach`, both positive
    /// and normal, are found fastest.
    pub(super) fn new(mut numbers: Vec<f64>, finest: f64, reach: f64) -> Self {
        let binades = i64::from(exponent(reach) - exponent(finest)) + 2;
        // As few buckets as tell the numbers apart: a small table stays in the first cache.
        let mut bits = 0;
        let (mut search, mut most) = Self::with_buckets(bits, &numbers, finest, reach);
        while most > 1 && bits < FINEST && (4 * binades) << bits <= MOST_BUCKETS {
            bits += 1;
            (search, most) = Self::with_buckets(bits, &numbers, finest, reach);
        }
        numbers.extend(std::iter::repeat_n(f64::NAN, 2 * search.step));
        Self { numbers, ..search }
    }

    /// Makes the table of 2^`bits` buckets a binade, and returns it with the most numbers in any.
    fn with_buckets(bits: u32, numbers: &[f64], finest: f64, reach: f64) -> (Self, u32) {
        let shift = 52 - bits;
        let [first, last] = [finest, reach].map(|magnitude| (magnitude.to_bits() >> shift) as i64);
        // Below `finest` and above `reach` there is one bucket each.
        let (first, last) = (first - 1, last + 1 - (first - 1));
        let before = vec![0; 2 * last as usize + 2];
        let mut search = Self { numbers: vec![], before, first, last, shift, step: 0 };
        let mut counts = vec![0_u32; search.before.len()];
        for number in numbers {
            counts[search.bucket(*number)] += 1;
        }
        let mut sum = 0;
        for (before, count) in search.before.iter_mut().zip(&counts) {
            *before = sum;
            sum += count;
        }
        let most = counts.into_iter().max().unwrap_or(0);
        search.step = (most as usize + 1).next_power_of_two() / 2;
        (search, most)
    }

    /// Returns how many of the numbers are at or below `value`; NaN counts as zero or as infinite.
    #[inline(always)]
    pub(super) fn at_or_below(&self, value: f64) -> usize {
        let mut place = self.before[self.bucket(value)] as usize;
        let mut step = self.step;
        // What lies in higher buckets is above the value, so it does no harm to look at it.
        while step > 0 {
            let is_above = self.numbers[place + step - 1] <= value;
            place = select_unpredictable(is_above, place + step, place);
            step /= 2;
        }
        place
    }

    /// Returns the bucket of a number. It grows with the number: sign and magnitude become one line of integers.
    #[inline(always)]
    fn bucket(&self, value: f64) -> usize {
        let magnitude = (value.abs().to_bits() >> self.shift) as i64 - self.first;
        let magnitude = magnitude.clamp(0, self.last);
        let negative = -i64::from(value < 0.0);
        // −1 − x is the complement of x.
        (self.last + 1 + (magnitude ^ negative)) as usize
    }
}

/// Returns ⌊log2 |x|⌋ of a binary64 that is neither zero nor subnormal.
fn exponent(x: f64) -> i32 {
    ((x.to_bits() >> 52) & 0x7ff) as i32 - 1023
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn count(numbers: &[f64], value: f64) -> usize {
        numbers.iter().filter(|number| **number <= value).count()
    }

    proptest! {
        #[test]
        fn the_answer_is_that_of_counting(
            mut numbers in prop::collection::vec(prop::num::f64::NORMAL | prop::num::f64::ZERO, 1..200),
            values in prop::collection::vec(prop::num::f64::ANY, 20),
            low in -300_i32..300, binades in 0_i32..40,
        ) {
            numbers.sort_by(f64::total_cmp);
            let (finest, reach) = (2.0_f64.powi(low), 2.0_f64.powi(low + binades));
            let search = NumberSearch::new(numbers.clone(), finest, reach);
            for value in values.iter().chain(&numbers).copied().filter(|value| !value.is_nan()) {
                for value in [value, value.next_up(), value.next_down(), -value] {
                    prop_assert_eq!(search.at_or_below(value), count(&numbers, value), "{}", value);
                }
            }
        }

        #[test]
        fn clustered_numbers_are_found_too(
            places in prop::collection::vec(0_i32..4000, 1..300), values in prop::collection::vec(-5_i32..4005, 50),
        ) {
            let place = |place: i32| 1.0 + f64::from(place) * 1e-6;
            let mut numbers: Vec<f64> = places.into_iter().map(place).collect();
            numbers.sort_by(f64::total_cmp);
            let search = NumberSearch::new(numbers.clone(), 0.5, 1.5);
            for value in values {
                prop_assert_eq!(search.at_or_below(place(value)), count(&numbers, place(value)));
            }
        }
    }
}

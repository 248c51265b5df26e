//! Search for the count of ascending numbers at or below a number; every codebook uses it.
//! Knows nothing of formats; the size of the table changes the speed and never the answer.

use std::hint::select_unpredictable;

/// The maximum number of buckets per binade, as a power of two: 2^10.
const FINEST: u32 = 10;

/// The maximum number of buckets.
const MOST_BUCKETS: i64 = 1 << 17;

/// Ascending numbers, and a table from the leading bits of a binary64 (sign, exponent, top of the mantissa) to the few
/// numbers with the same leading bits.
#[derive(Clone, Debug)]
pub(super) struct NumberSearch {
    /// The numbers, padded with NaN (at or below no value) for the places past the last that the search can read.
    numbers: Vec<f64>,
    /// For each bucket, the count of numbers in lower buckets.
    before: Vec<u32>,
    /// The leading bits of the magnitudes in bucket 0 of each sign; lower magnitudes share that bucket.
    first: i64,
    /// The number of buckets of one sign, minus one.
    last: i64,
    /// The number of low bits of a binary64 that do not affect its bucket.
    shift: u32,
    /// The first step of the search in a bucket: a power of two. No bucket has more than 2·step − 1 numbers.
    step: usize,
}

impl NumberSearch {
    /// Makes the search among `numbers`, ascending and finite. Magnitudes between `finest` and `reach`, both positive
    /// and normal, are found fastest.
    pub(super) fn new(mut numbers: Vec<f64>, finest: f64, reach: f64) -> Self {
        let binades = i64::from(exponent(reach) - exponent(finest)) + 2;
        // The fewest buckets that tell the numbers apart, so that the table stays in the L1 cache.
        let mut bits = 0;
        let (mut search, mut most) = Self::with_buckets(bits, &numbers, finest, reach);
        while most > 1 && bits < FINEST && (4 * binades) << bits <= MOST_BUCKETS {
            bits += 1;
            (search, most) = Self::with_buckets(bits, &numbers, finest, reach);
        }
        numbers.extend(std::iter::repeat_n(f64::NAN, 2 * search.step));
        Self { numbers, ..search }
    }

    /// Makes the table of 2^`bits` buckets per binade, and returns it with the largest count in a bucket.
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

    /// Returns the count of numbers at or below `value`; NaN counts as zero or as infinite.
    #[inline(always)]
    pub(super) fn at_or_below(&self, value: f64) -> usize {
        let mut place = self.before[self.bucket(value)] as usize;
        let mut step = self.step;
        // Numbers in higher buckets are above the value, so reading past the bucket is harmless.
        while step > 0 {
            let is_above = self.numbers[place + step - 1] <= value;
            place = select_unpredictable(is_above, place + step, place);
            step /= 2;
        }
        place
    }

    /// Returns the bucket of a number. Buckets increase with the number: sign and magnitude map to one range of
    /// integers.
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

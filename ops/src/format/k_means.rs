//! The k binary32 centres of least squared error for a set of numbers: exact k-means in one dimension.
//! Knows nothing of tensors and codes.
//!
//! The clusters of sorted numbers are intervals, and the least error of the first i numbers in k intervals follows
//! from the least errors in k − 1 intervals by dynamic programming (Wang, Song: *Ckmeans.1d.dp*, The R Journal 2011).
//! The start of the last interval never moves back as i grows, so divide and conquer finds each row in O(n log n)
//! (Grønlund et al.: *Fast Exact k-Means in 1D*, 2017). Both results also hold for binary32 centres: the binary32
//! number nearest to an interval's mean lies in the interval.
//!
//! The difference of a sum of squares and a squared sum loses all digits for numbers that are close together and far
//! from zero. So numbers, sums and errors are integers: multiples of the spacing of binary32 at the least magnitude,
//! and of its square. Estimates in binary64 decide wherever their error bounds are narrow enough.

use std::ops::{Range, RangeInclusive};

use super::wide::Wide;

/// The bound on the relative error of binary64 estimates, also of sums over 256 clusters.
const DOUBT: f64 = 1.0 / (1_u64 << 43) as f64;

/// Half the distance to the next binary32 number is at most this share of a normal number.
const HALF_SPACING: f64 = 1.0 / (1_u64 << 24) as f64;

/// Binary32 numbers from 2^24 on are integers.
const WHOLE: f64 = (1 << 24) as f64;

/// A mean closer than this to the middle of two binary32 numbers, relative to their distance, may belong to either.
const NEAR_MIDDLE: f64 = 1e-9;

/// Returns the k centres of least squared error, ascending; fewer if there are fewer distinct numbers. No k binary32
/// numbers have a smaller error. Among equal errors the earliest interval starts win.
pub(crate) fn centres(numbers: &[f32], k: usize) -> Vec<f32> {
    let runs = runs(numbers);
    let (Some((first, _)), Some((last, _))) = (runs.first(), runs.last()) else { return vec![] };
    if runs.len() <= k {
        return runs.into_iter().map(|(value, _)| value).collect();
    }
    let unit = runs.iter().map(|(value, _)| spacing(*value)).fold(f64::INFINITY, f64::min);
    // No sum of squares around one of the numbers is above count·range², and no sum above count·reach, both in units.
    let range = (f64::from(*last) - f64::from(*first)) / unit;
    let reach = f64::from(first.abs().max(last.abs())) / unit;
    let count = numbers.len() as f64;
    let most = (count * range * range).max(count * reach);
    match most {
        _ if most < 2.0_f64.powi(126) => Clusters::<2>::of(&runs, unit).centres(k),
        _ if most < 2.0_f64.powi(254) => Clusters::<4>::of(&runs, unit).centres(k),
        // The largest binary32 number is below 2^277 units, and there are fewer than 2^64 numbers.
        _ => Clusters::<10>::of(&runs, unit).centres(k),
    }
}

/// Returns the distinct numbers in ascending order, each with its count. Every zero is +0.
fn runs(numbers: &[f32]) -> Vec<(f32, f64)> {
    let mut sorted: Vec<f32> = numbers.iter().map(|number| number + 0.0).collect();
    sorted.sort_unstable_by(f32::total_cmp);
    let mut runs: Vec<(f32, f64)> = vec![];
    for number in sorted {
        match runs.last_mut() {
            Some((value, count)) if *value == number => *count += 1.0,
            _ => runs.push((number, 1.0)),
        }
    }
    runs
}

/// Returns the distance from a binary32 number to the next larger magnitude, of which the number is a multiple;
/// infinite for zero.
fn spacing(value: f32) -> f64 {
    let magnitude = value.abs();
    if magnitude == 0.0 {
        return f64::INFINITY;
    }
    let bits = magnitude.to_bits();
    // The spacing of a binade is that of its first number, whose successor is always finite.
    let first = f32::from_bits(bits & !((1 << 23) - 1));
    f64::from(first.next_up()) - f64::from(first)
}

/// Distinct numbers in ascending order, in units, with exact sums up to each of them.
struct Clusters<const L: usize> {
    unit: f64,
    /// The different numbers.
    values: Vec<f64>,
    /// The sum of the numbers before each of them, and of their squares; the last entry is the total.
    sums: Vec<[Wide<L>; 2]>,
    /// Per entry of `sums`: the count, and the same sums of the numbers minus the middle number. They start at the
    /// middle number in both directions, so that binary64 loses little.
    shifted: Vec<[f64; 3]>,
}

/// A squared error in square units: exactly `whole` + `part`. `part` is 0 except for clusters around zero, whose
/// centre can be finer than the unit; there `part` is accurate within 2^−30.
#[derive(Clone, Copy)]
struct Cost<const L: usize> {
    whole: Wide<L>,
    part: f64,
}

impl<const L: usize> Cost<L> {
    fn about(self) -> f64 {
        self.whole.about() + self.part
    }

    fn plus(self, other: Self) -> Self {
        Self { whole: self.whole + other.whole, part: self.part + other.part }
    }

    fn is_below(self, other: Self) -> bool {
        (self.whole - other.whole).about() + (self.part - other.part) < 0.0
    }
}

impl<const L: usize> Clusters<L> {
    fn of(runs: &[(f32, f64)], unit: f64) -> Self {
        let values: Vec<f64> = runs.iter().map(|(value, _)| f64::from(*value) / unit).collect();
        let (mut counts, mut sums) = (vec![0.0], vec![[Wide::ZERO; 2]]);
        let (mut count, mut sum, mut square) = (0.0, Wide::ZERO, Wide::ZERO);
        for (value, (_, times)) in values.iter().zip(runs) {
            count += times;
            sum = sum + Wide::from_integer(*value).times(*times);
            square = square + Wide::from_integer(*value).times(*value).times(*times);
            counts.push(count);
            sums.push([sum, square]);
        }
        let start = values.len() / 2;
        let (middle, [sum, square]) = (values[start], sums[start]);
        let shift = |(count, sums): (&f64, &[Wide<L>; 2])| {
            let (sum, square) = (sums[0] - sum, sums[1] - square);
            let shifted = sum - Wide::product(middle, count - counts[start]);
            // Σ(x − m)² = Σx² − m·(Σx + Σ(x − m)).
            [*count, shifted.about(), (square - (sum + shifted).times(middle)).about()]
        };
        let shifted = counts.iter().zip(&sums).map(shift).collect();
        Self { unit, values, sums, shifted }
    }

    /// Returns the count, the sum and the sum of squares of the numbers `begin..end`; `begin` is below `end`.
    #[inline(always)]
    fn between(&self, begin: usize, end: usize) -> (f64, Wide<L>, Wide<L>) {
        let ([sum0, square0], [sum1, square1]) = (self.sums[begin], self.sums[end]);
        (self.shifted[end][0] - self.shifted[begin][0], sum1 - sum0, square1 - square0)
    }

    /// Returns an estimate of the squared error of the numbers `begin..end` for every `begin` in `begins`.
    #[inline(always)]
    fn estimates(&self, begins: &RangeInclusive<usize>, end: usize) -> impl Iterator<Item = f64> {
        let [count, sum, square] = self.shifted[end];
        self.shifted[begins.clone()].iter().map(move |[n, s, q]| {
            let sum = sum - s;
            (square - q) - sum * sum / (count - n)
        })
    }

    /// Returns the largest amounts by which the exact error of `begin..end` can lie below and above its estimate, for
    /// every `begin` in `begins`.
    fn doubt(&self, begins: &RangeInclusive<usize>, end: usize) -> (f64, f64) {
        // All of these are largest at one of the ends.
        let ends = [self.shifted[*begins.start()], self.shifted[*begins.end()], self.shifted[end]];
        let most = |part: usize| ends.iter().fold(0.0_f64, |most, sums| most.max(sums[part].abs()));
        let (least, largest) = (self.values[*begins.start()], self.values[end - 1]);
        let middle = self.values[self.values.len() / 2];
        let reach = (least - middle).abs().max((largest - middle).abs());
        let doubt = 4.0 * DOUBT * (most(2) + reach * most(1));
        // The centre is not the mean but the binary32 number nearest to it.
        let off = HALF_SPACING * least.abs().max(largest.abs()) + f64::from(f32::from_bits(1)) / self.unit;
        (doubt, doubt + (ends[2][0] - ends[0][0]) * off * off)
    }

    /// Returns the binary32 number of least squared error for the numbers `begin..end`, and that error; `begin` is
    /// below `end`.
    fn centre(&self, begin: usize, end: usize) -> (f32, Cost<L>) {
        let (count, sum, _) = self.between(begin, end);
        let centre = (sum.about() / count * self.unit) as f32;
        let (cost, rest) = self.cost(begin, end, centre);
        let other = if rest > 0.0 { centre.next_up() } else { centre.next_down() };
        let gap = (f64::from(other) - f64::from(centre)).abs() / self.unit;
        if 2.0 * rest.abs() < count * gap * (1.0 - NEAR_MIDDLE) {
            return (centre, cost);
        }
        // The mean lies in the middle of the two candidates, or so near that its estimate may be on the wrong side.
        let (next, _) = self.cost(begin, end, other);
        if next.is_below(cost) { (other, next) } else { (centre, cost) }
    }

    /// Returns the squared error of the numbers `begin..end` around a centre, and their sum minus the centre times
    /// their count.
    #[inline(always)]
    fn cost(&self, begin: usize, end: usize, centre: f32) -> (Cost<L>, f64) {
        let (count, sum, square) = self.between(begin, end);
        let exact = f64::from(centre) / self.unit;
        // A binary32 number of at least this many units is an integer number of units.
        let whole = if exact.abs() < WHOLE { exact.round_ties_even() } else { exact };
        let fraction = exact - whole;
        let rest = sum - Wide::product(whole, count);
        // With c the whole centre, d its fraction and r = Σ(x − c): Σ(x − c)² = Σx² − c·(Σx + r), and
        // Σ(x − c − d)² = Σ(x − c)² − 2·d·r + n·d².
        let cost = square - (sum + rest).times(whole);
        let rest = rest.about();
        let part = fraction * (count * fraction - 2.0 * rest);
        (Cost { whole: cost, part }, rest - count * fraction)
    }

    /// Returns the k centres of least squared error; there are more than k distinct numbers.
    fn centres(&self, k: usize) -> Vec<f32> {
        let n = self.values.len();
        let mut costs: Vec<Cost<L>> = (1..=n).map(|end| self.centre(0, end).1).collect();
        // The start of the last interval, for every number of intervals above one and every end.
        let mut begins: Vec<Vec<u32>> = Vec::with_capacity(k - 1);
        for intervals in 2..=k {
            let about = costs.iter().map(|cost| cost.about()).collect();
            let after = costs.clone();
            let mut row = CostRow { before: costs, about, after, begins: vec![0; n], clusters: self };
            row.fill(intervals - 1..n, intervals - 1, n - 1);
            costs = row.after;
            begins.push(row.begins);
        }
        let mut end = n;
        let mut centres = Vec::with_capacity(k);
        for found in begins.iter().rev() {
            let begin = found[end - 1] as usize;
            centres.push(self.centre(begin, end).0);
            end = begin;
        }
        centres.push(self.centre(0, end).0);
        centres.reverse();
        centres.dedup();
        centres
    }
}

/// One row of the dynamic-programming table: the least errors with one more interval.
struct CostRow<'a, const L: usize> {
    before: Vec<Cost<L>>,
    /// `before` in binary64.
    about: Vec<f64>,
    after: Vec<Cost<L>>,
    begins: Vec<u32>,
    clusters: &'a Clusters<L>,
}

impl<const L: usize> CostRow<'_, L> {
    /// Fills the row for every `last`, the last number of the last interval, which starts between `least` and `most`.
    fn fill(&mut self, last: Range<usize>, least: usize, most: usize) {
        if last.is_empty() {
            return;
        }
        let middle = last.start.midpoint(last.end - 1);
        let (begin, cost) = self.best(middle, least..=most.min(middle));
        self.after[middle] = cost;
        self.begins[middle] = begin as u32;
        self.fill(last.start..middle, least, begin);
        self.fill(middle + 1..last.end, begin, most);
    }

    /// Returns the best start in `begins` of the interval that ends with the number `last`, and its error.
    fn best(&self, last: usize, begins: RangeInclusive<usize>) -> (usize, Cost<L>) {
        let end = last + 1;
        let exact = |begin: usize| self.before[begin - 1].plus(self.clusters.centre(begin, end).1);
        let first = *begins.start();
        if begins.end() == begins.start() {
            return (first, exact(first));
        }
        // The errors with one interval less increase with the number of elements.
        let before = &self.about[first - 1..*begins.end()];
        let (below, above) = self.clusters.doubt(&begins, end);
        let doubt = below + above + 2.0 * DOUBT * before[before.len() - 1];
        let estimates = || before.iter().zip(self.clusters.estimates(&begins, end)).zip(first..);
        let (mut lowest, mut second, mut place) = (f64::INFINITY, f64::INFINITY, first);
        for ((before, error), begin) in estimates() {
            if *before > lowest + doubt {
                break;
            }
            let cost = before + error;
            if cost < lowest {
                (second, lowest, place) = (lowest, cost, begin);
            } else if cost < second {
                second = cost;
            }
        }
        let limit = lowest + doubt;
        let mut best = (place, exact(place));
        if second > limit {
            return best;
        }
        for (_, begin) in estimates().filter(|((before, error), _)| *before + error <= limit) {
            let cost = exact(begin);
            if cost.is_below(best.1) || begin < best.0 && !best.1.is_below(cost) {
                best = (begin, cost);
            }
        }
        best
    }
}

#[cfg(test)]
mod tests;

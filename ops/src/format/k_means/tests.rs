//! Centres compared with an exhaustive search over every cut, in 128-bit integers.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Returns the least error of ascending integers in k clusters, each around the best centre of `grid`, by trying every
/// cut and every centre.
fn least_error(numbers: &[i128], k: usize, grid: &[i128]) -> i128 {
    let around = |centre: &i128| numbers.iter().map(|number| (number - centre).pow(2)).sum();
    let one = grid.iter().map(around).min().unwrap_or(0);
    if k == 1 || numbers.len() <= 1 {
        return one;
    }
    let cut = |at: usize| least_error(&numbers[..at], 1, grid) + least_error(&numbers[at..], k - 1, grid);
    (1..numbers.len()).map(cut).fold(one, i128::min)
}

/// Returns the error of integers, each around the nearest centre.
fn error(numbers: &[i128], centres: &[i128]) -> i128 {
    let to = |number: &i128| centres.iter().map(|centre| (number - centre).pow(2)).min().unwrap_or(0);
    numbers.iter().map(to).sum()
}

/// Checks the centres of numbers in a unit that makes them binary32 numbers. `grid` has every binary32 number that can
/// be the best centre of some cluster.
fn check(numbers: &[i128], k: usize, unit: f64, grid: &[i128]) {
    let to_binary32 = |number: &i128| (*number as f64 * unit) as f32;
    let found = centres(&numbers.iter().map(to_binary32).collect::<Vec<_>>(), k);
    assert!(found.len() <= k && found.is_sorted());
    let found: Vec<i128> = found.iter().map(|centre| (f64::from(*centre) / unit) as i128).collect();
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    let least = least_error(&sorted, k, grid);
    assert_eq!(error(numbers, &found), least, "{numbers:?} in {k} around {found:?}");
}

/// Worked by hand: {1, 2}, {10, 11, 12}, {30}.
#[test]
fn plain_clusters_are_found() {
    assert_eq!(centres(&[11.0, 2.0, 30.0, 10.0, 1.0, 12.0], 3), [1.5, 11.0, 30.0]);
    assert_eq!(centres(&[3.0, 3.0, -1.0], 4), [-1.0, 3.0]);
    assert_eq!(centres(&[], 4), Vec::<f32>::new());
    assert_eq!(centres(&[-0.0, 0.0, -0.0], 1).iter().map(|zero| zero.to_bits()).collect::<Vec<_>>(), [0]);
}

/// A far number on either side does not affect the others: beside it are four clusters of two, each with its mean in
/// the middle, 0.0005 from both.
#[test]
fn far_numbers_do_no_harm() {
    let near = [0.01, 0.011, 0.02, 0.021, 0.03, 0.031, 0.04, 0.041];
    for far in [-1e8, 1e8, -1e12, 1e12, -3e38, 3e38] {
        let numbers: Vec<f32> = near.into_iter().chain([far]).collect();
        let found = centres(&numbers, 5);
        assert!(found.contains(&far) && found.len() == 5, "{found:?}");
        let distance = |number: &f32| {
            let distances = found.iter().map(|centre| (f64::from(*number) - f64::from(*centre)).abs());
            distances.fold(f64::INFINITY, f64::min)
        };
        assert!(near.iter().all(|number| distance(number) < 0.000_501), "{far} {found:?}");
    }
}

/// By hand, in spacings of binary32 above 1: {2, 2, 3, 3, 5} around 3 has the error 1 + 1 + 4, and {8} has none.
/// Around their means, {2, 2, 3, 3} and {5, 8} have only 1 + 4.5. But 2.5 and 6.5 are not binary32 numbers, and
/// around 2 and 6 the error is 2 + 5.
#[test]
fn what_counts_is_the_error_around_binary32_centres() {
    let of = |spacings: f32| 1.0 + spacings * f32::EPSILON;
    let numbers = [5.0, 3.0, 2.0, 8.0, 2.0, 3.0].map(of);
    assert_eq!(centres(&numbers, 2), [of(3.0), of(8.0)]);
    assert_eq!(centres(&numbers.map(|number| -number), 2), [-of(8.0), -of(3.0)]);
}

/// The table of least errors for every end and number of clusters, filled without any shortcut. Sums of squares near 1
/// and −1 are 2^60 and more in units of 2^−23, where binary64 no longer resolves the errors of clusters.
#[test]
fn many_numbers_near_one_and_minus_one_are_clustered_exactly() {
    let one = 1_i128 << 23;
    let number = |i: i128| (one + i * i * 31 % 997) * if i % 3 == 0 { -1 } else { 1 };
    let numbers: Vec<i128> = (0..60_000).map(number).collect();
    let found = centres(&numbers.iter().map(|number| *number as f32 / one as f32).collect::<Vec<_>>(), 256);
    let found: Vec<i128> = found.iter().map(|centre| (f64::from(*centre) * one as f64) as i128).collect();
    let mut counts = BTreeMap::<i128, i128>::new();
    for number in &numbers {
        *counts.entry(*number).or_default() += 1;
    }
    let mut sums = vec![[0; 3]];
    for (number, count) in &counts {
        let [n, sum, square] = sums[sums.len() - 1];
        sums.push([n + count, sum + count * number, square + count * number * number]);
    }
    let one_cluster = |begin: usize, end: usize| {
        let [n, sum, square] = [0, 1, 2].map(|part| sums[end][part] - sums[begin][part]);
        let around = |centre: i128| square - 2 * centre * sum + n * centre * centre;
        around(sum.div_euclid(n)).min(around(sum.div_euclid(n) + 1))
    };
    let ends = 1..=counts.len();
    let clusters: Vec<Vec<i128>> =
        ends.clone().map(|end| (0..end).map(|begin| one_cluster(begin, end)).collect()).collect();
    let mut least: Vec<i128> = clusters.iter().map(|of_end| of_end[0]).collect();
    for _ in 1..256 {
        let with_one_more = |end: usize| {
            let cuts = least.iter().zip(&clusters[end - 1][1..]).map(|(before, last)| before + last);
            cuts.fold(least[end - 1], i128::min)
        };
        least = ends.clone().map(with_one_more).collect();
    }
    assert_eq!(error(&numbers, &found), least[counts.len() - 1]);
}

/// A range from the least to the largest binary32 number needs integers of 640 bits.
#[test]
fn all_of_binary32_is_one_range() {
    let least = f32::from_bits(1);
    let numbers = [0.0, least, 3.0 * least, 8.0 * least, 9.0 * least, f32::MAX, -f32::MAX];
    // By hand: {−MAX}, {0, 1, 3}, {8, 9}, {MAX}; 4/3 is nearest to 1, and 8.5 lies between 8, the even one, and 9.
    assert_eq!(centres(&numbers, 4), [-f32::MAX, least, 8.0 * least, f32::MAX]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Around 1 and −1 every binary32 number that can be a centre is tried: multiples of 2^−24 below 1 in magnitude, of
    /// 2^−23 above. Clusters of both signs are never among the best of two or more.
    #[test]
    fn no_cut_and_no_centre_is_better_near_one(
        numbers in prop::collection::vec((-12_i128..24, any::<bool>()), 1..10), k in 1_usize..5, one_side: bool,
    ) {
        let (one, one_side) = (1 << 24, one_side || k == 1);
        let binary32 = |offset: i128| one + if offset > 0 { offset & !1 } else { offset };
        let signed = |(offset, negative): (i128, bool)| {
            if negative && !one_side { -binary32(offset) } else { binary32(offset) }
        };
        let numbers: Vec<i128> = numbers.into_iter().map(signed).collect();
        let grid: Vec<i128> = (-12..=24).flat_map(|offset| [binary32(offset), -binary32(offset)]).collect();
        check(&numbers, k, 2.0_f64.powi(-24), &grid);
    }

    /// From 64 to 128 the binary32 numbers are the multiples of 2^−17: the two around every mean are tried.
    #[test]
    fn no_cut_is_better_among_whole_numbers(
        numbers in prop::collection::vec(64_i128..128, 1..9), k in 1_usize..5,
    ) {
        let scale = 1_i128 << 17;
        let numbers: Vec<i128> = numbers.into_iter().map(|number| number * scale).collect();
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        let mut grid = vec![];
        for from in 0..sorted.len() {
            for to in from + 1..=sorted.len() {
                let mean = sorted[from..to].iter().sum::<i128>() / (to - from) as i128;
                grid.extend([mean, mean + 1]);
            }
        }
        check(&numbers, k, 2.0_f64.powi(-17), &grid);
    }

    /// Numbers of any sign, within a factor of 256 of each other at any size, so that no number dominates: no set of k
    /// of the numbers themselves is better than the centres found.
    #[test]
    fn no_choice_of_numbers_is_better(
        bits in prop::collection::vec(any::<u32>(), 1..8),
        exponent in 8_u32..240,
        k in 1_usize..4,
    ) {
        let near = |bits: u32| f32::from_bits(bits & 0x807f_ffff | (exponent + (bits >> 23 & 7)) << 23);
        let numbers: Vec<f32> = bits.into_iter().map(near).collect();
        let cost = |centres: &[f32]| -> f64 {
            let to = |number: &f32| {
                let distances = centres.iter().map(|centre| (f64::from(*number) - f64::from(*centre)).powi(2));
                distances.fold(f64::INFINITY, f64::min)
            };
            numbers.iter().map(to).sum()
        };
        let found = cost(&centres(&numbers, k));
        for at in 0..numbers.len().pow(k as u32) {
            let choose = |place: usize| numbers[at / numbers.len().pow(place as u32) % numbers.len()];
            let chosen: Vec<f32> = (0..k).map(choose).collect();
            prop_assert!(found <= cost(&chosen) * (1.0 + 1e-12), "{:?} {:?}", numbers, chosen);
        }
    }
}

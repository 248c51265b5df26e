//! The k numbers that stand for many with the least squared error: exact k-means in one dimension.
//! Knows nothing of tensors and codes.
//!
//! The clusters of sorted numbers are intervals, and the least error of the first i numbers in k intervals follows
//! from those in k − 1 by dynamic programming (Wang, Song: *Ckmeans.1d.dp*, The R Journal 2011). Where the last
//! interval begins never goes back as i grows, so each row is found by divide and conquer in O(n log n)
//! (Grønlund et al.: *Fast Exact k-Means in 1D*, 2017).

/// Returns the k centres of least squared error, ascending; fewer if there are fewer different numbers. Of equal
/// errors the one whose intervals begin first counts. Sums are binary64 over the sorted numbers.
pub(crate) fn centres(numbers: &[f32], k: usize) -> Vec<f32> {
    let clusters = Clusters::of(numbers);
    let n = clusters.values.len();
    if n <= k {
        return clusters.values.iter().map(|value| *value as f32).collect();
    }
    let mut errors: Vec<f64> = (1..=n).map(|end| clusters.error(0, end)).collect();
    // Where the last interval begins, for every number of intervals above one and every end.
    let mut begins: Vec<Vec<u32>> = Vec::with_capacity(k - 1);
    for intervals in 2..=k {
        let mut row = Row { before: &errors, after: vec![0.0; n], begins: vec![0; n], clusters: &clusters };
        row.fill(intervals - 1..n, intervals - 1, n - 1);
        let Row { after, begins: found, .. } = row;
        errors = after;
        begins.push(found);
    }
    let mut end = n;
    let mut centres = Vec::with_capacity(k);
    for found in begins.iter().rev() {
        let begin = found[end - 1] as usize;
        centres.push(clusters.mean(begin, end) as f32);
        end = begin;
    }
    centres.push(clusters.mean(0, end) as f32);
    centres.reverse();
    centres.dedup();
    centres
}

/// Different numbers in ascending order, with sums up to each of them: of counts, numbers and squares.
struct Clusters {
    values: Vec<f64>,
    sums: Vec<[f64; 3]>,
    /// What the summed numbers are less by: so they lose least when squares are subtracted.
    middle: f64,
}

impl Clusters {
    fn of(numbers: &[f32]) -> Self {
        let mut sorted: Vec<f64> = numbers.iter().map(|number| f64::from(*number) + 0.0).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let middle = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
        let mut runs: Vec<(f64, f64)> = vec![];
        for number in sorted {
            match runs.last_mut() {
                Some((value, count)) if *value == number => *count += 1.0,
                _ => runs.push((number, 1.0)),
            }
        }
        // Sums start in the middle and go both ways, so that far numbers do not drown those between them.
        let start = runs.partition_point(|(value, _)| *value < middle);
        let mut sums = vec![[0.0; 3]; runs.len() + 1];
        let of = |(value, count): (f64, f64)| {
            let shifted = value - middle;
            [count, count * shifted, count * shifted * shifted]
        };
        for at in start..runs.len() {
            let (sum, new) = (sums[at], of(runs[at]));
            sums[at + 1] = [0, 1, 2].map(|part| sum[part] + new[part]);
        }
        for at in (0..start).rev() {
            let (sum, new) = (sums[at + 1], of(runs[at]));
            sums[at] = [0, 1, 2].map(|part| sum[part] - new[part]);
        }
        let values = runs.into_iter().map(|(value, _)| value).collect();
        Self { values, sums, middle }
    }

    /// Returns the squared error of the numbers `begin..end` around their mean; `begin` is below `end`.
    fn error(&self, begin: usize, end: usize) -> f64 {
        let ([n0, s0, q0], [n1, s1, q1]) = (self.sums[begin], self.sums[end]);
        let sum = s1 - s0;
        ((q1 - q0) - sum * sum / (n1 - n0)).max(0.0)
    }

    fn mean(&self, begin: usize, end: usize) -> f64 {
        let ([n0, s0, _], [n1, s1, _]) = (self.sums[begin], self.sums[end]);
        self.middle + (s1 - s0) / (n1 - n0)
    }
}

/// One row of the table: the least errors with one interval more.
struct Row<'a> {
    before: &'a [f64],
    after: Vec<f64>,
    begins: Vec<u32>,
    clusters: &'a Clusters,
}

impl Row<'_> {
    /// Fills the places of `last`, the last number of the last interval, which begins between `least` and `most`.
    fn fill(&mut self, last: std::ops::Range<usize>, least: usize, most: usize) {
        if last.is_empty() {
            return;
        }
        let middle = last.start.midpoint(last.end - 1);
        let mut best = (f64::INFINITY, least);
        for begin in least..=most.min(middle) {
            let error = self.before[begin - 1] + self.clusters.error(begin, middle + 1);
            if error < best.0 {
                best = (error, begin);
            }
        }
        self.after[middle] = best.0;
        self.begins[middle] = best.1 as u32;
        self.fill(last.start..middle, least, best.1);
        self.fill(middle + 1..last.end, best.1, most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Returns the least error by trying every way to cut.
    fn least_error(numbers: &[f64], k: usize) -> f64 {
        if k == 1 || numbers.len() <= 1 {
            let mean = numbers.iter().sum::<f64>() / numbers.len().max(1) as f64;
            return numbers.iter().map(|number| (number - mean).powi(2)).sum();
        }
        (1..=numbers.len())
            .map(|cut| least_error(&numbers[..cut], 1) + least_error(&numbers[cut..], k - 1))
            .fold(f64::INFINITY, f64::min)
    }

    fn error(numbers: &[f32], centres: &[f32]) -> f64 {
        let to = |number: &f32| {
            let distances = centres.iter().map(|centre| (f64::from(*number) - f64::from(*centre)).powi(2));
            distances.fold(f64::INFINITY, f64::min)
        };
        numbers.iter().map(to).sum()
    }

    /// Worked by hand: {1, 2}, {10, 11, 12}, {30}.
    #[test]
    fn plain_clusters_are_found() {
        assert_eq!(centres(&[11.0, 2.0, 30.0, 10.0, 1.0, 12.0], 3), [1.5, 11.0, 30.0]);
        assert_eq!(centres(&[3.0, 3.0, -1.0], 4), [-1.0, 3.0]);
        assert_eq!(centres(&[], 4), Vec::<f32>::new());
    }

    /// A far number on either side takes nothing from the others: four clusters of two beside it.
    #[test]
    fn far_numbers_do_no_harm() {
        let near = [0.01, 0.011, 0.02, 0.021, 0.03, 0.031, 0.04, 0.041];
        for far in [-1e8, 1e8] {
            let numbers: Vec<f32> = near.into_iter().chain([far]).collect();
            assert!(error(&numbers, &centres(&numbers, 5)) < 3e-6, "{far}");
        }
    }

    proptest! {
        #[test]
        fn no_cut_is_better(numbers in prop::collection::vec(-50_i8..50, 1..11), k in 1_usize..5) {
            let numbers: Vec<f32> = numbers.into_iter().map(|number| f32::from(number) / 8.0).collect();
            let mut sorted: Vec<f64> = numbers.iter().map(|number| f64::from(*number)).collect();
            sorted.sort_by(f64::total_cmp);
            let (found, least) = (error(&numbers, &centres(&numbers, k)), least_error(&sorted, k));
            prop_assert!(found <= least + 1e-6, "{} > {}", found, least);
        }
    }
}

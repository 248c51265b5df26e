//! Sums of many numbers in an order that never changes, in 16 interleaved parts so that they are quick.
//! Knows nothing of what is summed.

const LANES: usize = 16;

/// Returns the sum of the numbers.
pub(crate) fn sum(numbers: &[f32]) -> f32 {
    let (whole, rest) = numbers.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for part in whole {
        sums.iter_mut().zip(part).for_each(|(sum, number)| *sum += number);
    }
    sums.iter_mut().zip(rest).for_each(|(sum, number)| *sum += number);
    sums.iter().fold(0.0, |all, sum| all + sum)
}

/// Returns the sum over pairs of what `term` makes of them, in binary64.
pub(crate) fn sum_of(a: &[f32], b: &[f32], term: impl Fn(f64, f64) -> f64) -> f64 {
    let ((whole, rest), (whole_b, rest_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [0.0; LANES];
    let mut add = |a: &[f32], b: &[f32]| {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += term(f64::from(*a), f64::from(*b));
        }
    };
    whole.iter().zip(whole_b).for_each(|(a, b)| add(a, b));
    add(rest, rest_b);
    sums.iter().fold(0.0, |all, sum| all + sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_counted_once() {
        for n in [0, 1, 15, 16, 17, 100] {
            let numbers: Vec<f32> = (1..=n).map(|i| i as f32).collect();
            assert_eq!(sum(&numbers), (n * (n + 1) / 2) as f32);
            let squares: usize = (1..=n).map(|i| i * i).sum();
            assert_eq!(sum_of(&numbers, &numbers, |a, b| a * b), squares as f64);
        }
    }
}

//! Inverted dropout (Srivastava et al. 2014), in place: each element has a random number u in [0, 1);
//! elements with u ≥ p are multiplied by 1 / (1 − p), and the others become 0. Knows nothing of neighbouring
//! layers. All rates p share the same u, which depends on the stream and the element only: elements kept at a
//! high rate are also kept at a lower rate. Elements are numbered in memory order: block by block, line by
//! line, image by image.

use crate::backend::own::kernels::lanes::{LANES, Lanes, vectorized, zip_each};
use crate::random::Stream;

/// Number of random bits of u.
const BITS: u32 = 24;

/// Number of lines whose random numbers are drawn together.
const BATCH: usize = 16;

/// Drops elements with probability p and writes the factor of each element, 0 or 1 / (1 − p), to `factors`. The first
/// line is line `first` of the batch.
pub(crate) fn forward(p: f64, stream: Stream, first: usize, x: &mut [Lanes], factors: &mut [Lanes]) {
    let (least, scale) = (threshold(p), scale(p));
    vectorized(
        (x, factors),
        #[inline(always)]
        |(x, factors): (&mut [Lanes], &mut [Lanes])| {
            let mut bits = [0; LANES * BATCH];
            let batches = x.chunks_mut(BATCH).zip(factors.chunks_mut(BATCH));
            for (batch, (x, factors)) in batches.enumerate() {
                let line = first + batch * BATCH;
                stream.fill((line * LANES) as u64, &mut bits[..x.len() * LANES]);
                for ((x, factors), bits) in x.iter_mut().zip(factors).zip(bits.as_chunks::<LANES>().0) {
                    // The closure uses masks, because the compiler does not vectorize branches.
                    let factor = |bits: u32| {
                        let kept = u32::from(bits >> (32 - BITS) >= least).wrapping_neg();
                        f32::from_bits(scale.to_bits() & kept)
                    };
                    let (drawn, numbers) = (bits.map(factor), x.0);
                    factors.0 = drawn;
                    x.0 = std::array::from_fn(|lane| numbers[lane] * drawn[lane]);
                }
            }
        },
    );
}

/// Multiplies the gradient by the factors of the forward pass.
pub(crate) fn backward(factors: &[Lanes], gradient: &mut [Lanes]) {
    zip_each(gradient, factors, |gradient, factor| gradient * factor);
}

/// Returns the factor of an element with these random bits.
pub(crate) fn factor_of(p: f64, bits: u32) -> f32 {
    if bits >> (32 - BITS) >= threshold(p) { scale(p) } else { 0.0 }
}

fn threshold(p: f64) -> u32 {
    libm::ceil(p * f64::from(1_u32 << BITS)) as u32
}

fn scale(p: f64) -> f32 {
    (1.0 / (1.0 - p)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::own::kernels::lanes::zeros;

    fn kept(p: f64, n: usize) -> Vec<bool> {
        let mut factors = zeros(n.div_ceil(LANES));
        let mut ones = vec![Lanes([1.0; LANES]); factors.len()];
        forward(p, Stream::new(3, "dropout", "0"), 0, &mut ones, &mut factors);
        factors.iter().flat_map(|line| line.0).map(|factor| factor != 0.0).collect()
    }

    #[test]
    fn the_share_dropped_is_p_and_masks_nest() {
        let n = 20_000;
        let masks = [0.1, 0.5, 0.9].map(|p| (p, kept(p, n)));
        for (p, mask) in &masks {
            let share = mask.iter().filter(|kept| !**kept).count() as f64 / n as f64;
            // Five standard deviations of a binomial share.
            assert!((share - p).abs() < 5.0 * (p * (1.0 - p) / n as f64).sqrt(), "{p}: {share}");
        }
        for pair in masks.windows(2) {
            assert!(pair[1].1.iter().zip(&pair[0].1).all(|(rarer, kept)| !rarer || *kept));
        }
    }

    #[test]
    fn an_element_meets_the_definition_wherever_it_lies() {
        let stream = Stream::new(3, "dropout", "0");
        let (first, lines) = (BATCH + 5, 2 * BATCH + 3);
        let mask = kept(0.3, lines * LANES);
        assert!((0..mask.len()).all(|at| mask[at] == (f64::from(stream.unit(at as u64)) >= 0.3)));
        let (mut x, mut gradient) = (vec![Lanes([3.0; LANES]); lines], vec![Lanes([5.0; LANES]); lines]);
        let mut factors = zeros(lines);
        forward(0.75, stream, first, &mut x, &mut factors);
        let expected = |at: usize| f64::from(stream.unit((first * LANES + at) as u64)) >= 0.75;
        let kept = factors.iter().flat_map(|line| line.0).map(|factor| factor != 0.0);
        assert!(kept.enumerate().all(|(at, kept)| kept == expected(at)));
        backward(&factors, &mut gradient);
        for (at, factors) in factors.iter().enumerate() {
            assert!(factors.0.iter().all(|factor| [0.0, 4.0].contains(factor)));
            assert_eq!(x[at].0, factors.0.map(|factor| 3.0 * factor));
            assert_eq!(gradient[at].0, factors.0.map(|factor| 5.0 * factor));
        }
    }
}

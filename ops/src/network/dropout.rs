//! Inverted Dropout (Srivastava et al. 2014), in place: an element stays iff u ≥ p, and is then divided by 1 − p.
//! Knows nothing of the layers around it. u depends on the stream and the element only, never on p: masks nest.

use rayon::prelude::*;

use super::numbers::BLOCK;
use crate::random::Stream;

/// Random bits of one u.
const BITS: u32 = 24;

/// Drops elements, and remembers in `kept` which ones stay.
pub(crate) fn forward(p: f64, stream: Stream, x: &mut [f32], kept: &mut [bool]) {
    let (least, scale) = (threshold(p), scale(p));
    let blocks = x.par_chunks_mut(BLOCK).zip(kept.par_chunks_mut(BLOCK)).enumerate();
    blocks.for_each(|(at, (x, kept))| {
        let first = (at * BLOCK / 4) as u64;
        for (block, (x, kept)) in (first..).zip(x.chunks_mut(4).zip(kept.chunks_mut(4))) {
            for ((x, kept), bits) in x.iter_mut().zip(kept).zip(stream.block(block)) {
                *kept = bits >> (32 - BITS) >= least;
                *x = if *kept { *x * scale } else { 0.0 };
            }
        }
    });
}

/// Does to the gradient what was done to the numbers.
pub(crate) fn backward(p: f64, kept: &[bool], gradient: &mut [f32]) {
    let scale = scale(p);
    gradient.par_chunks_mut(BLOCK).zip(kept.par_chunks(BLOCK)).for_each(|(gradient, kept)| {
        gradient.iter_mut().zip(kept).for_each(|(x, kept)| *x = if *kept { *x * scale } else { 0.0 });
    });
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

    fn kept(p: f64, n: usize) -> Vec<bool> {
        let mut kept = vec![false; n];
        forward(p, Stream::new(3, "dropout", "0"), &mut vec![1.0; n], &mut kept);
        kept
    }

    #[test]
    fn the_share_dropped_is_p_and_masks_nest() {
        let n = 20_000;
        let masks = [0.1, 0.5, 0.9].map(|p| (p, kept(p, n)));
        for (p, mask) in &masks {
            let share = mask.iter().filter(|kept| !**kept).count() as f64 / n as f64;
            // Five deviations of a binomial share.
            assert!((share - p).abs() < 5.0 * (p * (1.0 - p) / n as f64).sqrt(), "{p}: {share}");
        }
        for pair in masks.windows(2) {
            assert!(pair[1].1.iter().zip(&pair[0].1).all(|(rarer, kept)| !rarer || *kept));
        }
    }

    #[test]
    fn an_element_meets_the_definition_wherever_it_lies() {
        let stream = Stream::new(3, "dropout", "0");
        let n = BLOCK + 3;
        let mask = kept(0.3, n);
        assert!((0..n).all(|at| mask[at] == (f64::from(stream.unit(at as u64)) >= 0.3)));
        let (mut x, mut mask, mut gradient) = (vec![3.0; n], vec![false; n], vec![5.0; n]);
        forward(0.75, stream, &mut x, &mut mask);
        backward(0.75, &mask, &mut gradient);
        let expected = |at: usize, number: f32| if mask[at] { number * 4.0 } else { 0.0 };
        assert!((0..n).all(|at| x[at] == expected(at, 3.0) && gradient[at] == expected(at, 5.0)));
    }
}

//! The gradient of the mean cross-entropy of a batch at its logits. Knows nothing of the network that computed them.

use rayon::prelude::*;

use crate::backend::own::kernels::lanes::{LANES, Lanes, read_lane};
use crate::loss::{Prediction, exponential as exponential_of, largest as largest_of};

/// Least magnitude of a nonzero gradient at a logit. A smaller gradient becomes 0, so that the backward pass
/// rarely meets subnormal numbers, on which arithmetic is a hundred times slower.
const LEAST_GRADIENT: f32 = 1.0 / (1_u64 << 60) as f32;

/// Returns the prediction of each image, and writes the gradient of the mean loss at the logits to
/// the buffer of each block. The gradient is 0 in lanes without an image.
pub(crate) fn backward<'a>(
    blocks: impl IndexedParallelIterator<Item = (&'a [Lanes], &'a mut [Lanes])>,
    labels: &[u8],
) -> Vec<Prediction> {
    let share = 1.0 / labels.len() as f64;
    let verdicts: Vec<Vec<Prediction>> = blocks
        .zip(labels.par_chunks(LANES))
        .map(|((logits, gradient), labels)| {
            gradient.fill(Lanes::ZERO);
            let (mut row, mut exponentials) = (vec![0.0; logits.len()], vec![0.0; logits.len()]);
            let judge = |(lane, label): (usize, &u8)| {
                read_lane(logits, lane, &mut row);
                let largest = largest_of(&row);
                for (exponential, logit) in exponentials.iter_mut().zip(&row) {
                    *exponential = exponential_of(*logit, largest.1);
                }
                let total = exponentials.iter().sum::<f64>();
                for (class, (line, exponential)) in gradient.iter_mut().zip(&exponentials).enumerate() {
                    let expected = if class == usize::from(*label) { share } else { 0.0 };
                    let exact = (exponential * (share / total) - expected) as f32;
                    line.0[lane] = if exact.abs() < LEAST_GRADIENT { 0.0 } else { exact };
                }
                Prediction::judge(&row, *label, largest, total)
            };
            labels.iter().enumerate().map(judge).collect()
        })
        .collect();
    verdicts.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gradient_that_would_become_subnormal_is_zero() {
        let line = |first: f32, second: f32| {
            Lanes(std::array::from_fn(|lane| [first, second].get(lane).copied().unwrap_or(f32::NAN)))
        };
        let mut gradient = [line(9.0, 9.0); 2];
        let logits = [line(50.0, 0.0), line(0.0, 40.0)];
        backward([(&logits[..], &mut gradient[..])].into_par_iter(), &[0, 1]);
        assert_eq!([gradient[0].0[0], gradient[1].0[0], gradient[1].0[2]], [0.0; 3]);
        assert!((f64::from(gradient[0].0[1]) / (0.5 * (-40.0_f64).exp()) - 1.0).abs() < 1e-6);
    }
}

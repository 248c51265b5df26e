//! Softmax cross-entropy, −ln softmax(logits)[label], in binary64, and its gradient at the logits. Knows
//! nothing of the network that computed the logits.

use rayon::prelude::*;

use crate::network::kernels::lanes::{LANES, Lanes, read_lane};

/// Least magnitude of a nonzero gradient at a logit. A smaller gradient becomes 0, so that the backward pass
/// rarely meets subnormal numbers, on which arithmetic is a hundred times slower.
const LEAST_GRADIENT: f32 = 1.0 / (1_u64 << 60) as f32;

/// The prediction and the loss of one row of logits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Prediction {
    /// Cross-entropy with the label, in nats.
    pub loss: f64,
    /// Class of the largest logit, and the lowest class among equal logits; valid only if `finite`.
    class: usize,
    /// Whether every logit is finite.
    pub finite: bool,
}

impl Prediction {
    /// Returns the predicted class; `None` if a logit is not finite.
    pub(crate) fn answer(&self) -> Option<usize> {
        self.finite.then_some(self.class)
    }

    /// Computes the prediction and the loss of a row of logits.
    pub(crate) fn new(logits: &[f32], label: u8) -> Self {
        let (class, largest) = largest(logits);
        let total = logits.iter().map(|logit| exponential(*logit, largest)).sum();
        Self::judge(logits, label, (class, largest), total)
    }

    fn judge(logits: &[f32], label: u8, (class, largest): (usize, f32), total: f64) -> Self {
        let finite = logits.iter().all(|logit| logit.is_finite());
        let label = logits.get(usize::from(label)).copied().unwrap_or(f32::NAN);
        Self { loss: libm::log(total) + f64::from(largest) - f64::from(label), class, finite }
    }
}

/// Returns the prediction of each image, and writes the gradient of the mean loss at the logits to
/// `gradient`. The gradient is 0 in lanes without an image.
pub(crate) fn backward(
    classes: usize,
    logits: &[Lanes],
    labels: &[u8],
    gradient: &mut [Lanes],
) -> Vec<Prediction> {
    let share = 1.0 / labels.len() as f64;
    let blocks = logits.par_chunks_exact(classes).zip(gradient.par_chunks_exact_mut(classes));
    let verdicts: Vec<Vec<Prediction>> = blocks
        .zip(labels.par_chunks(LANES))
        .map(|((logits, gradient), labels)| {
            gradient.fill(Lanes::ZERO);
            let (mut row, mut exponentials) = (vec![0.0; classes], vec![0.0; classes]);
            let judge = |(lane, label): (usize, &u8)| {
                read_lane(logits, lane, &mut row);
                let largest = largest(&row);
                for (exponential, logit) in exponentials.iter_mut().zip(&row) {
                    *exponential = self::exponential(*logit, largest.1);
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

fn largest(logits: &[f32]) -> (usize, f32) {
    let first = (0, logits.first().copied().unwrap_or(f32::NAN));
    logits.iter().copied().enumerate().fold(first, |best, next| if next.1 > best.1 { next } else { best })
}

fn exponential(logit: f32, largest: f32) -> f64 {
    libm::exp(f64::from(logit) - f64::from(largest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_meets_the_definition() {
        let verdict = Prediction::new(&[1.0, 3.0, 3.0], 0);
        let expected = (1.0_f64.exp() + 2.0 * 3.0_f64.exp()).ln() - 1.0;
        assert!((verdict.loss - expected).abs() < 1e-12);
        assert_eq!((verdict.answer(), verdict.finite), (Some(1), true));
        assert_eq!(Prediction::new(&[-3e38, 3e38], 1), Prediction { loss: 0.0, class: 1, finite: true });
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let verdict = Prediction::new(&[0.0, bad], 0);
            assert_eq!((verdict.finite, verdict.answer()), (false, None));
        }
    }

    #[test]
    fn a_gradient_that_would_become_subnormal_is_zero() {
        let line = |first: f32, second: f32| {
            Lanes(std::array::from_fn(|lane| [first, second].get(lane).copied().unwrap_or(f32::NAN)))
        };
        let mut gradient = [line(9.0, 9.0); 2];
        backward(2, &[line(50.0, 0.0), line(0.0, 40.0)], &[0, 1], &mut gradient);
        assert_eq!([gradient[0].0[0], gradient[1].0[0], gradient[1].0[2]], [0.0; 3]);
        assert!((f64::from(gradient[0].0[1]) / (0.5 * (-40.0_f64).exp()) - 1.0).abs() < 1e-6);
    }
}

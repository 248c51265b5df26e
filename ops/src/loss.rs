//! Softmax cross-entropy, −ln softmax(logits)[label], in binary64. Knows nothing of the network that
//! computed the logits.

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

    pub(crate) fn judge(logits: &[f32], label: u8, (class, largest): (usize, f32), total: f64) -> Self {
        let finite = logits.iter().all(|logit| logit.is_finite());
        let label = logits.get(usize::from(label)).copied().unwrap_or(f32::NAN);
        Self { loss: libm::log(total) + f64::from(largest) - f64::from(label), class, finite }
    }
}

/// Returns the class of the largest logit, the lowest among equal ones, and the logit.
pub(crate) fn largest(logits: &[f32]) -> (usize, f32) {
    let first = (0, logits.first().copied().unwrap_or(f32::NAN));
    logits.iter().copied().enumerate().fold(first, |best, next| if next.1 > best.1 { next } else { best })
}

/// Returns exp(logit − largest).
pub(crate) fn exponential(logit: f32, largest: f32) -> f64 {
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
}

//! The accuracy and the loss of a trained network on labelled images. Knows nothing of splits or intervals.

use rayon::prelude::*;

use crate::backend::own::inference::InferenceError;
use crate::backend::{Device, logits};
use crate::dataset::images::Images;
use crate::loss::{Prediction, largest};
use crate::network::model::Model;

/// The smallest number of images per unit of parallel work.
const ROWS: usize = 256;

/// The results of a network on labelled images, per image, per class and overall.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// For each image, the class of the largest logit, and the lowest class among equal logits; `None` if a
    /// logit is not finite.
    pub predictions: Vec<Option<u32>>,
    /// For each image, whether the prediction equals the label; false if a logit is not finite.
    pub correct: Vec<bool>,
    /// For each image, the cross-entropy in nats; `None` if a logit is not finite.
    pub losses: Vec<Option<f64>>,
    /// Mean cross-entropy in nats over the images with finite logits; `None` without such images.
    pub loss: Option<f64>,
    /// For each class, the number of its images with a correct prediction.
    pub class_correct: Vec<u64>,
    /// For each class, the number of its images.
    pub class_total: Vec<u64>,
    /// Number of images with a logit that is not finite; such images count as wrong.
    pub non_finite: u64,
}

impl Evaluation {
    /// Returns the number of images with a correct prediction.
    #[must_use]
    pub fn correct_count(&self) -> u64 {
        self.class_correct.iter().sum()
    }

    /// Returns the share of images with a correct prediction, in [0, 1]; `None` without images.
    #[must_use]
    pub fn accuracy(&self) -> Option<f64> {
        (!self.correct.is_empty()).then(|| self.correct_count() as f64 / self.correct.len() as f64)
    }

    /// Returns the accuracy of a constant prediction of the most frequent class, in [0, 1]; `None` without
    /// images.
    #[must_use]
    pub fn chance(&self) -> Option<f64> {
        let most = self.class_total.iter().max().copied()?;
        (!self.correct.is_empty()).then(|| most as f64 / self.correct.len() as f64)
    }
}

/// Evaluates a network on labelled images. The sum of the losses has the order of the images. Errors if the
/// caller cancels, the images have no labels or do not fit the network, or a tensor is unusable.
pub fn evaluate(
    device: Device,
    model: &Model,
    images: &Images,
    cancelled: &dyn Fn() -> bool,
) -> Result<Evaluation, InferenceError> {
    let labels = images.labels.as_ref().ok_or(InferenceError::Unlabelled)?;
    let logits = logits(device, model, images, cancelled)?;
    Ok(judge(&logits, &labels.numbers, labels.classes))
}

/// Returns the class that a network gives each image: that of the largest logit, and the lowest class among equal logits;
/// `None` if a logit is not finite. Errors if the caller cancels, the images do not fit the network or a tensor is unusable.
pub fn predict(
    model: &Model,
    images: &Images,
    cancelled: &dyn Fn() -> bool,
) -> Result<Vec<Option<u32>>, InferenceError> {
    let logits = logits(Device::Cpu, model, images, cancelled)?;
    let rows = logits.par_chunks_exact(model.network().classes.max(2)).with_min_len(ROWS);
    let answer = |row: &[f32]| row.iter().all(|logit| logit.is_finite()).then(|| largest(row).0 as u32);
    Ok(rows.map(answer).collect())
}

fn judge(logits: &[f32], labels: &[u8], classes: usize) -> Evaluation {
    let mut evaluation = Evaluation {
        predictions: Vec::with_capacity(labels.len()),
        correct: Vec::with_capacity(labels.len()),
        losses: Vec::with_capacity(labels.len()),
        loss: None,
        class_correct: vec![0; classes],
        class_total: vec![0; classes],
        non_finite: 0,
    };
    let rows = logits.par_chunks_exact(classes).zip(labels).with_min_len(ROWS);
    let verdicts: Vec<Prediction> = rows.map(|(logits, label)| Prediction::new(logits, *label)).collect();
    let mut loss = 0.0;
    for (verdict, label) in verdicts.into_iter().zip(labels) {
        let class = usize::from(*label);
        let correct = verdict.answer() == Some(class);
        evaluation.predictions.push(verdict.answer().map(|class| class as u32));
        evaluation.correct.push(correct);
        evaluation.class_total[class] += 1;
        evaluation.class_correct[class] += u64::from(correct);
        evaluation.non_finite += u64::from(!verdict.finite);
        evaluation.losses.push(verdict.finite.then_some(verdict.loss));
        loss += if verdict.finite { verdict.loss } else { 0.0 };
    }
    let finite = labels.len() as u64 - evaluation.non_finite;
    evaluation.loss = (finite > 0).then(|| loss / finite as f64);
    evaluation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_lowest_class_and_what_is_not_finite_is_wrong() {
        let logits = [1.0, 1.0, 0.0, 2.0, f32::NAN, 5.0, f32::INFINITY, 0.0];
        let evaluation = judge(&logits, &[0, 1, 1, 0], 2);
        assert_eq!(evaluation.correct, [true, true, false, false]);
        assert_eq!(evaluation.predictions, [Some(0), Some(1), None, None]);
        assert_eq!(
            (evaluation.class_correct.as_slice(), evaluation.class_total.as_slice()),
            (&[1, 1][..], &[2, 2][..])
        );
        assert_eq!(
            (evaluation.non_finite, evaluation.correct_count(), evaluation.accuracy()),
            (2, 2, Some(0.5))
        );
        let expected = f64::midpoint(2.0_f64.ln(), (1.0 + (-2.0_f64).exp()).ln());
        assert!((evaluation.loss.unwrap() - expected).abs() < 1e-12);
        assert_eq!(judge(&logits[4..], &[1, 0], 2).loss, None);
    }
}

//! Inference on candle: the logits of images from a trained network. Knows nothing of labels.

use super::device::{images_to_device, open, to_device};
use super::forward::{Mode, Statistics, forward};
use crate::backend::own::inference::InferenceError;
use crate::backend::{BackendError, CandleDevice};
use crate::dataset::images::Images;
use crate::network::model::Model;

/// Images per call.
const BATCH: usize = 256;

/// Computes the logits of images, one row per image. Errors if the caller cancels or the device fails.
pub(crate) fn logits(
    device: CandleDevice,
    model: &Model,
    images: &Images,
    cancelled: &dyn Fn() -> bool,
) -> Result<Vec<f32>, InferenceError> {
    let device = open(device)?;
    let parameters = model.network().parameters().into_iter();
    let tensors = parameters.map(|spec| to_device(&model.tensors()[&spec.name], &device));
    let tensors = tensors.collect::<candle_core::Result<Vec<_>>>().map_err(BackendError::from)?;
    let mut logits = Vec::with_capacity(images.len() * model.network().classes);
    // A trained network has no batch normalization.
    let running = Statistics::new();
    for first in (0..images.len()).step_by(BATCH) {
        if cancelled() {
            return Err(InferenceError::Cancelled);
        }
        let places: Vec<u32> = (first..images.len().min(first + BATCH)).map(|place| place as u32).collect();
        let computed = images_to_device(images, &places, model.network().input, &device)
            .and_then(|x| forward(model.network(), &tensors, &x, Mode::Evaluation(&running)))
            .and_then(|logits| logits.flatten_all()?.to_vec1::<f32>());
        logits.extend(computed.map_err(BackendError::from)?);
    }
    Ok(logits)
}

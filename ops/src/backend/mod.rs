//! What computes with networks: the own kernels on the CPU, or candle on any of its devices.
//!
//! Two backends are the reason for [`Trainer`]: from a network and weights, each makes something that takes training
//! steps and gives up its state, and each computes logits. Weights cross this seam as plain arrays.
//!
//! The own kernels give the same bits for the same configuration and images, whatever the number of threads and the
//! instruction set. Random numbers are addressed by element, not drawn in sequence; the order of every sum depends on
//! shapes, never on the number of threads; logarithms and exponentials come from `libm`; no function changes a thread's
//! floating-point environment. All work runs in the rayon pool of the caller.

#[cfg(test)]
mod agreement;
pub(crate) mod candle;
pub mod own;

use crate::backend::candle::device::open;
use crate::backend::candle::trainer::CandleTrainer;
use crate::backend::own::inference::InferenceError;
use crate::backend::own::trainer::OwnTrainer;
use crate::dataset::images::Images;
use crate::integer;
use crate::network::definition::Network;
use crate::network::fit::{self, ImageKind, NetworkMismatch};
use crate::network::model::Model;
use crate::training::batch::Batch;
use crate::training::config::Optimizer;
use crate::training::state::TrainingState;

/// The device that computes with a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// The own kernels on the CPU.
    #[default]
    Cpu,
    /// candle.
    Candle(CandleDevice),
}

/// A device of candle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CandleDevice {
    /// The CPU.
    #[default]
    Cpu,
    /// The CUDA device of this number.
    Cuda(usize),
    /// The Metal device of this number.
    Metal(usize),
}

impl Device {
    /// Returns the kind of device as it enters keys and provenance; `None` for the own kernels.
    #[must_use]
    pub fn candle_kind(self) -> Option<&'static str> {
        match self {
            Self::Cpu => None,
            Self::Candle(CandleDevice::Cpu) => Some("candle-cpu"),
            Self::Candle(CandleDevice::Cuda(_)) => Some("candle-cuda"),
            Self::Candle(CandleDevice::Metal(_)) => Some("candle-metal"),
        }
    }
}

/// An error of a backend, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BackendError(pub(crate) String);

/// One step of a training.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// The seed of the dropout masks.
    pub seed: u64,
    /// The epoch and the step within it, from 0: every step has masks of its own.
    pub moment: [usize; 2],
    /// The number of the step over all epochs, from 1.
    pub number: usize,
    /// The update rule, and the factor of its learning rate.
    pub optimizer: Optimizer,
    pub factor: f64,
}

/// The figures of a step, from before its update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct StepFigures {
    /// Sum of the losses of the batch, in nats. If it is not finite, there was no update.
    pub loss: f64,
    /// Number of correct predictions.
    pub correct: usize,
}

/// A network in training.
pub(crate) trait Trainer {
    /// Computes the loss of a batch and its gradient, and updates the parameters.
    fn step(&mut self, batch: &Batch<'_>, step: Step) -> Result<StepFigures, BackendError>;

    /// Returns the parameters, the moments and the running statistics.
    fn state(&self) -> Result<TrainingState, BackendError>;

    /// Replaces them.
    fn restore(&mut self, state: TrainingState) -> Result<(), BackendError>;
}

/// Prepares a training on a device, in batches of at most `batch` images.
pub(crate) fn trainer(
    device: Device,
    network: &Network,
    state: TrainingState,
    rule: Optimizer,
    batch: usize,
) -> Result<Box<dyn Trainer>, BackendError> {
    Ok(match device {
        Device::Cpu => Box::new(OwnTrainer::new(network, state, batch)?),
        Device::Candle(device) => Box::new(CandleTrainer::new(network, &state, rule, &open(device)?)?),
    })
}

/// Checks that a network can take some images.
pub(crate) fn check(network: &Network, images: &Images) -> Result<(), NetworkMismatch> {
    let takes = ImageKind { shape: network.input, classes: Some(network.classes) };
    let classes = images.labels.as_ref().map(|labels| labels.classes);
    fit::check(takes, ImageKind { shape: images.shape, classes })
}

/// Computes the logits of images on a device, one row per image, which has two numbers where the network has a single
/// output: its number is the logit of the second class against the first. Errors if the caller cancels, the images do not fit
/// the network, or the device fails.
pub(crate) fn logits(
    device: Device,
    model: &Model,
    images: &Images,
    cancelled: &dyn Fn() -> bool,
) -> Result<Vec<f32>, InferenceError> {
    check(model.network(), images)?;
    let logits = match device {
        // Integers give the same bits on every device.
        _ if model.integers().is_some() => integer::inference::outputs(model, images, cancelled)?.logits(),
        Device::Cpu => own::inference::logits(model, images, cancelled)?,
        Device::Candle(device) => candle::inference::logits(device, model, images, cancelled)?,
    };
    if model.network().classes > 1 {
        return Ok(logits);
    }
    Ok(logits.into_iter().flat_map(|logit| [0.0, logit]).collect())
}

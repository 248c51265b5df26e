//! Training: epochs of steps, from initial weights or a checkpoint to the folded network. Knows nothing of
//! clocks, files or terminals: the caller's [`Observer`] handles these. The configuration and the images
//! determine every bit of the result, for any number of threads and any interruption.

pub(crate) mod batch;
mod checkpoint;
pub mod config;
pub(crate) mod dropout;
pub(crate) mod single_number;
pub(crate) mod state;
#[cfg(test)]
mod trials;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::backend::own::inference::InferenceError;
use crate::backend::{self, BackendError, Step, StepFigures, Trainer, trainer};
use crate::dataset::images::Images;
use crate::evaluation::evaluate;
use crate::network::definition::Network;
use crate::network::fold::fold;
use crate::network::model::{Model, ModelFileError};
use crate::training::batch::{Batches, Epoch};
use crate::training::checkpoint::{TrainingProgress, load, save};
use crate::training::config::TrainConfig;
use crate::training::single_number::single_number_norm;
use crate::training::state::TrainingState;

/// The caller's side of a training: cancels the training, receives the figures of epochs and stores
/// checkpoints.
///
/// The engine's tasks implement this trait for runs, and tests implement this trait to record calls.
pub trait Observer {
    /// Returns whether the training must stop. The training calls this method before every batch and during
    /// validation.
    fn cancelled(&self) -> bool;
    /// Receives the figures of an epoch at its end.
    fn epoch_ended(&mut self, figures: &EpochFigures);
    /// Returns whether a checkpoint is due. The training calls this method after every epoch but the last.
    fn checkpoint_due(&self) -> bool;
    /// Stores the bytes of a checkpoint, from which [`train`] can resume.
    fn checkpoint(&mut self, bytes: Vec<u8>);
}

/// The figures of one epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpochFigures {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Number of epochs of the training.
    pub epochs: usize,
    /// Mean loss over the training images, in nats. The loss of an image is measured before the update of its
    /// step.
    pub loss: f64,
    /// Share of the training images with a correct prediction, in [0, 1]. A prediction is made before the
    /// update of its step.
    pub accuracy: f64,
    /// Mean loss over the validation images with finite logits at the end of the epoch, in nats; `None`
    /// without such images.
    pub validation_loss: Option<f64>,
    /// Share of the validation images with a correct prediction at the end of the epoch, in [0, 1]; `None`
    /// without validation images.
    pub validation_accuracy: Option<f64>,
}

/// The figures of all completed epochs, one entry per epoch. The validation lists are empty without
/// validation images.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingCurves {
    /// Mean loss over the training images, in nats. The loss of an image is measured before the update of its
    /// step.
    pub loss: Vec<f64>,
    /// Share of the training images with a correct prediction, in [0, 1]. A prediction is made before the
    /// update of its step.
    pub accuracy: Vec<f64>,
    /// Mean loss over the validation images with finite logits at the end of the epoch, in nats; `None`
    /// without such images.
    pub validation_loss: Vec<Option<f64>>,
    /// Share of the validation images with a correct prediction at the end of the epoch, in [0, 1].
    pub validation_accuracy: Vec<f64>,
}

/// The result of a training.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The folded network.
    pub model: Model,
    /// Figures of all epochs.
    pub series: TrainingCurves,
    /// Number of training images, 0 or 1, that would be alone in the last batch of an epoch and are merged
    /// into the batch before; `None` if no batch normalization of the network needs more than one image.
    pub joined: Option<usize>,
}

/// An error that ends a training.
#[derive(Debug, Error)]
pub enum TrainError {
    /// The observer cancelled the training.
    #[error("cancelled")]
    Cancelled,
    /// The loss of a step is not finite. Epoch and step count from 1.
    #[error("the loss is not finite at epoch {epoch}, step {step}; try a smaller learning rate")]
    NotFinite {
        /// The epoch.
        epoch: usize,
        /// The step within the epoch.
        step: usize,
    },
    /// The images or the configuration do not allow a training.
    #[error("{what}")]
    Unusable {
        /// Description of the fault.
        what: String,
    },
    /// The checkpoint is damaged or belongs to another training; a training without the checkpoint can start.
    #[error("checkpoint: {what}")]
    Checkpoint {
        /// Description of the fault.
        what: String,
    },
    /// The backend failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The trained network does not form a model.
    #[error(transparent)]
    Model(#[from] ModelFileError),
    /// The validation images cannot be evaluated.
    #[error("validation: {0}")]
    Validation(InferenceError),
}

/// Trains a network from initial weights, or from the checkpoint `resume`, in the rayon pool of the caller.
/// `graph` must be the resolved form of `config.model`. Errors if the observer cancels, a loss is not finite,
/// or the images, the configuration or the checkpoint do not fit the network.
pub fn train(
    config: &TrainConfig,
    network: &Network,
    images: &Images,
    validation: &Images,
    resume: Option<&[u8]>,
    observer: &mut dyn Observer,
) -> Result<Trained, TrainError> {
    check(config, network, images)?;
    let mut training = Training::new(config, network, images)?;
    if let Some(bytes) = resume {
        let mut state = training.trainer.state()?;
        training.progress = load(bytes, network, &mut state, config.epochs, training.batches.count)?;
        training.trainer.restore(state)?;
    }
    while training.progress.epoch < config.epochs {
        let figures = training.epoch(validation, observer)?;
        observer.epoch_ended(&figures);
        if training.progress.epoch < config.epochs && observer.checkpoint_due() {
            observer.checkpoint(save(network, &training.trainer.state()?, &training.progress)?);
        }
    }
    let joined = single_number_norm(network).map(|_| training.batches.joined());
    Ok(Trained { model: training.model()?, series: training.progress.series, joined })
}

fn check(config: &TrainConfig, network: &Network, images: &Images) -> Result<(), TrainError> {
    let what = if config.batch == 0 || config.epochs == 0 {
        "batch and epochs must be at least 1".to_owned()
    } else if images.is_empty() {
        "there are no training images".to_owned()
    } else if images.labels.is_none() {
        "the training images have no labels, and training needs them".to_owned()
    } else if let Err(error) = backend::check(network, images) {
        error.to_string()
    } else if let (Some(norm), 1) = (single_number_norm(network), config.batch.min(images.len())) {
        alone(&norm.name)
    } else {
        return Ok(());
    };
    Err(TrainError::Unusable { what })
}

/// Returns the error text for a batch normalization that cannot train on batches of one image.
fn alone(norm: &str) -> String {
    format!(
        "{norm} has one number per channel in a batch of one image, and one number has no variance; train on 2 images or more, in batches of 2 or more"
    )
}

struct Training<'a> {
    config: &'a TrainConfig,
    network: &'a Network,
    images: &'a Images,
    trainer: Box<dyn Trainer>,
    progress: TrainingProgress,
    /// The division of an epoch into steps.
    batches: Batches,
}

impl<'a> Training<'a> {
    fn new(config: &'a TrainConfig, network: &'a Network, images: &'a Images) -> Result<Self, TrainError> {
        let batches = Batches::cut(images.len(), config.batch, single_number_norm(network).is_some());
        let state = TrainingState::new(network, config.init, config.optimizer, config.seed);
        let trainer = trainer(config.device, network, state, config.optimizer, batches.largest())?;
        Ok(Self { config, network, images, trainer, progress: TrainingProgress::default(), batches })
    }

    fn epoch(&mut self, validation: &Images, observer: &dyn Observer) -> Result<EpochFigures, TrainError> {
        let (mut loss, mut correct) = (0.0, 0);
        let epoch = Epoch::new(self.images, self.config.augment, self.config.seed, self.progress.epoch);
        for step in 0..self.batches.count {
            if observer.cancelled() {
                return Err(TrainError::Cancelled);
            }
            let (step_loss, step_correct) = self.step(&epoch, step)?;
            loss += step_loss;
            correct += step_correct;
        }
        self.progress.epoch += 1;
        let n = self.images.len() as f64;
        let mut figures = EpochFigures {
            epoch: self.progress.epoch,
            epochs: self.config.epochs,
            loss: loss / n,
            accuracy: correct as f64 / n,
            validation_loss: None,
            validation_accuracy: None,
        };
        if !validation.is_empty() {
            let model = self.model()?;
            let evaluation = evaluate(self.config.device, &model, validation, &|| observer.cancelled())
                .map_err(|fault| match fault {
                    InferenceError::Cancelled => TrainError::Cancelled,
                    other => TrainError::Validation(other),
                })?;
            (figures.validation_loss, figures.validation_accuracy) = (evaluation.loss, evaluation.accuracy());
        }
        self.progress.series.push(&figures);
        Ok(figures)
    }

    /// Returns the folded network as it is now.
    fn model(&self) -> Result<Model, TrainError> {
        let state = self.trainer.state()?;
        Ok(fold(self.network, &state.parameters, &state.running)?)
    }

    /// Runs one step. Returns the sum of the losses and the number of correct predictions of the batch.
    fn step(&mut self, epoch: &Epoch, step: usize) -> Result<(f64, usize), TrainError> {
        let batch = epoch.batch(self.batches.range(step));
        let steps = self.batches.count * self.config.epochs;
        let factor = self.config.schedule.factor(self.progress.epoch, self.progress.step, steps);
        let StepFigures { loss, correct } = self.trainer.step(
            &batch,
            Step {
                seed: self.config.seed,
                moment: [self.progress.epoch, step],
                number: self.progress.step + 1,
                optimizer: self.config.optimizer,
                factor,
            },
        )?;
        if !loss.is_finite() {
            return Err(TrainError::NotFinite { epoch: self.progress.epoch + 1, step: step + 1 });
        }
        self.progress.step += 1;
        Ok((loss, correct))
    }
}

impl TrainingCurves {
    fn push(&mut self, figures: &EpochFigures) {
        self.loss.push(figures.loss);
        self.accuracy.push(figures.accuracy);
        if let Some(accuracy) = figures.validation_accuracy {
            self.validation_loss.push(figures.validation_loss);
            self.validation_accuracy.push(accuracy);
        }
    }
}

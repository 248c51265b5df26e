//! Training steps with the own kernels. Knows nothing of epochs.

use crate::backend::own::loss::backward;
use crate::backend::own::optimizer;
use crate::backend::own::pass::Pass;
use crate::backend::{BackendError, Step, StepFigures, Trainer};
use crate::loss::Prediction;
use crate::network::definition::Network;
use crate::training::batch::Batch;
use crate::training::state::TrainingState;

/// A network in training with the own kernels.
pub(crate) struct OwnTrainer {
    state: TrainingState,
    pass: Pass,
}

impl OwnTrainer {
    /// Prepares a training in batches of at most `batch` images. Errors if a layer does not occur in training.
    pub(crate) fn new(network: &Network, state: TrainingState, batch: usize) -> Result<Self, BackendError> {
        let pass = Pass::new(network, batch).map_err(BackendError)?;
        Ok(Self { state, pass })
    }
}

impl Trainer for OwnTrainer {
    fn step(&mut self, batch: &Batch<'_>, step: Step) -> Result<StepFigures, BackendError> {
        self.pass.fill(&batch.images, &batch.places);
        self.pass.forward(&mut self.state, step.seed, step.moment);
        let predictions = backward(self.pass.outputs(), &batch.labels);
        let loss: f64 = predictions.iter().map(|prediction| prediction.loss).sum();
        let answers = predictions.iter().map(Prediction::answer);
        let is_right = |(answer, label): &(Option<usize>, &u8)| *answer == Some(usize::from(**label));
        let correct = answers.zip(&batch.labels).filter(is_right).count();
        if loss.is_finite() {
            self.pass.backward(&self.state);
            let gradients = &self.pass.gradients;
            optimizer::step(step.optimizer, step.factor, step.number, &mut self.state, gradients);
        }
        Ok(StepFigures { loss, correct })
    }

    fn state(&self) -> Result<TrainingState, BackendError> {
        Ok(self.state.clone())
    }

    fn restore(&mut self, state: TrainingState) -> Result<(), BackendError> {
        self.state = state;
        Ok(())
    }
}

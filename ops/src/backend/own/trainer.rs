//! Training steps with the own kernels. Knows nothing of epochs.

use rayon::prelude::*;

use crate::backend::own::kernels::lanes::{LANES, fill_block};
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
    classes: usize,
    state: TrainingState,
    pass: Pass,
}

impl OwnTrainer {
    /// Prepares a training in batches of at most `batch` images. Errors if a layer does not occur in training.
    pub(crate) fn new(network: &Network, state: TrainingState, batch: usize) -> Result<Self, BackendError> {
        let pass = Pass::new(network, batch).map_err(BackendError)?;
        Ok(Self { classes: network.classes, state, pass })
    }

    fn fill(&mut self, batch: &Batch<'_>) {
        let blocks = self.pass.input().par_chunks_exact_mut(batch.images.size());
        blocks.zip(batch.pixels.par_chunks(LANES)).for_each(|(block, pixels)| {
            let pixels: Vec<&[u8]> = pixels.iter().map(|pixels| &**pixels).collect();
            fill_block(batch.images, &pixels, block);
        });
    }
}

impl Trainer for OwnTrainer {
    fn step(&mut self, batch: &Batch<'_>, step: Step) -> Result<StepFigures, BackendError> {
        let rows = batch.labels.len();
        self.fill(batch);
        self.pass.forward(&mut self.state, rows, step.seed, step.moment);
        let (logits, gradient) = self.pass.output(rows);
        let predictions = backward(self.classes, logits, &batch.labels, gradient);
        let loss: f64 = predictions.iter().map(|prediction| prediction.loss).sum();
        let answers = predictions.iter().map(Prediction::answer);
        let is_right = |(answer, label): &(Option<usize>, &u8)| *answer == Some(usize::from(**label));
        let correct = answers.zip(&batch.labels).filter(is_right).count();
        if loss.is_finite() {
            self.pass.backward(&self.state, rows);
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

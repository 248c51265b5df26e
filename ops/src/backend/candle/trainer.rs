//! Training steps on candle: its autograd, its loss, and weights in a `VarMap`. Knows nothing of epochs.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{Optimizer as _, VarMap, loss};

use super::device::{from_device, images_to_device, to_device};
use super::forward::{Mode, Statistics, forward};
use super::masks::factors;
use super::update::Update;
use crate::backend::{BackendError, Step, StepFigures, Trainer};
use crate::network::array::Array;
use crate::network::definition::Network;
use crate::network::layer::LayerOp;
use crate::training::batch::Batch;
use crate::training::config::Optimizer;
use crate::training::state::TrainingState;

/// A network in training on a device of candle.
pub(crate) struct CandleTrainer {
    network: Network,
    device: Device,
    /// The parameters by name.
    weights: VarMap,
    update: Update,
    running: Statistics,
}

impl CandleTrainer {
    /// Copies a network in training to a device.
    pub(crate) fn new(
        network: &Network,
        state: &TrainingState,
        rule: Optimizer,
        device: &Device,
    ) -> Result<Self, BackendError> {
        let weights = VarMap::new();
        let mut vars = vec![];
        for (spec, array) in network.parameters().into_iter().zip(&state.parameters) {
            let var = Var::from_tensor(&to_device(array, device)?)?;
            vars.push(var.clone());
            // A panic while the lock was held would have ended the training.
            if let Ok(mut all) = weights.data().lock() {
                all.insert(spec.name, var);
            }
        }
        let update = Update::new(vars, rule)?;
        let (network, device) = (network.clone(), device.clone());
        let mut trainer = Self { network, device, weights, update, running: Statistics::new() };
        trainer.restore(state.clone())?;
        Ok(trainer)
    }

    /// Moves the running statistics towards those of a batch of `rows` images. The running variance averages the
    /// unbiased variance, as `PyTorch`'s does.
    fn update_running(&mut self, measured: &Statistics, rows: usize) -> candle_core::Result<()> {
        for (at, [mean, variance]) in measured {
            let layer = &self.network.layers[*at];
            let (LayerOp::BatchNorm { momentum, .. }, Some(running)) = (layer.op, self.running.get_mut(at))
            else {
                continue;
            };
            let n = (rows * layer.input().channels().1) as f64;
            let unbiased = (variance * (n / (n - 1.0).max(1.0)))?;
            for (running, new) in running.iter_mut().zip([mean, &unbiased]) {
                *running = ((&*running * (1.0 - momentum))? + (new * momentum)?)?;
            }
        }
        Ok(())
    }

    fn tensors(&self) -> Vec<Tensor> {
        self.update.vars.iter().map(|var| var.as_tensor().clone()).collect()
    }
}

impl Trainer for CandleTrainer {
    fn step(&mut self, batch: &Batch<'_>, step: Step) -> Result<StepFigures, BackendError> {
        let rows = batch.labels.len();
        let images = images_to_device(&batch.images, &batch.places, self.network.input, &self.device)?;
        let labels: Vec<u32> = batch.labels.iter().map(|label| u32::from(*label)).collect();
        let labels = Tensor::from_vec(labels, rows, &self.device)?;
        let masks = factors(&self.network, rows, step.seed, step.moment, &self.device)?;
        let mut measured = Statistics::new();
        let mode = Mode::Training { measured: &mut measured, factors: &masks };
        let logits = forward(&self.network, &self.tensors(), &images, mode)?;
        let mean = loss::cross_entropy(&logits, &labels)?;
        let loss = f64::from(mean.to_scalar::<f32>()?) * rows as f64;
        let right = logits.argmax(1)?.eq(&labels)?.to_dtype(DType::F32)?.sum_all()?.to_scalar::<f32>()?;
        if loss.is_finite() {
            self.update_running(&measured, rows)?;
            (self.update.factor, self.update.number) = (step.factor, step.number);
            self.update.backward_step(&mean)?;
        }
        Ok(StepFigures { loss, correct: right as usize })
    }

    fn state(&self) -> Result<TrainingState, BackendError> {
        let arrays =
            |vars: &[Var]| vars.iter().map(|var| from_device(var)).collect::<candle_core::Result<_>>();
        let mut running = BTreeMap::new();
        for (at, [mean, variance]) in &self.running {
            running.insert(*at, [from_device(mean)?, from_device(variance)?]);
        }
        Ok(TrainingState {
            parameters: arrays(&self.update.vars)?,
            first: arrays(&self.update.first)?,
            second: arrays(&self.update.second)?,
            running,
        })
    }

    fn restore(&mut self, state: TrainingState) -> Result<(), BackendError> {
        let device = &self.device;
        let names = self.network.parameters().into_iter().map(|spec| spec.name);
        let values = state.parameters.iter().map(|array| to_device(array, device));
        let values = values.collect::<candle_core::Result<Vec<_>>>()?;
        self.weights.set(names.zip(values.iter()))?;
        let set = |vars: &[Var], arrays: &[Array]| {
            vars.iter().zip(arrays).try_for_each(|(var, array)| var.set(&to_device(array, device)?))
        };
        set(&self.update.first, &state.first)?;
        set(&self.update.second, &state.second)?;
        self.running.clear();
        for (at, [mean, variance]) in &state.running {
            self.running.insert(*at, [to_device(mean, device)?, to_device(variance, device)?]);
        }
        Ok(())
    }
}

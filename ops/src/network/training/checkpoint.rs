//! A training that can go on later: everything that changes, at the end of an epoch, as bytes.
//! Knows nothing of where the bytes are kept. It does not say what was trained: the caller keeps it under a key that
//! does.

use serde::{Deserialize, Serialize};

use crate::network::container::{ContainerError, decode, encode};
use crate::network::definition::Network;
use crate::network::training::state::TrainingState;
use crate::network::training::{TrainError, TrainingCurves};

/// The metadata key of what is not a tensor.
const PROGRESS: &str = "progress";

/// How far a training has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrainingProgress {
    /// Epochs that are complete.
    pub epoch: usize,
    /// Steps taken, over all epochs.
    pub step: usize,
    /// Curves so far.
    pub series: TrainingCurves,
}

/// Writes state and progress.
pub(crate) fn save(
    graph: &Network,
    state: &TrainingState,
    progress: &TrainingProgress,
) -> Result<Vec<u8>, TrainError> {
    let text = serde_json::to_string(progress).map_err(|fault| unfit(&fault.to_string()))?;
    let tensors = state.named(graph);
    let tensors = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor));
    encode(tensors, PROGRESS, text).map_err(|fault| unfit(&fault.to_string()))
}

/// Takes over state and progress from what [`save`] wrote, for a training of `epochs` of `steps` each.
pub(crate) fn load(
    bytes: &[u8],
    graph: &Network,
    state: &TrainingState,
    epochs: usize,
    steps: usize,
) -> Result<TrainingProgress, TrainError> {
    let (text, tensors) =
        decode(bytes, PROGRESS).map_err(|fault: ContainerError| unfit(&fault.to_string()))?;
    let progress: TrainingProgress =
        serde_json::from_str(&text).map_err(|fault| unfit(&fault.to_string()))?;
    let series = &progress.series;
    let curves = [series.loss.len(), series.accuracy.len()];
    let sound = progress.epoch <= epochs
        && progress.epoch.checked_mul(steps) == Some(progress.step)
        && curves == [progress.epoch; 2]
        && [0, progress.epoch].contains(&series.validation_loss.len())
        && [0, progress.epoch].contains(&series.validation_accuracy.len());
    if !sound || !state.restore(graph, &tensors)? {
        return Err(unfit("it belongs to another training"));
    }
    Ok(progress)
}

fn unfit(what: &str) -> TrainError {
    TrainError::Checkpoint { what: what.into() }
}

//! Checkpoints: the state of a training at the end of an epoch, as bytes. Knows nothing of storage. A
//! checkpoint names neither its configuration nor its images: the caller stores the checkpoint under a key
//! that identifies both.

use serde::{Deserialize, Serialize};

use crate::network::container::{ContainerError, decode, encode};
use crate::network::definition::Network;
use crate::training::state::TrainingState;
use crate::training::{TrainError, TrainingCurves};

/// The metadata key of the progress in the container.
const PROGRESS: &str = "progress";

/// The progress of a training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrainingProgress {
    /// Number of completed epochs.
    pub epoch: usize,
    /// Number of completed steps over all epochs.
    pub step: usize,
    /// Figures of the completed epochs.
    pub series: TrainingCurves,
}

/// Encodes the state and the progress as bytes.
pub(crate) fn save(
    network: &Network,
    state: &TrainingState,
    progress: &TrainingProgress,
) -> Result<Vec<u8>, TrainError> {
    let text = serde_json::to_string(progress).map_err(|fault| unfit(&fault.to_string()))?;
    let tensors = state.named(network);
    let tensors = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor));
    encode(tensors, PROGRESS, text).map_err(|fault| unfit(&fault.to_string()))
}

/// Restores the state and returns the progress from the output of [`save`], for a training of `epochs` epochs
/// of `steps` steps each. Errors if the checkpoint is damaged or belongs to another training.
pub(crate) fn load(
    bytes: &[u8],
    network: &Network,
    state: &mut TrainingState,
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
    if !sound || !state.restore(network, &tensors) {
        return Err(unfit("it belongs to another training"));
    }
    Ok(progress)
}

fn unfit(what: &str) -> TrainError {
    TrainError::Checkpoint { what: what.into() }
}

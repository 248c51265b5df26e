//! The errors of a calibration.

use thiserror::Error;

use crate::backend::own::inference::InferenceError;
use crate::network::model::ModelFileError;
use crate::quantize::QuantizeError;

/// The most inputs of an output: their products are a matrix of as many rows and columns.
pub(super) const MOST_INPUTS: usize = 4096;

/// An error in the calibration of a network.
#[derive(Debug, Error)]
pub enum CalibrationError {
    /// There are fewer training images than the calibration takes.
    #[error(
        "calibration: {wanted} images wanted, there are {available} training images; set `calibration` to at most {available}"
    )]
    Images {
        /// Images wanted.
        wanted: usize,
        /// Training images there are.
        available: usize,
    },
    /// A layer has so many inputs that their products do not fit in memory.
    #[error(
        "{name}: {inputs} inputs of an output; GPTQ, coordinate descent and `fit: OutputError` take at most {MOST_INPUTS}; use `method: Direct`, and a fit other than `OutputError`"
    )]
    Inputs {
        /// The weight.
        name: String,
        /// The inputs of an output.
        inputs: usize,
    },
    /// The activations of the images do not fit in memory.
    #[error(
        "calibration: the activations of {images} images take {gib} GiB, and at most {most} GiB are allowed; lower `calibration`"
    )]
    Memory {
        /// Images wanted.
        images: usize,
        /// The memory that they take.
        gib: u64,
        /// The most memory.
        most: u64,
    },
    /// The inputs of a layer are not finite.
    #[error(
        "{name}: the inputs of its layer are not finite on the calibration images; weights or images are too large for binary32"
    )]
    Activations {
        /// The weight.
        name: String,
    },
    /// The numbers of a value are not finite.
    #[error(
        "{name}: its numbers are not finite on the calibration images; weights or images are too large for binary32"
    )]
    Value {
        /// The value: `input`, or a layer.
        name: String,
    },
    /// The damping is too large for the inputs of a layer.
    #[error("{name}: `damping` is too large for the inputs of its layer; choose a smaller one, such as 0.01")]
    Damping {
        /// The weight.
        name: String,
    },
    /// A weight that makes up for the errors of others is beyond the numbers of its format.
    #[error(
        "{name}: element {element} is beyond the numbers of its format once it makes up for the errors of others; choose a format or scale that saturates"
    )]
    Overflow {
        /// The weight.
        name: String,
        /// The place of the number in the tensor, counted from 0.
        element: usize,
    },
    /// The images do not fit the network, or the caller cancelled.
    #[error(transparent)]
    Inference(#[from] InferenceError),
    /// A tensor cannot be quantized.
    #[error(transparent)]
    Quantize(#[from] QuantizeError),
    /// The network with its new biases does not form a model.
    #[error(transparent)]
    Model(#[from] ModelFileError),
}

//! Access to the weights of models: the plain tensors, and the quantized tensors with their codes.
//! Knows nothing of files.

use std::sync::Arc;

use fewbits_engine::ops::OpError;

use crate::network::array::Array;
use crate::network::model::Model;
use crate::quantize::{Encoded, TensorSize};
use crate::standard::{Artifact, Op, Port};

/// Returns every tensor of a model, sorted by name, without codes; an error if the artifact is not a model.
pub fn plain(artifact: &Artifact) -> Result<Vec<Encoded>, OpError> {
    let model = model(artifact)?;
    let tensor = |(name, tensor): (&String, &Array)| Encoded {
        name: name.clone(),
        shape: tensor.shape().to_vec(),
        weights: tensor.numbers().to_vec(),
        codes: None,
    };
    Ok(model.tensors().iter().map(tensor).collect())
}

/// Returns every tensor of the result of a Quantize op, sorted by name. Its weights equal those of the op's artifact
/// `made`, bit for bit, and quantized tensors have codes. `reads` are the first [`inputs_of_codes`] inputs of the op. It is an
/// error if the op is not Quantize, or if they are not a model and a dataset.
pub fn encoded(op: &Op, reads: &[Arc<Artifact>], made: &Artifact) -> Result<Vec<Encoded>, OpError> {
    let (Op::Quantize(op), [network, data @ ..]) = (op, reads) else {
        return Err(OpError::Failed("only quantized weights have codes".to_owned()));
    };
    let data = match data {
        [data, ..] if let Artifact::Dataset(data) = &**data => Some(data),
        _ => None,
    };
    op.encode([model(network)?, model(made)?], data)
}

/// Returns how many of an op's inputs the codes of its weights depend on beside the weights: the network, and the images that
/// its scales are fitted to; 0 if its weights have no codes.
#[must_use]
pub fn inputs_of_codes(op: &Op) -> usize {
    match op {
        Op::Quantize(op) => 1 + usize::from(op.weighs_inputs()),
        _ => 0,
    }
}

/// Returns the format and the size of each tensor of the network that an op makes, in the order of names; `made` is the op's
/// port. Nothing if the op is not Quantize, or if the tensors are not known before the task runs.
#[must_use]
pub fn sizes(op: &Op, made: &Port) -> Vec<TensorSize> {
    match (op, made) {
        (Op::Quantize(op), Port::Model(made)) => op.tensor_sizes(made),
        _ => vec![],
    }
}

fn model(artifact: &Artifact) -> Result<&Model, OpError> {
    match artifact {
        Artifact::Model(model) => Ok(model),
        Artifact::Dataset(_) => Err(OpError::Failed("a dataset has no weights".to_owned())),
    }
}

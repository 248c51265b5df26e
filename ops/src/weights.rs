//! Access to the weights of models: the plain tensors, and the quantized tensors with their codes.
//! Knows nothing of files.

use fewbits_engine::ops::OpError;

use crate::network::array::Array;
use crate::network::model::Model;
use crate::quantize::Encoded;
use crate::standard::{Artifact, Op};

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
/// `made`, bit for bit, and quantized tensors have codes. It is an error if the op is not Quantize or the input not a model.
pub fn encoded(op: &Op, reads: &Artifact, made: &Artifact) -> Result<Vec<Encoded>, OpError> {
    let Op::Quantize(op) = op else {
        return Err(OpError::Failed("only quantized weights have codes".to_owned()));
    };
    op.encode(model(reads)?, model(made)?)
}

fn model(artifact: &Artifact) -> Result<&Model, OpError> {
    match artifact {
        Artifact::Model(model) => Ok(model),
        Artifact::Dataset(_) => Err(OpError::Failed("a dataset has no weights".to_owned())),
    }
}

//! Access to the weights of models: the plain tensors, and the quantized tensors with their codes.
//! Knows nothing of files.

use std::sync::Arc;

use fewbits_engine::ops::OpError;
use fewbits_store::Record;

use crate::network::array::Array;
use crate::network::model::Model;
use crate::op::allocate::chosen_formats;
use crate::quantize::{Encoded, TensorSize};
use crate::standard::{Artifact, Op, Port, losses};

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

/// Returns every tensor of the result of a Quantize or Allocate op, sorted by name. Its weights equal those of the op's artifact
/// `made`, bit for bit, and quantized tensors have codes. `reads` are the first [`inputs_of_codes`] inputs of the op. It is an
/// error if the op is neither, or if they are not those of its kind.
pub fn encoded(op: &Op, reads: &[Arc<Artifact>], made: &Artifact) -> Result<Vec<Encoded>, OpError> {
    let (network, others) = reads.split_first().ok_or_else(no_codes)?;
    let models = [model(network)?, model(made)?];
    let data = match others {
        [data, ..] if let Artifact::Dataset(data) = &**data => Some(data),
        _ => None,
    };
    match (op, data) {
        (Op::Quantize(op), data) => op.encode(models, data),
        (Op::Allocate(op), Some(data)) => op.encode(models, data, &losses(others.iter().map(AsRef::as_ref))),
        _ => Err(no_codes()),
    }
}

fn no_codes() -> OpError {
    OpError::Failed("only quantized weights have codes".to_owned())
}

/// Returns the names of the formats that an op chooses from: the series `format` of its record has the place of each layer's.
/// Nothing for ops that choose none.
#[must_use]
pub fn listed_formats(op: &Op) -> Vec<String> {
    if let Op::Allocate(op) = op { op.format_names() } else { vec![] }
}

/// Returns how many of an op's inputs the codes of its weights depend on beside the weights: the network, the images that
/// a calibration reads, and probes; 0 if its weights have no codes.
#[must_use]
pub fn inputs_of_codes(op: &Op) -> usize {
    match op {
        Op::Quantize(op) => 1 + usize::from(op.codes_read_images()),
        // The probes tell the formats.
        Op::Allocate(_) => usize::MAX,
        _ => 0,
    }
}

/// Returns the format and the size of each tensor of the network that an op makes, in the order of names; `made` is the op's
/// port, `record` its record, which says what Allocate chose. Nothing if the op quantizes nothing, or if the tensors are not known.
#[must_use]
pub fn sizes(op: &Op, made: &Port, record: Option<&Record>) -> Vec<TensorSize> {
    match (op, made, record) {
        (Op::Quantize(op), Port::Model(made), _) => op.tensor_sizes(made),
        (Op::Allocate(op), Port::Model(made), Some(record)) => op.tensor_sizes(made, &chosen_formats(record)),
        _ => vec![],
    }
}

fn model(artifact: &Artifact) -> Result<&Model, OpError> {
    match artifact {
        Artifact::Model(model) => Ok(model),
        Artifact::Dataset(_) => Err(OpError::Failed("a dataset has no weights".to_owned())),
        Artifact::Loss(_) => Err(OpError::Failed("a loss has no weights".to_owned())),
    }
}

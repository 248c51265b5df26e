//! The weights of models, for those who look into them: as they are, and with the codes that stand for them.
//! Knows nothing of files.

use fewbits_engine::ops::OpError;

use crate::network::model::Model;
use crate::quantize::Encoded;
use crate::standard::{Artifact, Op};

/// Returns every tensor of a model, sorted by name, without codes; an error for what is no model.
pub fn plain(artifact: &Artifact) -> Result<Vec<Encoded>, OpError> {
    let model = model(artifact)?;
    let tensor = |(name, tensor): (&String, &candle_core::Tensor)| {
        let weights = model.numbers(name).map_err(|error| OpError::Failed(error.to_string()))?;
        Ok(Encoded { name: name.clone(), shape: tensor.dims().to_vec(), weights, codes: None })
    };
    model.tensors().iter().map(tensor).collect()
}

/// Returns every tensor of what a Quantize makes of the model it reads, sorted by name: its weights are those of the
/// op's artifact, bit for bit, and the quantized ones have codes. An error for any other op, and for what is no model.
pub fn encoded(op: &Op, reads: &Artifact) -> Result<Vec<Encoded>, OpError> {
    let Op::Quantize(op) = op else {
        return Err(OpError::Failed("only what is quantized has codes".to_owned()));
    };
    op.encode(model(reads)?)
}

fn model(artifact: &Artifact) -> Result<&Model, OpError> {
    match artifact {
        Artifact::Model(model) => Ok(model),
        Artifact::Dataset(_) => Err(OpError::Failed("a dataset has no weights".to_owned())),
    }
}

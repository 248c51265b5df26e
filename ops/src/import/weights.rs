//! Weights of a safetensors file for a network that the experiment defines.
//!
//! A layer's tensors are called `NAME.weight` and `NAME.bias`, those of a batch normalization also `NAME.running_mean` and
//! `NAME.running_var`, as in `PyTorch`. Every tensor of the file has a place in the network, and the reverse.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use safetensors::{Dtype, SafeTensors};

use crate::import::error::ImportError;
use crate::import::onnx_file::bytes;
use crate::network::array::Array;
use crate::network::definition::{Network, Role};
use crate::network::fold::fold;
use crate::network::layer::LayerOp;
use crate::network::model::Model;

/// The counters of batch normalizations, which have no use behind training.
const COUNTER: &str = ".num_batches_tracked";

/// Reads the weights of a network, with `names` for layers that are called otherwise in the file. Errors if the file
/// cannot be read or is no safetensors file, and with all tensors that are missing, have another shape or belong to no
/// layer.
pub(crate) fn read(
    path: &Path,
    network: &Network,
    names: &BTreeMap<String, String>,
) -> Result<Model, ImportError> {
    from_bytes(path, &bytes(path)?, network, names)
}

/// Reads the bytes of a safetensors file. Errors like [`read`].
pub(crate) fn from_bytes(
    path: &Path,
    bytes: &[u8],
    network: &Network,
    names: &BTreeMap<String, String>,
) -> Result<Model, ImportError> {
    let file = path.display().to_string();
    let fault = |what: String| ImportError::format(&file, what);
    let tensors =
        SafeTensors::deserialize(bytes).map_err(|error| fault(format!("no safetensors file: {error}")))?;
    let mut reader = Reader { tensors, faults: vec![], used: BTreeSet::new() };
    let prefix = |layer: usize| {
        let name = &network.layers[layer].name;
        names.get(name).unwrap_or(name)
    };
    let mut parameters = vec![];
    let mut running = BTreeMap::new();
    for parameter in network.parameters() {
        let word = if parameter.role == Role::Weight { "weight" } else { "bias" };
        parameters.extend(reader.tensor(&format!("{}.{word}", prefix(parameter.layer)), &parameter.shape));
    }
    for (at, layer) in network.layers.iter().enumerate() {
        if !matches!(layer.op, LayerOp::BatchNorm { .. }) {
            continue;
        }
        let shape = [layer.input().channels().0];
        let [mean, variance] = ["running_mean", "running_var"]
            .map(|word| reader.tensor(&format!("{}.{word}", prefix(at)), &shape));
        running.extend(mean.zip(variance).map(|(mean, variance)| (at, [mean, variance])));
    }
    let faults = reader.finish();
    if !faults.is_empty() {
        return Err(ImportError::Unsupported { file, nodes: faults });
    }
    fold(network, &parameters, &running).map_err(|error| fault(error.to_string()))
}

struct Reader<'b> {
    tensors: SafeTensors<'b>,
    faults: Vec<String>,
    used: BTreeSet<String>,
}

impl Reader<'_> {
    /// Returns a tensor; `None`, and a fault, if it is not there or does not fit.
    fn tensor(&mut self, name: &str, shape: &[usize]) -> Option<Array> {
        let Ok(view) = self.tensors.tensor(name) else {
            self.faults.push(format!("tensor {name:?} is missing"));
            return None;
        };
        self.used.insert(name.to_owned());
        if view.dtype() != Dtype::F32 {
            self.faults.push(format!("tensor {name:?} is of type {:?}; save it as F32", view.dtype()));
            return None;
        }
        let numbers = view.data().as_chunks().0.iter().map(|word| f32::from_le_bytes(*word)).collect();
        let array = Array::new(shape.to_vec(), numbers).filter(|_| view.shape() == shape);
        if array.is_none() {
            self.faults
                .push(format!("tensor {name:?} has shape {:?}, its layer wants {shape:?}", view.shape()));
        }
        array
    }

    /// Returns all faults, those of tensors without a layer at the end.
    fn finish(self) -> Vec<String> {
        let mut strays: Vec<&str> = self
            .tensors
            .names()
            .into_iter()
            .filter(|name| !self.used.contains(*name) && !name.ends_with(COUNTER))
            .collect();
        strays.sort_unstable();
        let mut faults = self.faults;
        faults.extend(strays.iter().map(|name| format!("tensor {name:?} belongs to no layer")));
        faults
    }
}

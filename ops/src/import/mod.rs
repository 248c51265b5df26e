//! Networks that others trained, from files. Knows nothing of keys or tasks; callers pass every path.
//!
//! An ONNX file goes through these steps: `protobuf.rs` checks its lengths, `onnx_file.rs` reads nodes, `tensor.rs` constants,
//! `convert.rs` takes the nodes that the output needs through `nodes.rs`, `products.rs` and `constant_nodes.rs`, and
//! `layers.rs` collects the layers that they become. `golden.rs` compares the network with outputs of another runtime.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::network::definition::Network;
use crate::network::model::Model;
use crate::packed;
use convert::{FinalOp, Imported, OutputRule, convert, output_of};
use error::ImportError;
use onnx_file::OnnxGraph;
use op_names::OPS;

pub mod error;

mod constant;
mod constant_nodes;
mod convert;
pub mod golden;
mod input_layout;
mod layer_value;
mod layers;
mod node_window;
mod nodes;
mod onnx_file;
mod op_names;
mod products;
mod protobuf;
mod tensor;
mod weights;

#[cfg(test)]
mod tests;

/// An imported network.
#[derive(Debug)]
pub struct Import(Imported);

impl Import {
    /// Reads an ONNX file. `output` names one of several outputs. Errors if the file cannot be read, is no ONNX file, or
    /// has nodes that fewbits does not compute, all of which are told.
    pub fn read(path: &Path, output: Option<&str>) -> Result<Self, ImportError> {
        Self::of(path, &onnx_file::read(path)?, output)
    }

    /// Reads the bytes of an ONNX file; `path` is the file's place. Errors like [`Import::read`].
    pub fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Self, ImportError> {
        Self::of(path, &onnx_file::from_bytes(path, bytes)?, None)
    }

    fn of(path: &Path, graph: &OnnxGraph, output: Option<&str>) -> Result<Self, ImportError> {
        output_of(graph, output)
            .map_err(|what| ImportError::Output { file: path.display().to_string(), what })?;
        convert(graph, output, OutputRule::Logits)
            .map(Self)
            .map_err(|nodes| ImportError::Unsupported { file: path.display().to_string(), nodes })
    }

    /// Reads the weights of a network from a safetensors file. `names` has the name in the file for layers that are called
    /// otherwise there. Errors if the file cannot be read or is no safetensors file, and with all tensors that are missing,
    /// have another shape or belong to no layer.
    pub fn weights(
        path: &Path,
        network: &Network,
        names: &BTreeMap<String, String>,
    ) -> Result<Self, ImportError> {
        let model = weights::read(path, network, names)?;
        Ok(Self(Imported { model, channels_last: false, ending: FinalOp::Logits }))
    }

    /// Reads the bytes of a safetensors file. Errors like [`Import::weights`].
    pub fn weights_of_bytes(
        path: &Path,
        bytes: &[u8],
        network: &Network,
        names: &BTreeMap<String, String>,
    ) -> Result<Self, ImportError> {
        let model = weights::from_bytes(path, bytes, network, names)?;
        Ok(Self(Imported { model, channels_last: false, ending: FinalOp::Logits }))
    }

    /// Reads a packed network. Errors if the file cannot be read or is none.
    pub fn packed(path: &Path) -> Result<Self, ImportError> {
        let model = packed::read(&onnx_file::bytes(path)?)
            .map_err(|error| ImportError::format(&path.display().to_string(), error.to_string()))?;
        Ok(Self(Imported { model, channels_last: false, ending: FinalOp::Logits }))
    }

    /// Returns the network with its weights.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.0.model
    }

    /// Returns the network with its weights.
    #[must_use]
    pub fn into_model(self) -> Model {
        self.0.model
    }

    /// Runs the network on the array `input` of a `NumPy` archive. Returns the largest difference from the array `output`,
    /// relative to its largest number. Errors if the archive does not fit, or if the difference is above 1e-3.
    pub fn golden_difference(&self, path: &Path) -> Result<f64, ImportError> {
        golden::compare(&self.0, path)
    }
}

impl ImportError {
    /// Returns what to do, for faults that need more than their sentence.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Unsupported { nodes, .. }
                if nodes.iter().any(|node| node.ends_with("is not supported")) =>
            {
                format!("fewbits reads {}", OPS.join(", "))
            }
            _ => String::new(),
        }
    }
}

/// Returns the files beside an ONNX file that hold its weights, each once. Errors if the file cannot be read or is no
/// ONNX file.
pub fn files_beside(path: &Path) -> Result<Vec<PathBuf>, ImportError> {
    onnx_file::files_beside(path)
}

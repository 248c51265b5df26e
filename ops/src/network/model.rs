//! A trained network: its layers and tensors, and the encoding of both as bytes. Knows nothing of training. Weights are binary32,
//! even after quantization, and the encoding has nothing of their formats but what integer arithmetic needs.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use thiserror::Error;

use crate::integer::error::IntegerError;
use crate::integer::network::IntegerNetwork;
use crate::integer::parameters::IntegerParameters;
use crate::network::array::Array;
use crate::network::container::{ContainerError, decode, encode};
use crate::network::definition::{ModelError, Network};
use crate::network::layer::LayerOp;
use crate::quantize::Quantization;

/// The metadata key of the network's JSON.
const GRAPH: &str = "graph";
/// The field of that JSON that has the parameters of integer arithmetic.
const INTEGERS: &str = "integers";

/// A trained network: the inference network and one tensor per parameter.
#[derive(Clone, Debug)]
pub struct Model {
    network: Network,
    tensors: BTreeMap<String, Array>,
    /// The quantization of each quantized tensor; only the op that made the model knows it.
    quantizations: BTreeMap<String, Quantization>,
    /// What inference with integers needs; `None` for a network of binary32 arithmetic.
    integers: Option<IntegerParameters>,
}

/// An error in a model or in its encoding.
#[derive(Debug, Error)]
pub enum ModelFileError {
    /// The bytes are not a safetensors file.
    #[error("model: {0}")]
    Container(#[from] ContainerError),
    /// The definition of the network has a fault.
    #[error("model: {0}")]
    Graph(#[from] ModelError),
    /// The network cannot be written as JSON.
    #[error("model: its graph cannot be written")]
    Json(#[from] serde_json::Error),
    /// The network has a layer that occurs in training only.
    #[error("model: layer {name:?} is a {kind}, which no trained network has")]
    Layer {
        /// Name of the layer.
        name: String,
        /// Kind of the layer.
        kind: &'static str,
    },
    /// A tensor is missing.
    #[error("model: tensor {name:?} is missing")]
    Missing {
        /// Name of the tensor.
        name: String,
    },
    /// A tensor belongs to no layer.
    #[error("model: tensor {name:?} belongs to no layer")]
    Stray {
        /// Name of the tensor.
        name: String,
    },
    /// The shape of a tensor differs from the shape of its parameter.
    #[error("model: tensor {name:?} has shape {found:?}, its layer wants {expected:?}")]
    Shape {
        /// Name of the tensor.
        name: String,
        /// Shape of the tensor.
        found: Vec<usize>,
        /// Shape of the parameter.
        expected: Vec<usize>,
    },
    /// The parameters of integer arithmetic do not fit.
    #[error("model: {0}")]
    Integers(#[from] IntegerError),
    /// New numbers are not as many as those of the tensor.
    #[error("model: tensor {name:?} takes {expected} numbers, not {found}")]
    Count {
        /// Name of the tensor.
        name: String,
        /// Number of new numbers.
        found: usize,
        /// Number of numbers of the tensor.
        expected: usize,
    },
}

impl Model {
    /// Makes a model. Errors if a layer occurs in training only, if a parameter of the network has no tensor
    /// or a tensor of another shape, or if a tensor belongs to no parameter.
    pub fn new(network: Network, tensors: BTreeMap<String, Array>) -> Result<Self, ModelFileError> {
        for layer in &network.layers {
            if let LayerOp::BatchNorm { .. } | LayerOp::Dropout { .. } = layer.op {
                return Err(ModelFileError::Layer { name: layer.name.clone(), kind: layer.op.kind() });
            }
        }
        let parameters = network.parameters();
        for parameter in &parameters {
            let Some(tensor) = tensors.get(&parameter.name) else {
                return Err(ModelFileError::Missing { name: parameter.name.clone() });
            };
            if tensor.shape() != parameter.shape {
                return Err(ModelFileError::Shape {
                    name: parameter.name.clone(),
                    found: tensor.shape().to_vec(),
                    expected: parameter.shape.clone(),
                });
            }
        }
        match tensors.keys().find(|name| parameters.iter().all(|parameter| parameter.name != **name)) {
            Some(name) => Err(ModelFileError::Stray { name: name.clone() }),
            None => Ok(Self { network, tensors, quantizations: BTreeMap::new(), integers: None }),
        }
    }

    /// Returns the inference network.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Returns the tensors by name.
    #[must_use]
    pub fn tensors(&self) -> &BTreeMap<String, Array> {
        &self.tensors
    }

    /// Returns the quantization of a tensor; `None` if it is not quantized.
    #[must_use]
    pub fn quantization(&self, tensor: &str) -> Option<&Quantization> {
        self.quantizations.get(tensor)
    }

    /// Returns the model with the quantizations of its tensors.
    #[must_use]
    pub(crate) fn quantized(self, quantizations: BTreeMap<String, Quantization>) -> Self {
        Self { quantizations, ..self }
    }

    /// Returns the layers with a weight of two or more dimensions, in order. A standalone batch normalization has a weight too,
    /// but of one dimension.
    #[must_use]
    pub fn weighted_layers(&self) -> Vec<String> {
        let is_weighted = |name: &&String| {
            self.tensors.get(&format!("{name}.weight")).is_some_and(|weight| weight.shape().len() >= 2)
        };
        self.network.layers.iter().map(|layer| &layer.name).filter(is_weighted).cloned().collect()
    }

    /// Returns the same network with new numbers in some tensors, not quantized and without integers, and shares the other tensors. Errors if the
    /// model has no such tensor or the count of numbers differs.
    pub fn with(&self, numbers: BTreeMap<String, Vec<f32>>) -> Result<Self, ModelFileError> {
        let mut tensors = self.tensors.clone();
        for (name, numbers) in numbers {
            let Some(old) = tensors.get(&name) else {
                return Err(ModelFileError::Missing { name });
            };
            let (found, expected) = (numbers.len(), old.numbers().len());
            let Some(tensor) = old.with(numbers) else {
                return Err(ModelFileError::Count { name, found, expected });
            };
            tensors.insert(name, tensor);
        }
        Ok(Self { network: self.network.clone(), tensors, quantizations: BTreeMap::new(), integers: None })
    }

    /// Returns the parameters of integer arithmetic; `None` for a network of binary32 arithmetic.
    #[must_use]
    pub fn integers(&self) -> Option<&IntegerParameters> {
        self.integers.as_ref()
    }

    /// Returns the model as one that computes with integers. Errors if its weights are not codes of these parameters.
    pub fn with_integers(self, integers: IntegerParameters) -> Result<Self, ModelFileError> {
        IntegerNetwork::new(&self.network, &self.tensors, &integers)?;
        Ok(Self { integers: Some(integers), ..self })
    }

    /// Encodes the model as safetensors: tensors sorted by name, and the network as canonical JSON in the
    /// metadata. Equal models have equal bytes.
    pub fn encode(&self) -> Result<Vec<u8>, ModelFileError> {
        let tensors = self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor));
        let mut graph = self.network.to_json()?;
        if let Some(integers) = &self.integers {
            let mut fields: serde_json::Map<String, Json> = serde_json::from_str(&graph)?;
            fields.insert(INTEGERS.to_owned(), serde_json::to_value(integers)?);
            graph = serde_json_canonicalizer::to_string(&fields)?;
        }
        Ok(encode(tensors, GRAPH, graph)?)
    }

    /// Decodes and checks the output of [`Model::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, ModelFileError> {
        let (mut graph, tensors) = decode(bytes, GRAPH)?;
        let mut integers = None;
        // A network without integers has the canonical text of its graph alone.
        if let Ok(mut fields) = serde_json::from_str::<serde_json::Map<String, Json>>(&graph)
            && let Some(parameters) = fields.remove(INTEGERS)
        {
            graph = serde_json_canonicalizer::to_string(&fields)?;
            integers = Some(serde_json::from_value(parameters)?);
        }
        let model = Self::new(Network::from_json(&graph)?, tensors)?;
        match integers {
            Some(integers) => model.with_integers(integers),
            None => Ok(model),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::architecture::{Architecture, LayerSpec};

    fn model() -> Model {
        let layers = vec![LayerSpec::conv(2, 3), LayerSpec::Relu, LayerSpec::Flatten, LayerSpec::linear(3)];
        let network = Network::resolve(&Architecture::Layers(layers), [1, 5, 5], 3).unwrap();
        let tensor = |(at, parameter): (usize, crate::network::definition::Parameter)| {
            let count = parameter.shape.iter().product();
            let numbers = (0..count).map(|i: usize| (i + 100 * at) as f32).collect();
            (parameter.name, Array::new(parameter.shape, numbers).unwrap())
        };
        let tensors = network.parameters().into_iter().enumerate().map(tensor).collect();
        Model::new(network, tensors).unwrap()
    }

    #[test]
    fn a_model_comes_back_from_its_bytes() {
        let (first, bytes) = (model(), model().encode().unwrap());
        let second = Model::decode(&bytes).unwrap();
        assert_eq!(first.network(), second.network());
        for name in first.tensors().keys() {
            assert_eq!(first.tensors()[name].numbers(), second.tensors()[name].numbers());
        }
        assert_eq!(second.encode().unwrap(), bytes);
        assert_eq!(
            first.tensors().keys().collect::<Vec<_>>(),
            ["conv1.bias", "conv1.weight", "linear1.bias", "linear1.weight"]
        );
    }

    #[test]
    fn other_numbers_leave_the_rest_as_it_is() {
        let first = model();
        let second = first.with(BTreeMap::from([("conv1.bias".into(), vec![7.0, 8.0])])).unwrap();
        assert_eq!(second.tensors()["conv1.bias"].numbers(), [7.0, 8.0]);
        assert_eq!(second.tensors()["conv1.weight"].numbers(), first.tensors()["conv1.weight"].numbers());
        assert!(first.with(BTreeMap::from([("conv1.bias".into(), vec![7.0])])).is_err());
        assert!(first.with(BTreeMap::from([("conv9.bias".into(), vec![7.0])])).is_err());
    }

    #[test]
    fn tensors_that_do_not_fit_the_graph_are_refused() {
        let good = model();
        let check = |change: &dyn Fn(&mut BTreeMap<String, Array>), expected: &str| {
            let mut tensors = good.tensors().clone();
            change(&mut tensors);
            let error = Model::new(good.network().clone(), tensors).unwrap_err().to_string();
            assert_eq!(error, expected);
        };
        let ones = |shape: &[usize]| Array::new(shape.to_vec(), vec![1.0; shape.iter().product()]).unwrap();
        check(&|all| drop(all.remove("conv1.bias")), "model: tensor \"conv1.bias\" is missing");
        check(&|all| drop(all.insert("x".into(), ones(&[1]))), "model: tensor \"x\" belongs to no layer");
        check(
            &|all| drop(all.insert("conv1.bias".into(), ones(&[3]))),
            "model: tensor \"conv1.bias\" has shape [3], its layer wants [2]",
        );
        let training = Architecture::Mlp { hidden: vec![], dropout: 0.0 };
        let Architecture::Layers(mut layers) = training.resolved(3) else { unreachable!() };
        layers.push(LayerSpec::Dropout { p: 0.5 });
        let network = Network::resolve(&Architecture::Layers(layers), [1, 5, 5], 3).unwrap();
        let error = Model::new(network, BTreeMap::new()).unwrap_err().to_string();
        assert_eq!(error, "model: layer \"dropout1\" is a dropout, which no trained network has");
    }

    #[test]
    fn hostile_bytes_are_an_error_and_nothing_else() {
        let bytes = model().encode().unwrap();
        for end in 0..bytes.len() {
            assert!(Model::decode(&bytes[..end]).is_err());
        }
        let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        for at in 0..header {
            for flip in [1, 0x10, 0x80] {
                let mut bad = bytes.clone();
                bad[at] ^= flip;
                let _ = Model::decode(&bad);
            }
        }
        let half = encode([("linear1.weight", &Array::row(vec![1.0]))].into_iter(), "other", "{}".into());
        assert!(Model::decode(&half.unwrap()).unwrap_err().to_string().contains("no \"graph\""));
    }
}

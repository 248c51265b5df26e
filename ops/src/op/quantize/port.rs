//! What is known of the network that `Quantize` makes before it runs.

use std::sync::Arc;

use fewbits_engine::ops::{Misfit, PathStep};
use fewbits_engine::text::fault::suggest;

use super::QuantizeOp;
use crate::calibration::Calibration;
use crate::network::fit::{self, ImageKind};
use crate::op::activations::Arithmetic;
use crate::op::evaluate::range_warning;
use crate::quantize::TensorSize;
use crate::standard::{ModelPort, Port};

/// Checks that the network and the images of a calibration fit, and returns the port of the quantized network.
pub(in crate::op) fn quantized_port(
    calibration: Calibration,
    arithmetic: Arithmetic,
    inputs: &[&Port],
) -> Result<Port, Misfit> {
    let [Port::Model(model), data @ ..] = inputs else { return Ok(Port::Nothing) };
    if model.is_integer {
        let message = "this network computes with integers already: its weights are codes".to_owned();
        let hint = "quantize the network before it".to_owned();
        return Err(Misfit { field: "model", path: vec![], message, hint });
    }
    if let [Port::Dataset(data)] = data
        && let (Some(takes), Some(gives)) = (model.data.kind, data.kind)
        && let Err(error) = fit::check(takes, ImageKind { classes: None, ..gives })
    {
        let (field, path) = ("data", vec![]);
        let hint = "name the dataset that the model was trained on".to_owned();
        return Err(Misfit { field, path, message: error.to_string(), hint });
    }
    let mut made = ModelPort::clone(model);
    made.is_integer = arithmetic.activations().is_some();
    made.tensors = made.tensors.map(|tensors| calibration.with_biases(&tensors));
    Ok(Port::Model(Arc::new(made)))
}

impl QuantizeOp {
    /// Checks the names of layers, and that the images fit the network.
    pub(crate) fn port(&self, inputs: &[&Port]) -> Result<Port, Misfit> {
        let [Port::Model(model), ..] = inputs else { return Ok(Port::Nothing) };
        let made = quantized_port(self.calibration, self.arithmetic, inputs)?;
        if let Some(layers) = &model.layers
            && let Some(name) = self.quantizer.layers.keys().find(|name| !layers.contains(name))
        {
            return Err(Misfit {
                field: "layers",
                path: vec![PathStep::Key(name.clone())],
                message: format!("the network has no layer `{name}` with weights"),
                hint: suggest(name, layers.iter().map(String::as_str)),
            });
        }
        Ok(made)
    }

    /// Returns the format and the size of each tensor of the network that the op makes, from its port; nothing if the port
    /// does not know the tensors.
    pub(crate) fn tensor_sizes(&self, made: &ModelPort) -> Vec<TensorSize> {
        let (Some(layers), Some(tensors)) = (&made.layers, &made.tensors) else { return vec![] };
        let is_weighted =
            |layer: &&String| tensors.get(&format!("{layer}.weight")).is_some_and(|shape| shape.len() >= 2);
        let quantizer = self.of_layers(layers.iter().filter(is_weighted));
        tensors.iter().map(|(name, shape)| quantizer.tensor_size(name, shape)).collect()
    }

    /// Returns the warnings about the images of a calibration.
    pub(crate) fn warnings(inputs: &[&Port]) -> Vec<String> {
        let [Port::Model(model), Port::Dataset(data)] = inputs else { return vec![] };
        range_warning(model, data).into_iter().collect()
    }
}

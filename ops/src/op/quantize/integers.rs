//! The integer parameters of the network that `Quantize` makes.

use std::collections::BTreeMap;

use fewbits_engine::context::Context;
use fewbits_engine::ops::OpError;

use super::{QuantizeOp, calibration_failed, failed};
use crate::dataset::Dataset;
use crate::integer::parameters::{IntegerParameters, WeightScales};
use crate::integer::range_fit::value_scales;
use crate::network::model::Model;
use crate::quantize::Encoded;

impl QuantizeOp {
    /// Returns a network that the op quantized with what its arithmetic needs; `model` is the network before.
    pub(super) fn with_arithmetic(
        &self,
        [model, made]: [&Model; 2],
        data: Option<&Dataset>,
        context: &Context,
    ) -> Result<Model, OpError> {
        let (Some(activations), Some(data)) = (self.arithmetic.activations(), data) else {
            return Ok(made.clone());
        };
        let weights = weight_scales(&self.encode_exactly([model, made], Some(data))?);
        let range = (activations.bits, activations.fit);
        let values = value_scales(self.calibration, range, made, &data.train, &|| context.cancelled())
            .map_err(calibration_failed)?;
        made.clone().with_integers(IntegerParameters { values, weights }).map_err(failed)
    }
}

/// Returns the scales of each layer's weight, by the layer's name.
fn weight_scales(tensors: &[Encoded]) -> BTreeMap<String, WeightScales> {
    let of = |tensor: &Encoded| {
        let (layer, codes) = (tensor.name.strip_suffix(".weight")?, tensor.codes.as_ref()?);
        let scales = if codes.scales.is_empty() { vec![1.0] } else { codes.scales.clone() };
        Some((layer.to_owned(), WeightScales { bits: codes.bits, scales }))
    };
    tensors.iter().filter_map(of).collect()
}

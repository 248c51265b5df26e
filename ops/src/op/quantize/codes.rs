//! The codes of the network that `Quantize` makes, flips of their bits, and the quantization of each tensor.

use std::collections::BTreeMap;
use std::sync::Arc;

use fewbits_engine::context::Context;
use fewbits_engine::ops::{OpError, Output};
use fewbits_store::Digest;

use super::{QuantizeOp, calibration_failed, failed, tensors};
use crate::calibration::layers::fits;
use crate::dataset::Dataset;
use crate::network::array::Array;
use crate::network::model::Model;
use crate::quantize::{Encoded, Tensor};
use crate::standard::Artifact;

impl QuantizeOp {
    /// Returns whether the codes of the weights depend on the training images beside the weights: if a fit of scales reads them, or
    /// if the weights before the flips have to be calibrated again.
    pub(crate) fn codes_read_images(&self) -> bool {
        self.fits_read_inputs() || (self.flips.is_some() && self.is_calibrated())
    }

    /// Flips bits of the network that [`Self::run_exactly`] made. Metrics of the rounding stay those before the flips.
    pub(crate) fn flip(
        &self,
        model: &Model,
        data: Option<&Dataset>,
        output: &mut Output<Artifact>,
    ) -> Result<(), OpError> {
        let (Some(flips), Some(Artifact::Model(made))) = (self.flips, output.artifact.as_deref()) else {
            return Ok(());
        };
        let (mut flipped, mut replaced) = (0, BTreeMap::new());
        for mut tensor in self.encode_exactly([model, made], data)? {
            flipped += flips.apply(&mut tensor).map_err(failed)?;
            replaced.insert(tensor.name, tensor.weights);
        }
        let mut small = self.with_quantizations(made.with(replaced).map_err(failed)?);
        if let Some(integers) = made.integers() {
            small = small.with_integers(integers.clone()).map_err(failed)?;
        }
        let bytes = small.encode().map_err(failed)?;
        output.parts = BTreeMap::from([("model".to_owned(), Digest::hash(&bytes))]);
        output.artifact = Some(Arc::new(Artifact::Model(small)));
        output.metrics.insert("flipped_bits".to_owned(), flipped as f64);
        Ok(())
    }

    /// Returns the tensors that [`Self::run`] makes of a model, with their codes; `made` is the model that it made. Reads
    /// `data` only if [`Self::codes_read_images`].
    pub(crate) fn encode(
        &self,
        [model, made]: [&Model; 2],
        data: Option<&Dataset>,
    ) -> Result<Vec<Encoded>, OpError> {
        let Some(flips) = self.flips else { return self.encode_exactly([model, made], data) };
        // The weights before the flips have the codes.
        let exact = if self.is_calibrated() {
            self.run_exactly(model, data, &Context::silent())?.artifact
        } else {
            None
        };
        let made = if let Some(Artifact::Model(exact)) = exact.as_deref() { exact } else { made };
        let mut tensors = self.encode_exactly([model, made], data)?;
        for tensor in &mut tensors {
            flips.apply(tensor).map_err(failed)?;
        }
        Ok(tensors)
    }

    /// Returns the tensors that [`Self::run_exactly`] makes of a model, with their codes; `made` is the model that it made.
    pub(super) fn encode_exactly(
        &self,
        [model, made]: [&Model; 2],
        data: Option<&Dataset>,
    ) -> Result<Vec<Encoded>, OpError> {
        let quantizer = self.of_network(model);
        if !self.is_calibrated() {
            return quantizer.encode(&tensors(model)).map_err(failed);
        }
        // Scales belong to the weights before rounding; a bias that the calibration added is not quantized.
        let fits = match data {
            Some(data) if self.fits_read_inputs() => {
                fits(self.calibration, &quantizer, [model, made], &data.train).map_err(calibration_failed)?
            }
            _ => BTreeMap::new(),
        };
        let made = tensors(made);
        let before = |tensor: &Tensor<'_>| model.tensors().get(tensor.name).map(Array::numbers);
        let original: Vec<Tensor<'_>> = made
            .iter()
            .map(|tensor| Tensor { data: before(tensor).unwrap_or(tensor.data), ..*tensor })
            .collect();
        let rounded: Vec<&[f32]> = made.iter().map(|tensor| tensor.data).collect();
        quantizer.encode_rounded(&original, &rounded, &fits).map_err(failed)
    }

    /// Returns a model that the op made with the quantizations of its tensors.
    pub(crate) fn with_quantizations(&self, made: Model) -> Model {
        let quantizer = self.of_network(&made);
        let of = |(name, tensor): (&String, &Array)| {
            let is_included = quantizer.tensors.include(tensor.shape());
            is_included.then(|| (name.clone(), quantizer.quantization_of(name).clone()))
        };
        let quantizations = made.tensors().iter().filter_map(of).collect();
        made.quantized(quantizations)
    }
}

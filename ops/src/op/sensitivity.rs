//! `Sensitivity(layer, format)`: the loss of a network with one layer quantized. A probe of `Allocate`; no file names it.

use std::collections::BTreeMap;
use std::sync::Arc;

use fewbits_engine::context::Context;
use fewbits_engine::ops::{Identity, Keeping, NodeKind, OpError, Output};
use fewbits_store::Digest;
use serde_json::json;

use super::quantize::quantize;
use crate::backend::{Device, logits};
use crate::calibration::Calibration;
use crate::dataset::Dataset;
use crate::divergence::divergence;
use crate::format::{Bias, Float};
use crate::format::{Format, RandomBits, Rounding};
use crate::network::model::Model;
use crate::quantize::{Quantization, Quantizer, Tensors};
use crate::random::Stream;
use crate::scale::Scale;
use crate::standard::Artifact;

/// The node kind that the engine adds.
pub const KIND: NodeKind = NodeKind {
    name: "Sensitivity",
    inputs: &[("model", "model"), ("data", "dataset")],
    optional_input: None,
    output: Some("loss"),
    parts: &["loss"],
    metrics: &["loss"],
    roles: &[],
    seed: None,
    keeping: Keeping::InRecord,
    probe: None,
};

const VERSION: u32 = 1;

/// A layer in a format.
#[derive(Debug)]
pub struct SensitivityOp {
    pub(super) layer: String,
    pub(super) quantization: Quantization,
    pub(super) seed: u64,
    pub(super) random_bits: RandomBits,
    pub(super) calibration: Calibration,
    pub(super) images: usize,
}

impl SensitivityOp {
    pub(crate) fn identity(&self) -> Identity {
        let mut params = json!(self.quantization);
        params["layer"] = json!(self.layer);
        params["images"] = json!(self.images);
        self.calibration.describe(&mut params);
        if self.quantization.rounding.is_random() {
            params["seed"] = json!(self.seed);
            params["random_bits"] = json!(self.random_bits);
        }
        Identity { op: "sensitivity", version: VERSION, params }
    }

    pub(crate) fn run(
        &self,
        model: &Model,
        data: &Dataset,
        context: &Context,
    ) -> Result<Output<Artifact>, OpError> {
        let quantizer = Quantizer {
            // The other layers stay as they are.
            quantization: binary32()?,
            layers: BTreeMap::from([(self.layer.clone(), self.quantization.clone())]),
            seed: self.seed,
            random_bits: self.random_bits,
            tensors: Tensors::Weights,
        };
        let is_calibrated = self.calibration.reads_images(std::iter::once(&self.quantization));
        let images = Some(data).filter(|_| is_calibrated);
        let made = quantize(self.calibration, &quantizer, model, images, context)?;
        let loss = loss([model, &made.model], data, self.calibration.seed, self.images, context)?;
        Ok(Output {
            artifact: Some(Arc::new(Artifact::Loss(loss))),
            parts: BTreeMap::from([("loss".to_owned(), Digest::hash(&loss.to_le_bytes()))]),
            metrics: BTreeMap::from([("loss".to_owned(), loss)]),
            series: BTreeMap::new(),
            correct: None,
        })
    }
}

/// Returns the mean divergence of the outputs of a network, the second, from those of another, on some training images. The
/// seed chooses the images. It is an error if there are too few.
pub(super) fn loss(
    [model, small]: [&Model; 2],
    data: &Dataset,
    seed: u64,
    images: usize,
    context: &Context,
) -> Result<f64, OpError> {
    let available = data.train.len();
    if images > available {
        return Err(OpError::Failed(format!(
            "sensitivities need {images} training images, and there are {available}; choose fewer with `sensitivity_images`"
        )));
    }
    let mut places = Stream::new(seed, "sensitivity", "").permutation(available);
    places.truncate(images);
    let images = data.train.select(&places);
    let cancelled = || context.cancelled();
    let outputs = |model: &Model| logits(Device::Cpu, model, &images, &cancelled);
    let (baseline, logits) = (outputs(model)?, outputs(small)?);
    if !baseline.iter().all(|logit| logit.is_finite()) {
        return Err(OpError::Failed(
            "an output of the network is not finite, so nothing can be compared with it".to_owned(),
        ));
    }
    Ok(divergence(&baseline, &logits, model.network().classes.max(2)))
}

/// Returns the quantization that changes no binary32 weight.
fn binary32() -> Result<Quantization, OpError> {
    let failed = |error: crate::format::FormatError| OpError::Failed(error.to_string());
    let float = Float::new(8, 23, Bias::Ieee).map_err(failed)?;
    Quantization::new(Format::Float(float), Rounding::Nearest, Some(Scale::None)).map_err(failed)
}

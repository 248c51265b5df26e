//! `Quantize(model, data, format, rounding: Nearest, scale, seed: 0, random_bits: 32, tensors: Weights, layers: {}, first,
//! last, method: Direct, calibration: 256, calibration_seed: 0, bias_correction: false, activations: None, flips: None)`.

mod codes;
mod integers;
mod port;

use std::collections::BTreeMap;
use std::sync::Arc;

use fewbits_engine::context::Context;
use fewbits_engine::ops::{self, Identity, Keeping, MetricRole, OpError, Output};
use fewbits_engine::text::fault::Faults;
use fewbits_engine::text::fields::{Fields, FromValue};
use fewbits_engine::text::value::Value;
use fewbits_engine::text::variant::choice;
use fewbits_store::Digest;
use serde_json::json;

use crate::calibration::Calibration;
use crate::calibration::error::CalibrationError;
use crate::calibration::layers::{Calibrated, calibrate};
use crate::dataset::Dataset;
use crate::format::{Format, RandomBits};
use crate::network::model::Model;
use crate::op::activations::{Arithmetic, read_activations};
use crate::op::flips::read_flips;
use crate::op::layer_errors::{layer_series, mean_error, tensor_series};
use crate::op::method::read_calibration;
use crate::op::quantization::{read_layers, read_override, read_quantization};
use crate::quantize::{Flips, Quantization, Quantized, Quantizer, Tensor, Tensors};
use crate::scale::{RealFit, Scale};
use crate::standard::Artifact;

/// The node kind that the engine reads.
pub const KIND: ops::NodeKind = ops::NodeKind {
    name: "Quantize",
    inputs: &[("model", "model")],
    optional_input: Some(("data", "dataset")),
    output: Some("model"),
    parts: &["model"],
    metrics: &[
        "bits_per_weight",
        "bytes",
        "code_bits",
        "flipped_bits",
        "flushed",
        "max_error",
        "mse",
        "output_error",
        "saturated",
        "scaled",
        "sqnr_db",
    ],
    roles: &[
        (MetricRole::Bytes, "bytes"),
        (MetricRole::BitsPerWeight, "bits_per_weight"),
        (MetricRole::CodeBits, "code_bits"),
    ],
    seed: None,
    keeping: Keeping::WhenCostly("true where `data` is read, else false"),
    probe: None,
};

/// The version of ops with any other quantization.
const VERSION: u32 = 2;
/// The version of ops with a quantization whose numbers changed since: see [`is_newer`].
const NEWER: u32 = 3;

/// A quantization of a network.
#[derive(Debug)]
pub struct QuantizeOp {
    quantizer: Quantizer,
    /// The quantizations of the network's first and last layer; `None` leaves a layer to the general quantization.
    ends: [Option<Quantization>; 2],
    /// How training images are used, if they are.
    calibration: Calibration,
    /// What the network computes with.
    arithmetic: Arithmetic,
    /// The faults of the memory that holds the packed network.
    flips: Option<Flips>,
}

/// Reads the parameters of the op.
pub fn read_op(fields: &mut Fields<'_>, faults: &mut Faults) -> Option<QuantizeOp> {
    let spans = ["method", "tensors", "activations"].map(|field| fields.span_of(field));
    fields.about(&[
        ("model", "The network whose weights are quantized."),
        ("data", "The dataset whose training images a calibration and the ranges of activations use."),
        ("seed", "The seed of stochastic rounding."),
        ("random_bits", "The random bits of a draw of stochastic rounding."),
        ("tensors", "The tensors that are quantized: those of two or more dimensions, or all."),
        ("first", "Another quantization of the first layer."),
        ("last", "Another quantization of the last layer."),
        ("layers", "Other quantizations of layers, by their names."),
    ]);
    let quantization = read_quantization(fields, None, faults);
    let seed = fields.whole("seed", 0..=i64::MAX, Some(0), faults);
    let random_bits = fields.whole("random_bits", 1..=32, Some(32), faults);
    let tensors = fields.optional("tensors", Tensors::Weights, faults);
    let written = ["first", "last", "layers"].map(|name| fields.take(name));
    // A layer's override changes the general quantization.
    let usual = quantization.as_ref();
    let [first, last, layers] = written;
    let [first, last] = [first, last].map(|end| match end {
        // `None` means no override, so that an axis can include it.
        Some(value) if value.bare_name() != Some("None") => read_override(value, usual, faults).map(Some),
        Some(_) | None => Some(None),
    });
    let layers = layers.map_or(Some(BTreeMap::new()), |layers| read_layers(layers, usual, faults));
    fields.otherwise("first", "no exception");
    fields.otherwise("last", "no exception");
    fields.otherwise("layers", "no exception");
    let calibration = read_calibration(fields, faults);
    let arithmetic = read_activations(fields, faults);
    let flips = read_flips(fields, faults);
    let op = QuantizeOp {
        ends: [first?, last?],
        calibration: calibration?,
        arithmetic: arithmetic?,
        flips: flips?.if_any(),
        quantizer: Quantizer {
            quantization: quantization?,
            layers: layers?,
            seed: seed? as u64,
            random_bits: RandomBits::new(random_bits? as u32).ok()?,
            tensors: tensors?,
        },
    };
    if let Err((at, message, hint)) = op.check() {
        faults.add(spans[at], message, hint);
        return None;
    }
    Some(op)
}

/// A quantized network.
pub(super) struct QuantizedModel {
    /// The network.
    pub(super) model: Model,
    /// The reports on its tensors, without their numbers.
    quantized: Quantized,
    calibrated: Option<Calibrated>,
}

/// Quantizes a network, with regard to training images if there are any.
pub(super) fn quantize(
    calibration: Calibration,
    quantizer: &Quantizer,
    model: &Model,
    data: Option<&Dataset>,
    context: &Context,
) -> Result<QuantizedModel, OpError> {
    let calibrated = match data {
        Some(data) => Some(
            calibrate(calibration, quantizer, model, &data.train, &|| context.cancelled())
                .map_err(calibration_failed)?,
        ),
        None => None,
    };
    let none = BTreeMap::new();
    let (model, rounded) = calibrated.as_ref().map_or((model, &none), |found| (&found.model, &found.rounded));
    let mut quantized = quantizer.quantize_with(&tensors(model), rounded).map_err(failed)?;
    let numbers = std::mem::take(&mut quantized.data);
    let replaced = model.tensors().keys().cloned().zip(numbers).collect();
    Ok(QuantizedModel { model: model.with(replaced).map_err(failed)?, quantized, calibrated })
}

pub(super) use port::quantized_port;

impl QuantizeOp {
    /// Makes the quantization of a quantizer that has a quantization for each layer.
    pub(super) fn of(
        quantizer: Quantizer,
        calibration: Calibration,
        arithmetic: Arithmetic,
        flips: Option<Flips>,
    ) -> Self {
        Self { quantizer, ends: [None, None], calibration, arithmetic, flips }
    }

    /// Checks what a calibration and integer arithmetic can do; the error is the index of the field, the message and the hint.
    fn check(&self) -> Result<(), (usize, String, &'static str)> {
        self.calibration
            .check(self.quantizations())
            .map_err(|(message, hint)| (0, message.to_owned(), hint))?;
        self.arithmetic
            .check(self.quantizations(), self.flips)
            .map_err(|(message, hint)| (2, message, hint))?;
        if self.is_calibrated() && self.quantizer.tensors == Tensors::All {
            let (message, hint) = if self.is_integer() {
                let message = "integer arithmetic gives biases 32 bits, so it takes `tensors: Weights` only";
                (message, "remove `tensors`")
            } else {
                let message = "a calibration leaves biases in binary32, so it takes `tensors: Weights` only";
                (message, "remove `tensors`, or use `method: Direct` without `bias_correction`")
            };
            return Err((1, message.to_owned(), hint));
        }
        Ok(())
    }

    /// Returns whether the op reads training images.
    pub(crate) fn is_calibrated(&self) -> bool {
        self.calibration.reads_images(self.quantizations()) || self.arithmetic.activations().is_some()
    }

    fn fits_read_inputs(&self) -> bool {
        self.quantizations().any(|each| each.scale.reads_inputs())
    }

    pub(crate) fn identity(&self) -> Identity {
        // The quantizer omits seed and random bits without stochastic rounding.
        let mut params = json!(self.quantizer);
        let quantizer = &self.quantizer;
        let drawn = self.ends.iter().flatten().any(|end| end.rounding.is_random());
        if drawn {
            params["seed"] = json!(quantizer.seed);
            params["random_bits"] = json!(quantizer.random_bits);
        }
        for (name, end) in ["first", "last"].into_iter().zip(&self.ends) {
            if let Some(quantization) = end {
                params[name] = json!(quantization);
            }
        }
        // A quantization that reads no data has the key that it had before there were others.
        if self.is_calibrated() {
            self.calibration.describe(&mut params);
        }
        if let Some(activations) = self.arithmetic.activations() {
            params["activations"] = json!(activations);
        }
        if let Some(flips) = self.flips {
            params["flips"] = json!(flips);
        }
        let version = if self.quantizations().any(is_newer) { NEWER } else { VERSION };
        Identity { op: "quantize", version, params }
    }

    /// Returns every quantization that can apply to a tensor.
    fn quantizations(&self) -> impl Iterator<Item = &Quantization> {
        let quantizer = &self.quantizer;
        std::iter::once(&quantizer.quantization)
            .chain(quantizer.layers.values())
            .chain(self.ends.iter().flatten())
    }

    pub(crate) fn run(
        &self,
        model: &Model,
        data: Option<&Dataset>,
        context: &Context,
    ) -> Result<Output<Artifact>, OpError> {
        let mut output = self.run_exactly(model, data, context)?;
        self.flip(model, data, &mut output)?;
        Ok(output)
    }

    /// Quantizes a network, without flips.
    pub(super) fn run_exactly(
        &self,
        model: &Model,
        data: Option<&Dataset>,
        context: &Context,
    ) -> Result<Output<Artifact>, OpError> {
        let quantizer = self.of_network(model);
        // Ranges of activations alone do not change the weights.
        let read = data.filter(|_| self.calibration.reads_images(self.quantizations()));
        let QuantizedModel { model: small, quantized, calibrated } =
            quantize(self.calibration, &quantizer, model, read, context)?;
        let small = self.with_arithmetic([model, &small], data, context)?;
        let bytes = small.encode().map_err(failed)?;
        let mut series = tensor_series(&quantized);
        let mut metrics = self.metrics(&quantized);
        if let Some(found) = &calibrated {
            series.extend(layer_series(&quantizer, found, &quantized));
            metrics.extend(mean_error(found).map(|error| ("output_error".to_owned(), error)));
        }
        Ok(Output {
            parts: BTreeMap::from([("model".to_owned(), Digest::hash(&bytes))]),
            artifact: Some(Arc::new(Artifact::Model(self.with_quantizations(small)))),
            metrics,
            series,
            correct: None,
        })
    }

    /// Returns the sources of the algorithms.
    pub(crate) fn literature(&self) -> Vec<&'static str> {
        let mut all = self.calibration.literature();
        all.extend(self.arithmetic.literature());
        all
    }

    /// Returns whether the network computes with integers.
    pub(crate) fn is_integer(&self) -> bool {
        self.arithmetic.activations().is_some()
    }

    /// Returns whether biases are quantized as weights are.
    pub(crate) fn quantizes_biases(&self) -> bool {
        self.quantizer.tensors == Tensors::All
    }

    /// Returns whether weights are divided by a scale before rounding.
    pub(crate) fn is_scaled(&self) -> bool {
        self.quantizer.quantization.scale != Scale::None
    }

    /// Returns whether the numbers of the format are neither scaled nor fitted to the weights, as a codebook is.
    pub(crate) fn is_unscaled(&self) -> bool {
        !self.is_scaled() && !matches!(self.quantizer.quantization.format, Format::KMeans { .. })
    }

    /// Returns the quantizer with the overrides of the network's first and last layer; an override by name has
    /// priority.
    fn of_network(&self, model: &Model) -> Quantizer {
        self.of_layers(model.weighted_layers().iter())
    }

    /// Returns the quantizer for a network whose layers with weights these are, in order.
    fn of_layers<'n>(&self, mut weighted: impl DoubleEndedIterator<Item = &'n String>) -> Quantizer {
        let mut quantizer = self.quantizer.clone();
        let (first, last) = (weighted.next(), weighted.next_back());
        // The only layer of a network is both first and last; it counts as the last.
        for (name, end) in [last.or(first), first].into_iter().zip(self.ends.iter().rev()) {
            if let (Some(name), Some(quantization)) = (name, end) {
                quantizer.layers.entry(name.clone()).or_insert_with(|| quantization.clone());
            }
        }
        quantizer
    }

    fn metrics(&self, quantized: &Quantized) -> BTreeMap<String, f64> {
        let (lost, size) = (&quantized.overall, &quantized.size);
        let all = [
            ("bits_per_weight", Some(size.bits_per_weight)),
            ("bytes", Some(size.bytes as f64)),
            ("code_bits", Some(size.code_bits)),
            ("flushed", Some(lost.flushed)),
            ("max_error", Some(lost.max_error)),
            ("mse", Some(lost.mse)),
            ("saturated", Some(lost.saturated)),
            ("scaled", Some(f64::from(u8::from(self.is_scaled())))),
            ("sqnr_db", lost.sqnr_db),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

/// Returns whether a quantization can give other numbers than version 2: zeros of a format without zero, centres of exact
/// k-means, and percentiles whose rank binary64 arithmetic can get wrong.
fn is_newer(quantization: &Quantization) -> bool {
    let is_decimal = match quantization.scale {
        Scale::Real { fit: RealFit::Percentile(percent), .. } => !percent.has_few_bits(),
        Scale::None | Scale::PowerOfTwo { .. } | Scale::Real { .. } => false,
    };
    quantization.format.lacks_zero() || matches!(quantization.format, Format::KMeans { .. }) || is_decimal
}

/// Returns the tensors of a model.
fn tensors(model: &Model) -> Vec<Tensor<'_>> {
    let tensors = model.tensors().iter();
    tensors.map(|(name, tensor)| Tensor { name, shape: tensor.shape(), data: tensor.numbers() }).collect()
}

fn failed(error: impl std::fmt::Display) -> OpError {
    OpError::Failed(error.to_string())
}

fn calibration_failed(error: CalibrationError) -> OpError {
    match error {
        CalibrationError::Inference(error) => error.into(),
        other => failed(other),
    }
}

impl FromValue for Tensors {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        choice(value, "a choice of tensors", &[("Weights", Self::Weights), ("All", Self::All)], faults)
    }
}

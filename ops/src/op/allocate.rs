//! `Allocate(model, data, formats, max_bytes, rounding: Nearest, scale, seed: 0, random_bits: 32, method: Direct, calibration: 256,
//! calibration_seed: 0, bias_correction: false, sensitivity_images: 1500, activations: None, flips: None)`: a format for each layer, within a number of bytes.

use std::collections::{BTreeMap, BTreeSet};

use fewbits_engine::context::Context;
use fewbits_engine::ops::{Identity, Keeping, MetricRole, Misfit, NodeKind, OpError, Output, Probe};
use fewbits_engine::text::fault::Faults;
use fewbits_engine::text::fields::Fields;
use fewbits_store::{Record, Series};
use serde_json::json;

use super::activations::{Arithmetic, read_activations};
use super::flips::read_flips;
use super::layer_errors::LAYER;
use super::method::read_calibration;
use super::quantization::read_list;
use super::quantize::{QuantizeOp, quantized_port};
use super::sensitivity::{self, SensitivityOp};
use crate::allocation::{Choice, allocate};
use crate::calibration::Calibration;
use crate::dataset::Dataset;
use crate::format::RandomBits;
use crate::network::model::Model;
use crate::quantize::{Encoded, Flips, Quantization, Quantizer, TensorSize, Tensors};
use crate::standard::{Artifact, ModelPort, Port};

/// The node kind that the engine reads.
pub const KIND: NodeKind = NodeKind {
    name: "Allocate",
    inputs: &[("model", "model"), ("data", "dataset")],
    optional_input: None,
    output: Some("model"),
    parts: &["model"],
    metrics: &[
        "bits_per_weight",
        "bytes",
        "flipped_bits",
        "flushed",
        "max_error",
        "measured_loss",
        "mse",
        "output_error",
        "predicted_loss",
        "saturated",
        "sqnr_db",
    ],
    roles: &[(MetricRole::Bytes, "bytes"), (MetricRole::BitsPerWeight, "bits_per_weight")],
    seed: None,
    keeping: Keeping::Always,
    probe: Some(&sensitivity::KIND),
};

const VERSION: u32 = 1;

/// The source of the choice under a budget as an integer program.
pub const HAWQ_V3: &str = "Yao, Z., Dong, Z., Zheng, Z., Gholami, A., Yu, J., Tan, E., Wang, L., Huang, Q., Wang, Y., Mahoney, M. W., \
                           Keutzer, K. (2021). HAWQ-V3: dyadic neural network quantization. ICML 2021, PMLR 139, 11875–11886";
/// The source of sensitivities by the divergence of the outputs.
pub const ZERO_Q: &str = "Cai, Y., Yao, Z., Dong, Z., Gholami, A., Mahoney, M. W., Keutzer, K. (2020). ZeroQ: a novel zero shot quantization \
                          framework. CVPR 2020, 13169–13178";

/// A choice of formats under a budget.
#[derive(Debug)]
pub struct AllocateOp {
    /// The formats to choose from; at least one, all different.
    formats: Vec<Quantization>,
    /// The most bytes of the packed network, unquantized tensors included.
    max_bytes: u64,
    seed: u64,
    random_bits: RandomBits,
    calibration: Calibration,
    /// The number of training images that sensitivities are measured on.
    images: usize,
    /// What the network computes with; sensitivities are measured in binary32.
    arithmetic: Arithmetic,
    /// The faults of the memory that holds the packed network.
    flips: Option<Flips>,
}

/// Reads the parameters of the op.
pub fn read_op(fields: &mut Fields<'_>, faults: &mut Faults) -> Option<AllocateOp> {
    fields.about(&[
        ("model", "The network whose weights are quantized."),
        (
            "data",
            "The dataset whose training images sensitivities and calibrations use; labels are not read.",
        ),
        ("formats", "The formats to choose from, each with a scale of its own or the general one."),
        ("max_bytes", "The most bytes of the network as packed, unquantized tensors included."),
        ("seed", "The seed of stochastic rounding."),
        ("random_bits", "The random bits of a draw of stochastic rounding."),
        (
            "sensitivity_images",
            "The number of training images that the sensitivity of a layer is measured on.",
        ),
    ]);
    let [method_span, activations_span] = ["method", "activations"].map(|field| fields.span_of(field));
    let formats = read_list(fields, faults);
    let max_bytes = fields.whole("max_bytes", 1..=i64::MAX, None, faults);
    let seed = fields.whole("seed", 0..=i64::MAX, Some(0), faults);
    let random_bits = fields.whole("random_bits", 1..=32, Some(32), faults);
    let calibration = read_calibration(fields, faults);
    let images = fields.whole("sensitivity_images", 1..=1_000_000, Some(1500), faults);
    let arithmetic = read_activations(fields, faults);
    let flips = read_flips(fields, faults);
    let op = AllocateOp {
        formats: formats?,
        max_bytes: max_bytes? as u64,
        seed: seed? as u64,
        random_bits: RandomBits::new(random_bits? as u32).ok()?,
        calibration: calibration?,
        images: images? as usize,
        arithmetic: arithmetic?,
        flips: flips?.if_any(),
    };
    if let Err((message, hint)) = op.calibration.check(op.formats.iter()) {
        faults.add(method_span, message, hint);
        return None;
    }
    if let Err((message, hint)) = op.arithmetic.check(op.formats.iter(), op.flips) {
        faults.add(activations_span, message, hint);
        return None;
    }
    Some(op)
}

impl AllocateOp {
    pub(crate) fn identity(&self) -> Identity {
        let mut params = json!({
            "formats": self.formats,
            "max_bytes": self.max_bytes,
            "sensitivity_images": self.images,
        });
        self.calibration.describe(&mut params);
        if self.formats.iter().any(|format| format.rounding.is_random()) {
            params["seed"] = json!(self.seed);
            params["random_bits"] = json!(self.random_bits);
        }
        if let Some(activations) = self.arithmetic.activations() {
            params["activations"] = json!(activations);
        }
        if let Some(flips) = self.flips {
            params["flips"] = json!(flips);
        }
        Identity { op: "allocate", version: VERSION, params }
    }

    /// Checks that the images fit the network, and that the smallest formats fit the budget.
    pub(crate) fn port(&self, inputs: &[&Port]) -> Result<Port, Misfit> {
        let made = quantized_port(self.calibration, self.arithmetic, inputs)?;
        let Port::Model(model) = &made else { return Ok(made) };
        if let Some(sizes) = self.sizes(model) {
            let smallest = |layer: &Vec<u64>| layer.iter().min().copied().unwrap_or_default();
            let least = sizes.fixed + sizes.layers.iter().map(smallest).sum::<u64>();
            if least > self.max_bytes {
                return Err(Misfit {
                    field: "max_bytes",
                    path: vec![],
                    message: format!(
                        "the network takes at least {least} bytes in these formats, more than {}",
                        self.max_bytes
                    ),
                    hint: "allow more bytes, or add smaller formats".to_owned(),
                });
            }
        }
        Ok(made)
    }

    /// Returns the probes: each layer in each format; `None` if the layers are not known.
    pub(crate) fn probes(&self, inputs: &[&Port]) -> Option<Vec<Probe<SensitivityOp>>> {
        let [Port::Model(model), ..] = inputs else { return None };
        let labels = labels(&self.formats);
        let of_layer = |layer: &String| {
            let probe = |(quantization, label): (&Quantization, &String)| Probe {
                label: format!("{layer}:{label}"),
                op: SensitivityOp {
                    layer: layer.clone(),
                    quantization: quantization.clone(),
                    seed: self.seed,
                    random_bits: self.random_bits,
                    calibration: self.calibration,
                    images: self.images,
                },
            };
            self.formats.iter().zip(&labels).map(probe).collect::<Vec<_>>()
        };
        Some(weighted(model)?.iter().flat_map(of_layer).collect())
    }

    /// Chooses the formats by the losses that the probes measured, and quantizes the network.
    pub(crate) fn run(
        &self,
        model: &Model,
        data: &Dataset,
        losses: &[f64],
        context: &Context,
    ) -> Result<Output<Artifact>, OpError> {
        let chosen = self.choose(model, losses)?;
        let predicted: f64 = chosen
            .iter()
            .enumerate()
            .map(|(layer, format)| losses[layer * self.formats.len() + format])
            .sum();
        let op = self.quantize_op(model, &chosen);
        let read = Some(data).filter(|_| op.is_calibrated());
        let mut output = op.run_exactly(model, read, context)?;
        // A nominal width per weight is a property of one format.
        output.metrics.retain(|name, _| name != "code_bits" && name != "scaled");
        output.metrics.insert("predicted_loss".to_owned(), predicted);
        if let Some(Artifact::Model(small)) = output.artifact.as_deref() {
            let measured =
                sensitivity::loss([model, small], data, self.calibration.seed, self.images, context)?;
            output.metrics.insert("measured_loss".to_owned(), measured);
        }
        op.flip(model, read, &mut output)?;
        let layers = model.weighted_layers();
        let of = |value: &dyn Fn(usize) -> f64| Series {
            along: LAYER.to_owned(),
            names: layers.clone(),
            values: chosen.iter().map(|format| value(*format)).collect(),
        };
        output.series.insert("format".to_owned(), of(&|format| format as f64));
        output.series.insert("format_bits".to_owned(), of(&|format| self.formats[format].format.code_bits()));
        Ok(output)
    }

    /// Returns the tensors that [`Self::run`] makes of a model, with their codes; `made` is the model that it made.
    pub(crate) fn encode(
        &self,
        [model, made]: [&Model; 2],
        data: &Dataset,
        losses: &[f64],
    ) -> Result<Vec<Encoded>, OpError> {
        let chosen = self.choose(model, losses)?;
        self.quantize_op(model, &chosen).encode([model, made], Some(data))
    }

    /// Returns a model that the op made with the quantizations of its tensors; `record` is that of the op.
    pub(crate) fn with_quantizations(&self, made: Model, record: &Record) -> Model {
        let chosen = chosen_formats(record);
        self.quantize_op(&made, &chosen).with_quantizations(made)
    }

    /// Returns the format and the size of each tensor of the network that the op makes; `formats` has the place of each layer's
    /// format, in the order of the layers.
    pub(crate) fn tensor_sizes(&self, made: &ModelPort, formats: &[usize]) -> Vec<TensorSize> {
        let (Some(layers), Some(tensors)) = (weighted(made), &made.tensors) else { return vec![] };
        let quantizer = self.quantizer(&layers, formats);
        tensors.iter().map(|(name, shape)| quantizer.tensor_size(name, shape)).collect()
    }

    /// Returns the names of the formats, in the order of the list.
    pub(crate) fn format_names(&self) -> Vec<String> {
        labels(&self.formats)
    }

    pub(crate) fn literature(&self) -> Vec<&'static str> {
        let mut all = self.calibration.literature();
        all.extend([HAWQ_V3, ZERO_Q]);
        all.extend(self.arithmetic.literature());
        all
    }

    /// Returns whether the network computes with integers.
    pub(crate) fn is_integer(&self) -> bool {
        self.arithmetic.activations().is_some()
    }

    /// Returns the place of each layer's format.
    fn choose(&self, model: &Model, losses: &[f64]) -> Result<Vec<usize>, OpError> {
        let shapes =
            model.tensors().iter().map(|(name, tensor)| (name.clone(), tensor.shape().to_vec())).collect();
        let layers = model.weighted_layers();
        if losses.len() != layers.len() * self.formats.len() {
            let message = "a fault in fewbits itself (probes of other layers); please report it";
            return Err(OpError::Failed(message.to_owned()));
        }
        let sizes = self.sizes_of(&layers, &self.calibration.with_biases(&shapes));
        let options = |(bytes, losses): (&Vec<u64>, &[f64])| -> Vec<Choice> {
            bytes.iter().zip(losses).map(|(bytes, loss)| Choice { bytes: *bytes, loss: *loss }).collect()
        };
        let items: Vec<Vec<Choice>> =
            sizes.layers.iter().zip(losses.chunks(self.formats.len())).map(options).collect();
        let room = self.max_bytes.saturating_sub(sizes.fixed);
        allocate(&items, room).ok_or_else(|| {
            OpError::Failed(format!("no choice of formats fits into {} bytes; allow more", self.max_bytes))
        })
    }

    fn quantize_op(&self, model: &Model, chosen: &[usize]) -> QuantizeOp {
        let quantizer = self.quantizer(&model.weighted_layers(), chosen);
        QuantizeOp::of(quantizer, self.calibration, self.arithmetic, self.flips)
    }

    /// Returns the quantizer of layers in these formats.
    fn quantizer(&self, layers: &[String], formats: &[usize]) -> Quantizer {
        let of =
            |(layer, format): (&String, &usize)| Some((layer.clone(), self.formats.get(*format)?.clone()));
        Quantizer {
            // Every tensor that is quantized belongs to one of the layers.
            quantization: self.formats[0].clone(),
            layers: layers.iter().zip(formats).filter_map(of).collect(),
            seed: self.seed,
            random_bits: self.random_bits,
            tensors: Tensors::Weights,
        }
    }

    fn sizes(&self, model: &ModelPort) -> Option<Sizes> {
        Some(self.sizes_of(&weighted(model)?, model.tensors.as_ref()?))
    }

    fn sizes_of(&self, layers: &[String], tensors: &BTreeMap<String, Vec<usize>>) -> Sizes {
        let weights: BTreeSet<String> = layers.iter().map(|layer| format!("{layer}.weight")).collect();
        let bytes = |shape: &Vec<usize>, quantization: &Quantization| {
            quantization.side_bytes(shape) + quantization.code_bytes(shape.iter().product())
        };
        let of_layer = |layer: &String| {
            let shape = tensors.get(&format!("{layer}.weight"));
            shape.map_or(vec![], |shape| self.formats.iter().map(|format| bytes(shape, format)).collect())
        };
        let others = tensors.iter().filter(|(name, _)| !weights.contains(*name));
        Sizes {
            layers: layers.iter().map(of_layer).collect(),
            fixed: others.map(|(_, shape)| 4 * shape.iter().product::<usize>() as u64).sum(),
        }
    }
}

/// Returns the place of each layer's format among those to choose from, in the order of the layers.
pub(crate) fn chosen_formats(record: &Record) -> Vec<usize> {
    let chosen = record.series.get("format").map_or(&[][..], |series| &series.values);
    chosen.iter().map(|format| *format as usize).collect()
}

/// The bytes of a network.
struct Sizes {
    /// Of each layer's weight, in each format.
    layers: Vec<Vec<u64>>,
    /// Of the tensors that are not quantized.
    fixed: u64,
}

/// Returns the layers with a weight of two or more dimensions, in order; `None` if they are not known.
fn weighted(model: &ModelPort) -> Option<Vec<String>> {
    let (layers, tensors) = (model.layers.as_ref()?, model.tensors.as_ref()?);
    let is_weighted =
        |layer: &&String| tensors.get(&format!("{layer}.weight")).is_some_and(|shape| shape.len() >= 2);
    Some(layers.iter().filter(is_weighted).cloned().collect())
}

/// Returns a label for each format, all different.
fn labels(formats: &[Quantization]) -> Vec<String> {
    let text = |of: &Quantization| of.format.to_string();
    let label = |(at, of): (usize, &Quantization)| {
        let name = text(of);
        let same = formats.iter().filter(|other| text(other) == name).count();
        let before = formats[..at].iter().filter(|other| text(other) == name).count();
        if same > 1 { format!("{name}#{}", before + 1) } else { name }
    };
    formats.iter().enumerate().map(label).collect()
}

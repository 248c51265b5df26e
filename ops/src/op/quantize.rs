//! `Quantize(model, format, rounding: Nearest, seed: 0, random_bits: 32, scale, tensors: Weights)`.

use std::collections::BTreeMap;
use std::sync::Arc;

use fewbits_engine::ops::{Identity, Keeping, Kind, OpError, Output};
use fewbits_engine::text::fault::Faults;
use fewbits_engine::text::read::{Fields, Read, choice, variant};
use fewbits_engine::text::value::Value;
use fewbits_store::{Digest, Series};
use serde_json::json;

use crate::format::{Bias, Float, Format, Percent, PowerFit, RandomBits, RealFit, Rounding, Scale};
use crate::network::model::Model;
use crate::quantize::{Distortion, Quantized, Quantizer, Tensor, Tensors};
use crate::standard::Artifact;

/// How the engine wires it.
pub const KIND: Kind = Kind {
    name: "Quantize",
    inputs: &[("model", "model")],
    output: Some("model"),
    parts: &["model"],
    metrics: &[
        "bits_per_weight",
        "bytes",
        "code_bits",
        "flushed",
        "max_error",
        "mse",
        "saturated",
        "scaled",
        "sqnr_db",
    ],
    keeping: Keeping::WhenAsked,
};

const VERSION: u32 = 1;

/// A quantization to be done.
#[derive(Debug)]
pub struct QuantizeOp {
    quantizer: Quantizer,
}

/// Reads its parameters.
pub fn read(fields: &mut Fields<'_>, faults: &mut Faults) -> Option<QuantizeOp> {
    let format: Option<Format> = fields.required("format", faults);
    let rounding = fields.optional("rounding", Rounding::Nearest, faults);
    let seed = fields.whole("seed", 0..=i64::MAX, Some(0), faults);
    let random_bits = fields.whole("random_bits", 1..=32, Some(32), faults);
    let scale = fields.optional("scale", None::<Scale>, faults);
    let tensors = fields.optional("tensors", Tensors::Weights, faults);
    let format = format?;
    let quantizer = Quantizer {
        rounding: rounding?,
        seed: seed? as u64,
        random_bits: RandomBits::new(random_bits? as u32).ok()?,
        scale: scale?.unwrap_or(format.default_scale()),
        tensors: tensors?,
        format,
    };
    Some(QuantizeOp { quantizer })
}

impl QuantizeOp {
    pub(crate) fn identity(&self) -> Identity {
        // The quantizer leaves out seed and random bits where nothing is drawn.
        Identity { op: "quantize", version: VERSION, params: json!(self.quantizer) }
    }

    pub(crate) fn run(&self, model: &Model) -> Result<Output<Artifact>, OpError> {
        let failed = |error: &dyn std::fmt::Display| OpError::Failed(error.to_string());
        let names: Vec<&String> = model.tensors().keys().collect();
        let numbers: Vec<Vec<f32>> = names
            .iter()
            .map(|name| model.numbers(name).map_err(|error| failed(&error)))
            .collect::<Result<_, _>>()?;
        let tensors: Vec<Tensor<'_>> = model
            .tensors()
            .iter()
            .zip(&numbers)
            .map(|((name, tensor), data)| Tensor { name, shape: tensor.dims(), data })
            .collect();
        let mut quantized = self.quantizer.quantize(&tensors).map_err(|error| failed(&error))?;
        let data = std::mem::take(&mut quantized.data);
        let replaced = names.into_iter().cloned().zip(data).collect();
        let small = model.with(replaced).map_err(|error| failed(&error))?;
        let bytes = small.encode().map_err(|error| failed(&error))?;
        Ok(Output {
            parts: BTreeMap::from([("model".to_owned(), Digest::of(&bytes))]),
            artifact: Some(Arc::new(Artifact::Model(small))),
            metrics: self.metrics(&quantized),
            series: series(&quantized),
            correct: None,
        })
    }

    /// Returns whether weights are divided by a scale before they are rounded.
    pub(crate) fn is_scaled(&self) -> bool {
        self.quantizer.scale != Scale::None
    }

    fn metrics(&self, quantized: &Quantized) -> BTreeMap<String, f64> {
        let (lost, size) = (&quantized.overall, &quantized.size);
        let all = [
            ("bits_per_weight", Some(size.bits_per_weight)),
            ("bytes", Some(size.bytes as f64)),
            ("code_bits", Some(f64::from(size.code_bits))),
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

/// Returns the errors per tensor.
fn series(quantized: &Quantized) -> BTreeMap<String, Series> {
    let names: Vec<String> = quantized.reports.iter().map(|report| report.name.clone()).collect();
    let of = |value: fn(&Distortion) -> f64| Series {
        along: "tensor".to_owned(),
        names: names.clone(),
        values: quantized.reports.iter().map(|report| value(&report.distortion)).collect(),
    };
    let scales = quantized.reports.iter().map(|report| f64::from(report.scale.value())).collect();
    BTreeMap::from([
        ("flushed".to_owned(), of(|lost| lost.flushed)),
        ("max_error".to_owned(), of(|lost| lost.max_error)),
        ("mse".to_owned(), of(|lost| lost.mse)),
        ("saturated".to_owned(), of(|lost| lost.saturated)),
        ("scale".to_owned(), Series { along: "tensor".to_owned(), names: names.clone(), values: scales }),
        ("sqnr_db".to_owned(), of(|lost| lost.sqnr_db.unwrap_or(f64::NAN))),
    ])
}

impl Read for Format {
    fn read(value: &Value, faults: &mut Faults) -> Option<Self> {
        let kind = variant(value, "a format", &["Float"], faults)?;
        let mut fields = Fields::open(value, kind, faults)?;
        let e = fields.whole("e", 0..=8, None, faults);
        let m = fields.whole("m", 0..=23, None, faults);
        let bias = fields.optional("bias", Bias::Ieee, faults);
        fields.finish(faults);
        match Float::new(e? as u32, m? as u32, bias?) {
            Ok(float) => Some(Self::Float(float)),
            Err(error) => {
                faults.add(value.span, error.to_string(), "");
                None
            }
        }
    }
}

impl Read for Bias {
    fn read(value: &Value, faults: &mut Faults) -> Option<Self> {
        let kind = variant(value, "a bias", &["Ieee", "Exactly"], faults)?;
        let mut fields = Fields::open(value, kind, faults)?;
        let bias = match kind {
            "Ieee" => Some(Self::Ieee),
            _ => fields.whole("bias", -1000..=1000, None, faults).map(|bias| Self::Exactly(bias as i32)),
        };
        fields.finish(faults);
        bias
    }
}

impl Read for Rounding {
    fn read(value: &Value, faults: &mut Faults) -> Option<Self> {
        let choices = [
            ("Nearest", Self::Nearest),
            ("NearestAway", Self::NearestAway),
            ("TowardZero", Self::TowardZero),
            ("Stochastic", Self::Stochastic),
        ];
        choice(value, "a rounding", &choices, faults)
    }
}

impl Read for Tensors {
    fn read(value: &Value, faults: &mut Faults) -> Option<Self> {
        choice(value, "a choice of tensors", &[("Weights", Self::Weights), ("All", Self::All)], faults)
    }
}

/// Read through `Option`, so that a format's own default stands where none is given; `None` is a scale too.
impl Read for Scale {
    fn read(value: &Value, faults: &mut Faults) -> Option<Self> {
        let kind = variant(value, "a scale", &["None", "PowerOfTwo", "Real"], faults)?;
        let mut fields = Fields::open(value, kind, faults)?;
        if kind != "None"
            && let Some(per) = fields.take("per")
        {
            choice(per, "a part of a model", &[("Tensor", ())], faults)?;
        }
        let scale = match kind {
            "None" => Some(Self::None),
            "PowerOfTwo" => {
                fields.optional("fit", PowerFit::MaxAbs, faults).map(|fit| Self::PowerOfTwo { fit })
            }
            _ => {
                let store =
                    fields.take("store").map(|value| choice(value, "a stored type", &[("F32", ())], faults));
                let fit = fields.optional("fit", RealFit::MaxAbs, faults);
                store.unwrap_or(Some(())).and(fit).map(|fit| Self::Real { fit })
            }
        };
        fields.finish(faults);
        scale
    }
}

impl Read for PowerFit {
    fn read(value: &Value, faults: &mut Faults) -> Option<Self> {
        let choices = [
            ("MaxAbs", Self::MaxAbs),
            ("MaxExponent", Self::MaxExponent),
            ("LeastSquares", Self::LeastSquares),
        ];
        choice(value, "a fit", &choices, faults)
    }
}

impl Read for RealFit {
    fn read(value: &Value, faults: &mut Faults) -> Option<Self> {
        let kind = variant(value, "a fit", &["MaxAbs", "Percentile", "LeastSquares"], faults)?;
        let mut fields = Fields::open(value, kind, faults)?;
        let fit = match kind {
            "MaxAbs" => Some(Self::MaxAbs),
            "LeastSquares" => Some(Self::LeastSquares),
            _ => {
                let percent: Option<f64> = fields.required("p", faults);
                percent.and_then(|percent| match Percent::new(percent) {
                    Ok(percent) => Some(Self::Percentile(percent)),
                    Err(error) => {
                        faults.add(value.span, error.to_string(), "");
                        None
                    }
                })
            }
        };
        fields.finish(faults);
        fit
    }
}

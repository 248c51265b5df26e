//! How networks, optimizers, schedules and the rest of a training's parameters are read.

use std::fmt;

use fewbits_engine::text::fault::Faults;
use fewbits_engine::text::fields::{Fields, FromValue, choice, variant};
use fewbits_engine::text::value::Value;

use crate::network::architecture::{Architecture, LayerSpec};
use crate::network::training::config::{Augment, Init, LearningRateSchedule, Optimizer};

/// A layer wider than this is taken for a mistake.
const WIDEST: i64 = 1 << 20;

impl FromValue for Architecture {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        let kind = variant(value, "a model", &["Mlp", "Layers"], faults)?;
        let mut fields = Fields::open(value, kind, faults)?;
        let model = match kind {
            "Mlp" => {
                let words = format!("a list of layer widths from 1 to {WIDEST}");
                let within = |hidden: &Vec<i64>| hidden.iter().all(|width| (1..=WIDEST).contains(width));
                let hidden = fields.such_that("hidden", Some(vec![512, 256]), &words, within, faults);
                let dropout = probability("dropout", Some(0.0), &mut fields, faults);
                hidden.zip(dropout).map(|(hidden, dropout)| Self::Mlp {
                    hidden: hidden.into_iter().map(|width| width as usize).collect(),
                    dropout,
                })
            }
            _ => fields.required("layers", faults).map(Self::Layers),
        };
        fields.finish(faults);
        model
    }
}

impl FromValue for LayerSpec {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        let kinds = ["Conv", "Linear", "BatchNorm", "Relu", "MaxPool", "Flatten", "Dropout"];
        let kind = variant(value, "a layer", &kinds, faults)?;
        let mut fields = Fields::open(value, kind, faults)?;
        let layer = match kind {
            "Conv" => read_conv(&mut fields, faults),
            "Linear" => {
                let out = size("out", 1, None, &mut fields, faults);
                let bias = fields.optional("bias", true, faults);
                let name = layer_name(&mut fields, faults);
                out.zip(bias).zip(name).map(|((out, bias), LayerName(name))| Self::Linear { out, bias, name })
            }
            "BatchNorm" => {
                let eps = fields.such_that("eps", Some(1e-5), "above 0", |eps: &f64| *eps > 0.0, faults);
                let share = |share: &f64| *share > 0.0 && *share <= 1.0;
                let momentum =
                    fields.such_that("momentum", Some(0.1), "above 0 and at most 1", share, faults);
                let name = layer_name(&mut fields, faults);
                eps.zip(momentum).zip(name).map(|((eps, momentum), LayerName(name))| Self::BatchNorm {
                    eps,
                    momentum,
                    name,
                })
            }
            "MaxPool" => {
                let window = size("size", 1, None, &mut fields, faults);
                let stride = fields.whole("stride", 1..=WIDEST, window.map(|window| window as i64), faults);
                fields.otherwise("stride", "the same as `size`");
                let stride = stride.map(|stride| Some(stride as usize));
                window.zip(stride).map(|(size, stride)| Self::MaxPool { size, stride })
            }
            "Dropout" => probability("p", None, &mut fields, faults).map(|p| Self::Dropout { p }),
            "Relu" => Some(Self::Relu),
            _ => Some(Self::Flatten),
        };
        fields.finish(faults);
        layer
    }
}

fn read_conv(fields: &mut Fields<'_>, faults: &mut Faults) -> Option<LayerSpec> {
    let out = size("out", 1, None, fields, faults);
    let kernel = size("kernel", 1, None, fields, faults);
    let stride = size("stride", 1, Some(1), fields, faults);
    let padding = size("padding", 0, Some(0), fields, faults);
    let dilation = size("dilation", 1, Some(1), fields, faults);
    let groups = size("groups", 1, Some(1), fields, faults);
    let bias = fields.optional("bias", true, faults);
    let name = layer_name(fields, faults);
    Some(LayerSpec::Conv {
        out: out?,
        kernel: kernel?,
        stride: stride?,
        padding: padding?,
        dilation: dilation?,
        groups: groups?,
        bias: bias?,
        name: name?.0,
    })
}

/// A layer's name; none for the one that its kind and count give it.
struct LayerName(Option<String>);

impl fmt::Debug for LayerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromValue for LayerName {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        Option::<String>::from_value(value, faults).map(Self)
    }
}

fn layer_name(fields: &mut Fields<'_>, faults: &mut Faults) -> Option<LayerName> {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let word =
        |name: &LayerName| name.0.as_ref().is_none_or(|name| !name.is_empty() && name.chars().all(valid));
    fields.such_that("name", Some(LayerName(None)), "letters, digits and `_`", word, faults)
}

fn size(
    name: &'static str,
    least: i64,
    default: Option<i64>,
    fields: &mut Fields<'_>,
    faults: &mut Faults,
) -> Option<usize> {
    fields.whole(name, least..=WIDEST, default, faults).map(|size| size as usize)
}

fn probability(
    name: &'static str,
    default: Option<f64>,
    fields: &mut Fields<'_>,
    faults: &mut Faults,
) -> Option<f64> {
    fields.such_that(name, default, "at least 0 and less than 1", |p: &f64| (0.0..1.0).contains(p), faults)
}

impl FromValue for Optimizer {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        let kind = variant(value, "an optimizer", &["Sgd", "AdamW"], faults)?;
        let mut fields = Fields::open(value, kind, faults)?;
        let positive = |rate: &f64| *rate > 0.0;
        let optimizer = match kind {
            "Sgd" => {
                let lr = fields.such_that("lr", None, "above 0", positive, faults);
                let momentum = probability("momentum", Some(0.0), &mut fields, faults);
                lr.zip(momentum).map(|(lr, momentum)| Self::Sgd { lr, momentum })
            }
            _ => {
                let lr = fields.such_that("lr", Some(1e-3), "above 0", positive, faults);
                let decay = fields.such_that(
                    "weight_decay",
                    Some(0.01),
                    "at least 0",
                    |decay: &f64| *decay >= 0.0,
                    faults,
                );
                lr.zip(decay).map(|(lr, weight_decay)| Self::AdamW { lr, weight_decay })
            }
        };
        fields.finish(faults);
        optimizer
    }
}

impl FromValue for LearningRateSchedule {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        let kind = variant(value, "a schedule", &["Constant", "Step", "Cosine"], faults)?;
        let mut fields = Fields::open(value, kind, faults)?;
        let schedule = match kind {
            "Step" => {
                let every = fields.whole("every", 1..=i64::MAX, None, faults);
                let factor =
                    fields.such_that("factor", None, "above 0", |factor: &f64| *factor > 0.0, faults);
                every.zip(factor).map(|(every, factor)| Self::Step { every: every as usize, factor })
            }
            "Cosine" => Some(Self::Cosine),
            _ => Some(Self::Constant),
        };
        fields.finish(faults);
        schedule
    }
}

impl FromValue for Init {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        let choices = [
            ("KaimingUniform", Self::KaimingUniform),
            ("HeNormal", Self::HeNormal),
            ("XavierUniform", Self::XavierUniform),
        ];
        choice(value, "an initialization", &choices, faults)
    }
}

impl FromValue for Augment {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        let kind = variant(value, "an augmentation", &["None", "Flip", "Crop", "FlipCrop"], faults)?;
        let mut fields = Fields::open(value, kind, faults)?;
        let augment = match kind {
            "None" => Some(Self::None),
            "Flip" => Some(Self::Flip),
            _ => size("padding", 0, None, &mut fields, faults).map(|padding| match kind {
                "Crop" => Self::Crop { padding },
                _ => Self::FlipCrop { padding },
            }),
        };
        fields.finish(faults);
        augment
    }
}

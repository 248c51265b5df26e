//! Readers of networks, optimizers, schedules and the other parameters of a training.

use std::fmt;

use fewbits_engine::text::fault::Faults;
use fewbits_engine::text::fields::{Fields, FromValue};
use fewbits_engine::text::mismatch::mismatch;
use fewbits_engine::text::value::{Struct, Value, ValueKind};
use fewbits_engine::text::variant::{VariantReader, choice, read_variant};

use crate::network::architecture::{Architecture, LayerSpec};
use crate::network::geometry::{HeightWidth, Padding, PaddingSpec};
use crate::training::config::{Augment, Init, LearningRateSchedule, Optimizer};

/// The maximum width of a layer; a larger width counts as a mistake.
const WIDEST: i64 = 1 << 20;

impl FromValue for Architecture {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        let variants: [(_, VariantReader<Self>); 2] = [
            ("Mlp", read_mlp),
            ("Layers", |fields, faults| {
                fields.about(&[("layers", "The layers, in the order of the forward pass.")]);
                fields.required("layers", faults).map(Self::Layers)
            }),
        ];
        read_variant(value, "a model", &variants, faults)
    }
}

fn read_mlp(fields: &mut Fields<'_>, faults: &mut Faults) -> Option<Architecture> {
    fields.about(&[
        ("hidden", "The widths of the hidden linear layers, each with a Relu behind it."),
        ("dropout", "The share of numbers that DropOut makes zero behind each hidden layer, in training."),
    ]);
    let words = format!("a list of layer widths from 1 to {WIDEST}");
    let within = |hidden: &Vec<i64>| hidden.iter().all(|width| (1..=WIDEST).contains(width));
    let hidden = fields.such_that("hidden", Some(vec![512, 256]), &words, within, faults);
    let dropout = probability("dropout", Some(0.0), fields, faults);
    let (hidden, dropout) = hidden.zip(dropout)?;
    Some(Architecture::Mlp { hidden: hidden.into_iter().map(|width| width as usize).collect(), dropout })
}

impl FromValue for LayerSpec {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        let variants: [(_, VariantReader<Self>); 17] = [
            ("Conv", read_conv),
            ("DepthwiseConv", read_depthwise_conv),
            ("Linear", read_linear),
            ("BatchNorm", read_batch_norm),
            ("Relu", |_, _| Some(Self::Relu)),
            ("Relu6", |_, _| Some(Self::Relu6)),
            ("LeakyRelu", |fields, faults| {
                fields.about(&[("slope", "The factor of negative numbers.")]);
                let above = |slope: &f64| *slope > 0.0;
                let slope = fields.such_that("slope", Some(0.01), "above 0", above, faults);
                Some(Self::LeakyRelu { slope: slope? })
            }),
            ("Sigmoid", |_, _| Some(Self::Sigmoid)),
            ("Tanh", |_, _| Some(Self::Tanh)),
            ("HardSwish", |_, _| Some(Self::HardSwish)),
            ("MaxPool", read_max_pool),
            ("AvgPool", read_avg_pool),
            ("GlobalAvgPool", |_, _| Some(Self::GlobalAvgPool)),
            ("Flatten", |_, _| Some(Self::Flatten)),
            ("Dropout", |fields, faults| {
                fields.about(&[("p", "The share of numbers that are made zero, in training.")]);
                probability("p", None, fields, faults).map(|p| Self::Dropout { p })
            }),
            ("Residual", |fields, faults| {
                fields.about(&[
                    ("body", "The layers whose output is added to the shortcut."),
                    ("shortcut", "The layers beside the body; without any, the input itself."),
                ]);
                let body = fields.required("body", faults);
                let shortcut = fields.optional("shortcut", vec![], faults);
                Some(Self::Residual { body: body?, shortcut: shortcut? })
            }),
            ("Concat", |fields, faults| {
                fields.about(&[("branches", "Lists of layers whose outputs are joined channel by channel.")]);
                fields.required("branches", faults).map(|branches| Self::Concat { branches })
            }),
        ];
        read_variant(value, "a layer", &variants, faults)
    }
}

fn read_linear(fields: &mut Fields<'_>, faults: &mut Faults) -> Option<LayerSpec> {
    fields.about(&[
        ("out", "The number of outputs."),
        ("bias", "Whether a number is added to each output."),
        ("name", "The name of the layer; without it, its kind and number, such as `linear1`."),
    ]);
    let out = size("out", 1, None, fields, faults);
    let bias = fields.optional("bias", true, faults);
    let name = layer_name(fields, faults);
    Some(LayerSpec::Linear { out: out?, bias: bias?, name: name?.0 })
}

fn read_batch_norm(fields: &mut Fields<'_>, faults: &mut Faults) -> Option<LayerSpec> {
    fields.about(&[
        ("eps", "The number that is added to the variance."),
        ("momentum", "The share of the batch in the running mean and variance."),
        ("name", "The name of the layer; without it, its kind and number."),
    ]);
    let eps = fields.such_that("eps", Some(1e-5), "above 0", |eps: &f64| *eps > 0.0, faults);
    let share = |share: &f64| *share > 0.0 && *share <= 1.0;
    let momentum = fields.such_that("momentum", Some(0.1), "above 0 and at most 1", share, faults);
    let name = layer_name(fields, faults);
    Some(LayerSpec::BatchNorm { eps: eps?, momentum: momentum?, name: name?.0 })
}

fn read_max_pool(fields: &mut Fields<'_>, faults: &mut Faults) -> Option<LayerSpec> {
    fields.about(POOL);
    let (size, stride) = read_pool_sizes(fields, faults);
    let padding = read_padding(fields, faults);
    Some(LayerSpec::MaxPool { size: size?, stride: Some(stride?), padding: padding? })
}

fn read_avg_pool(fields: &mut Fields<'_>, faults: &mut Faults) -> Option<LayerSpec> {
    fields.about(POOL);
    fields.about(&[("count_padding", "Whether the padding counts in the mean.")]);
    let (size, stride) = read_pool_sizes(fields, faults);
    let padding = read_padding(fields, faults);
    let count_padding = fields.optional("count_padding", false, faults);
    let (stride, padding) = (Some(stride?), padding?);
    Some(LayerSpec::AvgPool { size: size?, stride, padding, count_padding: count_padding? })
}

/// What the fields of a pool mean.
const POOL: &[(&str, &str)] = &[
    ("size", "The height and width of the window: one number, or `(height, width)`."),
    ("stride", "The steps of the window down and to the right."),
    ("padding", "The rows and columns beyond the edges of the image."),
];
/// What the fields of a convolution mean.
const CONV: &[(&str, &str)] = &[
    ("kernel", "The height and width of the kernel: one number, or `(height, width)`."),
    ("stride", "The steps of the kernel down and to the right."),
    (
        "padding",
        "The rows and columns of zeros beyond the edges of the image; `Same` keeps its size, divided by the stride.",
    ),
    ("dilation", "The distance of neighbouring weights of the kernel in pixels."),
    ("bias", "Whether a number is added to each output channel."),
    ("name", "The name of the layer; without it, its kind and number, such as `conv1`."),
];

/// Reads the size and the stride of a pool.
fn read_pool_sizes(
    fields: &mut Fields<'_>,
    faults: &mut Faults,
) -> (Option<HeightWidth>, Option<HeightWidth>) {
    let size = read_sides("size", None, fields, faults);
    let stride = read_sides("stride", Some(size.unwrap_or(HeightWidth::square(1))), fields, faults);
    fields.otherwise("stride", "the same as `size`");
    (size, stride)
}

fn read_conv(fields: &mut Fields<'_>, faults: &mut Faults) -> Option<LayerSpec> {
    fields.about(CONV);
    fields.about(&[
        ("out", "The number of output channels."),
        ("groups", "The number of groups of channels that are convolved apart."),
    ]);
    let out = size("out", 1, None, fields, faults);
    let ConvSizes { kernel, stride, padding, dilation } = read_conv_sizes(fields, faults);
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

fn read_depthwise_conv(fields: &mut Fields<'_>, faults: &mut Faults) -> Option<LayerSpec> {
    fields.about(CONV);
    fields.about(&[("multiplier", "The number of output channels of each input channel.")]);
    let ConvSizes { kernel, stride, padding, dilation } = read_conv_sizes(fields, faults);
    let multiplier = size("multiplier", 1, Some(1), fields, faults);
    let bias = fields.optional("bias", true, faults);
    let name = layer_name(fields, faults);
    Some(LayerSpec::DepthwiseConv {
        multiplier: multiplier?,
        kernel: kernel?,
        stride: stride?,
        padding: padding?,
        dilation: dilation?,
        bias: bias?,
        name: name?.0,
    })
}

/// The sizes that all convolutions have.
struct ConvSizes {
    kernel: Option<HeightWidth>,
    stride: Option<HeightWidth>,
    padding: Option<PaddingSpec>,
    dilation: Option<HeightWidth>,
}

fn read_conv_sizes(fields: &mut Fields<'_>, faults: &mut Faults) -> ConvSizes {
    let one = Some(HeightWidth::square(1));
    ConvSizes {
        kernel: read_sides("kernel", None, fields, faults),
        stride: read_sides("stride", one, fields, faults),
        padding: read_padding(fields, faults),
        dilation: read_sides("dilation", one, fields, faults),
    }
}

/// Reads a number along the height and one along the width, each at least 1.
fn read_sides(
    name: &'static str,
    default: Option<HeightWidth>,
    fields: &mut Fields<'_>,
    faults: &mut Faults,
) -> Option<HeightWidth> {
    let words = format!("a whole number from 1 to {WIDEST}, or [height, width]");
    let within = |sides: &HeightWidth| sides.both().iter().all(|side| (1..=WIDEST as usize).contains(side));
    fields.such_that(name, default, &words, within, faults)
}

fn read_padding(fields: &mut Fields<'_>, faults: &mut Faults) -> Option<PaddingSpec> {
    let words =
        format!("a whole number from 0 to {WIDEST}, [height, width], [top, left, bottom, right] or Same");
    let within = |padding: &PaddingSpec| match padding {
        PaddingSpec::Pixels(padding) => padding.edges().iter().all(|pixels| *pixels <= WIDEST as usize),
        PaddingSpec::Same => true,
    };
    fields.such_that("padding", Some(PaddingSpec::default()), &words, within, faults)
}

impl FromValue for HeightWidth {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        match whole_numbers(value).as_deref() {
            Some(&[side]) => Some(Self::square(side)),
            Some(&[height, width]) => Some(Self { height, width }),
            _ => {
                mismatch(value, "a whole number or [height, width]", faults);
                None
            }
        }
    }
}

impl FromValue for PaddingSpec {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        if matches!(&value.kind, ValueKind::Struct(Struct { name: Some(name), .. }) if **name == *"Same") {
            return Some(Self::Same);
        }
        let pixels = match whole_numbers(value).as_deref() {
            Some(&[pixels]) => Padding::all(pixels),
            Some(&[height, width]) => [height, width, height, width].into(),
            Some(&[top, left, bottom, right]) => [top, left, bottom, right].into(),
            _ => {
                let expected = "a whole number, [height, width], [top, left, bottom, right] or `Same`";
                mismatch(value, expected, faults);
                return None;
            }
        };
        Some(Self::Pixels(pixels))
    }
}

/// Returns a whole number of at least 0, or several in a list; `None` for any other value.
fn whole_numbers(value: &Value) -> Option<Vec<usize>> {
    let one = |value: &Value| match value.kind {
        ValueKind::Int(number) => usize::try_from(number).ok(),
        _ => None,
    };
    match &value.kind {
        // A list of one number is a mistake.
        ValueKind::List(values) => values.iter().map(one).collect::<Option<_>>().filter(|_| values.len() > 1),
        _ => one(value).map(|number| vec![number]),
    }
}

/// A layer's name, or the absence of one, which leaves the name to the layer's kind and number.
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
    fields.such_that("name", Some(LayerName(None)), "small letters, digits and `_`", word, faults)
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
        let variants: [(_, VariantReader<Self>); 2] = [("Sgd", read_sgd), ("AdamW", read_adamw)];
        read_variant(value, "an optimizer", &variants, faults)
    }
}

fn read_sgd(fields: &mut Fields<'_>, faults: &mut Faults) -> Option<Optimizer> {
    fields.about(&[
        ("lr", "The learning rate."),
        ("momentum", "The share of the last step that the next one keeps."),
    ]);
    let lr = fields.such_that("lr", None, "above 0", |rate: &f64| *rate > 0.0, faults);
    let momentum = probability("momentum", Some(0.0), fields, faults);
    Some(Optimizer::Sgd { lr: lr?, momentum: momentum? })
}

fn read_adamw(fields: &mut Fields<'_>, faults: &mut Faults) -> Option<Optimizer> {
    fields.about(&[
        ("lr", "The learning rate."),
        ("weight_decay", "The share by which weights shrink in each step, times the learning rate."),
    ]);
    let lr = fields.such_that("lr", Some(1e-3), "above 0", |rate: &f64| *rate > 0.0, faults);
    let decays = |decay: &f64| *decay >= 0.0;
    let weight_decay = fields.such_that("weight_decay", Some(0.01), "at least 0", decays, faults);
    Some(Optimizer::AdamW { lr: lr?, weight_decay: weight_decay? })
}

impl FromValue for LearningRateSchedule {
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self> {
        let variants: [(_, VariantReader<Self>); 3] = [
            ("Constant", |_, _| Some(Self::Constant)),
            ("Step", |fields, faults| {
                fields.about(&[
                    ("every", "The number of epochs after which the learning rate changes."),
                    ("factor", "What the learning rate is multiplied by then."),
                ]);
                let every = fields.whole("every", 1..=i64::MAX, None, faults);
                let factor =
                    fields.such_that("factor", None, "above 0", |factor: &f64| *factor > 0.0, faults);
                Some(Self::Step { every: every? as usize, factor: factor? })
            }),
            ("Cosine", |_, _| Some(Self::Cosine)),
        ];
        read_variant(value, "a schedule", &variants, faults)
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
        let variants: [(_, VariantReader<Self>); 4] = [
            ("None", |_, _| Some(Self::None)),
            ("Flip", |_, _| Some(Self::Flip)),
            ("Crop", |fields, faults| {
                fields.about(&[(
                    "padding",
                    "The pixels beyond the edges from which a part of the image's size is cut.",
                )]);
                size("padding", 0, None, fields, faults).map(|padding| Self::Crop { padding })
            }),
            ("FlipCrop", |fields, faults| {
                fields.about(&[(
                    "padding",
                    "The pixels beyond the edges from which a part of the image's size is cut.",
                )]);
                size("padding", 0, None, fields, faults).map(|padding| Self::FlipCrop { padding })
            }),
        ];
        read_variant(value, "an augmentation", &variants, faults)
    }
}

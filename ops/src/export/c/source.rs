//! `NAME.c`: the layers in order, the functions that compute them, and the decoders of their weights. Knows nothing of the
//! content of tables.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::decoder::{Decoder, Helper};
use super::geometry::{pool, window};
use super::literal::{comment, double, float};
use super::part::Part;
use super::schedule::{Place, Schedule, Step};
use super::table::{StoredTensor, Table, Tables};
use crate::dataset::normalize::Normalize;
use crate::network::definition::{Layer, Network};
use crate::network::geometry::HeightWidth;
use crate::network::layer::LayerOp;

/// A network in C, before it is text.
pub(super) struct Source<'a> {
    /// The name in front of every public name.
    pub name: &'a str,
    pub network: &'a Network,
    pub tables: &'a Tables,
    pub schedule: &'a Schedule,
    /// How bytes become numbers, one way for each channel or for all.
    pub bytes: &'a [ByteRule],
}

/// The number that a byte of an image becomes, as the dataset computes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum ByteRule {
    /// The byte.
    Plain,
    /// byte / 255.
    Unit,
    /// (byte / 255 − mean) / std in binary64, rounded once.
    Standard { mean: f64, std: f64 },
}

impl ByteRule {
    /// Returns the rules of a normalization of bytes.
    pub(super) fn of(normalize: &Normalize) -> Vec<Self> {
        match normalize.resolved(true) {
            Normalize::Bytes | Normalize::None => vec![Self::Plain],
            Normalize::UnitRange | Normalize::Default => vec![Self::Unit],
            Normalize::Standard { mean, std } => {
                mean.into_iter().zip(std).map(|(mean, std)| Self::Standard { mean, std }).collect()
            }
        }
    }

    fn expression(self) -> String {
        match self {
            Self::Plain => "(float)*image++".to_owned(),
            Self::Unit => "(float)*image++ / 255.0f".to_owned(),
            Self::Standard { mean, std } => {
                format!("(float)(((double)*image++ / 255.0 - {}) / {})", double(mean), double(std))
            }
        }
    }
}

impl Source<'_> {
    /// Returns the decoders in use, the parts of the runtime in use, and the functions that the decoders call.
    pub(super) fn uses(&self) -> (Vec<&Decoder>, BTreeSet<Part>, BTreeSet<Helper>) {
        let mut decoders: Vec<&Decoder> = vec![];
        let mut parts = BTreeSet::new();
        for step in &self.schedule.steps {
            let Some(at) = step.layer else {
                parts.insert(Part::Transpose);
                continue;
            };
            let layer = &self.network.layers[at];
            parts.extend(Part::of(&layer.op));
            let decoded = [(".weight", step.rows.or(step.parameters[0])), (".bias", step.parameters[1])];
            for (word, _) in decoded.into_iter().filter(|(_, place)| place.is_some()) {
                let decoder = self.tables.tensor(&layer.name, word).map(|tensor| &tensor.decoder);
                decoders.extend(decoder);
            }
        }
        decoders.sort_by(|a, b| a.name.cmp(&b.name));
        decoders.dedup_by(|a, b| a.name == b.name);
        let helpers = decoders.iter().flat_map(|decoder| &decoder.helpers).copied().collect();
        (decoders, parts, helpers)
    }

    /// Returns the text of `NAME.c`.
    pub(super) fn text(&self) -> String {
        let name = self.name;
        let (decoders, parts, helpers) = self.uses();
        let mut text = format!(
            "/* The network {name}: its layers in order. Every sum is one chain of fused products in a stated order, so that the outputs\n   have the same bits on every machine. */\n#include \"{name}.h\"\n\n#include <stdint.h>\n#include <string.h>\n\n"
        );
        text.push_str(
            "#if defined(FP_FAST_FMAF) || defined(__FP_FAST_FMAF) || defined(__ARM_FEATURE_FMA)\n#include <math.h>\n#endif\n\n",
        );
        text.push_str("#if defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ != 0 && __FLT_EVAL_METHOD__ != 16\n#error \"float is computed with more than 24 bits; on x86 use -msse2 -mfpmath=sse\"\n#endif\n\n");
        text.push_str("/* The tables of ");
        let _ = writeln!(text, "{name}_weights.c. */");
        text.extend(self.tables.tables.iter().map(Table::declaration));
        text.push('\n');
        // Compilers warn about functions without callers, and the fallback of `fused` is not always compiled.
        let number = include_str!("runtime/number.c");
        let calls = |text: &str| text.contains("number_of(");
        let is_called = decoders.iter().any(|decoder| calls(&decoder.body))
            || helpers.iter().any(|helper| calls(helper.source()))
            || parts.iter().any(|part| calls(part.source()));
        if is_called {
            let _ = writeln!(text, "{number}");
        }
        if parts.iter().any(|part| part.is_fused()) {
            let inner = if is_called { String::new() } else { format!("{number}\n") };
            let _ =
                writeln!(text, "{}", include_str!("runtime/fused.c").replace("/* number_of */\n", &inner));
        }
        let _ = writeln!(text, "{}", include_str!("runtime/tensor.c"));
        for helper in &helpers {
            let _ = writeln!(text, "{}", helper.source());
        }
        for decoder in &decoders {
            let _ = writeln!(text, "{}", decoder.source());
        }
        for part in &parts {
            let _ = writeln!(text, "{}", part.source());
        }
        for step in &self.schedule.steps {
            text.push_str(&self.constants(step));
        }
        text.push('\n');
        text.push_str(&self.infer());
        text.push_str(&self.infer_bytes());
        text
    }

    /// Returns the constants of a step: sizes, and the weight's tables.
    fn constants(&self, step: &Step) -> String {
        let Some(layer) = step.layer.map(|at| &self.network.layers[at]) else { return String::new() };
        let name = &layer.name;
        let mut text = String::new();
        let decoded = [("weight", step.parameters[0]), ("bias", step.parameters[1])];
        for (word, _) in decoded.into_iter().filter(|(_, place)| place.is_some()) {
            if let Some(tensor) = self.tables.tensor(name, &format!(".{word}")) {
                let _ = writeln!(text, "static const tensor tensor_{name}_{word} = {};", initializer(tensor));
            }
        }
        let rectify = u8::from(step.rectify);
        let weight = self.tables.tensor(name, ".weight");
        let weight = || {
            weight.map_or(String::new(), |weight| {
                format!(
                    "    .weight = {},\n    .decode = decode_{},\n",
                    initializer(weight),
                    weight.decoder.name
                )
            })
        };
        match (&layer.op, layer.input(), layer.output) {
            (LayerOp::Conv { .. }, ..) => {
                let _ = write!(
                    text,
                    "static const conv_layer layer_{name} = {{\n{}{}    .rectify = {rectify}\n}};\n",
                    weight(),
                    window(layer)
                );
            }
            (LayerOp::Linear { out, .. }, ..) => {
                let _ = write!(
                    text,
                    "static const linear_layer layer_{name} = {{\n{}    .outputs = {out}, .rectify = {rectify}\n}};\n",
                    weight()
                );
            }
            (LayerOp::MaxPool { .. } | LayerOp::AvgPool { .. } | LayerOp::GlobalAvgPool, ..) => {
                text += &pool(layer);
            }
            _ => {}
        }
        text
    }

    /// Returns the bytes of the constants of a step on a processor of 32 bits.
    pub(super) fn constant_bytes(&self, step: &Step) -> usize {
        let Some(layer) = step.layer.map(|at| &self.network.layers[at]) else { return 0 };
        let of_layer = match layer.op {
            LayerOp::Conv { .. } => 92,
            LayerOp::Linear { .. } => 36,
            LayerOp::MaxPool { .. } | LayerOp::AvgPool { .. } | LayerOp::GlobalAvgPool => 52,
            _ => 0,
        };
        of_layer + 24 * step.parameters.iter().flatten().count()
    }

    /// Returns the function that computes the logits of an image.
    fn infer(&self) -> String {
        let name = self.name;
        let mut text = format!(
            "void {name}_infer(const float *input, float *output, void *scratch)\n{{\n    float *const s = (float *)scratch;\n"
        );
        for step in &self.schedule.steps {
            text.push_str(&self.call(step));
        }
        if self.schedule.scratch == 0 {
            text.push_str("    (void)s;\n");
        }
        text.push_str("}\n");
        text
    }

    /// Returns the lines that compute a step.
    fn call(&self, step: &Step) -> String {
        let (x, y) = (pointer(step.inputs[0]), pointer(step.output));
        let Some(at) = step.layer else {
            let [channels, height, width] = self.network.input;
            return format!(
                "    /* The channels of a pixel side by side. */\n    transpose({channels}, {}, {x}, {y});\n",
                height * width
            );
        };
        let layer = &self.network.layers[at];
        let name = &layer.name;
        let mut text = format!("    /* {} */\n", comment(&self.describe(layer, step)));
        // Parameters that the step reads as a whole.
        let mut parameter = |word: &str, place: Option<Place>| {
            let Some(tensor) = self.tables.tensor(name, &format!(".{word}")) else { return "0".to_owned() };
            let Some(place) = place else { return tensor.parts[0].clone().unwrap_or_default() };
            let to = pointer(place);
            let _ =
                writeln!(text, "    decode_{}(&tensor_{name}_{word}, 0, 1, 1, {to});", tensor.decoder.name);
            to
        };
        let bias = parameter("bias", step.parameters[1]);
        let weight =
            if step.rows.is_none() { parameter("weight", step.parameters[0]) } else { String::new() };
        let rows = step.rows.map(pointer).unwrap_or_default();
        let count = layer.output.len();
        let (channels, pixels) = layer.input().channels();
        let each = |function: &str| format!("{function}({count}, {x}, {y})");
        let call = match &layer.op {
            LayerOp::Conv { .. } => format!("conv(&layer_{name}, {bias}, {x}, {y}, {rows})"),
            LayerOp::Linear { .. } => format!("linear(&layer_{name}, {bias}, {x}, {y}, {rows})"),
            LayerOp::Affine => format!("affine({channels}, {pixels}, {weight}, {bias}, {x}, {y})"),
            LayerOp::Relu => each("relu"),
            LayerOp::Relu6 => each("relu6"),
            LayerOp::LeakyRelu { slope } => {
                format!("leaky_relu({}, {count}, {x}, {y})", float(*slope as f32))
            }
            LayerOp::Sigmoid => each("sigmoid"),
            LayerOp::Tanh => each("hyperbolic_tangent"),
            LayerOp::HardSwish => each("hard_swish"),
            LayerOp::MaxPool { .. } => format!("max_pool(&layer_{name}, {x}, {y})"),
            LayerOp::AvgPool { count_padding, .. } => {
                format!("avg_pool(&layer_{name}, {}, {x}, {y})", u8::from(*count_padding))
            }
            LayerOp::GlobalAvgPool => format!("avg_pool(&layer_{name}, 0, {x}, {y})"),
            LayerOp::Flatten => format!("transpose({pixels}, {channels}, {x}, {y})"),
            LayerOp::Add => {
                let copy = format!("memcpy({y}, {x}, {count} * sizeof(float))");
                let first = (step.inputs[0] != step.output).then_some(copy);
                let rest =
                    step.inputs[1..].iter().map(|input| format!("add({count}, {}, {y})", pointer(*input)));
                first.into_iter().chain(rest).collect::<Vec<_>>().join(";\n    ")
            }
            LayerOp::Concat => {
                let all = layer.output.channels().0;
                let mut first = 0;
                let branches = layer.inputs.iter().zip(&step.inputs).map(|(shape, input)| {
                    let (channels, pixels) = shape.channels();
                    first += channels;
                    let to = plus(&y, first - channels);
                    format!("concat({pixels}, {channels}, {all}, {}, {to})", pointer(*input))
                });
                branches.collect::<Vec<_>>().join(";\n    ")
            }
            // A model has no such layer.
            LayerOp::BatchNorm { .. } | LayerOp::Dropout { .. } => String::new(),
        };
        let _ = writeln!(text, "    {call};");
        text
    }

    /// Describes a layer: its shapes, its window, the format of its weight.
    fn describe(&self, layer: &Layer, step: &Step) -> String {
        let mut text = format!("{}: {} -> {}", layer.name, layer.input(), layer.output);
        if let LayerOp::Conv { kernel, stride, padding, dilation, groups, .. } = layer.op {
            let _ = write!(text, ", kernel {} x {}", kernel.height, kernel.width);
            if stride != HeightWidth::square(1) {
                let _ = write!(text, ", stride {} x {}", stride.height, stride.width);
            }
            if !padding.is_none() {
                let _ = write!(text, ", padding {padding:?}");
            }
            if dilation != HeightWidth::square(1) {
                let _ = write!(text, ", dilation {} x {}", dilation.height, dilation.width);
            }
            if groups > 1 {
                let _ = write!(text, ", {groups} groups");
            }
        }
        if let Some(weight) = self.tables.tensor(&layer.name, ".weight") {
            let _ = write!(text, "; {}", weight.format);
        }
        if step.rectify {
            text.push_str("; then Relu");
        }
        text
    }

    /// Returns the function that takes an image of bytes; nothing for other images.
    fn infer_bytes(&self) -> String {
        let Some(at) = self.schedule.images else { return String::new() };
        let name = self.name;
        let [channels, height, width] = self.network.input;
        let (planes, pixels) = if self.bytes.len() == 1 { (1, channels) } else { (channels, 1) };
        let to = plus("s", at);
        let mut text = format!(
            "\nvoid {name}_infer_bytes(const uint8_t *image, float *output, void *scratch)\n{{\n    float *const s = (float *)scratch;\n    float *numbers = {to};\n    uint32_t i;\n"
        );
        for rule in self.bytes.iter().take(planes) {
            let count = pixels * height * width;
            let _ = writeln!(text, "    for (i = 0; i < {count}; i++) *numbers++ = {};", rule.expression());
        }
        let _ = writeln!(text, "    {name}_infer({to}, output, scratch);\n}}");
        text
    }
}

/// Returns the initializer of a tensor.
fn initializer(tensor: &StoredTensor) -> String {
    let [codes, scales, more] = [0, 1, 2].map(|part| tensor.parts[part].as_deref().unwrap_or("0"));
    let [row, block, groups] = tensor.rows;
    format!("{{ {codes}, {scales}, {more}, {row}, {block}, {groups} }}")
}

fn pointer(place: Place) -> String {
    match place {
        Place::Input => "input".to_owned(),
        Place::Output => "output".to_owned(),
        Place::Scratch(at) => plus("s", at),
    }
}

pub(super) fn plus(pointer: &str, at: usize) -> String {
    if at == 0 { pointer.to_owned() } else { format!("{pointer} + {at}") }
}

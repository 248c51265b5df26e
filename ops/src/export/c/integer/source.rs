//! `NAME.c` of an integer network: the steps in order, and the functions that compute them. Knows nothing of the content of tables.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::super::geometry::{pool, window};
use super::super::literal;
use super::super::source::plus;
use super::super::table::Table;
use super::plan::{Place, Plan, table_name, word};
use crate::dataset::images::{Images, Pixels};
use crate::integer::network::{IntegerNetwork, Step, StepOp};
use crate::integer::product::Product;
use crate::network::definition::{Layer, Network};
use crate::network::layer::LayerOp;

/// An integer network in C, before it is text.
pub(super) struct Source<'a> {
    pub name: &'a str,
    pub network: &'a Network,
    pub integers: &'a IntegerNetwork,
    pub plan: &'a Plan,
}

/// A part of the runtime: C functions that steps call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Rescale,
    Conv,
    Add,
    Concat,
    Window,
    MaxPool,
    Mean,
    Transpose,
    Lookup,
}

impl Part {
    fn of(op: &StepOp) -> &'static [Self] {
        match op {
            StepOp::Product(_) => &[Self::Rescale, Self::Conv],
            StepOp::Add(_) => &[Self::Rescale, Self::Add],
            StepOp::Concat(_) => &[Self::Rescale, Self::Add, Self::Concat],
            StepOp::MaxPool => &[Self::Window, Self::MaxPool],
            StepOp::Mean(_) => &[Self::Rescale, Self::Window, Self::Mean],
            StepOp::Flatten => &[Self::Transpose],
            StepOp::Table(_) => &[Self::Lookup],
        }
    }

    fn source(self) -> &'static str {
        match self {
            Self::Rescale => include_str!("rescale.c"),
            Self::Conv => include_str!("conv.c"),
            Self::Add => include_str!("add.c"),
            Self::Concat => include_str!("concat.c"),
            Self::Window => include_str!("../runtime/window.c"),
            Self::MaxPool => include_str!("max_pool.c"),
            Self::Mean => include_str!("mean.c"),
            Self::Transpose => include_str!("transpose.c"),
            Self::Lookup => include_str!("lookup.c"),
        }
    }

    /// Returns about how many bytes of flash the functions take on a Cortex-M4 with `-Os`.
    pub(super) fn code_bytes(self) -> usize {
        match self {
            Self::Rescale => 110,
            Self::Conv => 700,
            Self::Add => 90,
            Self::Concat => 70,
            Self::Window => 30,
            Self::MaxPool => 190,
            Self::Mean => 330,
            Self::Transpose => 36,
            Self::Lookup => 22,
        }
    }
}

impl Source<'_> {
    /// Returns the parts of the runtime in use.
    pub(super) fn parts(&self) -> BTreeSet<Part> {
        self.integers.steps.iter().flat_map(|step| Part::of(&step.op)).copied().collect()
    }

    /// Returns the text of `NAME.c`, for images like these.
    pub(super) fn text(&self, images: &Images) -> String {
        let name = self.name;
        let mut text = format!(
            "/* The network {name}: its layers in order, in integers. docs/integer.md of fewbits specifies the arithmetic. */\n#include \"{name}.h\"\n\n#include <stdint.h>\n\n/* The tables of {name}_weights.c. */\n"
        );
        text.extend(self.plan.tables.iter().map(Table::declaration));
        text.push('\n');
        for part in self.parts() {
            let _ = writeln!(text, "{}", part.source());
        }
        for step in &self.integers.steps {
            text.push_str(&self.constants(step));
        }
        text.push('\n');
        text.push_str(&self.quantize_input(images));
        text.push('\n');
        text.push_str(&self.infer());
        text
    }

    /// Returns the function that makes the input of an image: the codes of its numbers, the channels of a pixel side by side.
    fn quantize_input(&self, images: &Images) -> String {
        let [channels, height, width] = self.network.input;
        let (name, pixels) = (self.name, height * width);
        let scale = self.integers.values[0].scale;
        let (mut before, mut statements, kind) = (
            String::new(),
            String::new(),
            match &images.pixels {
                Pixels::Bytes { .. } => "uint8_t",
                Pixels::Numbers { .. } => "float",
            },
        );
        let expression = match &images.pixels {
            Pixels::Bytes { values, .. } => {
                // Rows of bytes have one channel of images and several of the network.
                let of = |channel: usize| -> Vec<i8> {
                    let values = &values[channel.min(values.len() - 1)];
                    values.iter().map(|number| scale.code(f64::from(*number)) as i8).collect()
                };
                let all: Vec<Vec<i8>> = (0..values.len().min(channels)).map(of).collect();
                let is_byte = |code: (usize, &i8)| code.0 as i32 - 128 == i32::from(*code.1);
                if all.iter().all(|codes| codes.iter().enumerate().all(is_byte)) {
                    "(int8_t)((int32_t)*image++ - 128)".to_owned()
                } else {
                    let rows: String = all
                        .iter()
                        .map(|codes| {
                            format!("    {{\n{}    }},\n", literal::lines(codes.iter().map(i8::to_string)))
                        })
                        .collect();
                    before = format!(
                        "/* The code of each byte, channel by channel. */\nstatic const int8_t codes_of_bytes[{}][256] = {{\n{rows}}};\n\n",
                        all.len()
                    );
                    let row = if all.len() == 1 { "0" } else { "channel" };
                    format!("codes_of_bytes[{row}][*image++]")
                }
            }
            Pixels::Numbers { .. } => {
                let [low, high] = scale.centered_limits();
                before = include_str!("input.c").to_owned() + "\n";
                let zero = scale.zero_point;
                format!("code_of_number(*image++, {}, {low}, {high}, {zero})", literal::float(scale.scale))
            }
        };
        let _ = write!(
            statements,
            "    for (channel = 0; channel < {channels}; channel++) {{\n        for (pixel = 0; pixel < {pixels}; pixel++) input[pixel * {channels} + channel] = {expression};\n    }}\n"
        );
        format!(
            "{before}void {name}_quantize_input(const {kind} *image, int8_t *input)\n{{\n    uint32_t channel, pixel;\n{statements}}}\n"
        )
    }

    /// Returns the constants of a step: sizes, and the tables of its weight.
    fn constants(&self, step: &Step) -> String {
        let layer = &self.network.layers[step.layer];
        let (name, input) = (&layer.name, self.integers.values[step.inputs[0]].scale);
        let range = self.range(step);
        match &step.op {
            StepOp::Product(product) => format!(
                "static const conv_layer layer_{name} = {{\n{}{}    .zero = {}, .to = {range}\n}};\n",
                self.tables(layer, product),
                window(layer),
                input.zero_point
            ),
            StepOp::MaxPool => pool(layer),
            StepOp::Mean(multipliers) => {
                let pairs: Vec<String> = multipliers
                    .iter()
                    .map(|(count, multiplier)| format!("{{ {count}, {}u }}", word(*multiplier)))
                    .collect();
                format!(
                    "{}static const mean_factor factors_{name}[{}] = {{ {} }};\nstatic const range range_{name} = {range};\n",
                    pool(layer),
                    pairs.len(),
                    pairs.join(", ")
                )
            }
            StepOp::Add(_) | StepOp::Concat(_) => format!("static const range range_{name} = {range};\n"),
            StepOp::Flatten | StepOp::Table(_) => String::new(),
        }
    }

    /// Returns the zero point and the limits of a step's codes.
    fn range(&self, step: &Step) -> String {
        let zero = step.output.map_or(0, |output| self.integers.values[output].scale.zero_point);
        let [low, high] = if step.output.is_some() { step.limits.map(|limit| limit + zero) } else { [0, 0] };
        format!("{{ {zero}, {low}, {high} }}")
    }

    fn tables(&self, layer: &Layer, product: &Product) -> String {
        let table = |word: &str| table_name(self.name, layer, word);
        let multipliers = if product.multipliers.is_empty() { "0".to_owned() } else { table("multipliers") };
        format!(
            "    .codes = {}, .biases = {},\n    .multipliers = {multipliers}, .bits = {},\n",
            table("codes"),
            table("biases"),
            product.bits
        )
    }

    /// Returns the bytes of the constants of a step on a processor of 32 bits.
    pub(super) fn constant_bytes(step: &Step) -> usize {
        match &step.op {
            StepOp::Product(_) => 88,
            StepOp::MaxPool => 52,
            StepOp::Mean(multipliers) => 64 + 8 * multipliers.len(),
            StepOp::Add(_) | StepOp::Concat(_) => 12,
            StepOp::Flatten | StepOp::Table(_) => 0,
        }
    }

    /// Returns the function that computes the outputs of an input.
    fn infer(&self) -> String {
        let name = self.name;
        let mut text = format!(
            "void {name}_infer(const int8_t *input, int32_t *output, void *scratch)\n{{\n    int8_t *const s = (int8_t *)scratch;\n"
        );
        for (at, step) in self.integers.steps.iter().enumerate() {
            text.push_str(&self.call(at, step));
        }
        if let Some(output) = self.integers.steps.last().and_then(|step| step.output) {
            let zero = self.integers.values[output].scale.zero_point;
            let from = pointer(self.plan.values[output]);
            let _ = write!(
                text,
                "    {{\n        uint32_t i;\n        for (i = 0; i < {}; i++) output[i] = ({from})[i] - ({zero});\n    }}\n",
                self.network.classes
            );
        }
        text.push_str("    (void)s;\n}\n");
        text
    }

    /// Returns the lines that compute a step.
    fn call(&self, at: usize, step: &Step) -> String {
        let layer = &self.network.layers[step.layer];
        let name = &layer.name;
        let (x, place) = (pointer(self.plan.values[step.inputs[0]]), self.plan.output(step));
        let y = pointer(place);
        let (channels, pixels) = layer.input().channels();
        let count = layer.output.len();
        let lines = match &step.op {
            StepOp::Product(_) => {
                let rows = pointer(Place::Scratch(self.plan.rows[at].unwrap_or_default()));
                match place {
                    Place::Output => format!("conv(&layer_{name}, {x}, 0, output, {rows});"),
                    _ => format!("conv(&layer_{name}, {x}, {y}, 0, {rows});"),
                }
            }
            StepOp::Add(_) | StepOp::Concat(_) => self.join(step, layer, &y),
            StepOp::MaxPool => format!("max_pool(&layer_{name}, {x}, {y});"),
            StepOp::Mean(_) => {
                let counts = matches!(layer.op, LayerOp::AvgPool { count_padding: true, .. });
                let zero = self.integers.values[step.inputs[0]].scale.zero_point;
                format!(
                    "mean(&layer_{name}, {}, factors_{name}, {zero}, &range_{name}, {x}, {y});",
                    u8::from(counts)
                )
            }
            StepOp::Flatten => format!("transpose({pixels}, {channels}, {x}, {y});"),
            StepOp::Table(_) => {
                let least = self.integers.values[step.inputs[0]].scale.limits()[0];
                format!("lookup({count}, {}, {least}, {x}, {y});", table_name(self.name, layer, "table"))
            }
        };
        format!("    /* {} */\n    {lines}\n", literal::comment(&self.describe(layer, step)))
    }

    /// Returns the lines that compute a sum or a concatenation.
    fn join(&self, step: &Step, layer: &Layer, y: &str) -> String {
        let (name, count) = (&layer.name, layer.output.len());
        let term = |value: &usize, factor: &i32| {
            let zero = self.integers.values[*value].scale.zero_point;
            format!("{{ {}, {zero}, {factor} }}", pointer(self.plan.values[*value]))
        };
        match &step.op {
            StepOp::Add(factors) => {
                let terms =
                    step.inputs.iter().zip(&factors.factors).map(|(value, factor)| term(value, factor));
                block(
                    &terms.collect::<Vec<_>>(),
                    &[format!(
                        "add({count}, terms, {}, {}, &range_{name}, {y});",
                        step.inputs.len(),
                        factors.shift
                    )],
                )
            }
            StepOp::Concat(factors) => {
                let all = layer.output.channels().0;
                let terms: Vec<String> =
                    step.inputs.iter().zip(factors).map(|(value, of)| term(value, &of.factors[0])).collect();
                let mut first = 0;
                let calls = layer.inputs.iter().zip(factors).enumerate().map(|(at, (shape, of))| {
                    let (channels, pixels) = shape.channels();
                    first += channels;
                    let to = plus(y, first - channels);
                    format!(
                        "concat({pixels}, {channels}, {all}, terms[{at}], {}, &range_{name}, {to});",
                        of.shift
                    )
                });
                block(&terms, &calls.collect::<Vec<_>>())
            }
            _ => String::new(),
        }
    }

    fn describe(&self, layer: &Layer, step: &Step) -> String {
        let mut text = format!("{}: {} -> {}", layer.name, layer.input(), layer.output);
        if let StepOp::Product(product) = &step.op {
            let _ = write!(text, ", weights of {} bits", product.bits);
        }
        if let Some(output) = step.output {
            let scale = self.integers.values[output].scale;
            let _ = write!(text, "; codes of {} bits, scale {:e}", scale.bits, scale.scale);
        }
        text
    }
}

/// Returns a block with an array of terms and some calls.
fn block(terms: &[String], calls: &[String]) -> String {
    format!(
        "{{\n        const term terms[] = {{ {} }};\n        {}\n    }}",
        terms.join(", "),
        calls.join("\n        ")
    )
}

fn pointer(place: Place) -> String {
    match place {
        Place::Input => "input".to_owned(),
        Place::Output => "output".to_owned(),
        Place::Scratch(at) => plus("s", at),
    }
}

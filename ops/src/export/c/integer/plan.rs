//! The tables of an integer network in C, and the place of each value in one scratch buffer of bytes. Knows nothing of the C code.

use super::super::schedule::{Span, lay_out};
use super::super::table::{Content, Table};
use crate::format::pack;
use crate::integer::multiplier::Multiplier;
use crate::integer::network::{IntegerNetwork, Step, StepOp};
use crate::integer::product::Product;
use crate::network::definition::{Layer, Network};
use crate::network::layer::LayerOp;

/// The rows of weights that a step unpacks together.
const ROWS: usize = 4;

/// The place of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The input.
    Input,
    /// The scratch buffer, from this byte on.
    Scratch(usize),
    /// The outputs of 32 bits.
    Output,
}

/// The places of values, and the tables of steps.
#[derive(Debug)]
pub(super) struct Plan {
    /// The place of each value.
    pub values: Vec<Place>,
    /// For each step, the place of the rows of weights that it unpacks.
    pub rows: Vec<Option<usize>>,
    /// The bytes of the scratch buffer.
    pub scratch: usize,
    /// The tables, whose names begin with that of the network and their layer.
    pub tables: Vec<Table>,
}

impl Plan {
    pub(super) fn new(name: &str, network: &Network, integers: &IntegerNetwork) -> Self {
        let last_read = |value: usize| integers.steps.iter().rposition(|step| step.inputs.contains(&value));
        // The storage of each value: sums and tables can take the place of their first input.
        let mut storage: Vec<Option<usize>> = vec![None];
        let mut spans: Vec<Span> = vec![];
        for (at, step) in integers.steps.iter().enumerate() {
            let Some(output) = step.output else { continue };
            let first = step.inputs[0];
            let works_in_place = matches!(step.op, StepOp::Add(_) | StepOp::Table(_));
            let last = last_read(output).unwrap_or(integers.steps.len());
            match storage[first] {
                Some(own) if works_in_place && last_read(first) == Some(at) => {
                    spans[own].last = last;
                    storage.push(Some(own));
                }
                _ => {
                    spans.push(Span { size: integers.values[output].shape.len(), first: at, last });
                    storage.push(Some(spans.len() - 1));
                }
            }
        }
        let mut rows = vec![];
        for (at, step) in integers.steps.iter().enumerate() {
            rows.push(row_bytes(&network.layers[step.layer], step).map(|size| {
                spans.push(Span { size, first: at, last: at });
                spans.len() - 1
            }));
        }
        let (places, scratch) = lay_out(&spans);
        let tables = integers.steps.iter().flat_map(|step| tables(name, network, step)).collect();
        Self {
            values: storage
                .iter()
                .map(|own| own.map_or(Place::Input, |own| Place::Scratch(places[own])))
                .collect(),
            rows: rows.into_iter().map(|own| own.map(|own| places[own])).collect(),
            // C has no empty arrays.
            scratch: scratch.max(1),
            tables,
        }
    }

    /// Returns the place of a step's output.
    pub(super) fn output(&self, step: &Step) -> Place {
        step.output.map_or(Place::Output, |value| self.values[value])
    }
}

/// Returns the bytes of the rows of weights that a step unpacks together; `None` for a step without weights.
fn row_bytes(layer: &Layer, step: &Step) -> Option<usize> {
    let StepOp::Product(product) = &step.op else { return None };
    let outputs = match layer.op {
        LayerOp::Conv { out, groups, .. } => out / groups,
        LayerOp::Linear { out, .. } => out,
        _ => 1,
    };
    Some(product.row() * if outputs < ROWS { 1 } else { ROWS })
}

/// Returns the tables of a step.
fn tables(name: &str, network: &Network, step: &Step) -> Vec<Table> {
    let layer = &network.layers[step.layer];
    let table = |word: &str, content| Table { name: table_name(name, layer, word), content };
    match &step.op {
        StepOp::Product(product) => {
            let mut all = vec![
                table("codes", Content::Bytes(packed(layer, product))),
                table("biases", Content::Integers(product.biases.clone())),
            ];
            if !product.multipliers.is_empty() {
                let words = product.multipliers.iter().copied().map(word).collect();
                all.push(table("multipliers", Content::Unsigned(words)));
            }
            all
        }
        StepOp::Table(codes) => vec![table("table", Content::SignedBytes(codes.clone()))],
        _ => vec![],
    }
}

/// Returns the name of a layer's table.
pub(super) fn table_name(name: &str, layer: &Layer, word: &str) -> String {
    // Two underscores, which the network's own name cannot have: the tables of two networks have different names.
    format!("{name}__{}_{word}", layer.name)
}

/// Returns a multiplier as one word.
pub(super) fn word(multiplier: Multiplier) -> u32 {
    multiplier.factor as u32 | multiplier.shift << 22
}

/// Returns the packed codes of a step: those of an output in the order kernel row, kernel column, channel.
fn packed(layer: &Layer, product: &Product) -> Vec<u8> {
    let taps = if let LayerOp::Conv { kernel, .. } = layer.op { kernel.area() } else { 1 };
    let row = product.row();
    let channels = row / taps.max(1);
    let ordered = product.codes.chunks_exact(row.max(1)).flat_map(|row| {
        (0..taps).flat_map(move |tap| (0..channels).map(move |channel| row[channel * taps + tap]))
    });
    let mask = (1_u32 << product.bits) - 1;
    pack::pack(ordered.map(|code| code as u32 & mask), product.bits)
}

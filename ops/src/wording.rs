//! What documents say of an experiment's ops: citations, reports, captions. Knows nothing of values.

use crate::standard::Op;

/// Returns what networks of these ops compute with, as a sentence without its end.
pub(crate) fn activations(ops: &[&Op]) -> &'static str {
    let integer: Vec<bool> = ops.iter().filter_map(|op| is_integer(op)).collect();
    match (integer.contains(&true), integer.contains(&false)) {
        (true, true) => "activations are binary32, or integers where the field `activations` says so",
        (true, false) => "activations of quantized networks are integers",
        (false, _) => "activations are binary32",
    }
}

/// Returns which tensors of networks these ops quantize, as a sentence without its end; `None` if they quantize none.
pub(crate) fn quantized(ops: &[&Op]) -> Option<&'static str> {
    let of = |op: &&Op| match op {
        Op::Quantize(op) => Some(op.quantizes_biases()),
        Op::Allocate(_) => Some(false),
        _ => None,
    };
    let biases: Vec<bool> = ops.iter().filter_map(of).collect();
    match (biases.contains(&true), biases.contains(&false)) {
        (true, true) => Some("Weights are quantized, in some networks biases as well"),
        (true, false) => Some("Weights and biases are quantized"),
        (false, true) if ops.iter().any(|op| is_integer(op) == Some(true)) => Some("Weights are quantized"),
        (false, true) => Some("Weights alone are quantized"),
        (false, false) => None,
    }
}

/// Returns what a reader of values of these ops must know.
pub(crate) fn remark(works: &[&Op]) -> Option<String> {
    let is_scaled = |op: &&Op| matches!(op, Op::Quantize(op) if op.is_scaled());
    let is_unscaled = |op: &&Op| matches!(op, Op::Quantize(op) if op.is_unscaled());
    let (has_scaled, has_unscaled) = (works.iter().any(is_scaled), works.iter().any(is_unscaled));
    let imports = works.iter().filter(|op| matches!(op, Op::Import(_))).count();
    let is_trained = works.iter().any(|op| matches!(op, Op::Train(_)));
    let network = match (imports, is_trained) {
        (0, _) | (_, true) => None,
        (1, false) => Some("values are of this imported network alone"),
        (_, false) => Some("values are of these imported networks alone"),
    };
    let formats = (has_scaled && has_unscaled).then_some("scaled and unscaled formats are side by side");
    let remarks: Vec<&str> = network.into_iter().chain(formats).collect();
    (!remarks.is_empty()).then(|| remarks.join("; "))
}

/// Returns the sources of the methods of these ops.
pub(crate) fn literature(ops: &[&Op]) -> Vec<&'static str> {
    let of = |op: &&Op| match op {
        Op::Quantize(op) => op.literature(),
        Op::Allocate(op) => op.literature(),
        _ => vec![],
    };
    let mut all: Vec<&str> = ops.iter().flat_map(of).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Returns whether an op makes networks that compute with integers; `None` if it quantizes none.
fn is_integer(op: &Op) -> Option<bool> {
    match op {
        Op::Quantize(op) => Some(op.is_integer()),
        Op::Allocate(op) => Some(op.is_integer()),
        _ => None,
    }
}

//! `Footprint(model)`: the flash and the RAM that a network takes as C on a microcontroller.

use std::collections::BTreeMap;

use fewbits_engine::ops::{Identity, KEY_PART, Keeping, NodeKind, OpError, Output};
use fewbits_engine::text::fields::Fields;
use serde_json::json;

use crate::export::c::Footprint;
use crate::network::model::Model;
use crate::standard::Artifact;

/// The node kind that the engine reads.
pub const KIND: NodeKind = NodeKind {
    name: "Footprint",
    inputs: &[("model", "model")],
    optional_input: None,
    output: None,
    parts: &[],
    metrics: &["code_bytes", "flash_bytes", "scratch_bytes", "table_bytes"],
    roles: &[],
    seed: None,
    keeping: Keeping::Never,
    probe: None,
};

const VERSION: u32 = 1;

/// The parts of the network that the op reads. Networks of the same weights can have other formats, which only the op that made a
/// network knows: its key stands for them.
pub const READS: [(usize, &str); 1] = [(0, KEY_PART)];

/// Reads the parameters of the op: it has none.
pub fn read_op(fields: &mut Fields<'_>) {
    fields.about(&[("model", "The network whose flash and RAM are computed.")]);
}

pub(crate) fn identity() -> Identity {
    Identity { op: "footprint", version: VERSION, params: json!({}) }
}

/// Returns the bytes of the network that `export --to c` writes.
pub(crate) fn run(model: &Model) -> Result<Output<Artifact>, OpError> {
    let failed = |error: &dyn std::fmt::Display| OpError::Failed(error.to_string());
    let Footprint { table_bytes, code_bytes, scratch_bytes } = if model.integers().is_some() {
        Footprint::of_integers(model).map_err(|error| failed(&error))?
    } else {
        Footprint::of(model.network(), |tensor| model.quantization(tensor)).map_err(|error| failed(&error))?
    };
    let metrics = [
        ("code_bytes", code_bytes),
        ("flash_bytes", table_bytes + code_bytes),
        ("scratch_bytes", scratch_bytes),
        ("table_bytes", table_bytes),
    ];
    Ok(Output {
        artifact: None,
        parts: BTreeMap::new(),
        metrics: metrics.into_iter().map(|(name, bytes)| (name.to_owned(), bytes as f64)).collect(),
        series: BTreeMap::new(),
        correct: None,
    })
}

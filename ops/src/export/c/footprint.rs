//! The flash and the scratch buffer that a network takes as C, from its layers and formats alone. Knows nothing of its numbers.

use super::schedule::Schedule;
use super::source::Source;
use super::table::Tables;
use crate::network::definition::Network;
use crate::quantize::{Encoded, Quantization, QuantizeError};

/// About the bytes of `NAME_infer`, and of the function that takes bytes.
pub(super) const ENTRY_BYTES: usize = 130;

/// About the bytes of the call of a step.
pub(super) const CALL_BYTES: usize = 24;

/// The flash and RAM of a network in C on a Cortex-M4, compiled with `-Os`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// The bytes of the constant tables, exactly.
    pub table_bytes: usize,
    /// The bytes of code and of the names of classes that are numbers, as estimated.
    pub code_bytes: usize,
    /// The bytes of the scratch buffer for images of bytes, exactly.
    pub scratch_bytes: usize,
}

impl Footprint {
    /// Returns the footprint of a network; `quantization` returns the quantization of a tensor by its name, `None` if it
    /// is not quantized. Errors if a format is invalid.
    pub fn of<'a>(
        network: &Network,
        quantization: impl Fn(&str) -> Option<&'a Quantization>,
    ) -> Result<Self, QuantizeError> {
        let tensors = network.parameters().into_iter().map(|parameter| {
            let quantization = quantization(&parameter.name);
            Encoded::blank(parameter.name, parameter.shape, quantization)
        });
        let tensors: Vec<Encoded> = tensors.collect::<Result<_, _>>()?;
        let tables = Tables::of("net", &tensors);
        let is_coded =
            |name: &str| tables.tensors.iter().any(|tensor| tensor.name == name && tensor.is_coded);
        let schedule = Schedule::of(network, &is_coded, true);
        let source = Source { name: "net", network, tables: &tables, schedule: &schedule, bytes: &[] };
        let (decoders, parts, helpers) = source.uses();
        let functions = decoders.iter().map(|decoder| decoder.code_bytes).sum::<usize>()
            + parts.iter().map(|part| part.code_bytes()).sum::<usize>()
            + helpers.iter().map(|helper| helper.code_bytes()).sum::<usize>();
        let constants: usize =
            schedule.steps.iter().map(|step| CALL_BYTES + source.constant_bytes(step)).sum();
        Ok(Self {
            table_bytes: tables.bytes(),
            code_bytes: ENTRY_BYTES + functions + constants + class_bytes(network.classes),
            scratch_bytes: 4 * schedule.scratch,
        })
    }
}

/// Returns the bytes of the names of classes that are numbers: a pointer and the digits of each.
pub(super) fn class_bytes(outputs: usize) -> usize {
    let names = if outputs == 1 { 2 } else { outputs };
    (0..names).map(|class: usize| 4 + class.to_string().len() + 1).sum()
}

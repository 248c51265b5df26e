//! Integer networks as C99: codes of activations, packed weights, sums of 32 bits.
//!
//! `plan.rs` has the tables and the scratch buffer, `source.rs` the layers and the functions that compute them.

mod plan;
mod source;

use serde_json::{Value as Json, json};

use super::footprint::{CALL_BYTES, ENTRY_BYTES, Footprint, class_bytes};
use super::program::{CError, Export, Golden, MOST_NUMBERS, Program, Words};
use super::{literal, table};
use crate::dataset::images::Pixels;
use crate::integer::error::IntegerError;
use crate::integer::inference::{integer_network, outputs};
use crate::integer::network::{IntegerNetwork, StepOp};
use crate::network::definition::Network;
use crate::network::model::Model;
use plan::Plan;
use source::Source;

impl Footprint {
    /// Returns the footprint of an integer network. Errors if its parameters do not fit.
    pub fn of_integers(model: &Model) -> Result<Self, IntegerError> {
        let integers = integer_network(model)?;
        let network = model.network();
        let plan = Plan::new("net", network, &integers);
        let source = Source { name: "net", network, integers: &integers, plan: &plan };
        let parts: usize = source.parts().iter().map(|part| part.code_bytes()).sum();
        let steps: usize = integers.steps.iter().map(|step| CALL_BYTES + Source::constant_bytes(step)).sum();
        Ok(Self {
            table_bytes: table_bytes(&plan),
            code_bytes: ENTRY_BYTES + parts + steps + class_bytes(network.classes),
            scratch_bytes: plan.scratch,
        })
    }
}

fn table_bytes(plan: &Plan) -> usize {
    plan.tables.iter().map(table::Table::bytes).sum()
}

/// Returns the files of an integer network. Errors like [`Export::program`].
pub(super) fn program(export: &Export<'_>) -> Result<Program, CError> {
    let (name, network) = (export.name, export.model.network());
    let integers = integer_network(export.model)?;
    check(network, &integers)?;
    let plan = Plan::new(name, network, &integers);
    if plan.scratch > MOST_NUMBERS {
        return Err(CError::Size { what: "the scratch buffer".to_owned(), numbers: plan.scratch });
    }
    let found = outputs(export.model, export.images, &|| false)?;
    let (weight_bytes, scratch_bytes) = (table_bytes(&plan), plan.scratch);
    let takes_bytes = matches!(export.images.pixels, Pixels::Bytes { .. });
    let except = format!(" except in {name}_quantize_input, which divides a float in double");
    let [float, pixels] = if takes_bytes { ["", "bytes"] } else { [except.as_str(), "numbers"] };
    let guard = if takes_bytes { "" } else { FAST_MATH };
    let words = Words { decide: OF_OUTPUTS, decide_one: OF_ONE_OUTPUT, takes_bytes };
    let filled = export.template(&words, &[], [weight_bytes, scratch_bytes]);
    let scale = literal::double(integers.output_scale);
    let filled = |text: &str| {
        filled(text)
            .replace("@FLOAT@", float)
            .replace("@PIXELS@", pixels)
            .replace("@GUARD_FLOAT@", guard)
            .replace("@OUTPUT_SCALE@", &scale)
    };
    let source = Source { name, network, integers: &integers, plan: &plan };
    let golden = Golden {
        name: "outputs",
        kind: "int32_t",
        about: "Images, and their outputs as fewbits computes them.",
        elements: found.numbers.iter().map(i32::to_string).collect(),
        takes_bytes,
    };
    let files = vec![
        (format!("{name}.h"), filled(include_str!("../template/integer/header.h"))),
        (format!("{name}.c"), source.text(export.images)),
        (format!("{name}_weights.c"), export.weights(&plan.tables)),
        (format!("{name}_golden.c"), export.golden(&golden)),
        ("test.c".to_owned(), filled(include_str!("../template/integer/test.c"))),
        ("Makefile".to_owned(), filled(include_str!("../template/Makefile"))),
        ("README.md".to_owned(), filled(include_str!("../template/integer/README.md"))),
        (
            "manifest.json".to_owned(),
            export.manifest(&described(export, &integers), [weight_bytes, scratch_bytes]),
        ),
    ];
    Ok(Program { files, weight_bytes, scratch_bytes })
}

/// Checks that places in tables fit into 32 bits.
fn check(network: &Network, integers: &IntegerNetwork) -> Result<(), CError> {
    for step in &integers.steps {
        if let StepOp::Product(product) = &step.op
            && product.codes.len() > MOST_NUMBERS
        {
            let what = format!("{}.weight", network.layers[step.layer].name);
            return Err(CError::Size { what, numbers: product.codes.len() });
        }
    }
    Ok(())
}

/// Describes the tensors and values for the manifest.
fn described(export: &Export<'_>, integers: &IntegerNetwork) -> Json {
    let layers = &export.model.network().layers;
    let weight = |step: &crate::integer::network::Step| match &step.op {
        StepOp::Product(product) => {
            Some((format!("{}.weight", layers[step.layer].name), json!(format!("Int({})", product.bits))))
        }
        _ => None,
    };
    let tensors: serde_json::Map<String, Json> = integers.steps.iter().filter_map(weight).collect();
    json!({
        "tensors": tensors,
        "output_scale": integers.output_scale,
        "activations": export.model.integers().map(|integers| json!(integers.values)),
    })
}

/// The lines of the header that keep `NAME_quantize_input` exact.
const FAST_MATH: &str = "
#ifdef __FAST_MATH__
#error \"compile without -ffast-math, which changes the codes of numbers\"
#endif
";

/// The lines that find the class of an image: variables, statement, and the rule in words.
const OF_OUTPUTS: [&str; 3] = [
    "best = 0, i",
    "for (i = 1; i < @UPPER@_OUTPUTS; i++) if (output[i] > output[best]) best = i;",
    "the largest one is that of the image's class",
];
const OF_ONE_OUTPUT: [&str; 3] =
    ["best", "best = output[0] > 0;", "the image is of the second class if the only one is above 0"];

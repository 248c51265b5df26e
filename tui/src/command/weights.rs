//! `weights`: writes the weights of one task's model, and their codes, to a file.
//! Knows nothing of the file's format.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use fewbits_engine::graph::{TaskGraph, TaskId};
use fewbits_engine::plan::{Plan, Planner};
use fewbits_engine::run::rebuild::Rebuilder;
use fewbits_ops::quantize::Encoded;
use fewbits_ops::weights::{encoded, inputs_of_codes, plain};
use fewbits_ops::{Artifact, StandardOps};
use fewbits_store::{Key, Store};
use serde_json::{Map, Value as Json, json};

use super::why::find;
use super::{note, print};
use crate::cli::{Global, Weights};
use crate::exit::{Coded, Exit};
use crate::inputs::Inputs;
use crate::output;
use crate::render::number::count;
use crate::render::{npz, number::bytes};
use crate::session::{Session, open, reader};
use crate::ui::plain::printable;

/// Writes the weights of a task.
pub fn weights(args: &Weights, global: &Global) -> Result<Exit> {
    let FoundModel { task, tensors, made_of, inputs, notes, .. } =
        FoundModel::of(&args.file.file, &args.task, global)?;
    let size = output::write(&args.output, &inputs, |file| npz::write(&tensors, &made_of, file))?;
    note(notes);
    if let Some(size) = size {
        let (path, tensors) = (args.output.display(), count(tensors.len(), "tensor"));
        print(&printable(&format!("{path}: {tensors} of {task}, {}\n", bytes(size))))?;
    }
    Ok(Exit::Done)
}

/// The model of a task, with what a file about it needs.
pub(super) struct FoundModel {
    /// The task's name.
    pub task: String,
    /// The tensors, with their codes if they are quantized.
    pub tensors: Vec<Encoded>,
    /// The model.
    pub model: Arc<Artifact>,
    /// The task, its preimage, and the quantization of each tensor.
    pub made_of: Json,
    /// The files that the command reads, which no output may replace.
    pub inputs: Inputs,
    /// Notes for the user, to be shown once the file is written.
    pub notes: Vec<String>,
}

impl FoundModel {
    /// Finds the model of the task that a text means, and makes it again if the store does not keep it.
    pub(super) fn of(file: &Path, text: &str, global: &Global) -> Result<Self> {
        let Session { graph, ops } = open(file, global)?;
        let store = Arc::new(reader(global)?);
        let planner = Planner::new(&graph, &*ops, &store);
        let plan = planner.plan()?;
        let task = find_model(&graph, &plan, text)?;
        let key = plan.planned(task).key;
        let (tensors, model) = tensors(task, &Rebuilder::new((&graph, &ops, &store), plan))?;
        Ok(Self {
            task: graph.name(task),
            made_of: meta(&graph.name(task), key, &store, &tensors)?,
            inputs: Inputs::collect(&graph, &ops, file, global)?,
            notes: planner.notes().into_iter().chain(store.warnings()).collect(),
            tensors,
            model,
        })
    }
}

/// Finds the task with a model that a text means.
fn find_model(graph: &TaskGraph<StandardOps>, plan: &Plan, text: &str) -> Result<TaskId> {
    let task = find(graph, plan, text)?;
    if graph.kind(task).output == Some("model") {
        return Ok(task);
    }
    let name = graph.name(task);
    Err(Coded::usage(format!(
        "{name}: it has no weights; name a task of a Train, an Import, a Quantize or an Allocate"
    )))
}

/// Returns the tensors of a task's model, with their codes if they are quantized, and the model.
fn tensors(task: TaskId, rebuilder: &Rebuilder<'_, StandardOps>) -> Result<(Vec<Encoded>, Arc<Artifact>)> {
    let graph = rebuilder.graph();
    let artifact = rebuilder.artifact(task)?;
    let made = plain(&artifact)?;
    let (op, inputs) = (&graph.resolved_op(task).op, graph.inputs(task));
    let reads = inputs.iter().take(inputs_of_codes(op)).map(|input| rebuilder.artifact(*input));
    let reads = reads.collect::<Result<Vec<_>, _>>()?;
    if reads.is_empty() {
        return Ok((made, artifact));
    }
    let coded = encoded(op, &reads, &artifact)?;
    let bits = |tensors: &[Encoded]| -> Vec<u32> {
        tensors.iter().flat_map(|tensor| &tensor.weights).map(|weight| weight.to_bits()).collect()
    };
    if bits(&coded) == bits(&made) {
        return Ok((coded, artifact));
    }
    Err(anyhow!("a fault in fewbits itself (codes of other weights); please report it"))
}

/// Describes the weights: the task, its preimage, and the quantization of each tensor.
fn meta(task: &str, key: Option<Key>, store: &Store, tensors: &[Encoded]) -> Result<Json> {
    let record = key.map(|key| store.record(&key)).transpose()?.flatten();
    let made_of = record.map(|record| serde_json::from_str::<Json>(&record.preimage)).transpose()?;
    let mut how = Map::new();
    for Encoded { name, codes, .. } in tensors {
        let described = codes.as_ref().map(|codes| {
            let mut described = json!(codes.quantization);
            described["bits"] = json!(codes.bits);
            described["block"] = json!(codes.groups.block());
            described
        });
        how.insert(name.clone(), json!(described));
    }
    Ok(json!({
        "fewbits": env!("CARGO_PKG_VERSION"),
        "task": task,
        "key": key.map(|key| key.to_string()),
        "made_of": made_of,
        "tensors": how,
    }))
}

//! The model of a task that the user named, from the store or made again, and the facts about it for files.
//! Knows nothing of the files' formats.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use fewbits_engine::graph::{TaskGraph, TaskId};
use fewbits_engine::plan::{Plan, Planner};
use fewbits_engine::run::rebuild::Rebuilder;
use fewbits_ops::network::model::Model;
use fewbits_ops::quantize::Encoded;
use fewbits_ops::weights::{encoded, inputs_of_codes, plain};
use fewbits_ops::{Artifact, StandardOps};
use fewbits_store::Store;
use serde_json::{Map, Value as Json, json};

use crate::cli::Global;
use crate::command::why::find;
use crate::exit::Coded;
use crate::inputs::Inputs;
use crate::session::{Session, open, reader};

/// The model of a task.
pub struct FoundModel {
    /// The experiment.
    pub graph: Arc<TaskGraph<StandardOps>>,
    /// The task.
    pub task: TaskId,
    /// Its tensors, with their codes if they are quantized.
    pub tensors: Vec<Encoded>,
    /// The files that the command reads, which no output may replace.
    pub inputs: Inputs,
    /// Notes for the user, to be shown once the file is written.
    pub notes: Vec<String>,
    ops: Arc<StandardOps>,
    store: Arc<Store>,
    plan: Plan,
    artifact: Arc<Artifact>,
}

impl FoundModel {
    /// Finds the model of the task that a text means, and makes it again if the store does not keep it.
    pub fn of(file: &Path, text: &str, global: &Global) -> Result<Self> {
        let Session { graph, ops } = open(file, global)?;
        let store = Arc::new(reader(global)?);
        let planner = Planner::new(&graph, &*ops, &store);
        let plan = planner.plan()?;
        let task = find_model(&graph, &plan, text)?;
        let notes = planner.notes().into_iter().chain(store.warnings()).collect();
        let (tensors, artifact) = tensors(task, &Rebuilder::new((&graph, &ops, &store), plan.clone()))?;
        let inputs = Inputs::collect(&graph, &ops, file, global)?;
        Ok(Self { graph, task, tensors, inputs, notes, ops, store, plan, artifact })
    }

    /// Returns the name of the task.
    #[must_use]
    pub fn name(&self) -> String {
        self.graph.name(self.task)
    }

    /// Returns the model.
    pub fn model(&self) -> Result<&Model> {
        let Artifact::Model(model) = &*self.artifact else {
            return Err(anyhow!("{}: this is no network", self.name()));
        };
        Ok(model)
    }

    /// Returns the artifact of another task of the experiment.
    pub fn artifact(&self, task: TaskId) -> Result<Arc<Artifact>> {
        Ok(Rebuilder::new((&self.graph, &self.ops, &self.store), self.plan.clone()).artifact(task)?)
    }

    /// Returns the tasks that the model comes from, itself first, each once.
    #[must_use]
    pub fn ancestors(&self) -> Vec<TaskId> {
        let mut all = vec![self.task];
        let mut at = 0;
        while let Some(&task) = all.get(at) {
            for input in self.graph.inputs(task) {
                if !all.contains(&input) {
                    all.push(input);
                }
            }
            at += 1;
        }
        all
    }

    /// Returns the key of a task and its preimage, as far as the store has them.
    pub fn made_of(&self, task: TaskId) -> Result<(Option<String>, Option<Json>)> {
        let key = self.plan.planned(task).key;
        let record = key.map(|key| self.store.record(&key)).transpose()?.flatten();
        let preimage = record.map(|record| serde_json::from_str(&record.preimage)).transpose()?;
        Ok((key.map(|key| key.to_string()), preimage))
    }

    /// Returns the metrics of a task, if the store has its record.
    pub fn metrics(&self, task: TaskId) -> Result<Vec<(String, f64)>> {
        let record = self.plan.planned(task).key.map(|key| self.store.record(&key)).transpose()?.flatten();
        Ok(record.map(|record| record.metrics.into_iter().collect()).unwrap_or_default())
    }

    /// Describes the weights: the task, its preimage, and the quantization of each tensor.
    pub fn facts(&self) -> Result<Json> {
        let (key, made_of) = self.made_of(self.task)?;
        let mut how = Map::new();
        for Encoded { name, codes, .. } in &self.tensors {
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
            "task": self.name(),
            "key": key,
            "made_of": made_of,
            "tensors": how,
        }))
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

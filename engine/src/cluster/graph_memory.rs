//! The graphs of the newest experiments in a worker's memory, and the jobs that orders name in them.
//! Runs nothing.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use fewbits_store::{Digest, Exchange, Key, StoreError};

use super::message::{JobOrder, decode_all, task_at};
use crate::graph::{TaskGraph, TaskId};
use crate::job_store::JobStore;
use crate::ops::{OpError, Ops};
use crate::plan::{Planned, PreimageState, TaskState};
use crate::preimage::changes;
use crate::preimages::{Preimages, SourceDigests};
use crate::reason::Reason;
use crate::run::job::{Job, JobError};

/// The graphs of the newest experiments, by the digests of their texts.
pub(super) struct GraphMemory<O: Ops>(VecDeque<(Digest, Arc<TaskGraph<O>>)>);

impl<O: Ops> Default for GraphMemory<O> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<O: Ops> GraphMemory<O> {
    /// Reads the text of an experiment, or returns its graph from memory.
    pub(super) fn graph(
        &mut self,
        digest: &Digest,
        exchange: &Exchange,
        ops: &O,
    ) -> Result<Arc<TaskGraph<O>>, JobError> {
        if let Some((_, graph)) = self.0.iter().find(|(of, _)| of == digest) {
            return Ok(Arc::clone(graph));
        }
        let failed = |why: String| JobError::Op(OpError::Failed(why));
        let text = exchange.object(digest)?.and_then(|bytes| String::from_utf8(bytes).ok());
        let text = text.ok_or_else(|| {
            let cause = std::io::Error::other("the text of the experiment is missing or damaged");
            StoreError::Io { what: "read", path: exchange.root().to_owned(), cause }
        })?;
        let graph = TaskGraph::parse(&text, ops, usize::MAX).map_err(|faults| {
            let first = faults.into_iter().next().map_or(String::new(), |fault| fault.message);
            failed(format!("the experiment has a fault here, and not where the run began: {first}"))
        })?;
        let graph = Arc::new(graph);
        self.0.push_front((*digest, Arc::clone(&graph)));
        // A run that follows its file has a version before, whose jobs may still come.
        self.0.truncate(2);
        Ok(graph)
    }
}

/// Makes the job of an order. Its preimage must be the one that the graph gives here.
pub(super) fn job_of<O: Ops>(
    order: &JobOrder,
    graph: &TaskGraph<O>,
    ops: &O,
    files: &dyn JobStore,
) -> Result<Job, JobError> {
    let failed = |why: String| JobError::Op(OpError::Failed(why));
    let misfit = || failed("the order does not fit its experiment; please report it".to_owned());
    let task = task_at(graph, order.task).ok_or_else(misfit)?;
    let inputs = decode_all(&order.inputs, graph, task).ok_or_else(misfit)?;
    let known = inputs.iter().map(|input| Planned {
        state: TaskState::Cached,
        key: Some(input.key),
        parts: Some(input.parts.clone()),
    });
    let known: HashMap<TaskId, Planned> = graph.inputs(task).into_iter().zip(known).collect();
    let preimages = Preimages::new(graph, ops, files, SourceDigests::new());
    match preimages.preimage(task, |input| known.get(&input))? {
        PreimageState::Known(preimage) if preimage == order.preimage => {}
        PreimageState::Known(preimage) => {
            let fields: Vec<String> =
                changes(&order.preimage, &preimage).into_iter().map(|change| change.field).collect();
            return Err(failed(format!(
                "its key is another one here, because of {}: the files differ from those where the run began",
                fields.join(", ")
            )));
        }
        PreimageState::Missing(what) => return Err(JobError::Op(OpError::Missing(what))),
        PreimageState::Waiting => return Err(misfit()),
    }
    let (key, preimage) = (Key::derive(&order.preimage), order.preimage.clone());
    Ok(Job { task, key, preimage, keep: order.keep, inputs, reason: Reason::New })
}

//! The check that recorded tasks give the same results when they are computed once more.
//! Changes nothing in the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use fewbits_store::{Record, Store, StoreError};

use super::artifacts::Artifacts;
use super::job::{Job, JobError, JobRunner};
use super::supply::Supply;
use crate::context::Context;
use crate::graph::{TaskGraph, TaskId};
use crate::ops::{OpError, Ops};
use crate::plan::{Plan, Planner, PreimageState};
use crate::reason::Reason;

/// The provenance label of the builds that produce the same bits.
const NUMERICS: &str = "numerics";

/// The verdict on a task that was computed again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recomputed {
    /// The result equals the record.
    Same,
    /// These fields of the record differ: metrics, series, parts, or the answers to the images.
    Differs(Vec<String>),
    /// The results cannot be compared. Contains the reason.
    Unlike(String),
    /// The computation failed. Contains the error message.
    Failed(String),
}

/// Computes recorded tasks again, one after the other, on all threads of the caller's rayon pool. `planner` must be
/// the planner of `plan`. `each` is called with the verdict on every task.
pub fn recompute<O: Ops>(
    (graph, ops, store): (&Arc<TaskGraph<O>>, &Arc<O>, &Arc<Store>),
    planner: &Planner<'_, O>,
    plan: Plan,
    tasks: &[TaskId],
    each: &mut dyn FnMut(TaskId, &Recomputed),
) -> Result<(), StoreError> {
    let artifacts = Arc::new(Artifacts::new());
    let runner = JobRunner::silent((graph, ops, store), Arc::clone(&artifacts));
    let mut supply = Supply::new(graph, plan, artifacts, false);
    for &task in tasks {
        supply.hold(task);
    }
    for &task in tasks {
        let job = job(task, &supply, planner)?;
        let verdict = match &job {
            Some(job) => again(job, &runner)?,
            None => {
                Recomputed::Unlike("its record or an input's record is not in the store any more".to_owned())
            }
        };
        supply.let_go(task);
        supply.sweep(job.as_ref().map_or(&[], |job| &job.inputs));
        each(task, &verdict);
    }
    Ok(())
}

fn job<O: Ops>(
    task: TaskId,
    supply: &Supply<'_, O>,
    planner: &Planner<'_, O>,
) -> Result<Option<Job>, StoreError> {
    let known = planner.preimage(task, |input| Some(supply.known(input)))?;
    let (Some(key), Ok(inputs), PreimageState::Known(preimage)) =
        (supply.planned(task).key, supply.input_sources(task), known)
    else {
        return Ok(None);
    };
    Ok(Some(Job { task, key, preimage, keep: false, inputs, reason: Reason::New }))
}

fn again<O: Ops>(job: &Job, runner: &JobRunner<O>) -> Result<Recomputed, StoreError> {
    let Some(recorded) = runner.store.record(&job.key)? else {
        return Ok(Recomputed::Unlike("its record is damaged".to_owned()));
    };
    let resolved = runner.graph.resolved_op(job.task);
    if !runner.ops.is_exact(&resolved.op) {
        let why = "its device does not give the same bits each time";
        return Ok(Recomputed::Unlike(why.to_owned()));
    }
    let label = |provenance: &BTreeMap<String, String>| provenance.get(NUMERICS).cloned();
    let is_others = |record: &Record| {
        // An input that is made again has an op of its own.
        let ours = runner.ops.provenance(&record.op().unwrap_or_default(), &resolved.op);
        label(&record.provenance) != label(&ours)
    };
    let other = || Recomputed::Unlike("it was recorded by a build with other numbers".to_owned());
    Ok(match runner.work(job, &Context::silent(), &Context::silent()) {
        Ok(done) if recorded.says_the_same_as(&done.record) => Recomputed::Same,
        Ok(_) if is_others(&recorded) => other(),
        Ok(done) => Recomputed::Differs(recorded.differences(&done.record)),
        Err(JobError::Differs { task, key }) => match runner.store.record(&key)? {
            Some(record) if is_others(&record) => other(),
            _ => Recomputed::Differs(vec![format!("{task}, made again for it, differs from its record")]),
        },
        Err(JobError::Op(OpError::Missing(what)) | JobError::Changed(what)) => Recomputed::Unlike(what),
        Err(JobError::Lost { .. }) => {
            Recomputed::Unlike("a model that it needs is not in the store".to_owned())
        }
        Err(error) => Recomputed::Failed(error.to_string()),
    })
}

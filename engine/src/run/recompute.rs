//! Tasks done once more, to see whether they come out as they were recorded.
//! Changes nothing in the store.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use fewbits_store::{Record, Store, StoreError, same_result};

use super::artifacts::Artifacts;
use super::context::Context;
use super::job::{Job, JobError, Worker};
use super::supply::Supply;
use crate::graph::{Graph, TaskId};
use crate::ops::{OpError, Ops};
use crate::plan::{Plan, Planner, Preimage, State};

/// The label of a record's provenance that says which builds give the same bits.
const NUMERICS: &str = "numerics";

/// What doing a task once more showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It came out as recorded.
    Same,
    /// These came out otherwise: metrics, series, parts, or the answers to the images.
    Differs(Vec<String>),
    /// It was recorded by a build with other numbers, so that bits cannot be compared.
    OtherNumerics(String),
    /// It could not be done.
    Failed(String),
}

/// Does recorded tasks of a plan once more, one after the other, with all threads of the pool this is called in.
/// `planner` must be the one that made the plan. Stops where `cancelled` is set.
pub fn recompute<O: Ops>(
    (graph, ops, store): (&Arc<Graph<O>>, &Arc<O>, &Arc<Store>),
    planner: &Planner<'_, O>,
    plan: Plan,
    tasks: &[TaskId],
    cancelled: &Arc<AtomicBool>,
    each: &mut dyn FnMut(TaskId, &Verdict),
) -> Result<(), StoreError> {
    let artifacts = Arc::new(Artifacts::new());
    let worker = Worker {
        graph: Arc::clone(graph),
        ops: Arc::clone(ops),
        store: Arc::clone(store),
        artifacts: Arc::clone(&artifacts),
        rebuilt: Box::new(|_, _| ()),
    };
    let mut supply = Supply::new(graph, plan, artifacts);
    for &task in tasks {
        supply.hold(task);
    }
    for &task in tasks {
        let planned = supply.of(task);
        let (State::Cached, Some(key)) = (&planned.state, planned.key) else { continue };
        let Some(recorded) = store.record(&key)? else { continue };
        let known = planner.preimage(task, |input| supply.parts(input))?;
        let (Ok(inputs), Preimage::Known(preimage)) = (supply.recipes(task), known) else { continue };
        let job = Job { task, key, preimage, keep: false, inputs };
        let context = || Context::new(Arc::clone(cancelled), Box::new(|_, _, _| ()), None);
        let verdict = match worker.work(&job, &context(), &context()) {
            Ok(done) => judge(&recorded, &done.record),
            Err(JobError::Op(OpError::Cancelled)) => return Ok(()),
            Err(error) => Verdict::Failed(error.to_string()),
        };
        supply.let_go(task);
        supply.sweep(&job.inputs);
        each(task, &verdict);
    }
    Ok(())
}

fn judge(recorded: &Record, again: &Record) -> Verdict {
    let label = |record: &Record| record.provenance.get(NUMERICS).cloned().unwrap_or_default();
    if same_result(recorded, again) {
        Verdict::Same
    } else if label(recorded) == label(again) {
        Verdict::Differs(differences(recorded, again))
    } else {
        Verdict::OtherNumerics(label(recorded))
    }
}

fn differences(recorded: &Record, again: &Record) -> Vec<String> {
    let mut found = vec![];
    for name in
        recorded.metrics.keys().chain(again.metrics.keys().filter(|n| !recorded.metrics.contains_key(*n)))
    {
        let number =
            |record: &Record| record.metrics.get(name).map_or("none".to_owned(), ToString::to_string);
        let bits = |record: &Record| record.metrics.get(name).map(|value| value.to_bits());
        if bits(recorded) != bits(again) {
            found.push(format!("{name} {} instead of {}", number(again), number(recorded)));
        }
    }
    let others = [
        ("series", recorded.series != again.series),
        ("digests of the artifact", recorded.parts != again.parts),
        ("answers to single images", recorded.correct != again.correct),
    ];
    found.extend(others.into_iter().filter(|(_, differ)| *differ).map(|(name, _)| name.to_owned()));
    found
}

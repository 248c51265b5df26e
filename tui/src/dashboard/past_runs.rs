//! Past runs in the store: listing them, opening them, and planning them again with their original sources.
//! Knows nothing of the dashboard's threads.

use std::collections::HashMap;
use std::sync::Arc;

use fewbits_engine::event::Event;
use fewbits_engine::graph::TaskId;
use fewbits_engine::plan::{Plan, Planner};
use fewbits_engine::run_log::{LoggedEvent, RunHeader};
use fewbits_ops::StandardOps;
use fewbits_store::{RunReader, Store, StoreError};

use super::messages::PastRun;
use super::run_model::OpenedRun;
use crate::recorded::{self, Unreadable};

/// Plans a run again, with the digests of sources that its header has.
pub fn replan(store: &Store, ops: &StandardOps, opened: &OpenedRun) -> Result<Plan, StoreError> {
    Planner::remembering(&opened.graph, ops, store, opened.header.sources.clone()).plan()
}

/// Opens a run and its run log. The inner error says why the run log's header or the experiment in it cannot be read.
pub fn open(
    store: &Store,
    ops: &StandardOps,
    id: &str,
) -> Result<Result<(OpenedRun, RunReader), Unreadable>, StoreError> {
    let mut reader = store.open_run(id)?;
    let header = reader.next_line()?.and_then(|line| serde_json::from_str::<RunHeader>(&line).ok());
    Ok(recorded::parse(id, header, ops).map(|(header, graph)| {
        let graph = Arc::new(graph);
        let names: HashMap<String, TaskId> = graph.tasks().map(|task| (graph.name(task), task)).collect();
        (OpenedRun { id: id.to_owned(), began: began(id), header, graph, names: Arc::new(names) }, reader)
    }))
}

/// Returns the start of a run in seconds of Unix time, which its id encodes.
fn began(id: &str) -> Option<f64> {
    let time = jiff::civil::DateTime::strptime("%Y%m%d-%H%M%S", id.get(..15)?).ok()?;
    let seconds = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second();
    let millis: f64 = id.get(16..19).and_then(|millis| millis.parse().ok()).unwrap_or(0.0);
    Some(seconds as f64 + millis / 1000.0)
}

/// Returns whether a run without a `finished` event is going on: it is the newest, and the store's writer is alive.
pub fn is_going(store: &Store, id: &str) -> Result<bool, StoreError> {
    Ok(store.runs()?.last().is_some_and(|newest| newest == id) && store.has_living_writer())
}

/// Lists at most `most` past runs, newest first.
pub fn past(store: &Store, most: usize) -> Result<Vec<PastRun>, StoreError> {
    past_since(store, most, &[])
}

/// Lists the past runs like [`past`], and takes those that can no longer change from `known`, an earlier list.
pub fn past_since(store: &Store, most: usize, known: &[PastRun]) -> Result<Vec<PastRun>, StoreError> {
    let known: HashMap<&str, &PastRun> = known.iter().map(|past| (past.id.as_str(), past)).collect();
    let mut all = vec![];
    for (at, id) in store.runs()?.into_iter().rev().take(most).enumerate() {
        // Only the newest run can be in progress. An older run without a `finished` event was interrupted and stays so.
        let is_final = |past: &&&PastRun| past.summary.is_some() || (at > 0 && !past.going);
        if let Some(past) = known.get(id.as_str()).filter(is_final) {
            all.push((*past).clone());
            continue;
        }
        let header = RunHeader::load(store, &id)?;
        let last =
            store.last_line_of_run(&id)?.and_then(|line| serde_json::from_str::<LoggedEvent>(&line).ok());
        let summary = match last.map(|line| line.event) {
            Some(Event::Finished(summary)) => Some(summary),
            _ => None,
        };
        let going = summary.is_none() && is_going(store, &id)?;
        let follows = header.as_ref().and_then(|header| header.follows.clone());
        let experiment = header.map_or("?".to_owned(), |header| header.experiment);
        all.push(PastRun { id, experiment, follows, summary, going });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_when_the_run_began() {
        assert_eq!(began("19700102-000001-500"), Some(86_401.5));
        assert_eq!(began("run-1"), None);
    }
}

//! What an experiment reaches in the store: the keys of its tasks, as a plan knows them.
//! Experiments come from files, or from the journals of past runs.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use fewbits_engine::graph::Graph;
use fewbits_engine::journal::{Header, Sources};
use fewbits_engine::plan::{Plan, Planner, State};
use fewbits_ops::StandardOps;
use fewbits_store::{Key, Store, StoreError};

use crate::cli::Global;
use crate::session::{Session, data_dir, open};

/// An experiment, planned.
pub struct Reach {
    /// What people call it: the file, or the run.
    pub name: String,
    pub graph: Arc<Graph<StandardOps>>,
    pub ops: Arc<StandardOps>,
    /// What its source files held.
    pub sources: Sources,
    pub plan: Plan,
}

impl Reach {
    /// Plans an experiment file.
    pub fn of_file(file: &Path, store: &Store, global: &Global) -> Result<Self> {
        let session = open(file, global)?;
        Ok(Self::of(file.display().to_string(), session, Sources::new(), store)?)
    }

    /// Plans a past run as it was. The inner error says why its text cannot be read.
    pub fn of_run(id: &str, store: &Store, global: &Global) -> Result<Result<Self, String>> {
        let header = store.open_run(id)?.next_line()?;
        let Some(header) = header.and_then(|line| serde_json::from_str::<Header>(&line).ok()) else {
            return Ok(Err(format!("run {id} has no beginning: it was cut off")));
        };
        // Relative paths of its files start from here, as those of a dashboard do.
        let ops = Arc::new(StandardOps::new(data_dir(global), PathBuf::from(".")));
        match Graph::read(&header.text, &*ops, usize::MAX) {
            Ok(graph) => {
                let session = Session { graph: Arc::new(graph), ops };
                Ok(Ok(Self::of(format!("run {id}"), session, header.sources, store)?))
            }
            Err(faults) => {
                let first = faults.first().map_or(String::new(), |fault| format!(": {}", fault.message));
                Ok(Err(format!("the experiment of run {id} cannot be read by this version{first}")))
            }
        }
    }

    fn of(name: String, session: Session, sources: Sources, store: &Store) -> Result<Self, StoreError> {
        let Session { graph, ops } = session;
        let plan = Planner::remembering(&graph, &*ops, store, sources.clone()).plan()?;
        Ok(Self { name, graph, ops, sources, plan })
    }

    /// Returns the keys that are known.
    pub fn keys(&self) -> HashSet<Key> {
        self.plan.tasks.iter().filter_map(|planned| planned.key).collect()
    }

    /// Says how many tasks have no result, if any: what depends on them is out of reach.
    pub fn unfinished(&self) -> Option<String> {
        let missing = self.plan.tasks.iter().filter(|planned| planned.state != State::Cached).count();
        let all = self.plan.tasks.len();
        (missing > 0).then(|| format!("{}: {missing} of {all} tasks have no result", self.name))
    }
}

/// Returns the newest run of every experiment, by the experiment's name.
pub fn newest_runs(store: &Store) -> Result<BTreeMap<String, String>, StoreError> {
    let mut newest = BTreeMap::new();
    for id in store.runs()? {
        let header = store.open_run(&id)?.next_line()?;
        if let Some(header) = header.and_then(|line| serde_json::from_str::<Header>(&line).ok()) {
            newest.insert(header.experiment, id);
        }
    }
    Ok(newest)
}

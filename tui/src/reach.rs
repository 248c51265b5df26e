//! What an experiment reaches in the store: the keys of its tasks, as a plan knows them.
//! Experiments come from files, or from the journals of past runs.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use fewbits_engine::graph::TaskGraph;
use fewbits_engine::plan::{Plan, Planner, TaskState};
use fewbits_engine::run_log::{RunHeader, SourceDigests};
use fewbits_ops::StandardOps;
use fewbits_store::{Key, Store, StoreError};

use crate::cli::Global;
use crate::session::{Session, data_dir, open};

/// An experiment, planned.
pub struct Reach {
    /// What people call it: the file, or the run.
    pub name: String,
    pub graph: Arc<TaskGraph<StandardOps>>,
    pub ops: Arc<StandardOps>,
    /// What its source files held.
    pub sources: SourceDigests,
    pub plan: Plan,
}

impl Reach {
    /// Plans an experiment file.
    pub fn of_file(file: &Path, store: &Store, global: &Global) -> Result<Self> {
        let session = open(file, global)?;
        Ok(Self::plan(file.display().to_string(), session, SourceDigests::new(), store)?)
    }

    /// Plans a past run as it was. The inner error says why its text cannot be read.
    pub fn of_run(id: &str, store: &Store, global: &Global) -> Result<Result<Self, String>> {
        let Some(header) = RunHeader::load(store, id)? else {
            return Ok(Err(format!("run {id} has no beginning: it was cut off")));
        };
        // Relative paths of its files start from here, as those of a dashboard do.
        let ops = Arc::new(StandardOps::new(data_dir(global), PathBuf::from(".")));
        match TaskGraph::parse(&header.text, &*ops, usize::MAX) {
            Ok(graph) => {
                let session = Session { graph: Arc::new(graph), ops };
                Ok(Ok(Self::plan(format!("run {id}"), session, header.sources, store)?))
            }
            Err(faults) => {
                let first = faults.first().map_or(String::new(), |fault| format!(": {}", fault.message));
                Ok(Err(format!("the experiment of run {id} cannot be read by this version{first}")))
            }
        }
    }

    fn plan(
        name: String,
        session: Session,
        sources: SourceDigests,
        store: &Store,
    ) -> Result<Self, StoreError> {
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
        let missing = self.plan.tasks.iter().filter(|planned| planned.state != TaskState::Cached).count();
        let all = self.plan.tasks.len();
        (missing > 0).then(|| format!("{}: {missing} of {all} tasks have no result", self.name))
    }
}

/// The newest run of an experiment.
pub struct NewestRun {
    /// The experiment's name.
    pub experiment: String,
    /// The experiment's file; none if the run's journal does not tell.
    pub file: Option<String>,
    pub run: String,
}

/// Returns the newest run of every experiment, by name. Files of one name are experiments of their own; a file that is gone
/// counts as moved, and is superseded by a later run of the name.
pub fn newest_runs(store: &Store) -> Result<Vec<NewestRun>, StoreError> {
    let mut newest: HashMap<(String, Option<String>), NewestRun> = HashMap::new();
    for run in store.runs()? {
        let Some(RunHeader { experiment, file, .. }) = RunHeader::load(store, &run)? else { continue };
        newest.insert((experiment.clone(), file.clone()), NewestRun { experiment, file, run });
    }
    let mut newest: Vec<NewestRun> = newest.into_values().collect();
    newest.sort_by(|one, other| one.run.cmp(&other.run));
    // A later run of the name takes the place of one whose file is gone.
    let mut last: HashMap<String, String> = HashMap::new();
    last.extend(newest.iter().map(|of| (of.experiment.clone(), of.run.clone())));
    let is_there = |of: &NewestRun| of.file.as_ref().is_some_and(|file| Path::new(file).exists());
    newest.retain(|of| last.get(&of.experiment) == Some(&of.run) || is_there(of));
    newest.sort_by(|one, other| one.experiment.cmp(&other.experiment));
    Ok(newest)
}

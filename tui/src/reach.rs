//! What an experiment reaches in the store: the keys of its tasks, as a plan knows them.
//! Experiments come from files, or from the journals of past runs.

use std::collections::HashSet;
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
    let mut newest: Vec<NewestRun> = vec![];
    let is_there = |file: &Option<String>| file.as_ref().is_some_and(|file| Path::new(file).exists());
    for run in store.runs()? {
        let header = store.open_run(&run)?.next_line()?;
        let Some(header) = header.and_then(|line| serde_json::from_str::<Header>(&line).ok()) else {
            continue;
        };
        let Header { experiment, file, .. } = header;
        newest
            .retain(|other| other.experiment != experiment || (other.file != file && is_there(&other.file)));
        newest.push(NewestRun { experiment, file, run });
    }
    newest.sort_by(|one, other| one.experiment.cmp(&other.experiment));
    Ok(newest)
}

/// Returns the run that `why` compares an experiment with: the newest of its file, else the newest of its name.
pub fn newest_run_of<'n>(newest: &'n [NewestRun], graph: &Graph<StandardOps>) -> Option<&'n str> {
    let mut of_name = newest.iter().rev().filter(|run| run.experiment == graph.experiment.name);
    let newest_of_name = of_name.clone().max_by_key(|run| &run.run);
    let run = of_name.find(|run| run.file == graph.file).or(newest_of_name)?;
    Some(&run.run)
}

//! The planner: derives each task's key and its state. `plan` and `run` share it, so that they cannot disagree.
//! Reads the store; runs nothing.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use fewbits_store::{Digest, Hit, Key, KeyMap, SourceState, Stat, Store, StoreError};
use rayon::prelude::*;

use crate::graph::{MIN_BATCH, ResolvedOp, TaskGraph, TaskId};
use crate::ops::{KEY_PART, OpError, Ops, SourceContent};
use crate::parts::Parts;
use crate::preimage::preimage;

/// The number of records per parallel batch of checks.
const RECORDS_PER_BATCH: usize = 2048;

/// The digests of the source files, by the task's name with its axes sorted, then by the source's name.
pub type SourceDigests = BTreeMap<String, BTreeMap<String, Digest>>;

/// The known facts of a task before it runs.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The state of the task.
    pub state: TaskState,
    /// The key, once the results of all inputs are known.
    pub key: Option<Key>,
    /// The digests of the artifact's parts, once the result is known.
    pub parts: Option<Parts>,
}

/// The state of a task in a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// The result is in the store.
    Cached,
    /// Another task has the same key and will run; this task takes its result.
    SameAs(TaskId),
    /// The task runs: the store has no record under its key.
    Run,
    /// The task runs: the store has its record, but lacks the artifact that the node keeps.
    Lost,
    /// The task fails if it runs now: something outside the experiment is missing. Contains the error message.
    Missing(String),
    /// The key depends on results that are not known yet.
    Waiting,
}

/// The number of tasks in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counts {
    /// All tasks.
    pub tasks: usize,
    /// Tasks whose result is in the store.
    pub cached: usize,
    /// Tasks that run.
    pub run: usize,
    /// Tasks whose key is not known yet, or equals that of another task that runs.
    pub waiting: usize,
}

/// The state of every task of a graph.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The facts of each task, by its index.
    pub tasks: Vec<Planned>,
}

impl Plan {
    /// Returns the facts of a task.
    #[must_use]
    pub fn planned(&self, task: TaskId) -> &Planned {
        &self.tasks[task.index()]
    }

    /// Counts the states of the given tasks.
    #[must_use]
    pub fn counts(&self, tasks: impl Iterator<Item = TaskId>) -> Counts {
        let mut counts = Counts::default();
        for task in tasks {
            counts.tasks += 1;
            match self.planned(task).state {
                TaskState::Cached => counts.cached += 1,
                TaskState::Run | TaskState::Lost | TaskState::Missing(_) => counts.run += 1,
                TaskState::Waiting | TaskState::SameAs(_) => counts.waiting += 1,
            }
        }
        counts
    }
}

/// The planner of a graph's tasks.
pub struct Planner<'p, O: Ops> {
    graph: &'p TaskGraph<O>,
    ops: &'p O,
    store: &'p Store,
    /// The digests of source files in an earlier run; they take precedence over the files.
    remembered: SourceDigests,
    /// The digests of the source files read so far, and notes about files that are gone.
    sources: Mutex<SourceCache>,
}

#[derive(Default)]
struct SourceCache {
    digests: HashMap<PathBuf, Result<Digest, String>>,
    notes: Vec<String>,
}

impl<'p, O: Ops> Planner<'p, O> {
    /// Makes a planner that reads the source files as they are now.
    pub fn new(graph: &'p TaskGraph<O>, ops: &'p O, store: &'p Store) -> Self {
        Self::remembering(graph, ops, store, SourceDigests::new())
    }

    /// Makes a planner of an earlier run, with the digests that source files had then.
    pub fn remembering(
        graph: &'p TaskGraph<O>,
        ops: &'p O,
        store: &'p Store,
        remembered: SourceDigests,
    ) -> Self {
        Self { graph, ops, store, remembered, sources: Mutex::default() }
    }

    /// Plans all tasks and checks the checksums of the records of cached tasks: a damaged record is a cache miss, as
    /// in a run. A run skips this check: it reads or checks all records for its tables, and computes a damaged one
    /// again.
    pub fn checked_plan(&self) -> Result<Plan, StoreError> {
        loop {
            let plan = self.plan()?;
            let cached = plan.tasks.iter().filter(|planned| planned.state == TaskState::Cached);
            let keys: Vec<Key> = cached.filter_map(|planned| planned.key).collect();
            let sound = keys.par_chunks(RECORDS_PER_BATCH).map(|keys| self.store.sound(keys));
            let sound: Vec<Vec<bool>> = sound.collect::<Result<_, _>>()?;
            if sound.iter().flatten().all(|sound| *sound) {
                return Ok(plan);
            }
            // The check dropped the damaged records from the store, so the next plan treats their tasks as misses.
        }
    }

    /// Plans all tasks by the headers of records; bodies are not read or checked.
    pub fn plan(&self) -> Result<Plan, StoreError> {
        self.store.expect(self.graph.len())?;
        let unknown = Planned { state: TaskState::Waiting, key: None, parts: None };
        let mut plan = Plan { tasks: vec![unknown; self.graph.len()] };
        let mut first_with: KeyMap<TaskId> = KeyMap::default();
        for &node in &self.graph.order {
            let tasks: Vec<TaskId> = self.graph.tasks_of(node).collect();
            let planned = |input: TaskId| Some(plan.planned(input));
            let keyed = |task: &TaskId| match self.preimage(*task, planned)? {
                PreimageState::Known(text) => Ok(Ok(Key::derive(&text))),
                PreimageState::Waiting => Ok(Err(TaskState::Waiting)),
                PreimageState::Missing(what) => Ok(Err(TaskState::Missing(what))),
            };
            let keys: Vec<Result<Key, TaskState>> =
                tasks.par_iter().with_min_len(MIN_BATCH).map(keyed).collect::<Result<_, StoreError>>()?;
            let known: Vec<Key> = keys.iter().filter_map(|key| key.as_ref().ok().copied()).collect();
            let mut hits = self.store.lookup(&known)?.into_iter();
            let hits: Vec<Option<Hit>> =
                keys.iter().map(|key| key.as_ref().ok().and_then(|_| hits.next().flatten())).collect();
            let judged = tasks.par_iter().zip(keys).zip(hits).with_min_len(MIN_BATCH);
            let judged: Vec<Planned> = judged
                .map(|((task, key), hit)| match key {
                    Ok(key) => self.judge(*task, key, hit),
                    Err(state) => Ok(Planned { state, key: None, parts: None }),
                })
                .collect::<Result<_, StoreError>>()?;
            for (task, mut planned) in tasks.into_iter().zip(judged) {
                if let (Some(key), None) = (planned.key, &planned.parts) {
                    let first = *first_with.entry(key).or_insert(task);
                    if first != task {
                        planned.state = TaskState::SameAs(first);
                    }
                }
                plan.tasks[task.index()] = planned;
            }
        }
        Ok(plan)
    }

    /// Derives the state of one task whose inputs are all known; `planned` returns their facts.
    pub fn settle<'a>(
        &self,
        task: TaskId,
        planned: impl Fn(TaskId) -> Option<&'a Planned>,
    ) -> Result<Planned, StoreError> {
        let key = match self.preimage(task, planned)? {
            PreimageState::Known(text) => Key::derive(&text),
            PreimageState::Waiting => {
                return Ok(Planned { state: TaskState::Waiting, key: None, parts: None });
            }
            PreimageState::Missing(what) => {
                return Ok(Planned { state: TaskState::Missing(what), key: None, parts: None });
            }
        };
        let hit = self.store.lookup(&[key])?.into_iter().next().flatten();
        self.judge(task, key, hit)
    }

    /// Returns the preimage of a task's key; `planned` returns the facts of its inputs, as far as they are known.
    pub fn preimage<'a>(
        &self,
        task: TaskId,
        planned: impl Fn(TaskId) -> Option<&'a Planned>,
    ) -> Result<PreimageState, StoreError> {
        let parts = |input: TaskId| planned(input).and_then(|planned| planned.parts.as_ref());
        let digest = |input: TaskId, part: &str| {
            let found = parts(input)?;
            if part != KEY_PART {
                return found.get(part).copied();
            }
            planned(input)?.key.map(|key| Digest::from_bytes(*key.as_bytes()))
        };
        let (node, _) = self.graph.place(task);
        let kind = self.graph.experiment.nodes[node].kind;
        let work = self.graph.resolved_op(task);
        let mut inputs = BTreeMap::new();
        let tasks = self.graph.inputs(task);
        for &(place, part) in &work.reads {
            let Some(digest) = digest(tasks[place], part) else {
                return Ok(PreimageState::Waiting);
            };
            // The optional input is last, so the places of the others hold without it.
            let Some((port, _)) = kind.all_inputs().nth(place) else { continue };
            inputs.insert(format!("{port}.{part}"), digest);
        }
        let Some(probes) = self.graph.probes(task) else {
            let message = "the layers of its network are not known before the network's file is there";
            return Ok(PreimageState::Missing(message.to_owned()));
        };
        for probe in probes {
            let Some(digest) = parts(probe).and_then(|parts| parts.iter().next()) else {
                return Ok(PreimageState::Waiting);
            };
            inputs.insert(format!("probe.{}", self.graph.label_of_probe(probe)), *digest.1);
        }
        let sources = match self.ops.sources(&work.op) {
            Ok(sources) => sources,
            Err(OpError::Cancelled) => return Ok(PreimageState::Waiting),
            Err(OpError::Missing(what) | OpError::Failed(what)) => return Ok(PreimageState::Missing(what)),
        };
        for source in sources {
            let digest = match source.content {
                SourceContent::Embedded(digest) => digest,
                SourceContent::File { path, missing } => match self.remembered(task, &source.name) {
                    Some(digest) => digest,
                    None => match self.file(&path, &missing)? {
                        Ok(digest) => digest,
                        Err(what) => return Ok(PreimageState::Missing(what)),
                    },
                },
            };
            inputs.insert(source.name, digest);
        }
        Ok(PreimageState::Known(preimage(work.name, work.version, &work.params, &inputs)))
    }

    /// Returns the work of a task's op: see [`Ops::work`].
    #[must_use]
    pub fn work(&self, task: TaskId) -> f64 {
        self.ops.work(&self.graph.resolved_op(task).op)
    }

    /// Returns the digests of the source files of all tasks; missing files have no entry.
    pub fn sources(&self) -> Result<SourceDigests, StoreError> {
        let mut all = SourceDigests::new();
        for (node, step) in self.graph.node_tasks.pairs() {
            let of = |work: &ResolvedOp<O>| self.ops.sources(&work.op).unwrap_or_default();
            if step.resolved_ops.iter().all(|work| of(work).is_empty()) {
                continue;
            }
            for task in self.graph.tasks_of(node) {
                for source in of(self.graph.resolved_op(task)) {
                    let SourceContent::File { path, missing } = source.content else { continue };
                    if let Ok(digest) = self.file(&path, &missing)? {
                        all.entry(self.graph.sorted_name(task)).or_default().insert(source.name, digest);
                    }
                }
            }
        }
        Ok(all)
    }

    fn remembered(&self, task: TaskId, source: &str) -> Option<Digest> {
        if self.remembered.is_empty() {
            return None;
        }
        self.remembered.get(&self.graph.sorted_name(task))?.get(source).copied()
    }

    /// Takes the notes about source files that are gone although the results made from them are still valid.
    pub fn notes(&self) -> Vec<String> {
        self.sources.lock().map(|mut sources| std::mem::take(&mut sources.notes)).unwrap_or_default()
    }

    fn judge(&self, task: TaskId, key: Key, hit: Option<Hit>) -> Result<Planned, StoreError> {
        let run = |state| Ok(Planned { state, key: Some(key), parts: None });
        let Some(hit) = hit else { return run(TaskState::Run) };
        let (node, _) = self.graph.place(task);
        let node = &self.graph.experiment.nodes[node];
        let parts = match (hit.part, node.kind.parts) {
            (Some(digest), [part]) => Parts::only(part, digest),
            (None, []) => Parts::default(),
            _ => match self.store.record(&key)? {
                Some(record) => Parts::from_record(node.kind.parts, &record.parts),
                None => return run(TaskState::Run),
            },
        };
        if self.graph.keeps(task)
            && !(hit.kept && parts.iter().all(|(_, digest)| self.store.has_object(digest)))
        {
            return run(TaskState::Lost);
        }
        Ok(Planned { state: TaskState::Cached, key: Some(key), parts: Some(parts) })
    }

    /// Returns the digest of a source file: the remembered digest while the file is unchanged, else the digest of its
    /// content. The inner error is the message about a missing file.
    fn file(&self, path: &Path, missing: &str) -> Result<Result<Digest, String>, StoreError> {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = sources.digests.get(&path) {
            return Ok(known.clone());
        }
        let digest = match self.store.source_digest(&path)? {
            SourceState::Known(digest) => Ok(digest),
            SourceState::Unknown => self.digest_file(&path)?,
            SourceState::Gone(Some(digest)) => {
                sources.notes.push(format!(
                    "{}: the file is gone; results made from it are still shown",
                    path.display()
                ));
                Ok(digest)
            }
            SourceState::Gone(None) => Err(missing.to_owned()),
        };
        sources.digests.insert(path, digest.clone());
        Ok(digest)
    }

    /// Computes and remembers the digest of a source file.
    fn digest_file(&self, path: &Path) -> Result<Result<Digest, String>, StoreError> {
        // Reading a pipe or a device may never end.
        if !path.is_file() {
            return Ok(Err(format!("{}: this is not a file", path.display())));
        }
        let read =
            Stat::read_metadata(path).and_then(|before| Ok((before, Digest::of_reader(File::open(path)?)?)));
        match read {
            Ok((before, digest)) => {
                self.store.remember_source(path, before, digest)?;
                Ok(Ok(digest))
            }
            Err(error) => Ok(Err(format!(
                "{}: the file cannot be read ({error}); check its permissions",
                path.display()
            ))),
        }
    }
}

/// The preimage of a task's key, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PreimageState {
    /// All inputs are known.
    Known(String),
    /// An input's result is not known yet.
    Waiting,
    /// Something outside the experiment is missing. Contains the error message.
    Missing(String),
}

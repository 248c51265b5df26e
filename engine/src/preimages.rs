//! The preimages of a graph's tasks: their resolved ops with the digests of their inputs and source files.
//! Reads source files; knows neither results nor states of tasks.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use fewbits_store::{Digest, SourceState, Stat, StoreError};

use crate::graph::{ResolvedOp, TaskGraph, TaskId};
use crate::job_store::JobStore;
use crate::ops::{KEY_PART, OpError, Ops, SourceContent};
use crate::plan::Planned;
use crate::preimage::preimage;

/// The digests of the source files, by the task's name with its axes sorted, then by the source's name.
pub type SourceDigests = BTreeMap<String, BTreeMap<String, Digest>>;

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

/// Derives the preimages of a graph's tasks.
pub struct Preimages<'p, O: Ops> {
    graph: &'p TaskGraph<O>,
    ops: &'p O,
    store: &'p dyn JobStore,
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

impl<'p, O: Ops> Preimages<'p, O> {
    /// Makes a deriver. `remembered` has the digests of source files in an earlier run; it is empty for files as they are now.
    pub fn new(
        graph: &'p TaskGraph<O>,
        ops: &'p O,
        store: &'p dyn JobStore,
        remembered: SourceDigests,
    ) -> Self {
        Self { graph, ops, store, remembered, sources: Mutex::default() }
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

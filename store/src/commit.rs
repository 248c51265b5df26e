//! Group commit: a thread writes all commits that were queued during one batch as the next batch.
//!
//! Objects are on the disk before their record, and records before their report. Knows nothing of the receivers of the
//! reports.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, JoinHandle},
};

use crate::{Key, Record, Store, StoreError, append::NewEntry, error::IoContext as _};

/// The most commits of one batch. It bounds the delay of a report.
const BATCH: usize = 4096;

/// Receives the tickets that have reached the disk, or the error that prevented it.
type OnCommitted = dyn Fn(&[u64], Result<(), &StoreError>);

/// Holds the result of a finished computation for storing.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The number that names this commit in the report.
    pub ticket: u64,
    /// The computation's key.
    pub key: Key,
    /// The record. If `kept` is set, every part must be among `objects` or in the store already, else the commit fails.
    pub record: Record,
    /// The contents to store as objects.
    pub objects: Vec<Vec<u8>>,
}

/// Commits records on its own thread.
#[derive(Debug)]
pub struct Committer {
    queue: Option<Sender<Commit>>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    /// Starts the thread. It calls `done` with every ticket exactly once, after the ticket's batch has reached the disk
    /// or failed.
    pub fn start(
        store: Arc<Store>,
        done: impl Fn(&[u64], Result<(), &StoreError>) + Send + 'static,
    ) -> Result<Self, StoreError> {
        let (queue, queued) = channel();
        let root = store.root().to_owned();
        let serve = move || serve(&store, &queued, &done);
        let thread = thread::Builder::new().name("fewbits-commit".into()).spawn(serve);
        Ok(Self { queue: Some(queue), thread: Some(thread.at("start a thread for", &root)?) })
    }

    /// Queues a commit without waiting.
    pub fn submit(&self, commit: Commit) {
        // The receiver is gone only after a panic in `done`, which `finish` passes on.
        if let Some(queue) = &self.queue {
            let _ = queue.send(commit);
        }
    }

    /// Waits until every queued commit has been reported. Resumes a panic of `done` in the calling thread.
    pub fn finish(mut self) {
        if let Err(panic) = self.join() {
            std::panic::resume_unwind(panic);
        }
    }

    fn join(&mut self) -> thread::Result<()> {
        self.queue = None;
        self.thread.take().map_or(Ok(()), JoinHandle::join)
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        let _ = self.join();
    }
}

fn serve(store: &Store, queued: &Receiver<Commit>, done: &OnCommitted) {
    while let Ok(first) = queued.recv() {
        let mut tickets = Vec::new();
        let mut entries = Vec::new();
        // The batch is complete before its objects are written: commits that arrive meanwhile must not delay its
        // report.
        let batch: Vec<Commit> = std::iter::once(first).chain(queued.try_iter().take(BATCH - 1)).collect();
        for commit in batch {
            match prepare(store, &commit) {
                Ok(entry) => {
                    tickets.push(commit.ticket);
                    entries.push(entry);
                }
                Err(error) => done(&[commit.ticket], Err(&error)),
            }
        }
        if !entries.is_empty() {
            done(&tickets, store.append(&entries, true).as_ref().copied());
        }
    }
}

/// Writes the objects of a commit to the disk and encodes its record.
fn prepare(store: &Store, commit: &Commit) -> Result<NewEntry, StoreError> {
    let mut put = Vec::with_capacity(commit.objects.len());
    for bytes in &commit.objects {
        put.push(store.put_object(bytes)?);
    }
    let lost = commit.record.parts.values().find(|part| !put.contains(part) && !store.has_object(part));
    match lost.filter(|_| commit.record.kept) {
        Some(&digest) => Err(StoreError::PartMissing { key: commit.key, digest }),
        None => NewEntry::of_record(commit.key, &commit.record),
    }
}

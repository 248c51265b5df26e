//! Group commit: what is queued while one batch goes to the disk is the next batch.
//!
//! Objects before their record, records before their report. Knows nothing of who waits for the report.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, JoinHandle},
};

use crate::{Key, Record, Store, StoreError, append::NewEntry, error::IoContext as _};

/// The most commits of one batch, so that a report is never long in coming.
const BATCH: usize = 4096;

/// Is told which tickets have reached the disk, or why they have not.
type OnCommitted = dyn Fn(&[u64], Result<(), &StoreError>);

/// Holds a finished computation that is to be kept.
#[derive(Clone, Debug)]
pub struct Commit {
    /// What the report calls this commit.
    pub ticket: u64,
    /// The computation's key.
    pub key: Key,
    /// Its record; `kept` promises that every part is among `objects` or in the store.
    pub record: Record,
    /// The contents to keep with it.
    pub objects: Vec<Vec<u8>>,
}

/// Commits on a thread of its own.
#[derive(Debug)]
pub struct Committer {
    queue: Option<Sender<Commit>>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    /// Starts the thread. `done` is called on it for every ticket exactly once, after its batch has reached the disk
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

    /// Queues a commit; never waits.
    pub fn submit(&self, commit: Commit) {
        // The thread ends before the queue only by a panic in `done`, which `finish` passes on.
        if let Some(queue) = &self.queue {
            let _ = queue.send(commit);
        }
    }

    /// Waits until everything queued has been reported. A panic in `done` goes on here.
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
        // Collected first: what comes while objects are written must not hold up the report of these.
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

/// Brings the objects of a commit to the disk and makes its entry.
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

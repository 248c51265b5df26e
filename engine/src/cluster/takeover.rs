//! The takeover: what an earlier coordinator left in an exchange, read from the mailboxes of its workers.
//! Knows nothing of the run that follows.

use std::collections::BTreeMap;
use std::collections::hash_map::{Entry, HashMap};
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};

use fewbits_store::{Commit, Committer, Exchange, Key, MailReader, MailWriter, Record, Store, StoreError};

use super::message::{Hello, JobOrder, Order, Reply};
use super::roster::RosterEntry;

/// The bytes of networks that are in memory at once while results are taken over.
const BATCH_BYTES: usize = 64 << 20;
/// Numbers of jobs are counted from 0; a greater one is not a coordinator's.
const NUMBERS: u64 = 1 << 48;

/// A job in a worker's mailbox that has no reply yet.
pub(super) struct OpenOrder {
    /// The worker's name, and the job's number there.
    pub(super) hand: (String, u64),
    pub(super) key: Key,
    pub(super) keep: bool,
    /// Whether the worker has begun it.
    pub(super) has_begun: bool,
}

/// What an earlier coordinator left.
#[derive(Default)]
pub(super) struct Takeover {
    /// The workers that may still live, by name.
    pub(super) roster: BTreeMap<String, RosterEntry>,
    /// The jobs that workers still have in hand; one per key.
    pub(super) open: Vec<OpenOrder>,
    /// Sentences for the user.
    pub(super) warnings: Vec<String>,
    /// The results that the store does not have, by key; `None` where two workers disagree.
    results: HashMap<Key, Option<Record>>,
    departed: Vec<String>,
}

/// What the two mailboxes of a worker say.
#[derive(Default)]
struct History {
    hello: Option<Hello>,
    /// The orders without a reply, by number, and whether the worker began each.
    open: BTreeMap<u64, (Box<JobOrder>, bool)>,
    results: Vec<Record>,
    next: u64,
    /// The results of jobs with lower numbers are recorded or dropped.
    settled: u64,
    has_left: bool,
}

impl Takeover {
    /// Reads all mailboxes of an exchange, and records the results that they have. Removes the folders of workers that ended.
    pub(super) fn read(exchange: &Exchange, store: &Arc<Store>) -> Result<Self, StoreError> {
        let mut taken = Self::default();
        for worker in exchange.workers()? {
            let mut replies = MailReader::new(&exchange.results(&worker));
            let mut orders = MailReader::new(&exchange.jobs(&worker));
            let mut history = History::read(&mut orders, &mut replies)?;
            taken.collect(std::mem::take(&mut history.results), store)?;
            if history.has_left {
                taken.departed.push(worker);
                continue;
            }
            match MailWriter::resume(&orders) {
                Ok(writer) => taken.enroll(worker, history, RosterEntry::new(replies, Some(writer))),
                // The worker is about to make its mailboxes; the next look finds it.
                Err(StoreError::Io { cause, .. }) if cause.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        taken.call_off_known();
        taken.record(exchange, store)?;
        for worker in &taken.departed {
            exchange.dismiss(worker)?;
        }
        if taken.roster.is_empty() {
            exchange.clear()?;
        }
        Ok(taken)
    }

    /// Collects results that the store does not have.
    fn collect(&mut self, results: Vec<Record>, store: &Store) -> Result<(), StoreError> {
        let keys: Vec<Key> = results.iter().map(|record| Key::derive(&record.preimage)).collect();
        let stored = store.lookup(&keys)?;
        for ((record, key), _) in results.into_iter().zip(keys).zip(stored).filter(|(_, hit)| hit.is_none()) {
            match self.results.entry(key) {
                Entry::Vacant(place) => drop(place.insert(Some(record))),
                Entry::Occupied(mut place) => {
                    let differs = |first: &Record| !first.says_the_same_as(&record);
                    if place.get().as_ref().is_some_and(differs) {
                        place.insert(None);
                        let op = record.op().unwrap_or_default();
                        self.warnings.push(format!(
                            "two workers computed different results of {op} with key {}; neither is recorded, and please report it",
                            key.to_string().get(..12).unwrap_or_default()
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes over a worker that may still live, with the jobs in its hand.
    fn enroll(&mut self, worker: String, history: History, mut entry: RosterEntry) {
        (entry.hello, entry.next) = (history.hello, history.next);
        let mut waiting = 0;
        for (number, (order, has_begun)) in history.open {
            let key = Key::derive(&order.preimage);
            waiting += usize::from(!has_begun);
            let is_known = self.open.iter().any(|open| open.key == key);
            // What waits far behind in one worker's mailbox may go to another worker sooner.
            if is_known || (!has_begun && waiting > entry.first_of_queue()) {
                entry.outbox.push(Order::Cancel(number));
                continue;
            }
            self.open.push(OpenOrder { hand: (worker.clone(), number), key, keep: order.keep, has_begun });
        }
        self.roster.insert(worker, entry);
    }

    /// Lets workers stop the jobs whose results other workers have given.
    fn call_off_known(&mut self) {
        let orders = std::mem::take(&mut self.open).into_iter();
        let (known, open): (Vec<_>, Vec<_>) = orders.partition(|order| self.results.contains_key(&order.key));
        self.open = open;
        for OpenOrder { hand: (worker, number), .. } in known {
            if let Some(entry) = self.roster.get_mut(&worker) {
                entry.outbox.push(Order::Cancel(number));
            }
        }
    }

    /// Records the collected results, some at a time, so that their networks need not fit into memory together.
    fn record(&mut self, exchange: &Exchange, store: &Arc<Store>) -> Result<(), StoreError> {
        let (mut commits, mut bytes) = (vec![], 0);
        for (key, record) in self.results.drain() {
            let Some(record) = record else { continue };
            // A result whose objects are gone is computed again.
            let Some(objects) = objects_of(exchange, &record)? else { continue };
            bytes += objects.iter().map(Vec::len).sum::<usize>();
            exchange.remove_checkpoint(&key);
            commits.push(Commit { ticket: 0, key, record, objects });
            if bytes > BATCH_BYTES {
                commit(store, std::mem::take(&mut commits))?;
                bytes = 0;
            }
        }
        commit(store, commits)
    }
}

/// Returns the contents of a record's kept parts; `None` if one of them is not readable.
pub(super) fn objects_of(exchange: &Exchange, record: &Record) -> Result<Option<Vec<Vec<u8>>>, StoreError> {
    if !record.kept {
        return Ok(Some(vec![]));
    }
    record.parts.values().map(|digest| exchange.object(digest)).collect()
}

/// Records results and waits until they have reached the disk.
fn commit(store: &Arc<Store>, commits: Vec<Commit>) -> Result<(), StoreError> {
    let failed = Arc::new(Mutex::new(None));
    let told = Arc::clone(&failed);
    let committer = Committer::start(Arc::clone(store), move |_, result| {
        if let Err(error) = result {
            *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
        }
    })?;
    for commit in commits {
        committer.submit(commit);
    }
    committer.finish();
    let failed = failed.lock().unwrap_or_else(PoisonError::into_inner).take();
    failed.map_or(Ok(()), |message| {
        let (path, cause) = (store.root().to_owned(), std::io::Error::other(message));
        Err(StoreError::Io { what: "record results of workers in", path, cause })
    })
}

impl History {
    fn read(orders: &mut MailReader, replies: &mut MailReader) -> Result<Self, StoreError> {
        let mut history = Self::default();
        for order in all::<Order>(orders)? {
            match order {
                Order::Do(order) if order.number < NUMBERS => {
                    history.next = history.next.max(order.number + 1);
                    history.open.insert(order.number, (order, false));
                }
                Order::Cancel(number) => drop(history.open.remove(&number)),
                Order::Settled(number) => history.settled = number,
                Order::Refuse(_) | Order::End => history.has_left = true,
                Order::Do(_) | Order::Beat => {}
            }
        }
        history.open.retain(|number, _| *number >= history.settled);
        for reply in all::<Reply>(replies)? {
            match reply {
                Reply::Hello(hello) => history.hello = Some(hello.within_limits()),
                Reply::Began(number) => {
                    history.open.get_mut(&number).into_iter().for_each(|open| open.1 = true);
                }
                Reply::Done { number, record } => {
                    let order = history.open.remove(&number);
                    // A result that is not of its job is no result.
                    if order.is_some_and(|(order, _)| {
                        order.preimage == record.preimage && order.keep == record.kept
                    }) {
                        history.results.push(*record);
                    }
                }
                Reply::Undone { number, .. } => drop(history.open.remove(&number)),
                Reply::Left(_) => history.has_left = true,
                Reply::Beat | Reply::Progressed { .. } | Reply::Rebuilt { .. } => {}
            }
        }
        Ok(history)
    }
}

/// Reads the rest of a mailbox.
fn all<M: serde::de::DeserializeOwned>(reader: &mut MailReader) -> Result<Vec<M>, StoreError> {
    let mut messages = vec![];
    loop {
        let next = reader.read::<M>()?;
        if next.is_empty() {
            return Ok(messages);
        }
        messages.extend(next.into_iter().flatten());
    }
}

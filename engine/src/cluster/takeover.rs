//! The takeover: what an earlier coordinator left in an exchange, read from the mailboxes of its workers.
//! Changes nothing but the mailboxes' torn ends. Knows nothing of the run that follows.

use std::collections::{BTreeMap, HashSet};
use std::io::ErrorKind;

use fewbits_store::{Exchange, Key, MailReader, MailWriter, Record, Store, StoreError};

use super::message::{Hello, JobOrder, Order, Reply};
use super::roster::{Presence, RosterEntry};

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
    /// The results that the store does not have, each with the name of its worker; one per key.
    pub(super) results: Vec<(String, Record)>,
    /// The jobs that workers still have in hand; one per key.
    pub(super) open: Vec<OpenOrder>,
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
    /// Reads all mailboxes of an exchange. Removes the folders of workers that ended and whose results are in the store.
    pub(super) fn read(exchange: &Exchange, store: &Store) -> Result<Self, StoreError> {
        let mut taken = Self::default();
        let (mut known, mut open) = (HashSet::new(), HashSet::new());
        for worker in exchange.workers()? {
            let mut replies = MailReader::new(&exchange.results(&worker));
            let mut orders = MailReader::new(&exchange.jobs(&worker));
            let history = History::read(&mut orders, &mut replies)?;
            let keys: Vec<Key> = history.results.iter().map(|record| Key::derive(&record.preimage)).collect();
            let stored = store.lookup(&keys)?;
            let fresh = history.results.into_iter().zip(keys).zip(stored);
            let fresh = fresh.filter(|((_, key), stored)| stored.is_none() && known.insert(*key));
            let before = taken.results.len();
            taken.results.extend(fresh.map(|((record, _), _)| (worker.clone(), record)));
            if history.has_left {
                if taken.results.len() == before {
                    exchange.dismiss(&worker)?;
                } else {
                    let mut entry = RosterEntry::new(replies, None);
                    (entry.hello, entry.presence) = (history.hello, Presence::Departed);
                    taken.roster.insert(worker, entry);
                }
                continue;
            }
            let writer = match MailWriter::resume(&orders) {
                // The worker is about to make its mailboxes; the next look finds it.
                Err(StoreError::Io { cause, .. }) if cause.kind() == ErrorKind::NotFound => continue,
                resumed => resumed?,
            };
            let mut entry = RosterEntry::new(replies, Some(writer));
            (entry.hello, entry.next) = (history.hello, history.next);
            let mut waiting = 0;
            for (number, (order, has_begun)) in history.open {
                let key = Key::derive(&order.preimage);
                waiting += usize::from(!has_begun);
                // What waits far behind in one worker's mailbox may go to another worker sooner.
                if open.contains(&key) || (!has_begun && waiting > entry.first_of_queue()) {
                    entry.outbox.push(Order::Cancel(number));
                    continue;
                }
                open.insert(key);
                taken.open.push(OpenOrder {
                    hand: (worker.clone(), number),
                    key,
                    keep: order.keep,
                    has_begun,
                });
            }
            taken.roster.insert(worker, entry);
        }
        taken.open.retain(|order| !known.contains(&order.key));
        Ok(taken)
    }
}

impl History {
    fn read(orders: &mut MailReader, replies: &mut MailReader) -> Result<Self, StoreError> {
        let mut history = Self::default();
        for order in all::<Order>(orders)? {
            match order {
                Order::Do(order) => {
                    history.next = history.next.max(order.number.saturating_add(1));
                    history.open.insert(order.number, (order, false));
                }
                Order::Cancel(number) => drop(history.open.remove(&number)),
                Order::Settled(number) => history.settled = number,
                Order::Refuse(_) | Order::End => history.has_left = true,
                Order::Beat => {}
            }
        }
        history.open.retain(|number, _| *number >= history.settled);
        for reply in all::<Reply>(replies)? {
            match reply {
                Reply::Hello(hello) => history.hello = Some(hello),
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

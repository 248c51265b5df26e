//! The index: a sled database with one value of sorted cards per shelf. Its cards are hints: the index may be lost at
//! any time, and callers check every answer against the journal.
//!
//! This module alone uses sled, on a thread called `fewbits-index`. A panic or hang in sled is an [`IndexFault`], after
//! which callers walk over the journal instead. Knows neither journals nor other copies of the files.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread,
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};

use crate::{
    StoreError,
    index_card::{Card, Tag, find_on_shelf, read_shelf, shelves},
};

/// The longest wait for one answer; after it sled counts as hung.
const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 2 } else { 20 });
const CACHE_BYTES: u64 = 64 << 20;
/// The number of shelves that are written in one request.
const BATCH: usize = 256;

/// Describes the reason why the index cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct IndexFault(pub(crate) String);

impl From<StoreError> for IndexFault {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}

type SledWork = Box<dyn FnOnce(&sled::Db) + Send>;

/// Sends work to the thread that has sled open, and waits for the results.
#[derive(Debug)]
pub(crate) struct Index {
    dir: PathBuf,
    work: Sender<SledWork>,
    closed: Receiver<()>,
}

impl Index {
    /// Opens the index in `dir`, or makes an empty one. No other process may use the folder.
    pub(crate) fn open(dir: &Path) -> Result<Self, IndexFault> {
        let (work, queue) = channel::<SledWork>();
        let (say_opened, opened) = channel();
        let (say_closed, closed) = channel();
        let config = sled::Config::new().path(dir).cache_capacity(CACHE_BYTES).flush_every_ms(None);
        let body = move || {
            let Ok(db) = catch_unwind(AssertUnwindSafe(|| config.open())) else { return };
            match db {
                Ok(db) => {
                    let _ = say_opened.send(Ok(()));
                    serve(db, &queue, &say_closed);
                }
                Err(error) => drop(say_opened.send(Err(IndexFault(one_line(&error))))),
            }
        };
        let spawned = thread::Builder::new().name("fewbits-index".into()).spawn(body);
        spawned.map_err(|error| IndexFault(format!("no thread for it: {error}")))?;
        answer(&opened)??;
        Ok(Self { dir: dir.to_owned(), work, closed })
    }

    /// Looks up the cards of tags. `bits` is the number of key bits that distinguish the shelves.
    pub(crate) fn find(&self, tags: Vec<Tag>, bits: u32) -> Result<Vec<Option<Card>>, IndexFault> {
        self.ask(move |db| {
            let mut sorted: Vec<usize> = (0..tags.len()).collect();
            sorted.sort_unstable_by_key(|&at| tags[at]);
            let mut cards = vec![None; tags.len()];
            for group in sorted.chunk_by(|&one, &next| tags[one].shelf(bits) == tags[next].shelf(bits)) {
                let shelf = db.get(tags[group[0]].shelf(bits).to_be_bytes());
                let Some(shelf) = shelf.map_err(|error| IndexFault(one_line(&error)))? else { continue };
                for &at in group {
                    cards[at] = find_on_shelf(&shelf, tags[at]);
                }
            }
            Ok(cards)
        })
    }

    /// Returns all cards, sorted.
    pub(crate) fn cards(&self) -> Result<Vec<Card>, IndexFault> {
        self.ask(|db| {
            let mut cards = Vec::new();
            for entry in db.iter() {
                let (_, shelf) = entry.map_err(|error| IndexFault(one_line(&error)))?;
                cards
                    .extend(read_shelf(&shelf).ok_or_else(|| IndexFault("a value has another form".into()))?);
            }
            Ok(cards)
        })
    }

    /// Writes sorted cards. `bits` is the number of key bits that distinguish the shelves.
    pub(crate) fn fill(&self, cards: &[Card], bits: u32) -> Result<(), IndexFault> {
        let mut shelves = shelves(cards, bits).peekable();
        while shelves.peek().is_some() {
            let some: Vec<(u16, Vec<u8>)> = shelves.by_ref().take(BATCH).collect();
            self.ask(move |db| {
                let put = |(shelf, cards): (u16, Vec<u8>)| db.insert(shelf.to_be_bytes(), cards).map(drop);
                some.into_iter().try_for_each(put).map_err(|error| IndexFault(one_line(&error)))
            })?;
        }
        Ok(())
    }

    /// Flushes the database, closes it, and waits until sled has released its files.
    pub(crate) fn close(self) -> Result<(), IndexFault> {
        self.ask(|db| db.flush().map(drop).map_err(|error| IndexFault(one_line(&error))))?;
        drop(self.work);
        answer(&self.closed)?;
        wait_for_release(&self.dir.join("db"))
    }

    fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&sled::Db) -> Result<T, IndexFault> + Send + 'static,
    ) -> Result<T, IndexFault> {
        let (reply, replied) = channel();
        let work = Box::new(move |db: &sled::Db| drop(reply.send(question(db))));
        self.work.send(work).map_err(|_| IndexFault("it has stopped".into()))?;
        answer(&replied)?
    }
}

/// Runs the work in the queue until its sender is dropped. After a panic sled is not called again, not even to close
/// the database.
fn serve(db: sled::Db, queue: &Receiver<SledWork>, say_closed: &Sender<()>) {
    for work in queue {
        if panics(|| work(&db)).is_some() {
            std::mem::forget(db);
            return;
        }
    }
    if panics(|| drop(db)).is_none() {
        let _ = say_closed.send(());
    }
}

fn panics(work: impl FnOnce()) -> Option<Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(work)).err()
}

fn answer<T>(replied: &Receiver<T>) -> Result<T, IndexFault> {
    replied.recv_timeout(PATIENCE).map_err(|error| match error {
        RecvTimeoutError::Timeout => IndexFault(format!("no answer for {} s", PATIENCE.as_secs())),
        RecvTimeoutError::Disconnected => IndexFault("it has panicked".into()),
    })
}

/// Waits for sled's lock on its file. sled releases it some time after the database is dropped, and opening the
/// database before that fails.
fn wait_for_release(file: &Path) -> Result<(), IndexFault> {
    let file = std::fs::File::open(file).map_err(|error| IndexFault(one_line(&error)))?;
    for _ in 0..1000 {
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(2));
    }
    Err(IndexFault("it does not let go of its files".into()))
}

fn one_line(error: &impl ToString) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Key, location::EntrySubject};

    const BITS: u32 = 3;

    fn card(n: u32) -> Card {
        let tag = Tag::new(&EntrySubject::Record(Key::derive(&n.to_string())));
        Card { tag, offset: u64::from(n), body_bytes: n, seconds: 0.5, op: 0 }
    }

    #[test]
    fn what_is_filled_in_is_found_after_reopening_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut cards: Vec<Card> = (0..500).map(card).collect();
        cards.sort_by_key(|card| card.tag);
        let index = Index::open(dir.path()).unwrap();
        index.fill(&cards, BITS).unwrap();
        index.close().unwrap();
        for _ in 0..3 {
            let index = Index::open(dir.path()).unwrap();
            let tags = [7, 900, 3, 499].map(|n| card(n).tag);
            let found = index.find(tags.to_vec(), BITS).unwrap();
            assert_eq!(found, [Some(card(7)), None, Some(card(3)), Some(card(499))]);
            assert_eq!(index.cards().unwrap(), cards);
            index.close().unwrap();
        }
    }

    #[test]
    fn what_is_open_is_found_without_its_folder() {
        let dir = tempfile::tempdir().unwrap();
        let index = Index::open(dir.path()).unwrap();
        index.fill(&[card(1)], BITS).unwrap();
        index.close().unwrap();
        let index = Index::open(dir.path()).unwrap();
        std::fs::remove_dir_all(dir.path()).unwrap();
        assert_eq!(index.find(vec![card(1).tag], BITS).unwrap(), [Some(card(1))]);
    }

    #[test]
    fn a_panic_inside_is_a_fault_and_so_is_every_question_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let index = Index::open(dir.path()).unwrap();
        let fault = index.ask::<()>(|_| panic!("as sled does")).unwrap_err();
        assert_eq!(fault.to_string(), "it has panicked");
        assert!(index.find(vec![card(1).tag], BITS).is_err());
        assert!(index.close().is_err());
    }

    #[test]
    fn an_answer_that_does_not_come_is_a_fault() {
        let dir = tempfile::tempdir().unwrap();
        let index = Index::open(dir.path()).unwrap();
        let hang = |_: &sled::Db| {
            thread::sleep(PATIENCE * 4);
            Ok(())
        };
        assert_eq!(index.ask(hang).unwrap_err().to_string(), "no answer for 2 s");
        assert!(index.close().is_err());
    }

    #[test]
    fn a_directory_that_sled_cannot_read_is_a_fault() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("db")).unwrap();
        assert!(Index::open(dir.path()).is_err());
    }
}

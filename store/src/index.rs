//! The index: sled, from slots to places. Hints that can be lost at any time, never the truth.
//!
//! The only place that names sled. It runs on a thread of its own, called `fewbits-index`, so that a panic or a hang
//! in it is an answer that does not come. Knows nothing of journals.

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
    place::{Place, Slot},
};

/// How long the index may think about one question before it counts as hung.
const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 2 } else { 20 });
const CACHE_BYTES: u64 = 64 << 20;
const BATCH: usize = 10_000;

/// Says why the index cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Fault(pub(crate) String);

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}

type Work = Box<dyn FnOnce(&sled::Db) + Send>;

/// Asks and tells the thread that has sled open.
#[derive(Debug)]
pub(crate) struct Index {
    dir: PathBuf,
    work: Sender<Work>,
    closed: Receiver<()>,
}

impl Index {
    /// Opens the index in `dir`, or makes an empty one.
    pub(crate) fn open(dir: &Path) -> Result<Self, Fault> {
        let (work, queue) = channel::<Work>();
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
                Err(error) => drop(say_opened.send(Err(Fault(one_line(&error))))),
            }
        };
        let spawned = thread::Builder::new().name("fewbits-index".into()).spawn(body);
        spawned.map_err(|error| Fault(format!("no thread for it: {error}")))?;
        answer(&opened)??;
        Ok(Self { dir: dir.to_owned(), work, closed })
    }

    /// Looks slots up, one by one.
    pub(crate) fn find(&self, slots: Vec<Slot>) -> Result<Vec<Option<Place>>, Fault> {
        self.ask(move |db| {
            let find = |slot: Slot| {
                let found = db.get(slot.to_bytes()).map_err(|error| Fault(one_line(&error)))?;
                let read = |bytes: sled::IVec| Place::from_bytes(&bytes);
                found
                    .map(|bytes| read(bytes).ok_or_else(|| Fault("a value has another form".into())))
                    .transpose()
            };
            slots.into_iter().map(find).collect()
        })
    }

    /// Takes in changes, in order, and lets go of what it held of them.
    pub(crate) fn apply(&self, changes: &[(Slot, Option<Place>)]) -> Result<(), Fault> {
        let mut sorted: Vec<_> = changes.iter().map(|(slot, place)| (slot.to_bytes(), place)).collect();
        // A stable sort keeps the order of changes to one slot, and sled fills its pages better in order.
        sorted.sort_by_key(|(slot, _)| *slot);
        for part in sorted.chunks(BATCH) {
            let mut batch = sled::Batch::default();
            for (slot, place) in part {
                match place {
                    Some(place) => batch.insert(&slot[..], &place.to_bytes()[..]),
                    None => batch.remove(&slot[..]),
                }
            }
            self.ask(move |db| db.apply_batch(batch).map_err(|error| Fault(one_line(&error))))?;
        }
        self.ask(|db| db.flush().map(drop).map_err(|error| Fault(one_line(&error))))
    }

    /// Writes everything out and waits until nothing of sled has its files open any more.
    pub(crate) fn close(self) -> Result<(), Fault> {
        self.ask(|db| db.flush().map(drop).map_err(|error| Fault(one_line(&error))))?;
        drop(self.work);
        answer(&self.closed)?;
        wait_for_release(&self.dir.join("db"))
    }

    fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&sled::Db) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let (reply, replied) = channel();
        let work = Box::new(move |db: &sled::Db| drop(reply.send(question(db))));
        self.work.send(work).map_err(|_| Fault("it has stopped".into()))?;
        answer(&replied)?
    }
}

/// Does what is asked until nobody can ask any more. After a panic sled is not touched again, not even to close it.
fn serve(db: sled::Db, queue: &Receiver<Work>, say_closed: &Sender<()>) {
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

fn answer<T>(replied: &Receiver<T>) -> Result<T, Fault> {
    replied.recv_timeout(PATIENCE).map_err(|error| match error {
        RecvTimeoutError::Timeout => Fault(format!("no answer for {} s", PATIENCE.as_secs())),
        RecvTimeoutError::Disconnected => Fault("it has panicked".into()),
    })
}

/// sled gives up its own lock some time after it is dropped; opening it before that fails.
fn wait_for_release(file: &Path) -> Result<(), Fault> {
    let file = std::fs::File::open(file).map_err(|error| Fault(one_line(&error)))?;
    for _ in 0..1000 {
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(2));
    }
    Err(Fault("it does not let go of its files".into()))
}

fn one_line(error: &impl ToString) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;

    fn change(n: u32) -> (Slot, Option<Place>) {
        let place = Place { offset: u64::from(n), body_bytes: n, kept: false, part: None };
        (Slot::Record(Key::derive(&n.to_string())), Some(place))
    }

    #[test]
    fn what_is_applied_is_found_after_reopening_at_once() {
        let dir = tempfile::tempdir().unwrap();
        for round in 0..5 {
            let index = Index::open(dir.path()).unwrap();
            index.apply(&[change(2 * round), change(2 * round + 1)]).unwrap();
            index.apply(&[(change(2 * round).0, None)]).unwrap();
            index.close().unwrap();
        }
        let index = Index::open(dir.path()).unwrap();
        let slots = (0..12).map(|n| change(n).0).collect();
        let expected: Vec<_> = (0..12).map(|n| change(n).1.filter(|_| n % 2 == 1 && n < 10)).collect();
        assert_eq!(index.find(slots).unwrap(), expected);
        index.close().unwrap();
    }

    #[test]
    fn a_panic_inside_is_a_fault_and_so_is_every_question_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let index = Index::open(dir.path()).unwrap();
        let fault = index.ask::<()>(|_| panic!("as sled does")).unwrap_err();
        assert_eq!(fault.to_string(), "it has panicked");
        assert!(index.find(vec![change(1).0]).is_err());
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

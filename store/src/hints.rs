//! The life of a writer's index: when it is worth asking, when it can be trusted, and what happens when it cannot.
//!
//! Whatever is wrong with it ends the same way: set aside with one warning, and built again from the journal. Knows
//! nothing of what the writer holds in memory.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    StoreError, durable,
    entry::Header,
    error::{At as _, Warnings},
    imprint::{self, Imprint},
    index::{Fault, Index},
    journal::{self, Journal},
    object::names,
    place::{Place, Slot},
    scan::scan,
};

/// What a question costs, in steps of a walk over headers.
const STEPS_PER_QUESTION: u64 = 8;

/// Changes that go into the index together.
const CHANGES: usize = 50_000;

/// Holds a writer's index.
#[derive(Debug)]
pub(crate) struct Hints {
    root: PathBuf,
    standing: Mutex<Standing>,
    warnings: Arc<Warnings>,
}

/// Says how the index stands.
#[derive(Debug)]
enum Standing {
    /// Not looked at, or of no use any more.
    Apart,
    /// Fits the journal as far as its imprint tells; not opened.
    Closed(Imprint),
    /// In use, and unchanged since its imprint.
    Open(Index, Imprint),
}

impl Hints {
    pub(crate) fn new(root: &Path, warnings: Arc<Warnings>) -> Self {
        Self { root: root.to_owned(), standing: Mutex::new(Standing::Apart), warnings }
    }

    /// Says up to where the index knows the journal, if there is one to ask.
    pub(crate) fn applied(&self, journal: &Journal) -> Option<u64> {
        let imprint = Imprint::read(&self.root, journal).unwrap_or_else(|fault| {
            self.set_aside(&fault);
            None
        })?;
        let applied = imprint.applied;
        *self.standing() = Standing::Closed(imprint);
        Some(applied)
    }

    /// Asks the index; none if a walk costs less or there is no index to trust.
    pub(crate) fn ask(
        &self,
        slots: &[Slot],
        journal: &Journal,
    ) -> Result<Option<Vec<Option<Place>>>, StoreError> {
        let mut standing = self.standing();
        let (Standing::Closed(imprint) | Standing::Open(_, imprint)) = &*standing else { return Ok(None) };
        if slots.len() as u64 * STEPS_PER_QUESTION > imprint.entries {
            return Ok(None);
        }
        let (index, imprint) = match std::mem::replace(&mut *standing, Standing::Apart) {
            Standing::Open(index, imprint) => (Ok(index), imprint),
            Standing::Closed(imprint) => (self.open(&imprint), imprint),
            Standing::Apart => return Ok(None),
        };
        let answered = index.and_then(|index| index.find(slots.to_vec()).map(|places| (index, places)));
        match answered {
            Ok((index, places)) if confirmed(journal, slots, &places)? => {
                *standing = Standing::Open(index, imprint);
                return Ok(Some(places));
            }
            Ok(_) => self.set_aside(&Fault("it disagrees with the journal".into())),
            Err(fault) => self.set_aside(&fault),
        }
        Ok(None)
    }

    /// Brings the index up to the journal's end and closes it, if there is anything new or it is open. Where that
    /// fails the next writer only has more to walk.
    pub(crate) fn settle(&self, journal: &Journal, end: u64, grown: bool) {
        let mut standing = self.standing();
        let settled = match std::mem::replace(&mut *standing, Standing::Apart) {
            Standing::Open(index, imprint) => self.bring_up(index, Some(&imprint), journal, end),
            Standing::Closed(_) | Standing::Apart if grown => self.reopen(journal, end),
            Standing::Closed(_) | Standing::Apart => return,
        };
        let Err(fault) = settled else { return };
        self.set_aside(&fault);
        if let Err(fault) = self.reopen(journal, end) {
            let dir = imprint::dir(&self.root);
            let _ = fs::remove_dir_all(&dir);
            self.warnings.push(format!("{}: {fault}; the store works without it", dir.display()));
        }
    }

    /// Opens an index whose files are as they were closed. Its imprint goes first: from here on they change.
    fn open(&self, imprint: &Imprint) -> Result<Index, Fault> {
        imprint.check_files(&self.root)?;
        imprint::remove(&self.root)?;
        Index::open(&imprint::sled_dir(&self.root))
    }

    /// Brings up the index that is there, or a new one in place of one that was never closed.
    fn reopen(&self, journal: &Journal, end: u64) -> Result<(), Fault> {
        if let Some(imprint) = Imprint::read(&self.root, journal)? {
            return self.bring_up(self.open(&imprint)?, Some(&imprint), journal, end);
        }
        let dir = imprint::dir(&self.root);
        durable::present(fs::remove_dir_all(&dir)).at("remove", &dir)?;
        durable::make_dir(&dir)?;
        self.bring_up(Index::open(&imprint::sled_dir(&self.root))?, None, journal, end)
    }

    fn bring_up(
        &self,
        index: Index,
        old: Option<&Imprint>,
        journal: &Journal,
        end: u64,
    ) -> Result<(), Fault> {
        let (from, mut last) = old.map_or((journal::START, None), |old| (old.applied, Some(old.last)));
        let (mut changes, mut count) = (Vec::new(), 0);
        let mut fault = None;
        let mut note = |offset: u64, header: &Header| {
            (last, count) = (Some(offset), count + 1);
            changes.push(Place::of(offset, header));
            // Not all at once: a large journal's changes would take a large part of the memory.
            if changes.len() == CHANGES && fault.is_none() {
                fault = index.apply(&changes).err();
                changes.clear();
            }
        };
        let applied = scan(journal, from..end, &mut note)?.end;
        if let Some(fault) = fault {
            return Err(fault);
        }
        index.apply(&changes)?;
        index.close()?;
        let files = imprint::digest_files(&imprint::sled_dir(&self.root), true)?;
        let entries = old.map_or(0, |old| old.entries) + count;
        let Some(last) = last else { return Ok(()) };
        let Some(Header { body_check: last_check, .. }) = journal.header(last)? else { return Ok(()) };
        Imprint { seal: journal.seal, applied, last, last_check, entries, files }.write(&self.root)?;
        Ok(())
    }

    /// Keeps only the newest of the indexes set aside: on a full disk this happens again and again.
    fn set_aside(&self, fault: &Fault) {
        let dir = imprint::dir(&self.root);
        let aside = self.root.join("aside");
        for name in names(&aside).unwrap_or_default() {
            if name.starts_with("index-") {
                let _ = fs::remove_dir_all(aside.join(name));
            }
        }
        let end = match durable::set_aside(&self.root, &dir, "index") {
            Ok(place) => format!("set aside as {} and built again", place.display()),
            Err(error) => format!("it could not be set aside: {error}"),
        };
        self.warnings.push(format!("{}: {fault}; {end}", dir.display()));
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the journal has what the index says, at each place.
fn confirmed(journal: &Journal, slots: &[Slot], places: &[Option<Place>]) -> Result<bool, StoreError> {
    for (slot, place) in slots.iter().zip(places) {
        let Some(place) = place else { continue };
        let header = journal.header(place.offset)?;
        if header.map(|header| Place::of(place.offset, &header)) != Some((*slot, Some(*place))) {
            return Ok(false);
        }
    }
    Ok(true)
}

//! Where everything in the journal is: what one walk over its headers found, or the index knows.
//!
//! A reader always walks, as sled cannot be opened for reading only. Knows nothing of bodies, objects, or how entries
//! get into the journal.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use crate::{
    StoreError,
    entry::Header,
    error::Warnings,
    hints::Hints,
    journal::{self, Journal},
    place::{Place, Places, Slot},
    scan::{Scan, scan},
};

/// Above this length of the journal a writer asks the index. Measured with warm caches: a walk takes 0.3 ms per MiB;
/// opening an index of the same records takes 0.1 to 0.2, and up to 0.7 in the first sessions after it was filled.
/// With cold caches the index has a tenth of the bytes to read.
pub(crate) const WALK_LIMIT: u64 = 128 << 20;

/// Knows the places of a store's entries.
#[derive(Debug)]
pub(crate) struct Catalog {
    root: PathBuf,
    view: RwLock<View>,
    /// A writer's alone.
    hints: Option<Hints>,
    warnings: Arc<Warnings>,
}

/// Holds places with the journal they are in, which a reader may exchange for a newer one at any time.
pub(crate) struct Located<T> {
    pub(crate) journal: Option<Arc<Journal>>,
    pub(crate) places: T,
}

/// Holds what is known of one journal.
#[derive(Debug)]
struct View {
    journal: Option<Arc<Journal>>,
    places: Places,
    /// What is before it only the index knows.
    start: u64,
    /// Where the last entry known ends.
    end: u64,
    /// The length the file had when it was walked last.
    seen: u64,
    /// Whether the writer has added entries.
    grown: bool,
    /// Whether there was damage between entries.
    damaged: bool,
}

impl View {
    fn of(journal: Option<Arc<Journal>>) -> Self {
        let (start, end) = (journal::START, journal::START);
        Self { journal, places: Places::default(), start, end, seen: 0, grown: false, damaged: false }
    }
}

impl Catalog {
    /// Opens a reader's catalog; a store without a journal has no entries.
    pub(crate) fn open_reader(root: &Path, warnings: Arc<Warnings>) -> Result<Self, StoreError> {
        let view = RwLock::new(View::of(None));
        let catalog = Self { root: root.to_owned(), view, hints: None, warnings };
        catalog.follow()?;
        Ok(catalog)
    }

    /// Opens the writer's catalog of a journal, and says where that ends.
    pub(crate) fn open_writer(
        root: &Path,
        journal: Arc<Journal>,
        walk_limit: u64,
        warnings: Arc<Warnings>,
    ) -> Result<(Self, u64), StoreError> {
        let bytes = journal.bytes()?.unwrap_or(0);
        let hints = Hints::new(root, warnings.clone());
        let applied = if bytes > walk_limit { hints.applied(&journal) } else { None };
        let mut view = View::of(Some(journal));
        view.start = applied.unwrap_or(view.start);
        view.end = view.start;
        let catalog = Self { root: root.to_owned(), view: RwLock::new(view), hints: Some(hints), warnings };
        let mut view = catalog.view_mut();
        catalog.walk(&mut view, bytes)?;
        let end = view.end;
        drop(view);
        Ok((catalog, end))
    }

    /// Gives the journal, if there is one, as it stands now, with its length as far as it is known.
    pub(crate) fn journal(&self) -> Result<Option<(Arc<Journal>, u64)>, StoreError> {
        self.follow()?;
        let view = self.view();
        Ok(view.journal.clone().map(|journal| (journal, view.end)))
    }

    /// Whether damage was met between entries.
    pub(crate) fn is_damaged(&self) -> bool {
        self.view().damaged
    }

    /// Finds the places of many slots.
    pub(crate) fn find(&self, slots: &[Slot]) -> Result<Located<Vec<Option<Place>>>, StoreError> {
        self.follow()?;
        let view = self.view();
        let (journal, complete) = (view.journal.clone(), view.start == journal::START);
        let mut places = Vec::with_capacity(slots.len());
        let mut open = Vec::new();
        for (i, slot) in slots.iter().enumerate() {
            let known = view.places.get(slot);
            places.push(known.copied().flatten());
            if known.is_none() && !complete {
                open.push(i);
            }
        }
        drop(view);
        if let (false, Some(journal), Some(hints)) = (open.is_empty(), &journal, &self.hints) {
            let asked: Vec<Slot> = open.iter().map(|&i| slots[i]).collect();
            let Some(answers) = hints.ask(&asked, journal)? else {
                self.complete()?;
                return self.find(slots);
            };
            let mut view = self.view_mut();
            for (i, place) in open.into_iter().zip(answers) {
                places[i] = place;
                view.places.learn(slots[i], place);
            }
        }
        Ok(Located { journal, places })
    }

    /// Gives every slot that has a place, in the order of the journal.
    pub(crate) fn all(&self) -> Result<Located<Vec<(Slot, Place)>>, StoreError> {
        self.follow()?;
        self.complete()?;
        let view = self.view();
        let mut places: Vec<_> = view.places.live().collect();
        places.sort_unstable_by_key(|(_, place)| place.offset);
        Ok(Located { journal: view.journal.clone(), places })
    }

    /// Takes in entries the writer has added.
    pub(crate) fn note(&self, entries: &[(u64, Header)]) {
        let mut view = self.view_mut();
        for (offset, header) in entries {
            view.places.note(*offset, header);
            view.end = view.end.max(offset + header.entry_bytes());
            view.grown = true;
        }
    }

    /// Forgets a place whose entry turned out to be damaged, unless a newer one has come.
    pub(crate) fn forget(&self, slot: Slot, place: Place) {
        let mut view = self.view_mut();
        if view.places.get(&slot).copied().flatten().is_none_or(|newest| newest.offset == place.offset) {
            view.places.forget(slot);
        }
    }

    /// Brings the index up to the journal's end and closes it.
    pub(crate) fn settle(&self) {
        let mut view = self.view_mut();
        let (journal, end, grown) = (view.journal.clone(), view.end, std::mem::take(&mut view.grown));
        drop(view);
        if let (Some(journal), Some(hints)) = (journal, &self.hints) {
            hints.settle(&journal, end, grown);
        }
    }

    /// A reader takes in what has been added, and turns to a new journal when there is one.
    fn follow(&self) -> Result<(), StoreError> {
        if self.hints.is_some() {
            return Ok(());
        }
        let view = self.view();
        let bytes = view.journal.as_ref().map(|journal| journal.bytes()).transpose()?.flatten();
        if bytes == Some(view.seen) {
            return Ok(());
        }
        drop(view);
        let mut view = self.view_mut();
        match bytes {
            Some(bytes) if bytes >= view.end => self.walk(&mut view, bytes),
            // There was none, it was replaced, or it is shorter than what was read of it.
            _ => self.reopen(&mut view),
        }
    }

    fn reopen(&self, view: &mut View) -> Result<(), StoreError> {
        *view = View::of(None);
        let Some(journal) = Journal::open_newest(&self.root, &self.warnings)? else { return Ok(()) };
        let bytes = journal.bytes()?.unwrap_or(0);
        *view = View::of(Some(Arc::new(journal)));
        self.walk(view, bytes)
    }

    /// Takes in every entry from the last known one up to `bytes`.
    fn walk(&self, view: &mut View, bytes: u64) -> Result<(), StoreError> {
        let Some(journal) = view.journal.clone() else { return Ok(()) };
        let note = &mut |offset, header: &Header| view.places.note(offset, header);
        let Scan { end, damaged, damaged_bytes } = scan(&journal, view.end..bytes, note)?;
        (view.end, view.seen) = (end, bytes);
        if damaged > 0 {
            view.damaged = true;
            self.warnings.push(format!(
                "{}: {damaged_bytes} bytes in {damaged} places are damaged; what they held will be computed again",
                journal.path.display()
            ));
        }
        Ok(())
    }

    /// Walks over what only the index knew. What is being added at this moment is left out.
    fn complete(&self) -> Result<(), StoreError> {
        let mut view = self.view_mut();
        if view.start > journal::START {
            let (end, grown) = (view.end, view.grown);
            *view = View { grown, ..View::of(view.journal.take()) };
            self.walk(&mut view, end)?;
        }
        Ok(())
    }

    fn view(&self) -> RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn view_mut(&self) -> RwLockWriteGuard<'_, View> {
        self.view.write().unwrap_or_else(PoisonError::into_inner)
    }
}

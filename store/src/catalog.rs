//! The catalog: the locations of all entries of the journal, from a walk over the headers or from the index.
//!
//! Knows nothing of bodies, objects, or the writing of entries.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use crate::{
    StoreError,
    entry::{EntryHeader, EntryKind},
    error::Warnings,
    index_access::IndexAccess,
    index_card::{Card, Tag},
    journal::{self, Journal},
    location::{EntrySubject, Location, Locations},
    scan::{ScanResult, scan},
};

/// The length in bytes above which a journal has an index. A walk over a shorter journal takes at most 4 ms, and an
/// index would save half of that (`benches/lookup.rs`).
pub(crate) const WALK_LIMIT: u64 = 32 << 20;

/// Finds the locations of a store's entries.
#[derive(Debug)]
pub(crate) struct Catalog {
    root: PathBuf,
    view: RwLock<JournalView>,
    hints: IndexAccess,
    /// The greatest length in bytes of a journal that is always walked.
    walk_limit: u64,
    /// Whether this process is the writer. Only the writer appends entries, so its catalog never looks for new ones.
    is_writer: bool,
    warnings: Arc<Warnings>,
}

/// Holds locations together with their journal: a reader may switch to a newer journal at any time, and locations are
/// valid in one journal only.
pub(crate) struct Located<T> {
    pub(crate) journal: Option<Arc<Journal>>,
    pub(crate) places: T,
}

/// Lists the live records, that is, the newest record of each key unless it was dropped: as cards in the part of the
/// journal that the index covers, as locations behind that part.
pub(crate) struct Contents {
    /// In no particular order.
    pub(crate) cards: Vec<Card>,
    /// The names of ops; a card holds the position of its op's name.
    pub(crate) ops: Vec<String>,
    /// In the order of the journal, all behind the locations of the cards.
    pub(crate) places: Vec<(EntrySubject, Location)>,
    /// The number of records dropped since the journal was started.
    pub(crate) dropped: u64,
}

/// Holds the known locations of one journal.
#[derive(Debug)]
struct JournalView {
    journal: Option<Arc<Journal>>,
    places: Locations,
    /// The end of the part of the journal that only the index covers.
    start: u64,
    /// The end of the last known entry.
    end: u64,
    /// The length of the file at the last walk.
    seen: u64,
    /// The number of dropped records.
    dropped: u64,
    /// Whether this process has appended entries.
    grown: bool,
    /// Whether a walk found damage between entries.
    damaged: bool,
}

impl JournalView {
    fn new(journal: Option<Arc<Journal>>) -> Self {
        let (start, end) = (journal::START, journal::START);
        let places = Locations::default();
        Self { journal, places, start, end, seen: 0, dropped: 0, grown: false, damaged: false }
    }

    fn is_complete(&self) -> bool {
        self.start == journal::START
    }

    fn note(&mut self, offset: u64, header: &EntryHeader) {
        self.dropped += u64::from(header.kind == EntryKind::Dropped);
        self.places.note(offset, header);
    }
}

impl Catalog {
    /// Opens a reader's catalog. A store without a journal has no entries.
    pub(crate) fn open_reader(
        root: &Path,
        walk_limit: u64,
        warnings: Arc<Warnings>,
    ) -> Result<Self, StoreError> {
        let catalog = Self::new(root, walk_limit, false, warnings);
        catalog.follow()?;
        Ok(catalog)
    }

    /// Opens the writer's catalog of a journal, and returns the end of the last valid entry with it.
    pub(crate) fn open_writer(
        root: &Path,
        journal: Arc<Journal>,
        walk_limit: u64,
        warnings: Arc<Warnings>,
    ) -> Result<(Self, u64), StoreError> {
        let catalog = Self::new(root, walk_limit, true, warnings);
        let mut view = catalog.view_mut();
        catalog.begin(&mut view, journal)?;
        let end = view.end;
        drop(view);
        Ok((catalog, end))
    }

    fn new(root: &Path, walk_limit: u64, is_writer: bool, warnings: Arc<Warnings>) -> Self {
        let hints = IndexAccess::new(root, is_writer, walk_limit == 0, warnings.clone());
        let view = RwLock::new(JournalView::new(None));
        Self { root: root.to_owned(), view, hints, walk_limit, is_writer, warnings }
    }

    /// Returns the current journal and the end of its last known entry; `None` if the store has no journal.
    pub(crate) fn journal(&self) -> Result<Option<(Arc<Journal>, u64)>, StoreError> {
        self.follow()?;
        let view = self.view();
        Ok(view.journal.clone().map(|journal| (journal, view.end)))
    }

    /// Whether all locations are in memory, so that lookups do not use the index.
    #[cfg(test)]
    pub(crate) fn is_complete(&self) -> bool {
        self.view().is_complete()
    }

    /// Whether a walk found damage between entries.
    pub(crate) fn is_damaged(&self) -> bool {
        self.view().damaged
    }

    /// Finds the locations of many slots.
    pub(crate) fn find(
        &self,
        subjects: &[EntrySubject],
    ) -> Result<Located<Vec<Option<Location>>>, StoreError> {
        self.follow()?;
        let view = self.view();
        let (journal, complete) = (view.journal.clone(), view.is_complete());
        let mut places = Vec::with_capacity(subjects.len());
        let mut open = Vec::new();
        for (i, subject) in subjects.iter().enumerate() {
            let known = view.places.get(subject);
            places.push(known.copied().flatten());
            if known.is_none() && !complete {
                open.push(i);
            }
        }
        drop(view);
        if let (false, Some(journal)) = (open.is_empty(), &journal) {
            let asked: Vec<EntrySubject> = open.iter().map(|&i| subjects[i]).collect();
            let Some(answers) = self.hints.ask(&asked, journal)? else {
                self.complete()?;
                return self.find(subjects);
            };
            let mut view = self.view_mut();
            // Another thread may have switched to a newer journal, where these locations mean nothing.
            let is_same = view.journal.as_ref().is_some_and(|now| Arc::ptr_eq(now, journal));
            for (i, place) in open.into_iter().zip(answers) {
                places[i] = place;
                if is_same {
                    view.places.learn(subjects[i], place);
                }
            }
        }
        Ok(Located { journal, places })
    }

    /// Returns the locations of all live entries, in the order of the journal. Walks over the part that the index
    /// covers.
    pub(crate) fn all(&self) -> Result<Located<Vec<(EntrySubject, Location)>>, StoreError> {
        self.follow()?;
        self.complete()?;
        let view = self.view();
        let mut places: Vec<_> = view.places.live().collect();
        places.sort_unstable_by_key(|(_, place)| place.offset);
        Ok(Located { journal: view.journal.clone(), places })
    }

    /// Returns all live records: from the index if there is one, else from a walk.
    pub(crate) fn contents(&self) -> Result<Located<Contents>, StoreError> {
        self.follow()?;
        let start = self.view().start;
        let known = if start == journal::START { None } else { self.hints.cards() };
        let Some((mut cards, ops)) = known else {
            let Located { journal, mut places } = self.all()?;
            places.retain(|(subject, _)| matches!(subject, EntrySubject::Record(_)));
            let contents = Contents { cards: vec![], ops: vec![], places, dropped: self.view().dropped };
            return Ok(Located { journal, places: contents });
        };
        let view = self.view();
        if view.start != start {
            // Another thread has switched to a newer journal or completed a walk.
            drop(view);
            return self.contents();
        }
        let is_newer = |place: &Option<Location>| place.is_none_or(|place| place.offset >= view.start);
        let newer = view.places.all().filter(|(_, place)| is_newer(place));
        let newer: HashSet<Tag> = newer.map(|(subject, _)| Tag::new(&subject)).collect();
        cards.retain(|card| card.tag.is_record() && !newer.contains(&card.tag));
        let mut places: Vec<_> = view.places.live().collect();
        places.retain(|(subject, place)| {
            matches!(subject, EntrySubject::Record(_)) && place.offset >= view.start
        });
        places.sort_unstable_by_key(|(_, place)| place.offset);
        let contents = Contents { cards, ops, places, dropped: view.dropped };
        Ok(Located { journal: view.journal.clone(), places: contents })
    }

    /// Prepares lookups of `slots` slots: walks now if a walk costs less than lookups in the index.
    pub(crate) fn expect(&self, subjects: usize) -> Result<(), StoreError> {
        self.follow()?;
        if self.view().is_complete() || self.hints.is_worth(subjects) { Ok(()) } else { self.complete() }
    }

    /// Adds the entries that the writer has appended.
    pub(crate) fn note(&self, entries: &[(u64, EntryHeader)]) {
        let mut view = self.view_mut();
        for (offset, header) in entries {
            view.note(*offset, header);
            view.end = view.end.max(offset + header.entry_bytes());
            view.grown = true;
        }
    }

    /// Forgets the location of a damaged entry, unless the slot has a newer one.
    pub(crate) fn forget(&self, subject: EntrySubject, place: Location) {
        let mut view = self.view_mut();
        if view.places.get(&subject).copied().flatten().is_none_or(|newest| newest.offset == place.offset) {
            view.places.forget(subject);
        }
    }

    /// Publishes an index of the whole journal, if the writer has appended entries and an index pays.
    pub(crate) fn settle(&self) {
        let mut view = self.view_mut();
        let (journal, end) = (view.journal.clone(), view.end);
        let grown = std::mem::take(&mut view.grown) && !view.damaged;
        drop(view);
        if let Some(journal) = journal.filter(|_| grown && end > self.walk_limit) {
            self.hints.settle(&journal, end);
        }
    }

    /// Brings a reader's view up to date: adds new entries, and switches to a new journal if there is one.
    fn follow(&self) -> Result<(), StoreError> {
        if self.is_writer {
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
            // The reader had no journal, or its journal was replaced, or the file is shorter than the known entries.
            _ => self.reopen(&mut view),
        }
    }

    fn reopen(&self, view: &mut JournalView) -> Result<(), StoreError> {
        *view = JournalView::new(None);
        let Some(journal) = Journal::open_newest(&self.root, &self.warnings)? else { return Ok(()) };
        self.begin(view, Arc::new(journal))
    }

    /// Switches to a journal: leaves the part that an index covers to the index, and walks over the rest.
    fn begin(&self, view: &mut JournalView, journal: Arc<Journal>) -> Result<(), StoreError> {
        let bytes = journal.bytes()?.unwrap_or(0);
        let known = if bytes > self.walk_limit { self.hints.begin(&journal) } else { None };
        let mut new = JournalView::new(Some(journal));
        if let Some((applied, dropped)) = known {
            (new.start, new.end, new.dropped) = (applied, applied, dropped);
        }
        // If the walk fails, the old view stays: an unfinished one would look complete.
        self.walk(&mut new, bytes)?;
        *view = new;
        Ok(())
    }

    /// Adds every entry from the last known one to the offset `bytes`.
    fn walk(&self, view: &mut JournalView, bytes: u64) -> Result<(), StoreError> {
        let Some(journal) = view.journal.clone() else { return Ok(()) };
        let stretch = view.end..bytes;
        let ScanResult { end, damaged, damaged_bytes } =
            scan(&journal, stretch, &mut |offset, header| view.note(offset, header))?;
        (view.end, view.seen) = (end, bytes);
        if damaged > 0 {
            view.damaged = true;
            self.warnings.push(format!(
                "{}: {damaged_bytes} bytes are damaged, in {damaged} pieces; their results will be computed again",
                journal.path.display()
            ));
        }
        Ok(())
    }

    /// Walks over the part of the journal that only the index covers, up to the last known entry. Lookups then no
    /// longer use the index.
    fn complete(&self) -> Result<(), StoreError> {
        let mut view = self.view_mut();
        if !view.is_complete() {
            let mut new = JournalView { grown: view.grown, ..JournalView::new(view.journal.clone()) };
            self.walk(&mut new, view.end)?;
            *view = new;
        }
        self.hints.let_go();
        Ok(())
    }

    fn view(&self) -> RwLockReadGuard<'_, JournalView> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn view_mut(&self) -> RwLockWriteGuard<'_, JournalView> {
        self.view.write().unwrap_or_else(PoisonError::into_inner)
    }
}

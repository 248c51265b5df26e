//! The places of all journal entries, from a walk over the headers or from the index.
//!
//! Knows nothing of bodies, objects, or how entries get into the journal.

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
    location::{Location, Locations, Slot},
    scan::{ScanResult, scan},
};

/// A longer journal has an index. A shorter one is walked in 4 ms at most, and an index would save half of that
/// (`benches/lookup.rs`).
pub(crate) const WALK_LIMIT: u64 = 32 << 20;

/// Knows the places of a store's entries.
#[derive(Debug)]
pub(crate) struct Catalog {
    root: PathBuf,
    view: RwLock<JournalView>,
    hints: IndexAccess,
    /// The longest journal that is always walked.
    walk_limit: u64,
    /// Whether this process is the writer: no other process adds entries then, so that there are none to look for.
    is_writer: bool,
    warnings: Arc<Warnings>,
}

/// Holds places with the journal they are in, which a reader may exchange for a newer one at any time.
pub(crate) struct Located<T> {
    pub(crate) journal: Option<Arc<Journal>>,
    pub(crate) places: T,
}

/// The records that have not been dropped or replaced: a card for each one in the part of the journal that the index
/// covers, a place for each one behind that part.
pub(crate) struct Contents {
    /// In no order.
    pub(crate) cards: Vec<Card>,
    /// The names of ops; a card holds the position of its op's name.
    pub(crate) ops: Vec<String>,
    /// In the order of the journal, all behind the cards' places.
    pub(crate) places: Vec<(Slot, Location)>,
    /// How many records have been dropped since the journal was begun.
    pub(crate) dropped: u64,
}

/// Holds what is known of one journal.
#[derive(Debug)]
struct JournalView {
    journal: Option<Arc<Journal>>,
    places: Locations,
    /// The end of the part of the journal that is left to the index.
    start: u64,
    /// Where the last entry known ends.
    end: u64,
    /// The length the file had when it was walked last.
    seen: u64,
    /// How many records have been dropped.
    dropped: u64,
    /// Whether the writer has added entries.
    grown: bool,
    /// Whether there was damage between entries.
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
    /// Opens a reader's catalog; a store without a journal has no entries.
    pub(crate) fn open_reader(
        root: &Path,
        walk_limit: u64,
        warnings: Arc<Warnings>,
    ) -> Result<Self, StoreError> {
        let catalog = Self::new(root, walk_limit, false, warnings);
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

    /// Gives the journal, if there is one, as it stands now, with its length as far as it is known.
    pub(crate) fn journal(&self) -> Result<Option<(Arc<Journal>, u64)>, StoreError> {
        self.follow()?;
        let view = self.view();
        Ok(view.journal.clone().map(|journal| (journal, view.end)))
    }

    /// Whether all places are held in memory, so that the index is not asked.
    #[cfg(test)]
    pub(crate) fn is_complete(&self) -> bool {
        self.view().is_complete()
    }

    /// Whether damage was met between entries.
    pub(crate) fn is_damaged(&self) -> bool {
        self.view().damaged
    }

    /// Finds the places of many slots.
    pub(crate) fn find(&self, slots: &[Slot]) -> Result<Located<Vec<Option<Location>>>, StoreError> {
        self.follow()?;
        let view = self.view();
        let (journal, complete) = (view.journal.clone(), view.is_complete());
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
        if let (false, Some(journal)) = (open.is_empty(), &journal) {
            let asked: Vec<Slot> = open.iter().map(|&i| slots[i]).collect();
            let Some(answers) = self.hints.ask(&asked, journal)? else {
                self.complete()?;
                return self.find(slots);
            };
            let mut view = self.view_mut();
            // Another thread may have turned to a newer journal, in which these places mean nothing.
            let is_same = view.journal.as_ref().is_some_and(|now| Arc::ptr_eq(now, journal));
            for (i, place) in open.into_iter().zip(answers) {
                places[i] = place;
                if is_same {
                    view.places.learn(slots[i], place);
                }
            }
        }
        Ok(Located { journal, places })
    }

    /// Gives every slot that has a place, in the order of the journal.
    pub(crate) fn all(&self) -> Result<Located<Vec<(Slot, Location)>>, StoreError> {
        self.follow()?;
        self.complete()?;
        let view = self.view();
        let mut places: Vec<_> = view.places.live().collect();
        places.sort_unstable_by_key(|(_, place)| place.offset);
        Ok(Located { journal: view.journal.clone(), places })
    }

    /// Gives every record that counts, from the index where there is one.
    pub(crate) fn contents(&self) -> Result<Located<Contents>, StoreError> {
        self.follow()?;
        let start = self.view().start;
        let known = if start == journal::START { None } else { self.hints.cards() };
        let Some((mut cards, ops)) = known else {
            let Located { journal, mut places } = self.all()?;
            places.retain(|(slot, _)| matches!(slot, Slot::Record(_)));
            let contents = Contents { cards: vec![], ops: vec![], places, dropped: self.view().dropped };
            return Ok(Located { journal, places: contents });
        };
        let view = self.view();
        if view.start != start {
            // Another thread has turned to a newer journal, or walked.
            drop(view);
            return self.contents();
        }
        let is_newer = |place: &Option<Location>| place.is_none_or(|place| place.offset >= view.start);
        let newer = view.places.all().filter(|(_, place)| is_newer(place));
        let newer: HashSet<Tag> = newer.map(|(slot, _)| Tag::new(&slot)).collect();
        cards.retain(|card| card.tag.is_record() && !newer.contains(&card.tag));
        let mut places: Vec<_> = view.places.live().collect();
        places.retain(|(slot, place)| matches!(slot, Slot::Record(_)) && place.offset >= view.start);
        places.sort_unstable_by_key(|(_, place)| place.offset);
        let contents = Contents { cards, ops, places, dropped: view.dropped };
        Ok(Located { journal: view.journal.clone(), places: contents })
    }

    /// Prepares lookups of `slots` slots: walks now if a walk costs less than index lookups.
    pub(crate) fn expect(&self, slots: usize) -> Result<(), StoreError> {
        self.follow()?;
        if self.view().is_complete() || self.hints.is_worth(slots) { Ok(()) } else { self.complete() }
    }

    /// Takes in entries the writer has added.
    pub(crate) fn note(&self, entries: &[(u64, EntryHeader)]) {
        let mut view = self.view_mut();
        for (offset, header) in entries {
            view.note(*offset, header);
            view.end = view.end.max(offset + header.entry_bytes());
            view.grown = true;
        }
    }

    /// Forgets a place whose entry turned out to be damaged, unless a newer one has come.
    pub(crate) fn forget(&self, slot: Slot, place: Location) {
        let mut view = self.view_mut();
        if view.places.get(&slot).copied().flatten().is_none_or(|newest| newest.offset == place.offset) {
            view.places.forget(slot);
        }
    }

    /// Publishes an index that covers the journal to its end, if the writer has added entries and an index pays.
    pub(crate) fn settle(&self) {
        let mut view = self.view_mut();
        let (journal, end) = (view.journal.clone(), view.end);
        let grown = std::mem::take(&mut view.grown) && !view.damaged;
        drop(view);
        if let Some(journal) = journal.filter(|_| grown && end > self.walk_limit) {
            self.hints.settle(&journal, end);
        }
    }

    /// A reader takes in what has been added, and turns to a new journal when there is one.
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
            // There was none, it was replaced, or it is shorter than what was read of it.
            _ => self.reopen(&mut view),
        }
    }

    fn reopen(&self, view: &mut JournalView) -> Result<(), StoreError> {
        *view = JournalView::new(None);
        let Some(journal) = Journal::open_newest(&self.root, &self.warnings)? else { return Ok(()) };
        self.begin(view, Arc::new(journal))
    }

    /// Turns to a journal: leaves the part that an index covers to the index, and walks over the rest.
    fn begin(&self, view: &mut JournalView, journal: Arc<Journal>) -> Result<(), StoreError> {
        let bytes = journal.bytes()?.unwrap_or(0);
        let known = if bytes > self.walk_limit { self.hints.begin(&journal) } else { None };
        let mut new = JournalView::new(Some(journal));
        if let Some((applied, dropped)) = known {
            (new.start, new.end, new.dropped) = (applied, applied, dropped);
        }
        // A walk that fails must not leave a view that seems complete.
        self.walk(&mut new, bytes)?;
        *view = new;
        Ok(())
    }

    /// Takes in every entry from the last known one up to `bytes`.
    fn walk(&self, view: &mut JournalView, bytes: u64) -> Result<(), StoreError> {
        let Some(journal) = view.journal.clone() else { return Ok(()) };
        let stretch = view.end..bytes;
        let ScanResult { end, damaged, damaged_bytes } =
            scan(&journal, stretch, &mut |offset, header| view.note(offset, header))?;
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

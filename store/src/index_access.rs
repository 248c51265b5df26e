//! The life of the index: decides when a lookup costs less than a walk, whether the index can be trusted, and when it
//! is written.
//!
//! Readers and the writer use a private copy. Only the writer publishes an index, and moves a faulty one to `aside/`
//! with a warning; a reader ignores a faulty index and walks over the journal. Knows nothing of the locations in
//! memory.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    StoreError, durable,
    error::Warnings,
    index::{Index, IndexFault},
    index_card::{Card, Tag},
    index_draft::IndexDraft,
    journal::Journal,
    location::{EntrySubject, Location},
    manifest::{self, IndexManifest},
    object::names,
    private::PrivateDir,
};

/// The cost of looking up one slot in the index, in steps of a walk over headers. Measured: 0.8 µs against 0.4 µs; the
/// factor above that pays for the copy.
const STEPS_PER_LOOKUP: u64 = 4;
/// The cost of a request of any length, in slots: another thread has to wake up.
const SLOTS_PER_QUESTION: u64 = 16;
/// The writer replaces the index when the part of the journal behind it is longer than 1/8 of the part that it covers.
/// Every process that opens the store walks over the part behind the index; replacing the index rewrites all cards.
const GROWTH: u64 = 8;
/// The space that sled takes besides the cards, in bytes: its files grow in steps of half a megabyte.
const ROOM_LEAST: u64 = 8 << 20;

/// Looks slots up in the index of a store, and replaces it.
#[derive(Debug)]
pub(crate) struct IndexAccess {
    root: PathBuf,
    /// Whether this process is the writer, which replaces a faulty index.
    mends: bool,
    /// Whether every lookup uses the index at any cost, so that tests can use small stores.
    always: bool,
    state: Mutex<IndexState>,
    warnings: Arc<Warnings>,
}

/// The state of the index in this process.
#[derive(Debug, Default)]
struct IndexState {
    /// The manifest of an index that fits the journal; `None` if there is no usable index.
    manifest: Option<IndexManifest>,
    /// The open private copy; made by the first lookup.
    index: Option<Index>,
    /// The cost of all lookups so far, in slots.
    asked: u64,
}

impl IndexAccess {
    pub(crate) fn new(root: &Path, mends: bool, always: bool, warnings: Arc<Warnings>) -> Self {
        Self { root: root.to_owned(), mends, always, state: Mutex::default(), warnings }
    }

    /// Reads the manifest. Returns the length of the part of the journal that the index covers, and the number of
    /// dropped records in that part; `None` if there is no usable index.
    pub(crate) fn begin(&self, journal: &Journal) -> Option<(u64, u64)> {
        let manifest = IndexManifest::load(&self.root, journal).unwrap_or_else(|fault| {
            self.set_aside(&fault);
            None
        });
        let extent = manifest.as_ref().map(|manifest| (manifest.applied, manifest.dropped));
        *self.state() = IndexState { manifest, ..IndexState::default() };
        extent
    }

    /// Whether `slots` more lookups, with those before, cost less than a walk.
    pub(crate) fn is_worth(&self, subjects: usize) -> bool {
        self.pays(&self.state(), subjects)
    }

    fn pays(&self, state: &IndexState, subjects: usize) -> bool {
        let steps = (state.asked + subjects as u64).saturating_mul(STEPS_PER_LOOKUP);
        state.manifest.as_ref().is_some_and(|manifest| self.always || steps <= manifest.cards)
    }

    /// Looks slots up in the index, and checks every location against the journal. Returns `None` if a walk costs less
    /// or there is no usable index.
    pub(crate) fn ask(
        &self,
        subjects: &[EntrySubject],
        journal: &Journal,
    ) -> Result<Option<Vec<Option<Location>>>, StoreError> {
        let mut state = self.state();
        if !self.pays(&state, subjects.len()) {
            return Ok(None);
        }
        state.asked += subjects.len() as u64 + SLOTS_PER_QUESTION;
        let tags = subjects.iter().map(Tag::new).collect();
        let cards = self.with(&mut state, |index, manifest| index.find(tags, manifest.shelf_bits));
        let Some(cards) = cards else { return Ok(None) };
        let mut places = Vec::with_capacity(subjects.len());
        for (subject, card) in subjects.iter().zip(cards) {
            places.push(match card {
                None => None,
                Some(card) => match confirm(journal, subject, &card)? {
                    None => {
                        *state = IndexState::default();
                        self.set_aside(&IndexFault("it disagrees with the journal".into()));
                        return Ok(None);
                    }
                    place => place,
                },
            });
        }
        Ok(Some(places))
    }

    /// Returns all cards and the names of ops; `None` if there is no usable index.
    pub(crate) fn cards(&self) -> Option<(Vec<Card>, Vec<String>)> {
        let mut state = self.state();
        let cards = self.with(&mut state, |index, _| index.cards())?;
        Some((cards, state.manifest.as_ref()?.ops.clone()))
    }

    /// Closes the private copy. Later lookups do not use the index.
    pub(crate) fn let_go(&self) {
        *self.state() = IndexState::default();
    }

    /// Publishes an index of the journal up to `end`, if there is none or the part behind it is longer than an eighth
    /// of the part that it covers. A failure is a warning: later processes then walk over a longer part.
    pub(crate) fn settle(&self, journal: &Journal, end: u64) {
        self.let_go();
        let old = IndexManifest::load(&self.root, journal).unwrap_or_else(|fault| {
            self.set_aside(&fault);
            None
        });
        if old
            .as_ref()
            .is_some_and(|old| end.saturating_sub(old.applied).saturating_mul(GROWTH) <= old.applied)
        {
            return;
        }
        let Err(fault) = self.replace(old, journal, end) else { return };
        let dir = manifest::dir(&self.root);
        self.warnings.push(format!("{}: {fault}; the store works without it", dir.display()));
    }

    /// Runs `what` on the open copy, and makes the copy on the first call. Returns `None` if the index cannot be
    /// copied, opened or read; later calls then return `None` at once.
    fn with<T>(
        &self,
        state: &mut IndexState,
        what: impl FnOnce(&Index, &IndexManifest) -> Result<T, IndexFault>,
    ) -> Option<T> {
        let manifest = state.manifest.as_ref()?;
        let opened = match state.index.take() {
            Some(index) => Ok(Some(index)),
            None => self.open_copy(manifest),
        };
        let done = opened.and_then(|index| match index {
            Some(index) => what(&index, manifest).map(|done| Some((index, done))),
            None => Ok(None),
        });
        match done {
            Ok(Some((index, done))) => {
                state.index = Some(index);
                return Some(done);
            }
            Ok(None) => {}
            Err(fault) => self.set_aside(&fault),
        }
        *state = IndexState::default();
        None
    }

    /// Copies the index and opens the copy. Returns `None` if there is no space for a copy. The folder is removed at
    /// once: sled reads through its open file, and a killed process leaves nothing behind.
    fn open_copy(&self, manifest: &IndexManifest) -> Result<Option<Index>, IndexFault> {
        let Some(dir) = self.private(IndexManifest::bytes(&self.root)) else { return Ok(None) };
        let copy = dir.path().join("sled");
        match manifest.copy(&self.root, &copy)? {
            Some(()) => Index::open(&copy).map(Some),
            None => Ok(None),
        }
    }

    /// Makes a folder for files of this length: in memory, or, for the writer only, in the store.
    fn private(&self, bytes: u64) -> Option<PrivateDir> {
        let otherwise = self.mends.then(|| durable::unfinished(&self.root));
        PrivateDir::make(bytes.saturating_add(ROOM_LEAST), otherwise.as_deref())
    }

    /// Publishes an index of the old cards and of the entries behind them; of all entries if there is no old index.
    fn replace(&self, old: Option<IndexManifest>, journal: &Journal, end: u64) -> Result<(), IndexFault> {
        let mut draft = old.map_or_else(IndexDraft::default, |old| self.draft(old));
        if !draft.take_in(journal, end)? {
            return Ok(());
        }
        let dir =
            self.private(draft.room()).ok_or_else(|| IndexFault("there is no room to write it".into()))?;
        draft.publish(&self.root, journal, &dir.path().join("sled"))
    }

    /// Starts a draft from the cards of an index. The draft is empty if the index cannot be copied or read.
    fn draft(&self, old: IndexManifest) -> IndexDraft {
        let copy = self.open_copy(&old);
        match copy.and_then(|copy| copy.map(|index| index.cards()).transpose()) {
            Ok(Some(cards)) => IndexDraft::going_on(old, cards),
            Ok(None) => IndexDraft::default(),
            Err(fault) => {
                self.set_aside(&fault);
                IndexDraft::default()
            }
        }
    }

    /// Moves a faulty index to `aside/`, and removes those moved before: on a full disk the fault recurs at every run.
    /// A reader does nothing: either the index has just been replaced, or the next writer meets the same fault.
    fn set_aside(&self, fault: &IndexFault) {
        if !self.mends {
            return;
        }
        let dir = manifest::dir(&self.root);
        let aside = self.root.join("aside");
        for name in names(&aside).unwrap_or_default() {
            if name.starts_with("index-") {
                let _ = std::fs::remove_dir_all(aside.join(name));
            }
        }
        let end = match durable::set_aside(&self.root, &dir, "index") {
            Ok(place) => format!("set aside as {}; it is built again when it pays", place.display()),
            Err(error) => format!("it could not be set aside: {error}"),
        };
        self.warnings.push(format!("{}: {fault}; {end}", dir.display()));
    }

    fn state(&self) -> MutexGuard<'_, IndexState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the header at a card's offset. Returns its location if the header belongs to this slot.
fn confirm(journal: &Journal, subject: &EntrySubject, card: &Card) -> Result<Option<Location>, StoreError> {
    let header = journal.header(card.offset)?;
    let found = header.map(|header| Location::from_header(card.offset, &header));
    Ok(found.filter(|(found, _)| found == subject).and_then(|(_, place)| place))
}

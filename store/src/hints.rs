//! The life of the index: when it is worth asking, when it can be trusted, and when it is written.
//!
//! Readers and the writer ask a private copy. The writer alone publishes an index, and sets a faulty one aside with a
//! warning; a reader passes over it, and walks the journal. Knows nothing of what else is held in memory.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    StoreError,
    card::{Card, Tag},
    draft::Draft,
    durable,
    error::Warnings,
    imprint::{self, Imprint},
    index::{Fault, Index},
    journal::Journal,
    object::names,
    place::{Place, Slot},
    private::PrivateDir,
};

/// What looking up one slot costs, in steps of a walk over headers: 0.8 µs against 0.4 µs, and the copy.
const STEPS_PER_SLOT: u64 = 4;
/// What asking costs, in slots: another thread has to wake up.
const SLOTS_PER_QUESTION: u64 = 16;
/// An index is replaced when what follows it in the journal is more than this share of what it has taken in: 1/8. The
/// following part is walked by every process that opens the store, and replacing reads all cards.
const GROWTH: u64 = 8;
/// What sled writes beside what it was given.
const ROOM_LEAST: u64 = 8 << 20;

/// Asks the index of a store, and writes it.
#[derive(Debug)]
pub(crate) struct Hints {
    root: PathBuf,
    /// Whether this is the writer's.
    mends: bool,
    /// Whether everything is asked, so that tests need no large index.
    always: bool,
    state: Mutex<State>,
    warnings: Arc<Warnings>,
}

/// Says how the index stands.
#[derive(Debug, Default)]
struct State {
    /// Of an index that fits the journal as far as its imprint tells, and that may be asked.
    imprint: Option<Imprint>,
    /// The private copy, once a question was worth it.
    index: Option<Index>,
    /// What was asked of it, in slots.
    asked: u64,
}

impl Hints {
    pub(crate) fn new(root: &Path, mends: bool, always: bool, warnings: Arc<Warnings>) -> Self {
        Self { root: root.to_owned(), mends, always, state: Mutex::default(), warnings }
    }

    /// Says up to where an index knows this journal, and how many dropped records it has met; none if there is no index.
    pub(crate) fn begin(&self, journal: &Journal) -> Option<(u64, u64)> {
        let imprint = Imprint::read(&self.root, journal).unwrap_or_else(|fault| {
            self.set_aside(&fault);
            None
        });
        let extent = imprint.as_ref().map(|imprint| (imprint.applied, imprint.dropped));
        *self.state() = State { imprint, ..State::default() };
        extent
    }

    /// Whether so many more questions cost less than a walk.
    pub(crate) fn is_worth(&self, slots: usize) -> bool {
        self.pays(&self.state(), slots)
    }

    fn pays(&self, state: &State, slots: usize) -> bool {
        let steps = (state.asked + slots as u64).saturating_mul(STEPS_PER_SLOT);
        state.imprint.as_ref().is_some_and(|imprint| self.always || steps <= imprint.cards)
    }

    /// Looks slots up in the index, and checks every answer against the journal; none if a walk costs less or there is no
    /// index to trust.
    pub(crate) fn ask(
        &self,
        slots: &[Slot],
        journal: &Journal,
    ) -> Result<Option<Vec<Option<Place>>>, StoreError> {
        let mut state = self.state();
        if !self.pays(&state, slots.len()) {
            return Ok(None);
        }
        state.asked += slots.len() as u64 + SLOTS_PER_QUESTION;
        let tags = slots.iter().map(Tag::of).collect();
        let cards = self.with(&mut state, |index, imprint| index.find(tags, imprint.shelf_bits));
        let Some(cards) = cards else { return Ok(None) };
        let mut places = Vec::with_capacity(slots.len());
        for (slot, card) in slots.iter().zip(cards) {
            places.push(match card {
                None => None,
                Some(card) => match confirm(journal, slot, &card)? {
                    None => {
                        *state = State::default();
                        self.set_aside(&Fault("it disagrees with the journal".into()));
                        return Ok(None);
                    }
                    place => place,
                },
            });
        }
        Ok(Some(places))
    }

    /// Gives all cards, and the names of ops; none if there is no index to trust.
    pub(crate) fn cards(&self) -> Option<(Vec<Card>, Vec<String>)> {
        let mut state = self.state();
        let cards = self.with(&mut state, |index, _| index.cards())?;
        Some((cards, state.imprint.as_ref()?.ops.clone()))
    }

    /// Lets go of the copy, which is not asked any more.
    pub(crate) fn let_go(&self) {
        *self.state() = State::default();
    }

    /// Publishes an index of the journal up to `end` if there is none, or the one that is there has become small beside what
    /// follows it. Where that fails the next processes only have more to walk.
    pub(crate) fn settle(&self, journal: &Journal, end: u64) {
        self.let_go();
        let old = Imprint::read(&self.root, journal).unwrap_or_else(|fault| {
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
        let dir = imprint::dir(&self.root);
        self.warnings.push(format!("{}: {fault}; the store works without it", dir.display()));
    }

    /// Does something with the copy, which is made if it is not there. None if that fails.
    fn with<T>(
        &self,
        state: &mut State,
        what: impl FnOnce(&Index, &Imprint) -> Result<T, Fault>,
    ) -> Option<T> {
        let imprint = state.imprint.as_ref()?;
        let opened = match state.index.take() {
            Some(index) => Ok(Some(index)),
            None => self.open_copy(imprint),
        };
        let done = opened.and_then(|index| match index {
            Some(index) => what(&index, imprint).map(|done| Some((index, done))),
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
        *state = State::default();
        None
    }

    /// Copies the index and opens the copy; none where there is no room for one. sled keeps the file open that it reads, so
    /// the folder goes at once, and nothing of it can be left behind.
    fn open_copy(&self, imprint: &Imprint) -> Result<Option<Index>, Fault> {
        let Some(dir) = self.private(Imprint::bytes(&self.root)) else { return Ok(None) };
        let copy = dir.path().join("sled");
        match imprint.copy(&self.root, &copy)? {
            Some(()) => Index::open(&copy).map(Some),
            None => Ok(None),
        }
    }

    /// A folder for files of so many bytes; a reader has none but in memory.
    fn private(&self, bytes: u64) -> Option<PrivateDir> {
        let otherwise = self.mends.then(|| durable::unfinished(&self.root));
        PrivateDir::make(bytes.saturating_add(ROOM_LEAST), otherwise.as_deref())
    }

    /// Publishes an index that has taken in what follows the old one, or all of the journal.
    fn replace(&self, old: Option<Imprint>, journal: &Journal, end: u64) -> Result<(), Fault> {
        let mut draft = match old.map(|old| (self.open_copy(&old), old)) {
            Some((Ok(Some(index)), old)) => Draft::going_on(old, index.cards()?),
            _ => Draft::default(),
        };
        if !draft.take_in(journal, end)? {
            return Ok(());
        }
        let dir = self.private(draft.room()).ok_or_else(|| Fault("there is no room to write it".into()))?;
        draft.publish(&self.root, journal, &dir.path().join("sled"))
    }

    /// The writer moves a faulty index out of the way. Only the newest of those stays: on a full disk this happens again
    /// and again. A reader has met an index that was being replaced, or leaves the matter to the next writer.
    fn set_aside(&self, fault: &Fault) {
        if !self.mends {
            return;
        }
        let dir = imprint::dir(&self.root);
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives the place that a card stands for, if the journal has the slot's entry there.
fn confirm(journal: &Journal, slot: &Slot, card: &Card) -> Result<Option<Place>, StoreError> {
    let header = journal.header(card.offset)?;
    let found = header.map(|header| Place::of(card.offset, &header));
    Ok(found.filter(|(found, _)| found == slot).and_then(|(_, place)| place))
}

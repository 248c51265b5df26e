//! The store: opened by one writer or any number of readers, and asked by key.
//!
//! Ties journal, catalog, objects and lock together. Knows nothing of what is computed, and reads neither environment
//! nor home directory: the caller says where the store is.

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    Digest, Figures, Key, Record, StoreError,
    append::{Appender, NewEntry},
    catalog::{Catalog, Located, WALK_LIMIT},
    collect::rewrite,
    durable,
    entry::{EntryHeader, EntryKind, JournalSeal},
    error::{IoContext as _, Warnings},
    format::{self, StoreVersion},
    journal::Journal,
    location::{Location, Slot},
    lock::{self, Lock},
    object::{ObjectState, Objects, names},
    scan::read_bodies,
};

/// Keeps the results of computations under their keys.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    catalog: Catalog,
    pub(crate) objects: Objects,
    writer: Option<Writer>,
    warnings: Arc<Warnings>,
}

/// Holds what only a writer has.
#[derive(Debug)]
pub(crate) struct Writer {
    appender: Mutex<Appender>,
    _lock: Lock,
}

/// Says that a record exists, without its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The record's key.
    pub key: Key,
    /// Whether its parts are objects of the store.
    pub kept: bool,
    /// Its only part, when there is exactly one.
    pub part: Option<Digest>,
}

impl Store {
    /// Opens a store to read and write, and makes one where there is none. Damage left by a crash is mended here.
    pub fn open_writer(root: &Path) -> Result<Self, StoreError> {
        Self::open_writer_with(root, WALK_LIMIT)
    }

    /// Opens a store to read and write that has an index only where the journal has more bytes than `walk_limit`, and with a
    /// limit of 0 asks it for everything. The limit changes no record that is found; [`Self::info`] counts a damaged record
    /// that has a card until a lookup meets the damage.
    pub fn open_writer_with(root: &Path, walk_limit: u64) -> Result<Self, StoreError> {
        // A store that is too new is refused before anything is written, the lock included.
        refuse_newer(root)?;
        let warnings = Arc::new(Warnings::default());
        make_root(root)?;
        let lock = Lock::take(root)?;
        make_dirs(root)?;
        let mut journal = Arc::new(open_journal(root, &warnings)?);
        let mut opened = Catalog::open_writer(root, journal.clone(), walk_limit, warnings.clone())?;
        if opened.0.is_damaged() {
            // Mended here, so that the damage is met once and not by every later writer. Nothing may be added to the old
            // journal once that has begun: where mending fails halfway, the next writer may find the new journal.
            mend(root, &opened.0)?;
            journal = Arc::new(open_journal(root, &warnings)?);
            opened = Catalog::open_writer(root, journal.clone(), walk_limit, warnings.clone())?;
        }
        let (catalog, end) = opened;
        let torn = journal.bytes()?.unwrap_or(end).saturating_sub(end);
        let mut appender = Appender::new(journal.clone(), end);
        if torn > 0 {
            appender.cut()?;
            warnings.push(format!(
                "{}: {torn} bytes of an unfinished write were cut off",
                journal.path.display()
            ));
        }
        let writer = Some(Writer { appender: Mutex::new(appender), _lock: lock });
        Ok(Self { root: root.to_owned(), catalog, objects: Objects::new(root), writer, warnings })
    }

    /// Opens a store to read, in use or not, without writing anything. A directory that does not exist is an empty
    /// store.
    pub fn open_reader(root: &Path) -> Result<Self, StoreError> {
        Self::open_reader_with(root, WALK_LIMIT)
    }

    /// Opens a store to read, with a limit as [`Self::open_writer_with`] has it.
    pub fn open_reader_with(root: &Path, walk_limit: u64) -> Result<Self, StoreError> {
        format::read_version(root)?;
        let warnings = Arc::new(Warnings::default());
        let catalog = Catalog::open_reader(root, walk_limit, warnings.clone())?;
        Ok(Self { root: root.to_owned(), catalog, objects: Objects::new(root), writer: None, warnings })
    }

    /// Returns whether the process that last wrote here seems to be there still.
    #[must_use]
    pub fn has_living_writer(&self) -> bool {
        lock::is_held_by_living(&self.root)
    }

    /// Says where the store is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Prepares lookups of `keys` keys. For few keys of a long journal the index answers; for many keys the store walks over
    /// the journal now.
    pub fn expect(&self, keys: usize) -> Result<(), StoreError> {
        self.catalog.expect(keys)
    }

    /// Looks many keys up at once, without reading their records: a hit whose record proves damaged is a miss later.
    pub fn lookup(&self, keys: &[Key]) -> Result<Vec<Option<Hit>>, StoreError> {
        let slots: Vec<Slot> = keys.iter().map(|&key| Slot::Record(key)).collect();
        let places = self.catalog.find(&slots)?.places;
        let hit = |(&key, place): (&Key, Option<Location>)| {
            place.map(|Location { kept, part, .. }| Hit { key, kept, part })
        };
        Ok(keys.iter().zip(places).map(hit).collect())
    }

    /// Reads a record and checks it; a damaged one is none, with a warning.
    pub fn record(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        let Some((_, body)) = self.entry(Slot::Record(*key))? else { return Ok(None) };
        let record = Record::decode(&body);
        if record.is_none() {
            self.warnings.push(format!(
                "{}: the record of {} cannot be read",
                self.root.display(),
                key.short()
            ));
        }
        Ok(record)
    }

    /// Checks for each of these records whether it is there and undamaged: much cheaper than reading them.
    pub fn sound(&self, keys: &[Key]) -> Result<Vec<bool>, StoreError> {
        let mut sound = vec![false; keys.len()];
        self.each_body(keys, |at, body| {
            // It is read once more to say so, and forgotten.
            sound[at] = body.is_some() || self.entry(Slot::Record(keys[at]))?.is_some();
            Ok(())
        })?;
        Ok(sound)
    }

    /// Reads the figures of these records, and checks them; damaged ones are none, with a warning. Cheaper than reading
    /// records one by one.
    pub fn figures(&self, keys: &[Key]) -> Result<Vec<Option<Figures>>, StoreError> {
        let mut figures = vec![None; keys.len()];
        self.each_body(keys, |at, body| {
            figures[at] = match body.and_then(Figures::decode) {
                Some(found) => Some(found),
                // It is read once more to say what is wrong.
                None => self.record(&keys[at])?.map(Figures::from),
            };
            Ok(())
        })?;
        Ok(figures)
    }

    /// Calls `each` with the place of every key that has a record, and its body; with none where that is damaged.
    pub(crate) fn each_body(
        &self,
        keys: &[Key],
        mut each: impl FnMut(usize, Option<&[u8]>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let slots: Vec<Slot> = keys.iter().map(|&key| Slot::Record(key)).collect();
        let Located { journal, places } = self.catalog.find(&slots)?;
        let Some(journal) = journal else { return Ok(()) };
        let mut found: Vec<(usize, Location)> =
            places.into_iter().enumerate().filter_map(|(at, place)| Some((at, place?))).collect();
        found.sort_unstable_by_key(|(_, place)| place.offset);
        let entries = found.into_iter().map(|(at, place)| ((at, place), place.offset, place.body_bytes));
        read_bodies(&journal, entries, &mut |(at, place), found| {
            let is_it = |header: &EntryHeader| {
                Location::from_header(place.offset, header) == (slots[at], Some(place))
            };
            each(at, found.filter(|(header, _)| is_it(header)).map(|(_, body)| body))?;
            Ok(ControlFlow::Continue(()))
        })
    }

    /// Calls `each` with every record that counts, in the order they were written. Damaged ones are passed over.
    pub fn for_each_record(&self, each: &mut dyn FnMut(Key, Record)) -> Result<(), StoreError> {
        for (slot, _) in self.catalog.all()?.places {
            if let Slot::Record(key) = slot
                && let Some(record) = self.record(&key)?
            {
                each(key, record);
            }
        }
        Ok(())
    }

    /// Whether there is an object of this digest, without reading it.
    #[must_use]
    pub fn has_object(&self, digest: &Digest) -> bool {
        self.objects.has(digest)
    }

    /// Reads an object and checks it; a damaged one is none, with a warning, and a writer moves it out of the way.
    pub fn object(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        match self.objects.read_object(digest)? {
            ObjectState::Good(bytes) => return Ok(Some(bytes)),
            ObjectState::Missing => {}
            ObjectState::Bad if self.is_writer() => self.objects.set_aside(digest, &self.warnings)?,
            ObjectState::Bad => {
                let path = self.objects.path(digest);
                self.warnings.push(format!("{}: damaged; the next run makes it again", path.display()));
            }
        }
        Ok(None)
    }

    /// Ends a record: it is no longer found.
    pub fn drop_record(&self, key: &Key) -> Result<(), StoreError> {
        self.append(&[NewEntry::new(EntryKind::Dropped, *key, false, None, Vec::new())?], true)
    }

    /// Gives the sentences that people should read, each once.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.drain()
    }

    /// Writes the index if that pays, as dropping the store does; after this its warnings can be asked for.
    pub fn close(&self) {
        self.catalog.settle();
    }

    pub(crate) fn is_writer(&self) -> bool {
        self.writer.is_some()
    }

    pub(crate) fn writer(&self) -> Result<&Writer, StoreError> {
        self.writer.as_ref().ok_or_else(|| StoreError::ReadOnly { path: self.root.clone() })
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    pub(crate) fn shared_warnings(&self) -> &Warnings {
        &self.warnings
    }

    pub(crate) fn put_object(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        self.writer()?;
        self.objects.put(bytes, &self.warnings)
    }

    /// Adds entries to the journal; they are found once this returns.
    pub(crate) fn append(&self, entries: &[NewEntry], sync: bool) -> Result<(), StoreError> {
        let mut appender = self.writer()?.appender.lock().unwrap_or_else(PoisonError::into_inner);
        let places = appender.append(entries, sync)?;
        self.catalog.note(&places);
        Ok(())
    }

    /// Reads the entry of a slot and checks it; a damaged one is forgotten, with a warning.
    pub(crate) fn entry(&self, slot: Slot) -> Result<Option<(EntryHeader, Vec<u8>)>, StoreError> {
        let Located { journal, places } = self.catalog.find(&[slot])?;
        let (Some(journal), Some(Some(place))) = (journal, places.first().copied()) else { return Ok(None) };
        let entry = journal.entry(place.offset, place.body_bytes)?;
        let entry =
            entry.filter(|(header, _)| Location::from_header(place.offset, header) == (slot, Some(place)));
        if entry.is_none() {
            let (path, offset) = (journal.path.display(), place.offset);
            self.warnings
                .push(format!("{path}: the entry at {offset} is damaged; it will be computed again"));
            self.catalog.forget(slot, place);
        }
        Ok(entry)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
        // The damage was met after the store was opened, because an index covered that part of the journal. Nothing is added
        // to the journal any more, so that it can be written anew.
        if self.is_writer() && self.catalog.is_damaged() {
            // Where this fails, the next writer does it.
            let _ = mend(&self.root, &self.catalog);
        }
    }
}

/// Writes a journal with damage between entries anew, and removes the old one.
fn mend(root: &Path, catalog: &Catalog) -> Result<(), StoreError> {
    let Located { journal: Some(journal), places } = catalog.all()? else { return Ok(()) };
    if journal.bytes()?.is_none() {
        // A collection has put another in its place.
        return Ok(());
    }
    rewrite(root, &journal, &places, |_| true)?;
    durable::remove_leaving_copy(root, &journal.path, "journal")
}

/// Refuses a store of a newer format, whichever of `STORE` and the journal tells.
fn refuse_newer(root: &Path) -> Result<(), StoreError> {
    format::read_version(root)?;
    Journal::open_newest(root, &Warnings::default()).map(drop)
}

/// Makes the store's directory, and its name durable.
fn make_root(root: &Path) -> Result<(), StoreError> {
    if root.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(root).at("create the directory", root)?;
    match root.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => durable::sync(parent),
        _ => durable::sync(Path::new(".")),
    }
}

/// Makes the directories below the root, and removes what killed processes left unfinished.
fn make_dirs(root: &Path) -> Result<(), StoreError> {
    let unfinished = durable::unfinished(root);
    for name in names(&unfinished)? {
        durable::remove(&unfinished.join(name))?;
    }
    for dir in ["tmp", "journal", "objects", "partial", "runs"] {
        durable::make_dir(&root.join(dir))?;
    }
    let ignore = root.join(".gitignore");
    if ignore.exists() { Ok(()) } else { durable::write(root, &ignore, b"*\n") }
}

/// Opens the newest journal, mends what says whose it is, and starts a new one where there is none to be read.
fn open_journal(root: &Path, warnings: &Warnings) -> Result<Journal, StoreError> {
    let found = format::read_version(root)?;
    let mut generations = Journal::generations(root)?;
    let mut generation = 1;
    while let Some((number, path)) = generations.pop() {
        if let Some(journal) = Journal::open(root, (number, path.clone()), true, warnings)? {
            let JournalSeal { store: id, format, .. } = journal.seal;
            if found != (StoreVersion::Store { format, id }) {
                // Where only the number is another, whoever wrote the journal anew did not come to write it.
                if !matches!(found, StoreVersion::Store { id: same, .. } if same == id) {
                    let path = root.join("STORE");
                    warnings.push(format!("{}: damaged or lost, and written again", path.display()));
                }
                format::write(root, format, id)?;
            }
            // A writer that wrote the journal anew did not come to remove them.
            for (_, path) in generations {
                durable::present(fs::remove_file(&path)).at("remove", &path)?;
            }
            return Ok(journal);
        }
        let place = durable::set_aside(root, &path, "journal")?;
        let (path, place) = (path.display(), place.display());
        warnings.push(format!("{path}: not a journal; set aside as {place}"));
        generation = generation.max(number.saturating_add(1));
    }
    let id = match found {
        StoreVersion::Store { id, .. } => id,
        StoreVersion::Absent | StoreVersion::Damaged => format::new_id(),
    };
    let format = format::FORMAT;
    if found != (StoreVersion::Store { format, id }) {
        format::write(root, format, id)?;
    }
    Journal::create(root, JournalSeal { store: id, generation, format })
}

//! The store: opened by one writer or any number of readers, with lookups by key.
//!
//! Joins journal, catalog, objects and lock. Knows nothing of the computations, and reads neither the environment nor
//! the home directory: the caller gives the path of the store.

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    Digest, Key, Record, RecordValues, StoreError,
    append::{Appender, NewEntry},
    catalog::{Catalog, Located, WALK_LIMIT},
    collect::rewrite,
    durable,
    entry::{EntryHeader, EntryKind, JournalSeal},
    error::{IoContext as _, Warnings},
    format::{self, StoreVersion},
    journal::Journal,
    location::{EntrySubject, Location},
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

/// Holds the parts that only a writer has.
#[derive(Debug)]
pub(crate) struct Writer {
    appender: Mutex<Appender>,
    _lock: Lock,
}

/// Describes a record that exists, without its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The record's key.
    pub key: Key,
    /// Whether the record's parts are objects of the store.
    pub kept: bool,
    /// The digest of the record's only part, if it has exactly one.
    pub part: Option<Digest>,
}

impl Store {
    /// Opens a store for reading and writing, and creates it if it does not exist. Repairs the damage that a crash
    /// left. Fails with [`StoreError::InUse`] if another process is the writer.
    pub fn open_writer(root: &Path) -> Result<Self, StoreError> {
        Self::open_writer_with(root, WALK_LIMIT)
    }

    /// Opens a store for reading and writing. Journals longer than `walk_limit` bytes get an index; with a limit of 0
    /// every lookup uses the index. The limit changes the result of no lookup. The totals of [`Self::info`] include a
    /// damaged record that has a card, until a lookup meets the damage.
    pub fn open_writer_with(root: &Path, walk_limit: u64) -> Result<Self, StoreError> {
        // A store of a newer format is refused before anything is written, even the lock.
        refuse_newer(root)?;
        let warnings = Arc::new(Warnings::default());
        make_root(root)?;
        let lock = Lock::take(root, "lock")?;
        make_dirs(root)?;
        let mut journal = Arc::new(open_journal(root, &warnings)?);
        let mut opened = Catalog::open_writer(root, journal.clone(), walk_limit, warnings.clone())?;
        if opened.0.is_damaged() {
            // The journal is rewritten here, so that one writer reports the damage and not every later one. From here
            // on nothing may be appended to the old journal: if the rewriting fails halfway, the next writer may find
            // the new one.
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

    /// Opens a store for reading, also while a writer uses it. Writes nothing. A directory that does not exist is an
    /// empty store.
    pub fn open_reader(root: &Path) -> Result<Self, StoreError> {
        Self::open_reader_with(root, WALK_LIMIT)
    }

    /// Opens a store for reading, with a `walk_limit` as in [`Self::open_writer_with`].
    pub fn open_reader_with(root: &Path, walk_limit: u64) -> Result<Self, StoreError> {
        format::read_version(root)?;
        let warnings = Arc::new(Warnings::default());
        let catalog = Catalog::open_reader(root, walk_limit, warnings.clone())?;
        Ok(Self { root: root.to_owned(), catalog, objects: Objects::new(root), writer: None, warnings })
    }

    /// Whether the process that last opened the store for writing seems to exist still.
    #[must_use]
    pub fn has_living_writer(&self) -> bool {
        lock::is_held_by_living(&self.root)
    }

    /// Returns the path of the store.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the bytes of the journal as far as it is read: another number than before means that results were added,
    /// or that others are left after a collection.
    pub fn journal_bytes(&self) -> Result<u64, StoreError> {
        Ok(self.catalog.journal()?.map_or(0, |(_, end)| end))
    }

    /// Prepares lookups of up to `keys` keys. For few keys in a long journal, lookups use the index; for many keys,
    /// this walks over the journal now.
    pub fn expect(&self, keys: usize) -> Result<(), StoreError> {
        self.catalog.expect(keys)
    }

    /// Looks up many keys at once. Does not read the records: a hit turns into a miss if reading its record shows
    /// damage.
    pub fn lookup(&self, keys: &[Key]) -> Result<Vec<Option<Hit>>, StoreError> {
        let subjects: Vec<EntrySubject> = keys.iter().map(|&key| EntrySubject::Record(key)).collect();
        let places = self.catalog.find(&subjects)?.places;
        let hit = |(&key, place): (&Key, Option<Location>)| {
            place.map(|Location { kept, part, .. }| Hit { key, kept, part })
        };
        Ok(keys.iter().zip(places).map(hit).collect())
    }

    /// Reads a record and checks it. A damaged record is `None`, with a warning.
    pub fn record(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        let Some((_, body)) = self.entry(EntrySubject::Record(*key))? else { return Ok(None) };
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

    /// Checks which of these records exist and are undamaged. Much cheaper than decoding them.
    pub fn sound(&self, keys: &[Key]) -> Result<Vec<bool>, StoreError> {
        let mut sound = vec![false; keys.len()];
        self.each_body(keys, |at, body| {
            // The second read adds the warning and forgets the location; it succeeds if the journal was replaced
            // meanwhile.
            sound[at] = body.is_some() || self.entry(EntrySubject::Record(keys[at]))?.is_some();
            Ok(())
        })?;
        Ok(sound)
    }

    /// Reads the figures of these records and checks them. A damaged record is `None`, with a warning. Cheaper than
    /// reading the records one by one.
    pub fn figures(&self, keys: &[Key]) -> Result<Vec<Option<RecordValues>>, StoreError> {
        let mut figures = vec![None; keys.len()];
        self.each_body(keys, |at, body| {
            figures[at] = match body.and_then(RecordValues::decode) {
                Some(found) => Some(found),
                // The second read adds a warning that names the damage.
                None => self.record(&keys[at])?.map(RecordValues::from),
            };
            Ok(())
        })?;
        Ok(figures)
    }

    /// Calls `each` with the position in `keys` of every key that has a record, and with the record's body, or `None`
    /// if the entry is damaged. The calls are in the order of the journal.
    pub(crate) fn each_body(
        &self,
        keys: &[Key],
        mut each: impl FnMut(usize, Option<&[u8]>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let subjects: Vec<EntrySubject> = keys.iter().map(|&key| EntrySubject::Record(key)).collect();
        let Located { journal, places } = self.catalog.find(&subjects)?;
        let Some(journal) = journal else { return Ok(()) };
        let mut found: Vec<(usize, Location)> =
            places.into_iter().enumerate().filter_map(|(at, place)| Some((at, place?))).collect();
        found.sort_unstable_by_key(|(_, place)| place.offset);
        let entries = found.into_iter().map(|(at, place)| ((at, place), place.offset, place.body_bytes));
        read_bodies(&journal, entries, &mut |(at, place), found| {
            let is_it = |header: &EntryHeader| {
                Location::from_header(place.offset, header) == (subjects[at], Some(place))
            };
            each(at, found.filter(|(header, _)| is_it(header)).map(|(_, body)| body))?;
            Ok(ControlFlow::Continue(()))
        })
    }

    /// Calls `each` with every live record, in the order of the journal. Leaves out damaged records.
    pub fn for_each_record(&self, each: &mut dyn FnMut(Key, Record)) -> Result<(), StoreError> {
        for (subject, _) in self.catalog.all()?.places {
            if let EntrySubject::Record(key) = subject
                && let Some(record) = self.record(&key)?
            {
                each(key, record);
            }
        }
        Ok(())
    }

    /// Whether an object exists. Does not check its content.
    #[must_use]
    pub fn has_object(&self, digest: &Digest) -> bool {
        self.objects.has(digest)
    }

    /// Reads an object and checks it. A damaged object is `None`, with a warning, and a writer moves it to `aside/`.
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

    /// Drops a record: lookups of its key no longer find it.
    pub fn drop_record(&self, key: &Key) -> Result<(), StoreError> {
        self.append(&[NewEntry::new(EntryKind::Dropped, *key, false, None, Vec::new())?], true)
    }

    /// Returns the warnings since the last call, each once.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.drain()
    }

    /// Publishes the index if that pays, as dropping the store does. Callers that show warnings call this before
    /// [`Self::warnings`].
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

    /// Appends entries to the journal. Lookups find them as soon as this returns.
    pub(crate) fn append(&self, entries: &[NewEntry], sync: bool) -> Result<(), StoreError> {
        let mut appender = self.writer()?.appender.lock().unwrap_or_else(PoisonError::into_inner);
        let places = appender.append(entries, sync)?;
        self.catalog.note(&places);
        Ok(())
    }

    /// Reads the entry of a slot and checks it. The location of a damaged entry is forgotten, with a warning.
    pub(crate) fn entry(&self, subject: EntrySubject) -> Result<Option<(EntryHeader, Vec<u8>)>, StoreError> {
        let Located { journal, places } = self.catalog.find(&[subject])?;
        let (Some(journal), Some(Some(place))) = (journal, places.first().copied()) else { return Ok(None) };
        let entry = journal.entry(place.offset, place.body_bytes)?;
        let entry =
            entry.filter(|(header, _)| Location::from_header(place.offset, header) == (subject, Some(place)));
        if entry.is_none() {
            let (path, offset) = (journal.path.display(), place.offset);
            self.warnings
                .push(format!("{path}: the entry at {offset} is damaged; it will be computed again"));
            self.catalog.forget(subject, place);
        }
        Ok(entry)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
        // The damage was found after the store was opened, because an index covered that part of the journal. Nothing
        // is appended any more, so the journal can be rewritten now.
        if self.is_writer() && self.catalog.is_damaged() {
            // If this fails, the next writer rewrites the journal.
            let _ = mend(&self.root, &self.catalog);
        }
    }
}

/// Rewrites a journal with damage between entries as the next generation, and removes the old one.
fn mend(root: &Path, catalog: &Catalog) -> Result<(), StoreError> {
    let Located { journal: Some(journal), places } = catalog.all()? else { return Ok(()) };
    if journal.bytes()?.is_none() {
        // A collection has replaced the journal already.
        return Ok(());
    }
    rewrite(root, &journal, &places, |_| true)?;
    durable::remove_leaving_copy(root, &journal.path, "journal")
}

/// Returns an error for a newer format, in `STORE` or in the journal.
fn refuse_newer(root: &Path) -> Result<(), StoreError> {
    format::read_version(root)?;
    Journal::open_newest(root, &Warnings::default()).map(drop)
}

/// Creates the store's directory, and syncs its parent.
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

/// Creates the directories below the root, and removes the unfinished files of killed processes.
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

/// Opens the newest journal, repairs `STORE` to match it, and creates a journal if there is no readable one.
fn open_journal(root: &Path, warnings: &Warnings) -> Result<Journal, StoreError> {
    let found = format::read_version(root)?;
    let mut generations = Journal::generations(root)?;
    let mut generation = 1;
    while let Some((number, path)) = generations.pop() {
        if let Some(journal) = Journal::open(root, (number, path.clone()), true, warnings)? {
            let JournalSeal { store: id, format, .. } = journal.seal;
            if found != (StoreVersion::Store { format, id }) {
                // If only the format differs, a writer was killed between rewriting the journal and updating `STORE`:
                // no damage.
                if !matches!(found, StoreVersion::Store { id: same, .. } if same == id) {
                    let path = root.join("STORE");
                    warnings.push(format!("{}: damaged or lost, and written again", path.display()));
                }
                format::write(root, format, id)?;
            }
            // A writer was killed after rewriting the journal and before removing the older generations.
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

//! Giving room back: what nobody wants any more is deleted, records before the objects they name.
//!
//! The journal is written anew as its next generation, and takes the old one's place in one step: before it, nothing
//! has changed; after it, objects without a record are all that a crash can leave. Knows nothing of why a record is
//! wanted.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs,
    io::{self, BufWriter, Write as _},
    path::Path,
};

use serde::Serialize;

use crate::{
    Digest, Key, OpInfo, Store, StoreError,
    append::NewEntry,
    catalog::Located,
    durable,
    entry::{EntryHeader, JournalSeal},
    format,
    journal::{self, Journal},
    location::{Location, Slot},
    manifest,
    object::names,
};

/// Says what is wanted.
#[derive(Clone, Debug, Default)]
pub struct Retained {
    /// The records, and with them their objects and checkpoints.
    pub keys: HashSet<Key>,
    /// The journals of runs.
    pub runs: BTreeSet<String>,
}

/// Says what is not wanted, and so is deleted.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Collectable {
    /// The records by the name of their op.
    pub ops: BTreeMap<String, OpInfo>,
    /// How many records stay.
    pub kept: u64,
    /// Objects that no record keeps then.
    pub objects: Vec<Digest>,
    /// How many bytes the objects take.
    pub object_bytes: u64,
    /// The journals of runs.
    pub runs: Vec<String>,
    /// How many bytes they take.
    pub run_bytes: u64,
    /// Checkpoints, and what was damaged and set aside, as paths in the store.
    pub rest: Vec<String>,
    /// How many bytes these take.
    pub rest_bytes: u64,
    /// How many bytes the journal gets shorter by.
    pub journal_bytes: u64,
}

impl Collectable {
    /// How many records there are.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.ops.values().map(|of| of.records).sum()
    }

    /// How many bytes all of it takes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.object_bytes + self.run_bytes + self.rest_bytes + self.journal_bytes
    }

    /// What computing the records again would take.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        // An empty sum would be −0.
        self.ops.values().fold(0.0, |sum, of| sum + of.seconds)
    }
}

impl Store {
    /// Finds what is not wanted, and changes nothing.
    pub fn unwanted(&self, wanted: &Retained) -> Result<Collectable, StoreError> {
        let mut found = Collectable::default();
        let mut held = HashSet::new();
        let mut entries = 0;
        for item in self.contents()? {
            if wanted.keys.contains(&item.key) {
                found.kept += 1;
                entries += item.bytes;
                held.extend(item.objects);
            } else {
                found.ops.entry(item.op).or_default().add(item.bytes, item.seconds);
            }
        }
        entries += self.sources_bytes()?;
        if let Some((journal, _)) = self.catalog().journal()? {
            let now = journal.bytes()?.unwrap_or(0);
            found.journal_bytes = now.saturating_sub(journal::START + entries);
        }
        for (digest, bytes) in self.objects.list()? {
            if !held.contains(&digest) {
                found.objects.push(digest);
                found.object_bytes += bytes;
            }
        }
        found.runs = self.runs()?;
        found.runs.retain(|run| !wanted.runs.contains(run));
        for run in &found.runs {
            found.run_bytes += fs::metadata(self.run_path(run)).map_or(0, |meta| meta.len());
        }
        let checkpoints = names(&self.root().join("partial"))?.into_iter();
        let is_unwanted = |name: &String| name.parse().is_ok_and(|key: Key| !wanted.keys.contains(&key));
        found.rest.extend(checkpoints.filter(is_unwanted).map(|name| format!("partial/{name}")));
        found.rest.extend(names(&self.root().join("aside"))?.into_iter().map(|name| format!("aside/{name}")));
        for path in &found.rest {
            found.rest_bytes += durable::bytes(&self.root().join(path)).unwrap_or(0);
        }
        Ok(found)
    }

    /// Deletes what is not wanted, and says what that was. The store is closed after it.
    pub fn collect(self, wanted: &Retained) -> Result<Collectable, StoreError> {
        self.writer()?;
        let found = self.unwanted(wanted)?;
        if found.records() > 0 || found.journal_bytes > 0 {
            self.close();
            let Located { journal, places } = self.catalog().all()?;
            if let Some(journal) = journal {
                let is_wanted = |slot: &Slot| match slot {
                    Slot::Record(key) => wanted.keys.contains(key),
                    Slot::Source(_) => true,
                };
                rewrite(self.root(), &journal, &places, is_wanted)?;
                durable::remove(&journal.path)?;
                journal.path.parent().map_or(Ok(()), durable::sync)?;
            }
        }
        for digest in &found.objects {
            let path = self.objects.path(digest);
            durable::remove(&path)?;
            // Other objects may be beside it.
            let _ = path.parent().map(fs::remove_dir);
        }
        for run in &found.runs {
            self.unpin_run(run)?;
            durable::remove(&self.run_path(run))?;
        }
        for path in &found.rest {
            durable::remove(&self.root().join(path))?;
        }
        Ok(found)
    }

    /// The length of all entries of source files.
    fn sources_bytes(&self) -> Result<u64, StoreError> {
        let places = self.catalog().all()?.places.into_iter();
        let sources = places.filter(|(slot, _)| matches!(slot, Slot::Source(_)));
        Ok(sources.map(|(_, place)| place.entry_bytes()).sum())
    }
}

/// Writes the entries at these places that are wanted and whole as the next generation of a journal, in the newest
/// format, which counts from here on. The old one is left to be removed.
pub(crate) fn rewrite(
    root: &Path,
    old: &Journal,
    places: &[(Slot, Location)],
    is_wanted: impl Fn(&Slot) -> bool,
) -> Result<(), StoreError> {
    // What the index knows is of the old journal.
    manifest::remove(root)?;
    let JournalSeal { store, generation, format } = old.seal;
    let seal = JournalSeal { store, generation: generation + 1, format: format::FORMAT };
    durable::write_with(root, &Journal::path_of(root, seal.generation), |file| {
        let mut file = BufWriter::new(file);
        file.write_all(&journal::first_bytes(&seal))?;
        let mut offset = journal::START;
        for (slot, place) in places.iter().filter(|(slot, _)| is_wanted(slot)) {
            let entry = old.entry(place.offset, place.body_bytes).map_err(io::Error::other)?;
            let is_it =
                |header: &EntryHeader| Location::from_header(place.offset, header) == (*slot, Some(*place));
            // A damaged one is a miss already.
            let Some((header, body)) = entry.filter(|(header, _)| is_it(header)) else { continue };
            let entry = NewEntry::new(header.kind, header.key, header.kept, header.part, body);
            offset += entry.map_err(io::Error::other)?.write(&seal, offset, &mut file)?.entry_bytes();
        }
        file.flush()
    })?;
    if format == seal.format { Ok(()) } else { format::write(root, seal.format, store) }
}

//! Garbage collection: deletes records, objects, run logs and checkpoints that are no longer wanted.
//!
//! Records are deleted before their objects. The live entries are written as the journal's next generation, which
//! replaces the old one in one step: a crash before that step changes nothing, a crash after it leaves at most objects
//! without a record. Knows nothing of the reasons to keep a record.

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
    location::{EntrySubject, Location},
    manifest,
    object::names,
};

/// Selects the records and runs that a collection keeps.
#[derive(Clone, Debug, Default)]
pub struct Retained {
    /// The keys of the records to keep, with their objects and checkpoints.
    pub keys: HashSet<Key>,
    /// The ids of the runs to keep.
    pub runs: BTreeSet<String>,
}

/// Lists the content that a collection deletes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Collectable {
    /// The deleted records, counted by the name of their op.
    pub ops: BTreeMap<String, OpInfo>,
    /// The number of records that stay.
    pub kept: u64,
    /// The objects that no remaining record keeps.
    pub objects: Vec<Digest>,
    /// The total length of those objects in bytes.
    pub object_bytes: u64,
    /// The ids of the runs.
    pub runs: Vec<String>,
    /// The total length of their run logs in bytes.
    pub run_bytes: u64,
    /// Checkpoints, and the damaged files in `aside/`, as paths relative to the store.
    pub rest: Vec<String>,
    /// The total length of those files in bytes.
    pub rest_bytes: u64,
    /// The number of bytes by which the journal gets shorter.
    pub journal_bytes: u64,
}

impl Collectable {
    /// The number of deleted records.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.ops.values().map(|of| of.records).sum()
    }

    /// The number of bytes that the collection frees.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.object_bytes + self.run_bytes + self.rest_bytes + self.journal_bytes
    }

    /// The seconds that computing the deleted records took.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        // The sum of an empty iterator is −0.
        self.ops.values().fold(0.0, |sum, of| sum + of.seconds)
    }
}

impl Store {
    /// Finds the content that a collection would delete, and changes nothing.
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

    /// Deletes everything but the content in `wanted`, and returns the list of deleted content. Consumes the store. An
    /// error leaves the rest undeleted for the next collection.
    pub fn collect(self, wanted: &Retained) -> Result<Collectable, StoreError> {
        self.writer()?;
        let found = self.unwanted(wanted)?;
        if found.records() > 0 || found.journal_bytes > 0 {
            self.close();
            let Located { journal, places } = self.catalog().all()?;
            if let Some(journal) = journal {
                let is_wanted = |subject: &EntrySubject| match subject {
                    EntrySubject::Record(key) => wanted.keys.contains(key),
                    EntrySubject::Source(_) => true,
                };
                rewrite(self.root(), &journal, &places, is_wanted)?;
                durable::remove(&journal.path)?;
                journal.path.parent().map_or(Ok(()), durable::sync)?;
            }
        }
        for digest in &found.objects {
            let path = self.objects.path(digest);
            durable::remove(&path)?;
            // Removing the folder fails if it holds other objects.
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

    /// Returns the total length of all entries of source files.
    fn sources_bytes(&self) -> Result<u64, StoreError> {
        let places = self.catalog().all()?.places.into_iter();
        let sources = places.filter(|(subject, _)| matches!(subject, EntrySubject::Source(_)));
        Ok(sources.map(|(_, place)| place.entry_bytes()).sum())
    }
}

/// Writes the wanted entries at these locations as the next generation of a journal, in the newest format. Leaves out
/// damaged entries. Does not remove the old generation.
pub(crate) fn rewrite(
    root: &Path,
    old: &Journal,
    places: &[(EntrySubject, Location)],
    is_wanted: impl Fn(&EntrySubject) -> bool,
) -> Result<(), StoreError> {
    // The cards of the index hold offsets in the old journal.
    manifest::remove(root)?;
    let JournalSeal { store, generation, format } = old.seal;
    let seal = JournalSeal { store, generation: generation + 1, format: format::FORMAT };
    durable::write_with(root, &Journal::path_of(root, seal.generation), |file| {
        let mut file = BufWriter::new(file);
        file.write_all(&journal::first_bytes(&seal))?;
        let mut offset = journal::START;
        for (subject, place) in places.iter().filter(|(subject, _)| is_wanted(subject)) {
            let entry = old.entry(place.offset, place.body_bytes).map_err(io::Error::other)?;
            let is_it = |header: &EntryHeader| {
                Location::from_header(place.offset, header) == (*subject, Some(*place))
            };
            // A damaged entry is a cache miss already.
            let Some((header, body)) = entry.filter(|(header, _)| is_it(header)) else { continue };
            let entry = NewEntry::new(header.kind, header.key, header.kept, header.part, body);
            offset += entry.map_err(io::Error::other)?.write(&seal, offset, &mut file)?.entry_bytes();
        }
        file.flush()
    })?;
    if format == seal.format { Ok(()) } else { format::write(root, seal.format, store) }
}

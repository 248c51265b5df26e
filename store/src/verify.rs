//! Verification: a check of every record and object of a store.
//!
//! Changes nothing: writers repair damage when they meet it. Knows nothing of tasks and does not compute results again.

use std::{collections::BTreeSet, fs};

use serde::Serialize;

use crate::{
    Digest, Key, Record, Store, StoreError,
    catalog::Located,
    journal,
    location::{EntrySubject, Location},
    scan::scan,
};

/// The most checks while other processes replace the journal, before the last one.
const TRIES: u32 = 5;

/// Describes the result of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// The number of good records.
    pub records: u64,
    /// The keys of the records that are damaged or have the preimage of another key.
    pub bad_records: Vec<Key>,
    /// The number of damaged entries of source files.
    pub bad_sources: u64,
    /// The number of damaged stretches between the entries of the journal.
    pub damaged: u64,
    /// The number of good objects.
    pub objects: u64,
    /// The objects that do not match their digest.
    pub bad_objects: Vec<Digest>,
    /// The kept parts without an object, each with the key of its record.
    pub missing_objects: Vec<(Key, Digest)>,
    /// The good objects that no record keeps. They take space and are no fault.
    pub orphans: Vec<Digest>,
}

impl Verification {
    /// Whether nothing is damaged or missing.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let entries = self.bad_records.is_empty() && self.bad_sources == 0 && self.damaged == 0;
        entries && self.bad_objects.is_empty() && self.missing_objects.is_empty()
    }
}

impl Store {
    /// Reads and checks every record and every object. If another process replaced the journal during a check that
    /// found faults, the check is repeated.
    pub fn verify(&self) -> Result<Verification, StoreError> {
        for _ in 0..TRIES {
            let before = self.generation()?;
            let found = self.verify_once()?;
            if found.is_good() || self.generation()? == before {
                return Ok(found);
            }
        }
        self.verify_once()
    }

    fn generation(&self) -> Result<Option<u64>, StoreError> {
        Ok(self.catalog().journal()?.map(|(journal, _)| journal.seal.generation))
    }

    fn verify_once(&self) -> Result<Verification, StoreError> {
        let mut found = Verification::default();
        let mut kept = Vec::new();
        self.verify_entries(&mut found, &mut kept)?;
        let wanted: BTreeSet<Digest> = kept.iter().map(|&(_, part)| part).collect();
        let mut held = BTreeSet::new();
        for (digest, _) in self.objects.list()? {
            if !self.objects.is_good(&digest)? {
                // An object that has just been removed is not damaged; if a record keeps it, it counts as missing.
                if fs::symlink_metadata(self.objects.path(&digest)).is_ok() {
                    held.insert(digest);
                    found.bad_objects.push(digest);
                }
                continue;
            }
            held.insert(digest);
            found.objects += 1;
            if !wanted.contains(&digest) {
                found.orphans.push(digest);
            }
        }
        found.missing_objects = kept.into_iter().filter(|(_, part)| !held.contains(part)).collect();
        Ok(found)
    }

    fn verify_entries(
        &self,
        found: &mut Verification,
        kept: &mut Vec<(Key, Digest)>,
    ) -> Result<(), StoreError> {
        let Located { journal: Some(journal), places } = self.catalog().all()? else { return Ok(()) };
        let bytes = journal.bytes()?.unwrap_or(0);
        found.damaged = scan(&journal, journal::START..bytes, &mut |_, _| {})?.damaged;
        for (subject, place) in places {
            let entry = journal.entry(place.offset, place.body_bytes)?;
            let entry = entry
                .filter(|(header, _)| Location::from_header(place.offset, header) == (subject, Some(place)));
            let record = entry.as_ref().and_then(|(_, body)| Record::decode(body));
            match (subject, record) {
                (EntrySubject::Record(key), Some(record)) if Key::derive(&record.preimage) == key => {
                    found.records += 1;
                    let parts = record.parts.into_values().filter(|_| record.kept);
                    kept.extend(parts.map(|part| (key, part)));
                }
                (EntrySubject::Record(key), _) => found.bad_records.push(key),
                (EntrySubject::Source(_), _) => found.bad_sources += u64::from(entry.is_none()),
            }
        }
        Ok(())
    }
}

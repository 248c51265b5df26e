//! A check of everything a store holds.
//!
//! Changes nothing: what is found is mended by those who meet it at work.

use std::{collections::BTreeSet, fs};

use serde::Serialize;

use crate::{
    Digest, Key, Record, Store, StoreError,
    catalog::Located,
    journal,
    location::{Location, Slot},
    scan::scan,
};

/// How often a check is made while journals are replaced under it.
const TRIES: u32 = 5;

/// Says what a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// How many records are good.
    pub records: u64,
    /// The records that are damaged, or lie under a key that is not that of their preimage.
    pub bad_records: Vec<Key>,
    /// How many source files' digests are damaged.
    pub bad_sources: u64,
    /// How many stretches of the journal between entries are damaged.
    pub damaged: u64,
    /// How many objects are good.
    pub objects: u64,
    /// The objects whose content is not that of their digest.
    pub bad_objects: Vec<Digest>,
    /// The parts that records keep and that are not there.
    pub missing_objects: Vec<(Key, Digest)>,
    /// The good objects that no record keeps. They are no fault, and only take space.
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
    /// Reads and checks every record and every object. Where something is amiss while another process works here, it is
    /// looked at once more.
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
                // One that has just gone was wanted by nobody, or is missing.
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
        for (slot, place) in places {
            let entry = journal.entry(place.offset, place.body_bytes)?;
            let entry = entry
                .filter(|(header, _)| Location::from_header(place.offset, header) == (slot, Some(place)));
            let record = entry.as_ref().and_then(|(_, body)| Record::decode(body));
            match (slot, record) {
                (Slot::Record(key), Some(record)) if Key::derive(&record.preimage) == key => {
                    found.records += 1;
                    let parts = record.parts.into_values().filter(|_| record.kept);
                    kept.extend(parts.map(|part| (key, part)));
                }
                (Slot::Record(key), _) => found.bad_records.push(key),
                (Slot::Source(_), _) => found.bad_sources += u64::from(entry.is_none()),
            }
        }
        Ok(())
    }
}

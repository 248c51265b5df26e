//! Locations: the offset and the header data of the newest entry of each key.
//!
//! Knows nothing of the index.

use crate::{
    Digest, Key,
    entry::{EntryHeader, EntryKind, HEADER_BYTES},
    id::IdMap,
};

/// Identifies the subject of an entry. Records and source files have separate sets of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum EntrySubject {
    /// The record of a computation.
    Record(Key),
    /// The digest of a source file.
    Source(Key),
}

/// Describes the offset and the length of an entry, and its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) offset: u64,
    pub(crate) body_bytes: u32,
    pub(crate) kept: bool,
    pub(crate) part: Option<Digest>,
}

impl Location {
    /// Returns the slot and the location of an entry. The location of a dropped record is `None`.
    pub(crate) fn from_header(offset: u64, header: &EntryHeader) -> (EntrySubject, Option<Self>) {
        let place = Self { offset, body_bytes: header.body_bytes, kept: header.kept, part: header.part };
        match header.kind {
            EntryKind::Record => (EntrySubject::Record(header.key), Some(place)),
            EntryKind::Dropped => (EntrySubject::Record(header.key), None),
            EntryKind::Source => (EntrySubject::Source(header.key), Some(place)),
        }
    }

    /// Returns the length of the entry, header and body, in bytes.
    pub(crate) fn entry_bytes(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.body_bytes)
    }
}

/// Maps slots to locations in memory. A dropped record is present with the value `None`, because the index may still
/// have its card.
#[derive(Debug, Default)]
pub(crate) struct Locations(IdMap<EntrySubject, Option<Location>>);

impl Locations {
    /// Adds an entry, which replaces an earlier one of the same slot.
    pub(crate) fn note(&mut self, offset: u64, header: &EntryHeader) {
        let (subject, place) = Location::from_header(offset, header);
        self.0.insert(subject, place);
    }

    /// Treats a slot as dropped.
    pub(crate) fn forget(&mut self, subject: EntrySubject) {
        self.0.insert(subject, None);
    }

    /// Adds the index's answer for a slot, unless a newer entry is known.
    pub(crate) fn learn(&mut self, subject: EntrySubject, place: Option<Location>) {
        self.0.entry(subject).or_insert(place);
    }

    /// Returns the known location of a slot: the outer `None` means unknown, the inner one dropped.
    pub(crate) fn get(&self, subject: &EntrySubject) -> Option<&Option<Location>> {
        self.0.get(subject)
    }

    /// Iterates over all known slots.
    pub(crate) fn all(&self) -> impl Iterator<Item = (EntrySubject, Option<Location>)> {
        self.0.iter().map(|(&subject, &place)| (subject, place))
    }

    /// Iterates over the slots that have a location.
    pub(crate) fn live(&self) -> impl Iterator<Item = (EntrySubject, Location)> {
        self.0.iter().filter_map(|(&subject, &place)| place.map(|place| (subject, place)))
    }
}

//! Where the newest entry of a key is, and what its header says.
//!
//! Knows nothing of who remembers it: a map in memory, or the index.

use crate::{
    Digest, Key,
    entry::{EntryHeader, EntryKind, HEADER_BYTES},
    id::IdMap,
};

/// Names what has a place: records and source files have keys of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Slot {
    /// A computation's record.
    Record(Key),
    /// A source file's digest.
    Source(Key),
}

/// Says where an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) offset: u64,
    pub(crate) body_bytes: u32,
    pub(crate) kept: bool,
    pub(crate) part: Option<Digest>,
}

impl Location {
    /// Takes from a header what its slot is, and the new place, which is none for a dropped record.
    pub(crate) fn from_header(offset: u64, header: &EntryHeader) -> (Slot, Option<Self>) {
        let place = Self { offset, body_bytes: header.body_bytes, kept: header.kept, part: header.part };
        match header.kind {
            EntryKind::Record => (Slot::Record(header.key), Some(place)),
            EntryKind::Dropped => (Slot::Record(header.key), None),
            EntryKind::Source => (Slot::Source(header.key), Some(place)),
        }
    }

    /// The length of the entry, header and body.
    pub(crate) fn entry_bytes(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.body_bytes)
    }
}

/// Remembers places; a dropped record is remembered as none, because an index below may still have it.
#[derive(Debug, Default)]
pub(crate) struct Locations(IdMap<Slot, Option<Location>>);

impl Locations {
    /// Takes in an entry; a later one for the same slot wins.
    pub(crate) fn note(&mut self, offset: u64, header: &EntryHeader) {
        let (slot, place) = Location::from_header(offset, header);
        self.0.insert(slot, place);
    }

    /// Forgets where a slot is, as if it had been dropped.
    pub(crate) fn forget(&mut self, slot: Slot) {
        self.0.insert(slot, None);
    }

    /// Takes in what the index says of a slot, unless something newer is known.
    pub(crate) fn learn(&mut self, slot: Slot, place: Option<Location>) {
        self.0.entry(slot).or_insert(place);
    }

    /// Gives what is known of a slot, if anything is.
    pub(crate) fn get(&self, slot: &Slot) -> Option<&Option<Location>> {
        self.0.get(slot)
    }

    /// Gives every slot of which something is known.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Slot, Option<Location>)> {
        self.0.iter().map(|(&slot, &place)| (slot, place))
    }

    /// Gives every slot that has a place.
    pub(crate) fn live(&self) -> impl Iterator<Item = (Slot, Location)> {
        self.0.iter().filter_map(|(&slot, &place)| place.map(|place| (slot, place)))
    }
}

//! Where the newest entry of a key is, and what its header says.
//!
//! Knows nothing of who remembers it: a map in memory, or the index.

use std::{collections::HashMap, hash::BuildHasherDefault};

use crate::{
    Digest, Key,
    entry::{HEADER_BYTES, Header, Kind, array},
    id::IdHasher,
};

/// The length of a place written down.
pub(crate) const PLACE_BYTES: usize = 45;

const KEPT: u8 = 1;
const PART: u8 = 2;

/// Names what has a place: records and source files have keys of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Slot {
    /// A computation's record.
    Record(Key),
    /// A source file's digest.
    Source(Key),
}

impl Slot {
    /// Writes the slot down so that no two are equal.
    pub(crate) fn to_bytes(self) -> [u8; 33] {
        let (tag, key) = match self {
            Self::Record(key) => (b'r', key),
            Self::Source(key) => (b's', key),
        };
        let mut bytes = [tag; 33];
        bytes[1..].copy_from_slice(key.as_bytes());
        bytes
    }
}

/// Says where an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    pub(crate) body_bytes: u32,
    pub(crate) kept: bool,
    pub(crate) part: Option<Digest>,
}

impl Place {
    /// Takes from a header what its slot is, and the new place, which is none for a dropped record.
    pub(crate) fn of(offset: u64, header: &Header) -> (Slot, Option<Self>) {
        let place = Self { offset, body_bytes: header.body_bytes, kept: header.kept, part: header.part };
        match header.kind {
            Kind::Record => (Slot::Record(header.key), Some(place)),
            Kind::Dropped => (Slot::Record(header.key), None),
            Kind::Source => (Slot::Source(header.key), Some(place)),
        }
    }

    /// The length of the entry, header and body.
    pub(crate) fn entry_bytes(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.body_bytes)
    }

    pub(crate) fn to_bytes(self) -> [u8; PLACE_BYTES] {
        let mut bytes = [0; PLACE_BYTES];
        bytes[..8].copy_from_slice(&self.offset.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.body_bytes.to_le_bytes());
        bytes[12] = if self.kept { KEPT } else { 0 } | if self.part.is_some() { PART } else { 0 };
        if let Some(part) = self.part {
            bytes[13..].copy_from_slice(part.as_bytes());
        }
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (bytes.len() == PLACE_BYTES).then(|| Self {
            offset: u64::from_le_bytes(array(&bytes[..8])),
            body_bytes: u32::from_le_bytes(array(&bytes[8..12])),
            kept: bytes[12] & KEPT != 0,
            part: (bytes[12] & PART != 0).then(|| Digest::from_bytes(array(&bytes[13..]))),
        })
    }
}

/// Remembers places; a dropped record is remembered as none, because an index below may still have it.
#[derive(Debug, Default)]
pub(crate) struct Places(HashMap<Slot, Option<Place>, BuildHasherDefault<IdHasher>>);

impl Places {
    /// Takes in an entry; a later one for the same slot wins.
    pub(crate) fn note(&mut self, offset: u64, header: &Header) {
        let (slot, place) = Place::of(offset, header);
        self.0.insert(slot, place);
    }

    /// Forgets where a slot is, as if it had been dropped.
    pub(crate) fn forget(&mut self, slot: Slot) {
        self.0.insert(slot, None);
    }

    /// Takes in what the index says of a slot, unless something newer is known.
    pub(crate) fn learn(&mut self, slot: Slot, place: Option<Place>) {
        self.0.entry(slot).or_insert(place);
    }

    /// Gives what is known of a slot, if anything is.
    pub(crate) fn get(&self, slot: &Slot) -> Option<&Option<Place>> {
        self.0.get(slot)
    }

    /// Gives every slot that has a place.
    pub(crate) fn live(&self) -> impl Iterator<Item = (Slot, Place)> {
        self.0.iter().filter_map(|(&slot, &place)| place.map(|place| (slot, place)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_its_bytes() {
        for part in [None, Some(Digest::of(b"part"))] {
            for kept in [false, true] {
                let place = Place { offset: 1 << 40, body_bytes: 77, kept, part };
                assert_eq!(Place::from_bytes(&place.to_bytes()), Some(place));
            }
        }
        assert_eq!(Place::from_bytes(b"short"), None);
    }

    #[test]
    fn a_record_and_a_source_with_the_same_key_are_two_slots() {
        let key = Key::derive("{}");
        assert_ne!(Slot::Record(key).to_bytes(), Slot::Source(key).to_bytes());
    }
}

//! The header of a journal entry: 104 bytes in front of the body.
//!
//! The checksum of a header covers its store, generation and offset. The same bytes at any other place are no valid
//! header, so a search after damage cannot mistake a body, an old block or a copy for an entry. Knows nothing of files.

use xxhash_rust::xxh3::xxh3_128;

use crate::{Digest, Key};

/// The length of a header in bytes.
pub(crate) const HEADER_BYTES: usize = 104;
/// The greatest length of a body in bytes; checked before memory is allocated for it.
pub(crate) const BODY_LIMIT: u32 = 64 << 20;
/// The first bytes of every entry; a walk searches for them after damage.
pub(crate) const MAGIC: [u8; 4] = *b"\xfbE1\n";

const CHECK: usize = 12;
const SEALED: usize = HEADER_BYTES - CHECK;
const KEPT: u8 = 1;
const HAS_PART: u8 = 2;

/// Identifies the journal that entries belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct JournalSeal {
    pub(crate) store: [u8; 16],
    pub(crate) generation: u64,
    /// The format of the journal's entries. Manifests of the first indexes lack this field.
    #[serde(default = "one")]
    pub(crate) format: u32,
}

const fn one() -> u32 {
    1
}

impl JournalSeal {
    /// Returns the checksum of bytes. It detects damage and nothing else; keys and digests are blake3. Format 1 uses
    /// the first 16 bytes of blake3, which took a third of the time of a run with nothing to do; later formats use XXH3
    /// with 128 bits.
    pub(crate) fn check(&self, bytes: &[u8]) -> [u8; 16] {
        match self.format {
            1 => array(blake3::hash(bytes).as_bytes()),
            _ => xxh3_128(bytes).to_le_bytes(),
        }
    }
}

/// Distinguishes the kinds of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    /// The record of a computation.
    Record = 1,
    /// The removal of the earlier record of the same key.
    Dropped = 2,
    /// The digest of a source file. The key is derived from the file's path.
    Source = 3,
}

/// Holds the fields of an entry's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EntryHeader {
    pub(crate) kind: EntryKind,
    pub(crate) key: Key,
    /// Whether the record's parts are objects of the store.
    pub(crate) kept: bool,
    /// The digest of the record's only part, if it has exactly one; for a source file, the digest of its content.
    pub(crate) part: Option<Digest>,
    pub(crate) body_bytes: u32,
    pub(crate) body_check: [u8; 16],
}

impl EntryHeader {
    /// Whether the length and the checksum of `body` match this header.
    pub(crate) fn holds(&self, seal: &JournalSeal, body: &[u8]) -> bool {
        body.len() == self.body_bytes as usize && seal.check(body) == self.body_check
    }

    /// Returns the length of the entry, header and body, in bytes.
    pub(crate) fn entry_bytes(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.body_bytes)
    }

    /// Encodes the header for its offset.
    pub(crate) fn encode(&self, seal: &JournalSeal, offset: u64) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4] = self.kind as u8;
        bytes[5] = if self.kept { KEPT } else { 0 } | if self.part.is_some() { HAS_PART } else { 0 };
        bytes[8..12].copy_from_slice(&self.body_bytes.to_le_bytes());
        bytes[12..44].copy_from_slice(self.key.as_bytes());
        if let Some(part) = self.part {
            bytes[44..76].copy_from_slice(part.as_bytes());
        }
        bytes[76..SEALED].copy_from_slice(&self.body_check);
        let check = place_check(seal, offset, &bytes);
        bytes[SEALED..].copy_from_slice(&check);
        bytes
    }

    /// Decodes the header at an offset. Returns `None` unless the bytes are a valid header of this journal and this
    /// offset.
    pub(crate) fn decode(bytes: &[u8; HEADER_BYTES], seal: &JournalSeal, offset: u64) -> Option<Self> {
        if bytes[..4] != MAGIC || bytes[SEALED..] != place_check(seal, offset, bytes) {
            return None;
        }
        let kind = match bytes[4] {
            1 => EntryKind::Record,
            2 => EntryKind::Dropped,
            3 => EntryKind::Source,
            _ => return None,
        };
        let body_bytes = u32::from_le_bytes(array(&bytes[8..12]));
        Some(Self {
            kind,
            key: Key::from_bytes(array(&bytes[12..44])),
            kept: bytes[5] & KEPT != 0,
            part: (bytes[5] & HAS_PART != 0).then(|| Digest::from_bytes(array(&bytes[44..76]))),
            body_bytes,
            body_check: array(&bytes[76..SEALED]),
        })
        .filter(|header| header.body_bytes <= BODY_LIMIT)
    }
}

/// Copies the first `N` bytes of a slice. Panics if the slice is shorter.
pub(crate) fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut copy = [0; N];
    copy.copy_from_slice(&bytes[..N]);
    copy
}

fn place_check(seal: &JournalSeal, offset: u64, bytes: &[u8; HEADER_BYTES]) -> [u8; CHECK] {
    let mut text = [0; 32 + SEALED];
    text[..16].copy_from_slice(&seal.store);
    text[16..24].copy_from_slice(&seal.generation.to_le_bytes());
    text[24..32].copy_from_slice(&offset.to_le_bytes());
    text[32..].copy_from_slice(&bytes[..SEALED]);
    array(&seal.check(&text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SEAL: JournalSeal = JournalSeal { store: *b"a store's own id", generation: 3, format: 2 };

    fn header() -> impl Strategy<Value = EntryHeader> {
        let kinds = prop_oneof![Just(EntryKind::Record), Just(EntryKind::Dropped), Just(EntryKind::Source)];
        let ids = (any::<[u8; 32]>(), any::<Option<[u8; 32]>>());
        (kinds, ids, any::<bool>(), prop::collection::vec(any::<u8>(), 0..300)).prop_map(
            |(kind, (key, part), kept, body)| EntryHeader {
                kind,
                key: Key::from_bytes(key),
                kept,
                part: part.map(Digest::from_bytes),
                body_bytes: body.len() as u32,
                body_check: SEAL.check(&body),
            },
        )
    }

    proptest! {
        #[test]
        fn a_header_survives_its_bytes(header in header(), offset: u64) {
            prop_assert_eq!(EntryHeader::decode(&header.encode(&SEAL, offset), &SEAL, offset), Some(header));
        }

        #[test]
        fn a_changed_header_is_none(header in header(), offset: u64, at in 0..HEADER_BYTES, by in 1..=255u8) {
            let mut bytes = header.encode(&SEAL, offset);
            bytes[at] ^= by;
            prop_assert_eq!(EntryHeader::decode(&bytes, &SEAL, offset), None);
        }

        #[test]
        fn a_header_elsewhere_is_none(header in header(), offset: u64, other: u64, store: [u8; 16]) {
            prop_assume!(offset != other && store != SEAL.store);
            let bytes = header.encode(&SEAL, offset);
            prop_assert_eq!(EntryHeader::decode(&bytes, &SEAL, other), None);
            prop_assert_eq!(EntryHeader::decode(&bytes, &JournalSeal { store, ..SEAL }, offset), None);
            prop_assert_eq!(EntryHeader::decode(&bytes, &JournalSeal { generation: 4, ..SEAL }, offset), None);
            prop_assert_eq!(EntryHeader::decode(&bytes, &JournalSeal { format: 1, ..SEAL }, offset), None);
        }

        #[test]
        fn foreign_bytes_are_none(bytes: [u8; 52], rest: [u8; 52]) {
            let mut whole = [0; HEADER_BYTES];
            whole[..52].copy_from_slice(&bytes);
            whole[52..].copy_from_slice(&rest);
            whole[..4].copy_from_slice(&MAGIC);
            prop_assert_eq!(EntryHeader::decode(&whole, &SEAL, 48), None);
        }
    }

    #[test]
    fn the_bytes_of_a_header_never_change() {
        // Reference: the same layout made with Python's struct, and the packages blake3 1.0 and xxhash 3.6.
        for (format, expected) in [(1, "a724552fb87f"), (2, "232c21334cb5")] {
            let seal = JournalSeal { format, ..SEAL };
            let (key, part) = (Key::derive("{}"), Some(Digest::hash(b"part")));
            let body_check = seal.check(b"body");
            let header =
                EntryHeader { kind: EntryKind::Record, key, kept: true, part, body_bytes: 4, body_check };
            assert_eq!(Digest::hash(&header.encode(&seal, 48)).short(), expected);
        }
    }
}

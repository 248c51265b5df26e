//! The cards of the index, one for each live entry, and their encoding.
//!
//! A card has 26 bytes. The cards with the same first bits of the key form a *shelf*, sorted by tag, and each shelf is
//! one value of the index: sled writes a few thousand values of some kilobytes in a hundredth of the time that it needs
//! for a million small ones. Knows nothing of sled.

use crate::{entry::array, id::IdMap, location::EntrySubject};

/// The length of an encoded card in bytes.
pub(crate) const CARD_BYTES: usize = 26;

/// The average number of cards on a shelf just before the number of shelves doubles; just after it is half of that.
const SHELF_CARDS: usize = 512;
const KEY_BYTES: usize = 10;
const TAG_BYTES: usize = KEY_BYTES + 1;
const RECORD: u8 = 0;
const SOURCE: u8 = 1;

/// Stands for a slot: the first ten bytes of its key, and its kind. Equal tags of different keys are not expected in
/// practice (80 bits). They cost a walk over the journal and never give a wrong answer, because the journal's headers
/// have the whole key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Tag([u8; TAG_BYTES]);

impl Tag {
    pub(crate) fn new(subject: &EntrySubject) -> Self {
        let (kind, key) = match subject {
            EntrySubject::Record(key) => (RECORD, key),
            EntrySubject::Source(key) => (SOURCE, key),
        };
        let mut tag = [kind; TAG_BYTES];
        tag[..KEY_BYTES].copy_from_slice(&key.as_bytes()[..KEY_BYTES]);
        Self(tag)
    }

    pub(crate) fn is_record(self) -> bool {
        self.0[KEY_BYTES] == RECORD
    }

    /// Returns the number of the slot's shelf: the first `bits` bits of its key. `bits` is at most 16.
    pub(crate) fn shelf(self, bits: u32) -> u16 {
        u16::from_be_bytes([self.0[0], self.0[1]]).checked_shr(16 - bits).unwrap_or(0)
    }
}

/// Holds the offset and length of an entry, and the figures that `store info` sums up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Card {
    pub(crate) tag: Tag,
    pub(crate) offset: u64,
    pub(crate) body_bytes: u32,
    /// The seconds that computing the record took; 0 for a source file.
    pub(crate) seconds: f32,
    /// The position of the op's name in the manifest's list.
    pub(crate) op: u8,
}

impl Card {
    fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.tag.0);
        to.extend_from_slice(&self.offset.to_le_bytes()[..6]);
        to.extend_from_slice(&self.body_bytes.to_le_bytes());
        to.extend_from_slice(&self.seconds.to_le_bytes());
        to.push(self.op);
    }

    fn decode(bytes: &[u8]) -> Self {
        let mut offset = [0; 8];
        offset[..6].copy_from_slice(&bytes[11..17]);
        Self {
            tag: Tag(array(&bytes[..TAG_BYTES])),
            offset: u64::from_le_bytes(offset),
            body_bytes: u32::from_le_bytes(array(&bytes[17..21])),
            seconds: f32::from_le_bytes(array(&bytes[21..25])),
            op: bytes[25],
        }
    }
}

/// Returns the number of key bits that distinguish the shelves of so many cards.
pub(crate) fn shelf_bits(cards: usize) -> u32 {
    (cards / (SHELF_CARDS / 2)).max(1).ilog2().min(16)
}

/// Encodes sorted cards as shelves. Returns the number and bytes of each shelf, in order.
pub(crate) fn shelves(cards: &[Card], bits: u32) -> impl Iterator<Item = (u16, Vec<u8>)> {
    cards.chunk_by(move |one, next| one.tag.shelf(bits) == next.tag.shelf(bits)).map(move |cards| {
        let mut shelf = Vec::with_capacity(cards.len() * CARD_BYTES);
        for card in cards {
            card.write(&mut shelf);
        }
        (cards[0].tag.shelf(bits), shelf)
    })
}

/// Decodes all cards of a shelf. Returns `None` if the length is no multiple of a card's.
pub(crate) fn read_shelf(shelf: &[u8]) -> Option<impl Iterator<Item = Card>> {
    shelf.len().is_multiple_of(CARD_BYTES).then(|| shelf.chunks_exact(CARD_BYTES).map(Card::decode))
}

/// Finds the card of a tag on its shelf by binary search.
pub(crate) fn find_on_shelf(shelf: &[u8], tag: Tag) -> Option<Card> {
    let (cards, _) = shelf.as_chunks::<CARD_BYTES>();
    let at = cards.binary_search_by(|card| card[..TAG_BYTES].cmp(&tag.0)).ok()?;
    Some(Card::decode(&cards[at]))
}

/// Replaces, removes or adds the cards of changed slots, and sorts all cards. The value `None` removes a card.
pub(crate) fn update(cards: &mut Vec<Card>, changes: IdMap<Tag, Option<Card>>) {
    if !changes.is_empty() {
        cards.retain(|card| !changes.contains_key(&card.tag));
        cards.extend(changes.into_values().flatten());
    }
    cards.sort_unstable_by_key(|card| (card.tag, card.offset));
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::Key;

    fn card(n: u32) -> Card {
        let tag = Tag::new(&EntrySubject::Record(Key::derive(&n.to_string())));
        Card { tag, offset: (1 << 40) + u64::from(n), body_bytes: n, seconds: 0.5 + n as f32, op: 3 }
    }

    #[test]
    fn every_card_is_found_on_its_shelf_and_no_other_is() {
        let mut cards: Vec<Card> = (0..3000).map(card).collect();
        update(&mut cards, IdMap::default());
        for bits in [0, 1, 4, 16] {
            let shelves: HashMap<u16, Vec<u8>> = shelves(&cards, bits).collect();
            assert!(shelves.len() <= 1 << bits);
            let all = shelves.values().flat_map(|shelf| read_shelf(shelf).unwrap()).count();
            assert_eq!(all, cards.len());
            for n in 0..3100 {
                let Card { tag, .. } = card(n);
                let shelf = shelves.get(&tag.shelf(bits));
                let found = shelf.and_then(|shelf| find_on_shelf(shelf, tag));
                assert_eq!(found, (n < 3000).then(|| card(n)), "{n} with {bits} bits");
            }
        }
        assert!(read_shelf(&[0; CARD_BYTES + 1]).is_none());
    }

    #[test]
    fn a_shelf_has_some_hundreds_of_cards() {
        for (cards, bits) in
            [(0, 0), (1, 0), (511, 0), (512, 1), (100_000, 8), (1_000_000, 11), (usize::MAX, 16)]
        {
            assert_eq!(shelf_bits(cards), bits, "{cards}");
        }
    }

    #[test]
    fn a_change_replaces_removes_or_adds() {
        let mut cards: Vec<Card> = (0..4).map(card).collect();
        let newer = Card { offset: 7, ..card(2) };
        update(
            &mut cards,
            [(card(1).tag, None), (newer.tag, Some(newer)), (card(9).tag, Some(card(9)))]
                .into_iter()
                .collect(),
        );
        let mut expected = vec![card(0), newer, card(3), card(9)];
        expected.sort_unstable_by_key(|card| card.tag);
        assert_eq!(cards, expected);
    }

    #[test]
    fn a_record_and_a_source_with_the_same_key_have_two_tags() {
        let key = Key::derive("{}");
        assert_ne!(Tag::new(&EntrySubject::Record(key)), Tag::new(&EntrySubject::Source(key)));
        assert!(
            Tag::new(&EntrySubject::Record(key)).is_record()
                && !Tag::new(&EntrySubject::Source(key)).is_record()
        );
    }
}

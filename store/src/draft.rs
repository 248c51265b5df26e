//! An index that is being made: the cards of the old one, brought up to the journal's end.
//!
//! The bodies of new records are read for it, as headers do not tell op and seconds. Knows nothing of when an index pays.

use std::{ops::ControlFlow, path::Path};

use crate::{
    StoreError,
    brief::Brief,
    card::{Card, Tag, shelf_bits, update},
    entry::Kind,
    id::IdMap,
    imprint::{Extent, Imprint},
    index::{Fault, Index},
    journal::{self, Journal},
    place::{Place, Slot},
    scan::{read_bodies, scan},
};

/// What sled's files take at most while they are written: its log has some cards twice.
const ROOM_PER_CARD: u64 = 96;
/// A card has one byte for its op.
const OPS: usize = 256;

/// Holds the cards of a journal up to a place.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    cards: Vec<Card>,
    ops: Vec<String>,
    /// The end of what is taken in, and where the last entry in it begins.
    applied: Option<u64>,
    last: u64,
    dropped: u64,
}

impl Draft {
    /// Begins with all cards of an index.
    pub(crate) fn going_on(old: Imprint, cards: Vec<Card>) -> Self {
        let Imprint { ops, applied, dropped, .. } = old;
        Self { cards, ops, applied: Some(applied), last: 0, dropped }
    }

    /// Takes in what follows, up to `end`; returns whether there is anything to publish. A record that is damaged gets no
    /// card. A journal with damage between entries gets no index: the next writer is to meet the damage, and does so in a
    /// walk.
    pub(crate) fn take_in(&mut self, journal: &Journal, end: u64) -> Result<bool, Fault> {
        let mut places: IdMap<Slot, Option<Place>> = IdMap::default();
        let mut last = None;
        let from = self.applied.unwrap_or(journal::START);
        let scanned = scan(journal, from..end, &mut |offset, header| {
            let (slot, place) = Place::of(offset, header);
            self.dropped += u64::from(header.kind == Kind::Dropped);
            last = Some(offset);
            places.insert(slot, place);
        })?;
        let Some(last) = last.filter(|_| scanned.damaged == 0) else { return Ok(false) };
        (self.applied, self.last) = (Some(scanned.end), last);
        let changes = self.changes(journal, places)?;
        update(&mut self.cards, changes);
        if self.ops.len() > OPS { Err(Fault("there are too many ops for it".into())) } else { Ok(true) }
    }

    /// How many bytes sled may take to write it.
    pub(crate) fn room(&self) -> u64 {
        self.cards.len() as u64 * ROOM_PER_CARD
    }

    /// Lets sled write it in the new folder `built`, and publishes what that has written.
    pub(crate) fn publish(self, root: &Path, journal: &Journal, built: &Path) -> Result<(), Fault> {
        let shelf_bits = shelf_bits(self.cards.len());
        let index = Index::open(built)?;
        index.fill(&self.cards, shelf_bits)?;
        index.close()?;
        // When it opens a database that has grown, sled reads all of it and writes a summary. Done here, that is not done
        // each time a copy is opened.
        Index::open(built)?.close()?;
        let (cards, applied) = (self.cards.len() as u64, self.applied.unwrap_or(journal::START));
        let Self { last, dropped, ops, .. } = self;
        Imprint::publish(root, journal, Extent { applied, last, dropped, cards, shelf_bits, ops }, built)
    }

    /// Says what became of slots: the card of each, or none.
    fn changes(
        &mut self,
        journal: &Journal,
        places: IdMap<Slot, Option<Place>>,
    ) -> Result<IdMap<Tag, Option<Card>>, StoreError> {
        let mut changes: IdMap<Tag, Option<Card>> = places.keys().map(|slot| (Tag::of(slot), None)).collect();
        let live = places.into_iter().filter_map(|(slot, place)| Some((slot, place?)));
        let mut live: Vec<(Slot, Place)> = live.collect();
        live.sort_unstable_by_key(|(_, place)| place.offset);
        let entries =
            live.into_iter().map(|(slot, place)| ((slot, place.offset), place.offset, place.body_bytes));
        read_bodies(journal, entries, &mut |(slot, offset), found| {
            let Some((header, body)) = found else { return Ok(ControlFlow::Continue(())) };
            let told = match slot {
                Slot::Record(_) => Brief::decode(body).map(|brief| (self.op(&brief.op()), brief.seconds())),
                Slot::Source(_) => Some((0, 0.0)),
            };
            if let Some((op, seconds)) = told {
                let (tag, body_bytes) = (Tag::of(&slot), header.body_bytes);
                changes.insert(tag, Some(Card { tag, offset, body_bytes, seconds, op }));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(changes)
    }

    /// Gives the place of an op's name in the list, where it is added if need be.
    fn op(&mut self, name: &str) -> u8 {
        let place = self.ops.iter().position(|op| op == name).unwrap_or_else(|| {
            self.ops.push(name.to_owned());
            self.ops.len() - 1
        });
        // With too many names there is no index.
        place as u8
    }
}

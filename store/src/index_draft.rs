//! A draft of a new index: the cards of the old index, extended to the end of the journal.
//!
//! Reads the bodies of new records, because headers hold neither op nor seconds. Does not know when a new index pays.

use std::{
    ops::{ControlFlow, Range},
    path::Path,
};

use crate::{
    StoreError,
    entry::EntryKind,
    id::IdMap,
    index::{Index, IndexFault},
    index_card::{Card, Tag, shelf_bits, update},
    journal::{self, Journal},
    location::{EntrySubject, Location},
    manifest::{IndexExtent, IndexManifest},
    scan::{read_bodies, scan},
    summary::RecordSummary,
};

/// The greatest length of sled's files while they are written, in bytes per card: sled's log holds some cards twice.
const ROOM_PER_CARD: u64 = 96;
/// The length of the stretch of the journal that is read at once, in bytes: longer than any entry, and short enough to
/// hold the stretch's locations and cards in memory, which take some 340 bytes per record.
const STRETCH: u64 = if cfg!(test) { 16 << 10 } else { 512 << 20 };
/// The number of op names that get their own number: a card has one byte for its op. An imported archive may bring more
/// names; records of ops beyond the first 255 count as [`OTHER`].
const OPS: usize = 255;
const OTHER: &str = "other ops";

/// Holds the cards of a journal up to an offset.
#[derive(Debug, Default)]
pub(crate) struct IndexDraft {
    cards: Vec<Card>,
    ops: Vec<String>,
    /// The end of the part of the journal that the cards cover; `None` before the first entry.
    applied: Option<u64>,
    /// The offset of the last entry in that part.
    last: u64,
    /// The number of dropped records in that part.
    dropped: u64,
}

impl IndexDraft {
    /// Starts from all cards of an index.
    pub(crate) fn going_on(old: IndexManifest, cards: Vec<Card>) -> Self {
        let IndexManifest { ops, applied, dropped, .. } = old;
        Self { cards, ops, applied: Some(applied), last: 0, dropped }
    }

    /// Adds the journal's entries up to `end`. A damaged record gets no card. Returns false if there is nothing to
    /// publish: either there is no new entry, or damage lies between entries, which an index would hide from the next
    /// writer.
    pub(crate) fn take_in(&mut self, journal: &Journal, end: u64) -> Result<bool, IndexFault> {
        let mut from = self.applied.unwrap_or(journal::START);
        if from >= end {
            return Ok(false);
        }
        while from < end {
            let to = end.min(from + STRETCH);
            if !self.take_in_stretch(journal, from..to)? {
                return Ok(false);
            }
            from = self.applied.unwrap_or(end);
        }
        Ok(true)
    }

    fn take_in_stretch(&mut self, journal: &Journal, stretch: Range<u64>) -> Result<bool, StoreError> {
        let mut places: IdMap<EntrySubject, Option<Location>> = IdMap::default();
        let mut last = None;
        let scanned = scan(journal, stretch, &mut |offset, header| {
            let (subject, place) = Location::from_header(offset, header);
            self.dropped += u64::from(header.kind == EntryKind::Dropped);
            last = Some(offset);
            places.insert(subject, place);
        })?;
        let Some(last) = last.filter(|_| scanned.damaged == 0) else { return Ok(false) };
        (self.applied, self.last) = (Some(scanned.end), last);
        let changes = self.changes(journal, places)?;
        update(&mut self.cards, changes);
        Ok(true)
    }

    /// Returns the greatest length of sled's files for these cards, in bytes.
    pub(crate) fn room(&self) -> u64 {
        self.cards.len() as u64 * ROOM_PER_CARD
    }

    /// Writes the cards with sled in the new folder `built`, and publishes the files.
    pub(crate) fn publish(self, root: &Path, journal: &Journal, built: &Path) -> Result<(), IndexFault> {
        let shelf_bits = shelf_bits(self.cards.len());
        let index = Index::open(built)?;
        index.fill(&self.cards, shelf_bits)?;
        index.close()?;
        // When sled opens a database that has grown, it reads all of it and writes a summary. Opening the database once
        // here spares every copy that work. It also detects lost cards: if the folder was removed meanwhile, sled opens
        // an empty database.
        let index = Index::open(built)?;
        if index.cards()?.len() != self.cards.len() {
            return Err(IndexFault("cards were lost while it was written".into()));
        }
        index.close()?;
        let (cards, applied) = (self.cards.len() as u64, self.applied.unwrap_or(journal::START));
        let Self { last, dropped, ops, .. } = self;
        IndexManifest::publish(
            root,
            journal,
            IndexExtent { applied, last, dropped, cards, shelf_bits, ops },
            built,
        )
    }

    /// Makes the card of each slot. A slot maps to `None` if its record was dropped or its entry is damaged.
    fn changes(
        &mut self,
        journal: &Journal,
        places: IdMap<EntrySubject, Option<Location>>,
    ) -> Result<IdMap<Tag, Option<Card>>, StoreError> {
        let mut changes: IdMap<Tag, Option<Card>> =
            places.keys().map(|subject| (Tag::new(subject), None)).collect();
        let live = places.into_iter().filter_map(|(subject, place)| Some((subject, place?)));
        let mut live: Vec<(EntrySubject, Location)> = live.collect();
        live.sort_unstable_by_key(|(_, place)| place.offset);
        let entries = live
            .into_iter()
            .map(|(subject, place)| ((subject, place.offset), place.offset, place.body_bytes));
        read_bodies(journal, entries, &mut |(subject, offset), found| {
            let Some((header, body)) = found else { return Ok(ControlFlow::Continue(())) };
            let told = match subject {
                EntrySubject::Record(_) => {
                    RecordSummary::decode(body).map(|brief| (self.op(&brief.op()), brief.seconds()))
                }
                EntrySubject::Source(_) => Some((0, 0.0)),
            };
            if let Some((op, seconds)) = told {
                let (tag, body_bytes) = (Tag::new(&subject), header.body_bytes);
                changes.insert(tag, Some(Card { tag, offset, body_bytes, seconds, op }));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(changes)
    }

    /// Returns the position of an op's name in the list, and adds a new name.
    fn op(&mut self, name: &str) -> u8 {
        let is_full = self.ops.len() >= OPS && !self.ops.iter().any(|op| op == name);
        let name = if is_full { OTHER } else { name };
        let place = self.ops.iter().position(|op| op == name).unwrap_or_else(|| {
            self.ops.push(name.to_owned());
            self.ops.len() - 1
        });
        place as u8
    }
}

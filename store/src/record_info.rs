//! Descriptions of records, for `store info`, for collections and for `why`.
//!
//! Does not know which records are wanted.

use std::{collections::BTreeMap, ops::ControlFlow};

use crate::{
    Digest, Key, Record, Store, StoreError,
    catalog::{Contents, Located},
    entry::HEADER_BYTES,
    index_card::Tag,
    location::{EntrySubject, Location},
    scan::read_bodies,
    summary::RecordSummary,
};

/// Describes one record.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordInfo {
    /// The record's key.
    pub key: Key,
    /// The name of the record's op.
    pub op: String,
    /// The length of the entry in bytes.
    pub bytes: u64,
    /// The seconds that computing the record took.
    pub seconds: f64,
    /// The objects that the record keeps. Other records may keep them too.
    pub objects: Vec<Digest>,
}

impl Store {
    /// Describes all live records, in the order of the journal. Reads all bodies. Leaves out damaged records.
    pub fn contents(&self) -> Result<Vec<RecordInfo>, StoreError> {
        let places = self.catalog().all()?.places.into_iter();
        let keys: Vec<Key> = places
            .filter_map(|(subject, _)| if let EntrySubject::Record(key) = subject { Some(key) } else { None })
            .collect();
        Ok(self.items(&keys)?.into_iter().flatten().collect())
    }

    /// Describes the records of these keys; `None` for a missing or damaged record.
    pub fn items(&self, keys: &[Key]) -> Result<Vec<Option<RecordInfo>>, StoreError> {
        let mut items = vec![None; keys.len()];
        self.each_body(keys, |at, body| {
            items[at] = body.and_then(|body| RecordInfo::decode(keys[at], body));
            if items[at].is_none() {
                // A second read adds a warning that names the damage.
                self.record(&keys[at])?;
            }
            Ok(())
        })?;
        Ok(items)
    }

    /// Calls `each` with the preimage of every live record of an op, in the order of the journal, until `each` breaks.
    /// Leaves out damaged records.
    pub fn each_preimage(
        &self,
        op: &str,
        each: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let Located { journal, places: Contents { mut cards, ops, places, .. } } =
            self.catalog().contents()?;
        let Some(journal) = journal else { return Ok(()) };
        cards.retain(|card| ops.get(usize::from(card.op)).is_some_and(|name| name == op));
        cards.sort_unstable_by_key(|card| card.offset);
        let known = cards.iter().map(|card| ((card.tag, card.offset, true), card.offset, card.body_bytes));
        let newer = places.iter().map(|(subject, place)| {
            ((Tag::new(subject), place.offset, false), place.offset, place.body_bytes)
        });
        // This test is cheaper than parsing every preimage for its op, and few preimages of other ops mention this one.
        let mention = format!("\"op\":\"{op}\"");
        read_bodies(&journal, known.chain(newer), &mut |(tag, offset, is_of_op), found| {
            let found = found.filter(|(header, _)| Tag::new(&Location::from_header(offset, header).0) == tag);
            let is_wanted = |brief: &RecordSummary<'_>| {
                is_of_op || (brief.preimage.contains(&mention) && brief.op() == op)
            };
            let brief = found.and_then(|(_, body)| RecordSummary::decode(body)).filter(is_wanted);
            Ok(brief.map_or(ControlFlow::Continue(()), |brief| each(&brief.preimage)))
        })
    }

    /// Returns the length of every object in bytes.
    pub fn object_bytes(&self) -> Result<BTreeMap<Digest, u64>, StoreError> {
        Ok(self.objects.list()?.into_iter().collect())
    }
}

impl RecordInfo {
    fn decode(key: Key, body: &[u8]) -> Option<Self> {
        let brief = RecordSummary::decode(body)?;
        let parts = if brief.kept { Record::decode(body)?.parts } else { BTreeMap::new() };
        Some(Self {
            key,
            op: brief.op().into_owned(),
            bytes: (HEADER_BYTES + body.len()) as u64,
            seconds: f64::from(brief.seconds()),
            objects: parts.into_values().collect(),
        })
    }
}

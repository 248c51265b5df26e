//! The totals of a store: how many records, objects and runs it has, and how many bytes they take.
//!
//! Does not check the content; [`Store::verify`] does.

use std::{collections::BTreeMap, fs};

use serde::Serialize;

use crate::{
    Key, Store, StoreError,
    catalog::{Contents, Located},
    entry::HEADER_BYTES,
    format::FORMAT,
    location::EntrySubject,
    object::names,
};

/// Describes a store.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Info {
    /// The format number of the journal.
    pub format: u32,
    /// The journal's generation; 0 if the store has no journal.
    pub generation: u64,
    /// The number of live records.
    pub records: u64,
    /// The number of records dropped since this generation of the journal was started.
    pub dropped: u64,
    /// The live records by the name of their op.
    pub ops: BTreeMap<String, OpInfo>,
    /// The length of the journal in bytes.
    pub journal_bytes: u64,
    /// The number of objects.
    pub objects: u64,
    /// The total length of the objects in bytes.
    pub object_bytes: u64,
    /// The number of run logs.
    pub runs: u64,
    /// The number of checkpoints.
    pub partial: u64,
    /// The total length of the checkpoints in bytes.
    pub partial_bytes: u64,
}

/// Describes the records of one op.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct OpInfo {
    /// The number of records.
    pub records: u64,
    /// The number of bytes that they take in the journal.
    pub bytes: u64,
    /// The seconds that computing the records took.
    pub seconds: f64,
}

impl OpInfo {
    pub(crate) fn add(&mut self, bytes: u64, seconds: f64) {
        self.records += 1;
        self.bytes += bytes;
        self.seconds += seconds;
    }
}

/// Sums up records. Time is summed in whole nanoseconds: sums of integers do not depend on the order, and so not on the
/// set of records that have cards.
#[derive(Default)]
struct OpTotals {
    records: u64,
    bytes: u64,
    nanoseconds: u64,
}

impl OpTotals {
    fn add(&mut self, bytes: u64, seconds: f64) {
        self.records += 1;
        self.bytes += bytes;
        // Records of an imported archive may hold any number.
        self.nanoseconds = self.nanoseconds.saturating_add((seconds * 1e9) as u64);
    }
}

impl From<OpTotals> for OpInfo {
    fn from(OpTotals { records, bytes, nanoseconds }: OpTotals) -> Self {
        Self { records, bytes, seconds: nanoseconds as f64 / 1e9 }
    }
}

impl Store {
    /// Counts records, objects, runs and checkpoints. Reads the bodies of those records only that the index does not
    /// cover, and of objects the lengths only.
    pub fn info(&self) -> Result<Info, StoreError> {
        let mut info = Info { format: FORMAT, ..Info::default() };
        let Located { journal, places: Contents { cards, ops, places, dropped } } =
            self.catalog().contents()?;
        if let Some(journal) = journal {
            (info.format, info.generation) = (journal.seal.format, journal.seal.generation);
            info.journal_bytes = journal.bytes()?.unwrap_or(0);
            info.dropped = dropped;
        }
        let mut ops: Vec<(String, OpTotals)> = ops.into_iter().map(|op| (op, OpTotals::default())).collect();
        for card in cards {
            if let Some((_, tally)) = ops.get_mut(usize::from(card.op)) {
                tally.add(HEADER_BYTES as u64 + u64::from(card.body_bytes), f64::from(card.seconds));
            }
        }
        let mut tallies: BTreeMap<String, OpTotals> = ops.into_iter().collect();
        let is_record = |(subject, _)| if let EntrySubject::Record(key) = subject { Some(key) } else { None };
        let keys: Vec<Key> = places.into_iter().filter_map(is_record).collect();
        for item in self.items(&keys)?.into_iter().flatten() {
            tallies.entry(item.op).or_default().add(item.bytes, item.seconds);
        }
        tallies.retain(|_, tally| tally.records > 0);
        info.records = tallies.values().map(|tally| tally.records).sum();
        info.ops = tallies.into_iter().map(|(op, tally)| (op, tally.into())).collect();
        for (_, bytes) in self.objects.list()? {
            info.objects += 1;
            info.object_bytes += bytes;
        }
        info.runs = self.runs()?.len() as u64;
        let partial = self.root().join("partial");
        for name in names(&partial)? {
            info.partial += 1;
            info.partial_bytes += fs::metadata(partial.join(name)).map_or(0, |meta| meta.len());
        }
        Ok(info)
    }
}

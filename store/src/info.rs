//! What a store holds and what takes its space.
//!
//! Knows nothing of whether it is right: that is what verifying is for.

use std::{collections::BTreeMap, fs};

use serde::Serialize;

use crate::{
    Store, StoreError,
    entry::{Header, Kind},
    format::FORMAT,
    journal,
    object::names,
    scan::scan,
};

/// Describes a store.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Info {
    /// The number of the format its journal is in.
    pub format: u32,
    /// The journal's generation; 0 where there is none.
    pub generation: u64,
    /// How many records count.
    pub records: u64,
    /// How many records have been dropped since the journal was begun.
    pub dropped: u64,
    /// The records by the name of their op.
    pub ops: BTreeMap<String, OpInfo>,
    /// The journal's length.
    pub journal_bytes: u64,
    /// How many objects there are.
    pub objects: u64,
    /// How many bytes they take.
    pub object_bytes: u64,
    /// How many runs have a journal.
    pub runs: u64,
    /// How many computations have a checkpoint.
    pub partial: u64,
    /// How many bytes the checkpoints take.
    pub partial_bytes: u64,
}

/// Describes the records of one op.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct OpInfo {
    /// How many there are.
    pub records: u64,
    /// How many bytes of the journal they take.
    pub bytes: u64,
    /// What computing them took.
    pub seconds: f64,
}

impl OpInfo {
    pub(crate) fn add(&mut self, bytes: u64, seconds: f64) {
        self.records += 1;
        self.bytes += bytes;
        self.seconds += seconds;
    }
}

impl Store {
    /// Counts what the store holds; reads every record, and of objects only their lengths.
    pub fn info(&self) -> Result<Info, StoreError> {
        let mut info = Info { format: FORMAT, ..Info::default() };
        if let Some((journal, end)) = self.catalog().journal()? {
            (info.format, info.generation) = (journal.seal.format, journal.seal.generation);
            info.journal_bytes = journal.bytes()?.unwrap_or(0);
            let mut count = |_, header: &Header| info.dropped += u64::from(header.kind == Kind::Dropped);
            scan(&journal, journal::START..end, &mut count)?;
        }
        for item in self.contents()? {
            info.records += 1;
            info.ops.entry(item.op).or_default().add(item.bytes, item.seconds);
        }
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

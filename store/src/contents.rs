//! What each record is and takes: what people are told, and what a collection goes by.
//!
//! Knows nothing of what is worth keeping.

use std::collections::BTreeMap;

use crate::{Digest, Key, Store, StoreError, place::Slot};

/// Describes one record.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Its key.
    pub key: Key,
    /// The name of its op.
    pub op: String,
    /// Its length in the journal.
    pub bytes: u64,
    /// What computing it took.
    pub seconds: f64,
    /// The objects that it keeps, which other records may keep too.
    pub objects: Vec<Digest>,
}

impl Store {
    /// Describes every record, in the order they were written; reads them all. Damaged ones are passed over.
    pub fn contents(&self) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::new();
        for (slot, place) in self.catalog().all()?.places {
            let Slot::Record(key) = slot else { continue };
            let Some(record) = self.record(&key)? else { continue };
            items.push(Item {
                key,
                op: record.op().unwrap_or_else(|| "unknown".into()),
                bytes: place.entry_bytes(),
                seconds: record.seconds,
                objects: record.parts.into_values().filter(|_| record.kept).collect(),
            });
        }
        Ok(items)
    }

    /// Gives the length of every object.
    pub fn object_bytes(&self) -> Result<BTreeMap<Digest, u64>, StoreError> {
        Ok(self.objects.list()?.into_iter().collect())
    }
}

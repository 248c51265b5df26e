//! A store of results: what was computed, under the key of what made it.
//!
//! One writer, any number of readers, no server. Records are entries of an append-only journal, checksummed one by
//! one; large contents are objects under their digest; an index that may be lost at any time makes large stores fast
//! to open. What is damaged is a miss with a warning, never a wrong answer. The store knows nothing of experiments,
//! tasks or ops: it keeps [`Record`]s under [`Key`]s.
//!
//! ```text
//! STORE      format number, id                  objects/ab/cdef…  contents
//! lock       who writes, for people             index/            sled's files, and their manifest; can be deleted at any time
//! journal/   N.fbj, one file per generation     runs/             one file of lines per run
//! partial/   checkpoints, one per key           aside/            what was damaged
//! tmp/       files that are not whole yet
//! ```
//!
//! ```
//! use std::sync::Arc;
//! use fewbits_store::{Commit, Committer, Key, Record, Store};
//!
//! # let dir = tempfile::tempdir()?;
//! # let root = dir.path();
//! let store = Arc::new(Store::open_writer(root)?);
//! let preimage = r#"{"inputs":{},"op":"dataset","params":{},"version":1}"#.to_owned();
//! let key = Key::derive(&preimage);
//! let record = Record { preimage, seconds: 0.5, ..Record::default() };
//!
//! let committer = Committer::start(store.clone(), |tickets, result| assert!(result.is_ok(), "{tickets:?}"))?;
//! committer.submit(Commit { ticket: 1, key, record: record.clone(), objects: vec![] });
//! committer.finish();
//!
//! assert!(store.lookup(&[key])?[0].is_some());
//! assert_eq!(Store::open_reader(root)?.record(&key)?, Some(record));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod append;
mod archive;
mod catalog;
mod checkpoint;
mod collect;
mod commit;
mod durable;
mod entry;
mod error;
mod format;
mod id;
mod index;
mod index_access;
mod index_card;
mod index_draft;
mod info;
mod journal;
mod location;
mod lock;
mod manifest;
mod object;
mod private;
mod record;
mod record_info;
mod run;
mod scan;
mod source;
mod store;
mod summary;
mod verify;

#[cfg(test)]
mod tests;

pub use self::{
    archive::{Exported, Imported},
    collect::{Collectable, Retained},
    commit::{Commit, Committer},
    error::{Holder, StoreError},
    id::{Digest, IdError, IdHasher, Key, KeyMap},
    info::{Info, OpInfo},
    record::{Figures, Record, Series},
    record_info::RecordInfo,
    run::{RunReader, RunWriter},
    source::{SourceState, Stat},
    store::{Hit, Store},
    verify::Verification,
};

//! A store of results: records under the keys of the computations that made them.
//!
//! A store has one writer, any number of readers, and no server. Records are entries of an append-only journal, each
//! with its own checksum. Large contents are objects, named by their digest. An index, which may be lost at any time,
//! speeds up lookups in long journals. Damage is a cache miss with a warning, never a wrong answer. The store knows
//! nothing of experiments, tasks or ops: it keeps [`Record`]s under [`Key`]s.
//!
//! ```text
//! STORE      format number, id                  objects/ab/cdef…  contents
//! lock       the writer's lock and process id   index/            sled's files, their manifest; may be deleted
//! journal/   N.fbj, one file per generation     runs/             one log per run, and pins
//! partial/   checkpoints, one per key           aside/            damaged files that were replaced
//! tmp/       unfinished files
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
pub mod exchange;
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
    exchange::{Claim, Exchange, MailReader, MailWriter},
    id::{Digest, IdError, IdHasher, Key, KeyMap},
    info::{Info, OpInfo},
    record::{Record, RecordValues, Series},
    record_info::RecordInfo,
    run::{RunReader, RunWriter},
    source::{SourceMemory, SourceState, Stat},
    store::{Hit, Store},
    verify::Verification,
};

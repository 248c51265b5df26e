//! Digests of source files, remembered by the state that each file had when it was read.
//!
//! Knows nothing of the content of the files, nor of their readers.

use std::{
    collections::HashMap,
    fs::{self, Metadata},
    io,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use crate::{
    Digest, Key, Store, StoreError, append::NewEntry, durable, entry::EntryKind, error::IoContext as _,
    location::EntrySubject,
};

const CONTEXT: &str = "fewbits source path v1";
/// The age below which a change may be followed by another with the same time, in nanoseconds: file times are coarse.
const SETTLING_NS: i64 = 2_000_000_000;
const NS: i64 = 1_000_000_000;

/// Describes the knowledge of a source file's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// The file has not changed since its content had this digest.
    Known(Digest),
    /// The digest is not known; the caller must read the file.
    Unknown,
    /// The file does not exist. Holds its last known digest, if there is one.
    Gone(Option<Digest>),
}

/// Describes the state of a file without its content: a later change of the file changes one of the fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stat {
    size: u64,
    mtime_ns: i64,
    ctime_ns: i64,
    inode: u64,
    /// The time at which the state was read.
    taken_ns: i64,
}

/// The body of a source's entry. The path is for people: the key is derived from the path's own bytes, which may be no
/// UTF-8.
#[derive(Serialize, Deserialize)]
struct Memo {
    path: String,
    stat: Stat,
}

impl Stat {
    /// Reads the current state of a file. Follows links.
    pub fn read_metadata(path: &Path) -> io::Result<Self> {
        Ok(Self::from_meta(&fs::metadata(path)?, now_ns()))
    }

    fn from_meta(meta: &Metadata, taken_ns: i64) -> Self {
        let ns = |seconds: i64, rest: i64| seconds.saturating_mul(NS).saturating_add(rest);
        let mtime_ns = ns(meta.mtime(), meta.mtime_nsec());
        let ctime_ns = ns(meta.ctime(), meta.ctime_nsec());
        Self { size: meta.len(), mtime_ns, ctime_ns, inode: meta.ino(), taken_ns }
    }

    fn same_file(&self, other: &Self) -> bool {
        Self { taken_ns: 0, ..*self } == Self { taken_ns: 0, ..*other }
    }

    /// Whether the times were old enough when they were read that any later change gives the file other times.
    fn settled(&self) -> bool {
        self.taken_ns.saturating_sub(self.mtime_ns.max(self.ctime_ns)) >= SETTLING_NS
    }
}

/// Remembers digests of source files in memory, for a process that has no store.
#[derive(Debug, Default)]
pub struct SourceMemory(Mutex<HashMap<PathBuf, (Stat, Digest)>>);

impl SourceMemory {
    /// Returns the digest of a source file if it is known without reading the file.
    pub fn source_digest(&self, path: &Path) -> Result<SourceState, StoreError> {
        let memo = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(path).copied();
        state_of(path, memo)
    }

    /// Remembers the digest of a source file. `stat_before` is the file's state before it was read.
    pub fn remember_source(&self, path: &Path, stat_before: Stat, digest: Digest) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), (stat_before, digest));
    }
}

/// Compares a file with what was remembered of it.
fn state_of(path: &Path, memo: Option<(Stat, Digest)>) -> Result<SourceState, StoreError> {
    Ok(match durable::present(Stat::read_metadata(path)).at("look at", path)? {
        None => SourceState::Gone(memo.map(|(_, digest)| digest)),
        Some(now) => match memo {
            Some((then, digest)) if then.settled() && then.same_file(&now) => SourceState::Known(digest),
            _ => SourceState::Unknown,
        },
    })
}

impl Store {
    /// Returns the digest of a source file if it is known without reading the file. The path is used as given, so
    /// callers should pass an absolute one.
    pub fn source_digest(&self, path: &Path) -> Result<SourceState, StoreError> {
        state_of(path, self.memo(path)?)
    }

    /// Stores the digest of a source file. `stat_before` is the file's state before it was read. Stores nothing if the
    /// state has changed since, or if this process is a reader.
    pub fn remember_source(&self, path: &Path, stat_before: Stat, digest: Digest) -> Result<(), StoreError> {
        let now = durable::present(Stat::read_metadata(path)).at("look at", path)?;
        if !self.is_writer() || now.is_none_or(|now| !now.same_file(&stat_before)) {
            return Ok(());
        }
        // A file that is always new would otherwise add an entry at every run.
        let same = |(then, known): (Stat, Digest)| {
            known == digest && then.same_file(&stat_before) && then.settled() == stat_before.settled()
        };
        if self.memo(path)?.is_some_and(same) {
            return Ok(());
        }
        let key = key_of(path);
        let memo = Memo { path: path.to_string_lossy().into_owned(), stat: stat_before };
        let body = rmp_serde::to_vec_named(&memo).map_err(|source| StoreError::Encode { key, source })?;
        // Not synced: a lost digest is computed again, and the next commit syncs the journal.
        self.append(&[NewEntry::new(EntryKind::Source, key, false, Some(digest), body)?], false)
    }

    fn memo(&self, path: &Path) -> Result<Option<(Stat, Digest)>, StoreError> {
        let Some((header, body)) = self.entry(EntrySubject::Source(key_of(path)))? else { return Ok(None) };
        let memo: Option<Memo> = rmp_serde::from_slice(&body).ok();
        Ok(memo.map(|memo| memo.stat).zip(header.part))
    }
}

fn key_of(path: &Path) -> Key {
    Key::from_bytes(blake3::derive_key(CONTEXT, path.as_os_str().as_bytes()))
}

fn now_ns() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes the state as if it had been read a minute later.
    fn settled(path: &Path) -> Stat {
        Stat { taken_ns: now_ns() + 60 * NS, ..Stat::read_metadata(path).unwrap() }
    }

    #[test]
    fn a_source_is_known_until_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("data");
        let store = Store::open_writer(&dir.path().join("store")).unwrap();
        assert_eq!(store.source_digest(&file).unwrap(), SourceState::Gone(None));
        fs::write(&file, "one").unwrap();
        assert_eq!(store.source_digest(&file).unwrap(), SourceState::Unknown);
        let one = Digest::hash(b"one");
        store.remember_source(&file, settled(&file), one).unwrap();
        assert_eq!(store.source_digest(&file).unwrap(), SourceState::Known(one));
        let reader = Store::open_reader(&dir.path().join("store")).unwrap();
        assert_eq!(reader.source_digest(&file).unwrap(), SourceState::Known(one));
        fs::write(&file, "two").unwrap();
        assert_eq!(store.source_digest(&file).unwrap(), SourceState::Unknown);
        fs::remove_file(&file).unwrap();
        assert_eq!(reader.source_digest(&file).unwrap(), SourceState::Gone(Some(one)));
    }

    #[test]
    fn a_file_changed_just_now_is_not_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("data");
        let store = Store::open_writer(&dir.path().join("store")).unwrap();
        fs::write(&file, "one").unwrap();
        let length = || fs::metadata(dir.path().join("store/journal/1.fbj")).unwrap().len();
        store.remember_source(&file, Stat::read_metadata(&file).unwrap(), Digest::hash(b"one")).unwrap();
        let once = length();
        store.remember_source(&file, Stat::read_metadata(&file).unwrap(), Digest::hash(b"one")).unwrap();
        assert_eq!(store.source_digest(&file).unwrap(), SourceState::Unknown);
        assert_eq!(length(), once);
    }

    #[test]
    fn a_file_that_changed_while_it_was_read_is_not_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("data");
        let store = Store::open_writer(&dir.path().join("store")).unwrap();
        fs::write(&file, "one").unwrap();
        let before = settled(&file);
        fs::write(&file, "longer").unwrap();
        store.remember_source(&file, before, Digest::hash(b"one")).unwrap();
        fs::remove_file(&file).unwrap();
        assert_eq!(store.source_digest(&file).unwrap(), SourceState::Gone(None));
    }
}

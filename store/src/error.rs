//! The errors of the store, and its warnings.
//!
//! Damage is a warning and a cache miss, not an error. Knows nothing of the store's content.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use crate::{Digest, Key};

/// Describes the failure of a store operation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file system reported an error: no permission, a full disk, a failing device.
    #[error("{}: cannot {what}: {cause}", path.display())]
    Io {
        /// The attempted operation, as a verb after "cannot".
        what: &'static str,
        /// The file or directory of the operation.
        path: PathBuf,
        /// The error of the system. It is no `#[source]`, because the message already contains it.
        cause: io::Error,
    },
    /// Another process holds the store's lock.
    #[error("{}: the store is in use by {holder}; let it end, wait for it with --wait, or give another store", path.display())]
    InUse {
        /// The root of the store.
        path: PathBuf,
        /// The process that holds the lock, as far as the lock file names it.
        holder: Holder,
    },
    /// Another process coordinates the workers of an exchange.
    #[error("{}: {holder} coordinates the workers here; let it end, or name another folder with --workers-in", path.display())]
    Claimed {
        /// The folder of the exchange, or a mailbox in it.
        path: PathBuf,
        /// The coordinator, as far as the lock file names it.
        holder: Holder,
    },
    /// The folder of an exchange is not the user's own, or is open to others.
    #[error("{}: this {why}; name a folder of your own with the permissions 0700 (chmod 700)", path.display())]
    NotPrivate {
        /// The folder.
        path: PathBuf,
        /// The reason, as words behind "this".
        why: &'static str,
    },
    /// A message could not be encoded.
    #[error("{}: a message cannot be encoded: {source}", path.display())]
    Message {
        /// The mailbox.
        path: PathBuf,
        /// The error of the encoder.
        #[source]
        source: rmp_serde::encode::Error,
    },
    /// A message is too long.
    #[error("{}: a message takes {bytes} bytes, more than the limit of {limit}", path.display())]
    LongMessage {
        /// The mailbox.
        path: PathBuf,
        /// The length of the encoded message.
        bytes: usize,
        /// The greatest length of a message.
        limit: u32,
    },
    /// The store was written by a newer program.
    #[error("{}: the store has format {found}, this program knows up to {supported}; update fewbits", path.display())]
    Newer {
        /// The root of the store.
        path: PathBuf,
        /// The format number of the store.
        found: u32,
        /// The newest format number this program reads.
        supported: u32,
    },
    /// A writing operation was called on a store opened for reading.
    #[error("{}: the store was opened for reading", path.display())]
    ReadOnly {
        /// The root of the store.
        path: PathBuf,
    },
    /// A record claims to keep a part that is not an object of the store.
    #[error("{key}: the record keeps part {digest}, which the store does not hold")]
    PartMissing {
        /// The record's key.
        key: Key,
        /// The digest of the missing part.
        digest: Digest,
    },
    /// A record is too large for the journal.
    #[error("{key}: the record takes {bytes} bytes, more than the {limit} the journal holds")]
    TooLarge {
        /// The record's key.
        key: Key,
        /// The length of the encoded record.
        bytes: usize,
        /// The greatest length of a record.
        limit: u32,
    },
    /// A record could not be encoded.
    #[error("{key}: the record cannot be encoded: {source}")]
    Encode {
        /// The record's key.
        key: Key,
        /// The error of the encoder.
        #[source]
        source: rmp_serde::encode::Error,
    },
}

/// Names the process that holds a store's lock, for messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    /// The process id.
    pub pid: Option<u32>,
    /// The host that the process runs on.
    pub host: Option<String>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "process {pid}")?,
            None => f.write_str("another process")?,
        }
        self.host.as_ref().map_or(Ok(()), |host| write!(f, " on {host}"))
    }
}

impl StoreError {
    /// Whether the error is a missing file.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { cause, .. } if cause.kind() == io::ErrorKind::NotFound)
    }
}

/// Adds an operation and a path to an input or output error.
pub(crate) trait IoContext<T> {
    fn at(self, what: &'static str, path: &Path) -> Result<T, StoreError>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn at(self, what: &'static str, path: &Path) -> Result<T, StoreError> {
        self.map_err(|cause| StoreError::Io { what, path: path.to_owned(), cause })
    }
}

/// Collects warnings until the caller drains them.
#[derive(Debug, Default)]
pub(crate) struct Warnings(Mutex<Vec<String>>);

impl Warnings {
    /// Adds a warning, unless the same one is waiting.
    pub(crate) fn push(&self, sentence: String) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.contains(&sentence) {
            waiting.push(sentence);
        }
    }

    pub(crate) fn drain(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

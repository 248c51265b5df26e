//! What can go wrong for good, and what only deserves a sentence.
//!
//! Damage is not an error here: what is damaged is a miss and a warning. Knows nothing of what the store holds.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use crate::{Digest, Key};

/// Reports why the store cannot do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file system refused: permission, a full disk, a failing device.
    #[error("{}: cannot {what}: {cause}", path.display())]
    Io {
        /// What was attempted, after "cannot".
        what: &'static str,
        /// The file or directory it was attempted on.
        path: PathBuf,
        /// What the system said. Not a source, which would be told a second time.
        cause: io::Error,
    },
    /// Another process holds the store for writing.
    #[error("{}: the store is in use by {holder}; let it end, wait for it with --wait, or give another store", path.display())]
    InUse {
        /// The store.
        path: PathBuf,
        /// Who holds it, as far as its lock file tells.
        holder: Holder,
    },
    /// The store was written by a newer program.
    #[error("{}: the store has format {found}, this program knows up to {supported}; update fewbits", path.display())]
    Newer {
        /// The store.
        path: PathBuf,
        /// The format number found.
        found: u32,
        /// The newest format number this program reads.
        supported: u32,
    },
    /// A store opened for reading was asked to write.
    #[error("{}: the store was opened for reading", path.display())]
    ReadOnly {
        /// The store.
        path: PathBuf,
    },
    /// A record claims to keep a part that is not among the objects.
    #[error("{key}: the record keeps part {digest}, which the store does not hold")]
    PartMissing {
        /// The record's key.
        key: Key,
        /// The part that is not there.
        digest: Digest,
    },
    /// A record is too large for the journal.
    #[error("{key}: the record takes {bytes} bytes, more than the {limit} the journal holds")]
    TooLarge {
        /// The record's key.
        key: Key,
        /// The length of the encoded record.
        bytes: usize,
        /// The greatest length.
        limit: u32,
    },
    /// A record could not be written down.
    #[error("{key}: the record cannot be encoded: {source}")]
    Encode {
        /// The record's key.
        key: Key,
        /// What the encoder said.
        #[source]
        source: rmp_serde::encode::Error,
    },
}

/// Names the process that holds a store, for people only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    /// Its process id.
    pub pid: Option<u32>,
    /// The host it runs on.
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
    /// Whether a file is not there.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { cause, .. } if cause.kind() == io::ErrorKind::NotFound)
    }
}

/// Says where and at what an input or output error happened.
pub(crate) trait IoContext<T> {
    fn at(self, what: &'static str, path: &Path) -> Result<T, StoreError>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn at(self, what: &'static str, path: &Path) -> Result<T, StoreError> {
        self.map_err(|cause| StoreError::Io { what, path: path.to_owned(), cause })
    }
}

/// Collects sentences for people until somebody asks for them.
#[derive(Debug, Default)]
pub(crate) struct Warnings(Mutex<Vec<String>>);

impl Warnings {
    /// Adds a sentence, unless it is waiting already.
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

//! The files that jobs read and write: stored results, source files and checkpoints.
//! A trait, because a job in the process of the run uses the store, and a job on another machine the exchange. Knows no job.

use std::path::Path;

use fewbits_store::{Digest, Key, Record, SourceState, Stat, Store, StoreError};

/// The results, digests of source files and checkpoints that a job has access to.
pub trait JobStore: Send + Sync {
    /// Returns the record of a key; `None` if there is none.
    fn record(&self, key: &Key) -> Result<Option<Record>, StoreError>;

    /// Returns the content with a digest; `None` if it is missing or damaged.
    fn object(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError>;

    /// Returns the digest of a source file, if it is known without reading the file.
    fn source_digest(&self, path: &Path) -> Result<SourceState, StoreError>;

    /// Remembers the digest of a source file whose state was `before` when it was read.
    fn remember_source(&self, path: &Path, before: Stat, digest: Digest) -> Result<(), StoreError>;

    /// Returns the checkpoint of a key; `None` if there is none.
    fn checkpoint(&self, key: &Key) -> Option<Vec<u8>>;

    /// Replaces the checkpoint of a key.
    fn save_checkpoint(&self, key: &Key, bytes: &[u8]) -> Result<(), StoreError>;
}

impl JobStore for Store {
    fn record(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        self.record(key)
    }

    fn object(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        self.object(digest)
    }

    fn source_digest(&self, path: &Path) -> Result<SourceState, StoreError> {
        self.source_digest(path)
    }

    fn remember_source(&self, path: &Path, before: Stat, digest: Digest) -> Result<(), StoreError> {
        self.remember_source(path, before, digest)
    }

    fn checkpoint(&self, key: &Key) -> Option<Vec<u8>> {
        self.checkpoint(key)
    }

    fn save_checkpoint(&self, key: &Key, bytes: &[u8]) -> Result<(), StoreError> {
        self.save_checkpoint(key, bytes)
    }
}

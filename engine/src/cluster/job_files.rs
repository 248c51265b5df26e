//! The files of a job on a worker: objects and checkpoints of the exchange, records that the order names.
//! Knows no journal and no index.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use fewbits_store::{Digest, Exchange, Key, Record, SourceMemory, SourceState, Stat, StoreError};

use super::message::{SourceOrder, SourceWay};
use crate::job_store::JobStore;

/// The files of one job.
pub(super) struct JobFiles {
    exchange: Arc<Exchange>,
    sources: Arc<SourceMemory>,
    /// The inputs whose records the job may read.
    inputs: HashMap<Key, SourceOrder>,
}

impl JobFiles {
    pub(super) fn new(exchange: Arc<Exchange>, sources: Arc<SourceMemory>, inputs: &[SourceOrder]) -> Self {
        let mut known = HashMap::new();
        for input in inputs {
            input.walk(&mut |source| {
                if !matches!(source.way, SourceWay::Made(_)) {
                    known.entry(source.key).or_insert_with(|| source.clone());
                }
            });
        }
        Self { exchange, sources, inputs: known }
    }
}

impl JobStore for JobFiles {
    fn record(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        let Some(source) = self.inputs.get(key) else { return Ok(None) };
        Ok(match &source.way {
            SourceWay::Kept(record) => self.exchange.object(record)?.and_then(|bytes| Record::decode(&bytes)),
            SourceWay::InRecord(metrics) => {
                Some(Record { metrics: metrics.clone(), parts: source.parts.clone(), ..Record::default() })
            }
            SourceWay::Made(_) => None,
        })
    }

    fn object(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        self.exchange.object(digest)
    }

    fn source_digest(&self, path: &Path) -> Result<SourceState, StoreError> {
        self.sources.source_digest(path)
    }

    fn remember_source(&self, path: &Path, before: Stat, digest: Digest) -> Result<(), StoreError> {
        self.sources.remember_source(path, before, digest);
        Ok(())
    }

    fn checkpoint(&self, key: &Key) -> Option<Vec<u8>> {
        self.exchange.checkpoint(key)
    }

    fn save_checkpoint(&self, key: &Key, bytes: &[u8]) -> Result<(), StoreError> {
        self.exchange.save_checkpoint(key, bytes)
    }
}

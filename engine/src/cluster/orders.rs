//! The writer of job orders: puts what a worker needs for a job into the exchange, and names it in the order.
//! Knows no worker.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use fewbits_store::{Digest, Exchange, Key, Record, Store, StoreError};

use super::message::{JobOrder, SourceOrder, SourceWay};
use crate::graph::{TaskGraph, TaskId};
use crate::ops::Ops;
use crate::run::job::{ArtifactPath, ArtifactSource, Job};

/// Writes the orders of one coordinator.
pub(super) struct OrderWriter {
    exchange: Arc<Exchange>,
    store: Arc<Store>,
    /// The objects that are known to be in the exchange.
    published: HashSet<Digest>,
    /// The ways to artifacts whose records are in the exchange, or whose metrics are known.
    ways: HashMap<Key, SourceWay>,
}

/// The reason that an order cannot be written.
pub(super) enum NoOrder {
    /// The artifact of this task and key is in neither the store nor the exchange.
    Lost(TaskId, Key),
    /// The exchange or the store cannot be read or written.
    Store(StoreError),
}

impl From<StoreError> for NoOrder {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl OrderWriter {
    pub(super) fn new(exchange: Arc<Exchange>, store: Arc<Store>) -> Self {
        Self { exchange, store, published: HashSet::new(), ways: HashMap::new() }
    }

    /// Writes the order of a job under a number.
    pub(super) fn order<O: Ops>(
        &mut self,
        graph: &TaskGraph<O>,
        job: &Job,
        number: u64,
    ) -> Result<JobOrder, NoOrder> {
        let experiment = self.publish(graph.text.as_bytes())?;
        // A run in one process may have left a checkpoint in the store.
        if let Some(checkpoint) = self.store.checkpoint(&job.key)
            && self.exchange.checkpoint(&job.key).is_none()
        {
            self.exchange.save_checkpoint(&job.key, &checkpoint)?;
        }
        let inputs = job.inputs.iter().map(|input| self.source(input)).collect::<Result<_, _>>()?;
        let (task, preimage) = (job.task.index() as u32, job.preimage.clone());
        Ok(JobOrder { number, experiment, task, preimage, keep: job.keep, inputs })
    }

    /// Notes a result that a worker put into the exchange, for the jobs that read its artifact. `is_in_record` tells whether the
    /// record may be all of the artifact.
    pub(super) fn note(&mut self, is_in_record: bool, key: Key, record: &Record) -> Result<(), StoreError> {
        if record.kept {
            let encoded = record.encode().map_err(|source| StoreError::Encode { key, source })?;
            let digest = self.publish(&encoded)?;
            self.published.extend(record.parts.values());
            self.ways.insert(key, SourceWay::Kept(digest));
        } else if is_in_record {
            self.ways.insert(key, SourceWay::InRecord(record.metrics.clone()));
        }
        Ok(())
    }

    /// Forgets what is known about an artifact that a worker did not find, so that the next order publishes it again.
    pub(super) fn forget(&mut self, job: &Job, key: &Key) {
        if let Some(SourceWay::Kept(record)) = self.ways.remove(key) {
            self.published.remove(&record);
        }
        for input in &job.inputs {
            input.walk(&mut |source| {
                if source.key == *key {
                    for (_, digest) in source.parts.iter() {
                        self.published.remove(digest);
                    }
                }
            });
        }
    }

    fn publish(&mut self, content: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::hash(content);
        if !self.published.contains(&digest) {
            self.exchange.put_object(content)?;
            self.published.insert(digest);
        }
        Ok(digest)
    }

    fn source(&mut self, source: &ArtifactSource) -> Result<SourceOrder, NoOrder> {
        let way = match &source.way {
            ArtifactPath::Made(inputs) => SourceWay::Made(
                inputs.iter().map(|input| self.source(input)).collect::<Result<_, NoOrder>>()?,
            ),
            ArtifactPath::InRecord | ArtifactPath::Kept => self.recorded(source)?,
        };
        let parts = source.parts.iter().map(|(name, digest)| (name.to_owned(), *digest)).collect();
        Ok(SourceOrder { task: source.task.index() as u32, key: source.key, parts, way })
    }

    /// Returns the way to an artifact that has a record, and publishes its parts.
    fn recorded(&mut self, source: &ArtifactSource) -> Result<SourceWay, NoOrder> {
        let lost = || NoOrder::Lost(source.task, source.key);
        let is_kept = matches!(source.way, ArtifactPath::Kept);
        if is_kept {
            for (_, digest) in source.parts.iter() {
                if !self.published.contains(digest) {
                    let content = match self.store.object(digest)? {
                        Some(content) => content,
                        None => self.exchange.object(digest)?.ok_or_else(lost)?,
                    };
                    self.publish(&content)?;
                }
            }
        }
        if let Some(way) = self.ways.get(&source.key) {
            return Ok(way.clone());
        }
        let record = self.store.record(&source.key)?.ok_or_else(lost)?;
        let way = if is_kept {
            let encoded =
                record.encode().map_err(|error| StoreError::Encode { key: source.key, source: error })?;
            SourceWay::Kept(self.publish(&encoded)?)
        } else {
            SourceWay::InRecord(record.metrics)
        };
        self.ways.insert(source.key, way.clone());
        Ok(way)
    }
}

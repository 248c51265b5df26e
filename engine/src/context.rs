//! The link of an op to its run: cancellation, progress reports and checkpoints.
//! Knows no op and no terminal.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fewbits_store::Key;

use crate::job_store::JobStore;

/// The minimum time between checkpoints.
const BETWEEN_CHECKPOINTS: Duration = Duration::from_secs(30);

/// The callback for progress: steps done, steps in all, and the metrics at this step.
pub type OnProgress = dyn Fn(u64, u64, BTreeMap<String, f64>) + Send + Sync;

/// A task's link to its run.
pub struct Context {
    cancelled: Arc<AtomicBool>,
    report: Box<OnProgress>,
    /// The place and the key of checkpoints; `None` for artifacts made again, which leave no trace.
    place: Option<(Arc<dyn JobStore>, Key)>,
    saved: Mutex<Instant>,
}

impl Context {
    /// Makes a context.
    #[must_use]
    pub fn new(
        cancelled: Arc<AtomicBool>,
        report: Box<OnProgress>,
        place: Option<(Arc<dyn JobStore>, Key)>,
    ) -> Self {
        Self { cancelled, report, place, saved: Mutex::new(Instant::now()) }
    }

    /// Makes a context outside a run: it is never cancelled and reports nothing.
    #[must_use]
    pub fn silent() -> Self {
        Self::new(Arc::default(), Box::new(|_, _, _| ()), None)
    }

    /// Returns whether the op should stop; long ops check this after every batch.
    #[must_use]
    pub fn cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Reports that `done` of `total` steps are done.
    pub fn report(&self, done: u64, total: u64, metrics: BTreeMap<String, f64>) {
        (self.report)(done, total, metrics);
    }

    /// Returns the checkpoint that an interrupted attempt at the same key saved.
    #[must_use]
    pub fn checkpoint(&self) -> Option<Vec<u8>> {
        self.place.as_ref().and_then(|(store, key)| store.checkpoint(key))
    }

    /// Returns whether enough time has passed since the last checkpoint.
    #[must_use]
    pub fn checkpoint_due(&self) -> bool {
        self.place.is_some() && self.saved.lock().is_ok_and(|saved| saved.elapsed() >= BETWEEN_CHECKPOINTS)
    }

    /// Saves a checkpoint. Errors are dropped: a missing checkpoint only costs time later.
    pub fn save_checkpoint(&self, bytes: &[u8]) {
        if let Some((store, key)) = &self.place {
            let _ = store.save_checkpoint(key, bytes);
        }
        if let Ok(mut saved) = self.saved.lock() {
            *saved = Instant::now();
        }
    }
}

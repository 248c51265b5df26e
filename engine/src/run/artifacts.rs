//! The artifacts in memory, by key; each is made by at most one thread at a time.
//! Knows neither how artifacts are made nor when they are no longer needed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use fewbits_store::Key;

type ArtifactSlot<A> = Arc<Mutex<Option<Arc<A>>>>;

/// The artifacts in memory, one slot per key.
pub struct Artifacts<A> {
    slots: Mutex<HashMap<Key, ArtifactSlot<A>>>,
}

impl<A> Artifacts<A> {
    /// Makes an empty set.
    #[must_use]
    pub fn new() -> Self {
        Self { slots: Mutex::new(HashMap::new()) }
    }

    /// Returns an artifact. If it is not in memory, `make` makes it while other callers of the same key wait.
    pub fn get_or_make<E>(&self, key: Key, make: impl FnOnce() -> Result<Arc<A>, E>) -> Result<Arc<A>, E> {
        let slot = self.slot(key);
        // A panic in `make` leaves the slot empty, which is a valid state.
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(artifact) = &*slot {
            return Ok(Arc::clone(artifact));
        }
        let artifact = make()?;
        *slot = Some(Arc::clone(&artifact));
        Ok(artifact)
    }

    /// Adds an artifact.
    pub fn insert(&self, key: Key, artifact: Arc<A>) {
        let slot = self.slot(key);
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(artifact);
    }

    /// Removes an artifact; current users keep their reference.
    pub fn remove(&self, key: &Key) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// Removes the artifacts whose keys are not wanted.
    pub fn retain(&self, is_wanted: impl Fn(&Key) -> bool) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).retain(|key, _| is_wanted(key));
    }

    fn slot(&self, key: Key) -> ArtifactSlot<A> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(key).or_default())
    }
}

impl<A> Default for Artifacts<A> {
    fn default() -> Self {
        Self::new()
    }
}

//! Checkpoints: the saved states of unfinished computations, one per key.
//!
//! Knows nothing of their content. A damaged checkpoint counts as absent.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{Key, Store, StoreError, durable};

impl Store {
    /// Reads the checkpoint of a computation. Returns `None` if it is absent, damaged or of another key.
    #[must_use]
    pub fn checkpoint(&self, key: &Key) -> Option<Vec<u8>> {
        read(self.root(), key)
    }

    /// Replaces the checkpoint of a computation.
    pub fn save_checkpoint(&self, key: &Key, bytes: &[u8]) -> Result<(), StoreError> {
        self.writer()?;
        write(self.root(), key, bytes)
    }

    /// Removes the checkpoint of a computation. Ignores errors: a checkpoint that stays is never read, because lookups
    /// find the record first.
    pub fn remove_checkpoint(&self, key: &Key) {
        if self.is_writer() {
            remove(self.root(), key);
        }
    }
}

/// Reads the checkpoint of a key below a folder.
pub(crate) fn read(root: &Path, key: &Key) -> Option<Vec<u8>> {
    let bytes = durable::read_if_present(&path(root, key)).ok()??;
    let (owner, rest) = durable::checked(&bytes)?.split_at_checked(32)?;
    (owner == key.as_bytes()).then(|| rest.to_vec())
}

/// Replaces the checkpoint of a key below a folder.
pub(crate) fn write(root: &Path, key: &Key, bytes: &[u8]) -> Result<(), StoreError> {
    let bytes = durable::with_check(&[key.as_bytes(), bytes].concat());
    durable::write(root, &path(root, key), &bytes)
}

/// Removes the checkpoint of a key below a folder, if it is there.
pub(crate) fn remove(root: &Path, key: &Key) {
    let _ = fs::remove_file(path(root, key));
}

fn path(root: &Path, key: &Key) -> PathBuf {
    root.join("partial").join(key.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_what_was_saved_last_or_absent() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_writer(dir.path()).unwrap();
        let (key, other) = (Key::derive("one"), Key::derive("two"));
        assert_eq!(store.checkpoint(&key), None);
        for text in ["epoch one", "epoch 2"] {
            store.save_checkpoint(&key, text.as_bytes()).unwrap();
            assert_eq!(store.checkpoint(&key).as_deref(), Some(text.as_bytes()));
        }
        fs::copy(path(store.root(), &key), path(store.root(), &other)).unwrap();
        assert_eq!(store.checkpoint(&other), None, "of another key");
        store.remove_checkpoint(&key);
        assert_eq!(store.checkpoint(&key), None);
    }

    #[test]
    fn a_torn_or_flipped_checkpoint_is_absent() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_writer(dir.path()).unwrap();
        let key = Key::derive("one");
        store.save_checkpoint(&key, b"state").unwrap();
        let whole = fs::read(path(store.root(), &key)).unwrap();
        for at in 0..whole.len() {
            fs::write(path(store.root(), &key), &whole[..at]).unwrap();
            assert_eq!(store.checkpoint(&key), None, "cut at {at}");
            let mut bad = whole.clone();
            bad[at] ^= 0x10;
            fs::write(path(store.root(), &key), bad).unwrap();
            assert_eq!(store.checkpoint(&key), None, "flip at {at}");
        }
    }
}

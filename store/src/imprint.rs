//! What the index was when it was last closed: whose it is, how far it goes, and the digest of its files.
//!
//! sled may lose what it did not sync, and finds little of the damage done to its files; so an index counts only while
//! its files are, byte for byte, those that were closed. Removed before sled is opened, written after it is closed
//! and its files are on the disk. Knows nothing of sled.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{Digest, StoreError, durable, entry::Seal, error::At as _, index::Fault, journal::Journal};

/// Describes a closed index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Imprint {
    /// The journal it belongs to.
    pub(crate) seal: Seal,
    /// How much of the journal it has taken in.
    pub(crate) applied: u64,
    /// Where the last entry within that is.
    pub(crate) last: u64,
    /// The checksum of that entry's body.
    pub(crate) last_check: [u8; 16],
    /// How many entries that is: the steps of a walk.
    pub(crate) entries: u64,
    /// The digest of names and contents of its files.
    pub(crate) files: Digest,
}

/// The directory of everything about the index.
pub(crate) fn dir(root: &Path) -> PathBuf {
    root.join("index")
}

/// The directory that is sled's alone.
pub(crate) fn sled_dir(root: &Path) -> PathBuf {
    dir(root).join("sled")
}

fn path(root: &Path) -> PathBuf {
    dir(root).join("imprint")
}

impl Imprint {
    /// Reads the imprint of an index that fits the journal; none if the index was not closed, or there is none.
    pub(crate) fn read(root: &Path, journal: &Journal) -> Result<Option<Self>, Fault> {
        let Some(bytes) = durable::read(&path(root))? else { return Ok(None) };
        let imprint: Option<Self> =
            durable::checked(&bytes).and_then(|bytes| rmp_serde::from_slice(bytes).ok());
        let imprint = imprint.ok_or_else(|| Fault("its imprint is damaged".into()))?;
        if imprint.seal != journal.seal {
            return Err(Fault("it belongs to another journal".into()));
        }
        if journal.bytes()?.is_none_or(|bytes| bytes < imprint.applied) {
            return Err(Fault("it is ahead of the journal".into()));
        }
        let last = journal.header(imprint.last)?;
        let fits = |last: crate::entry::Header| {
            imprint.last + last.entry_bytes() == imprint.applied && last.body_check == imprint.last_check
        };
        if last.is_none_or(|last| !fits(last)) {
            return Err(Fault("it knows another journal".into()));
        }
        Ok(Some(imprint))
    }

    /// Checks that the files are those that were closed.
    pub(crate) fn check_files(&self, root: &Path) -> Result<(), Fault> {
        let files = digest_files(&sled_dir(root), false)?;
        if files == self.files { Ok(()) } else { Err(Fault("its files have changed".into())) }
    }

    /// Writes the imprint.
    pub(crate) fn write(&self, root: &Path) -> Result<(), StoreError> {
        // Numbers, bytes and a digest always have an encoding; without one there is no imprint, which is safe.
        let Ok(bytes) = rmp_serde::to_vec_named(self) else { return Ok(()) };
        durable::write(root, &path(root), &durable::with_check(&bytes))
    }
}

/// Removes the imprint, for good, before anything can change the index.
pub(crate) fn remove(root: &Path) -> Result<(), StoreError> {
    let path = path(root);
    match durable::present(fs::remove_file(&path)).at("remove", &path)? {
        Some(()) => durable::sync(&dir(root)),
        None => Ok(()),
    }
}

/// Digests names and contents of all files below `dir`, and with `sync` brings them to the disk first.
pub(crate) fn digest_files(dir: &Path, sync: bool) -> Result<Digest, StoreError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).at("read", dir)? {
        names.push(entry.at("read", dir)?.file_name());
    }
    names.sort();
    let mut text = Vec::new();
    for name in names {
        let path = dir.join(&name);
        let digest = if path.is_dir() {
            digest_files(&path, sync)?
        } else {
            let file = File::open(&path).at("read", &path)?;
            if sync {
                file.sync_all().at("sync", &path)?;
            }
            Digest::of_reader(file).at("read", &path)?
        };
        text.extend_from_slice(Digest::of(name.as_encoded_bytes()).as_bytes());
        text.extend_from_slice(digest.as_bytes());
    }
    if sync {
        durable::sync(dir)?;
    }
    Ok(Digest::of(&text))
}

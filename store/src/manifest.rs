//! The manifest of an index: its journal, the part of the journal that it covers, and the checksum of its files.
//!
//! The files of an index never change. Processes copy them and open the copy, and a newer index replaces an older one
//! as a whole. A process uses an index only if its files match the checksum, because sled detects little of the damage
//! done to its files. Knows nothing of sled.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    StoreError, durable,
    entry::{EntryHeader, JournalSeal},
    error::IoContext as _,
    index::IndexFault,
    journal::Journal,
    private::{FilesCheck, copy_files, sync_files},
};

/// The version of the index's content. An index of another version is ignored until the next index replaces it. Version
/// 1 had one value per entry and was changed in place; its manifest has no version.
const VERSION: u32 = 2;

/// Describes an index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct IndexManifest {
    version: u32,
    /// The journal that the index belongs to.
    seal: JournalSeal,
    /// The end of the part of the journal that the index covers.
    pub(crate) applied: u64,
    /// The offset of the last entry in that part.
    last: u64,
    /// The checksum of that entry's body.
    last_check: [u8; 16],
    /// The number of dropped records in that part.
    pub(crate) dropped: u64,
    /// The number of cards.
    pub(crate) cards: u64,
    /// The number of key bits that distinguish the shelves.
    pub(crate) shelf_bits: u32,
    /// The names of ops; a card holds the position of its op's name.
    pub(crate) ops: Vec<String>,
    /// The checksum of the names and contents of the index's files.
    files: FilesCheck,
}

/// The fields of a manifest that a draft supplies; the others come from the journal and from the files.
pub(crate) struct IndexExtent {
    pub(crate) applied: u64,
    pub(crate) last: u64,
    pub(crate) dropped: u64,
    pub(crate) cards: u64,
    pub(crate) shelf_bits: u32,
    pub(crate) ops: Vec<String>,
}

#[derive(Deserialize)]
struct Numbered {
    #[serde(default)]
    version: u32,
}

/// Returns the folder of the index: the manifest and sled's files.
pub(crate) fn dir(root: &Path) -> PathBuf {
    root.join("index")
}

/// Returns the folder of sled's files.
fn sled_dir(root: &Path) -> PathBuf {
    dir(root).join("sled")
}

fn path(root: &Path) -> PathBuf {
    dir(root).join("manifest")
}

impl IndexManifest {
    /// Reads the manifest and checks that it fits the journal. Returns `None` if there is no index, or one of another
    /// version.
    pub(crate) fn load(root: &Path, journal: &Journal) -> Result<Option<Self>, IndexFault> {
        let damaged = || IndexFault("its manifest is damaged".into());
        let Some(bytes) = durable::read_if_present(&path(root))? else { return Ok(None) };
        let bytes = durable::checked(&bytes).ok_or_else(damaged)?;
        let Numbered { version } = rmp_serde::from_slice(bytes).map_err(|_| damaged())?;
        if version != VERSION {
            return Ok(None);
        }
        let manifest: Self = rmp_serde::from_slice(bytes).map_err(|_| damaged())?;
        if manifest.seal != journal.seal {
            return Err(IndexFault("it belongs to another journal".into()));
        }
        if journal.bytes()?.is_none_or(|bytes| bytes < manifest.applied) {
            return Err(IndexFault("it is ahead of the journal".into()));
        }
        let fits = |last: EntryHeader| {
            manifest.last + last.entry_bytes() == manifest.applied && last.body_check == manifest.last_check
        };
        if journal.header(manifest.last)?.is_none_or(|last| !fits(last)) {
            return Err(IndexFault("it knows another journal".into()));
        }
        Ok(Some(manifest))
    }

    /// Copies the index's files to the new folder `to`. Returns `None` if they cannot be written there. A checksum
    /// mismatch is a fault.
    pub(crate) fn copy(&self, root: &Path, to: &Path) -> Result<Option<()>, IndexFault> {
        match copy_files(&sled_dir(root), to)? {
            Some(files) if files != self.files => Err(IndexFault("its files have changed".into())),
            copied => Ok(copied.map(drop)),
        }
    }

    /// Returns the total length of the index's files in bytes.
    pub(crate) fn bytes(root: &Path) -> u64 {
        durable::bytes(&sled_dir(root)).unwrap_or(0)
    }

    /// Replaces the index by the files that sled wrote in the folder `built`. A crash during this leaves the old index,
    /// or none.
    pub(crate) fn publish(
        root: &Path,
        journal: &Journal,
        extent: IndexExtent,
        built: &Path,
    ) -> Result<(), IndexFault> {
        let new = durable::unfinished(root).join("index");
        let written = Self::write(root, &new, journal, extent, built);
        if written.is_err() {
            // On a full disk the unfinished index would take the space that results need.
            let _ = durable::remove(&new);
        }
        written
    }

    fn write(
        root: &Path,
        new: &Path,
        journal: &Journal,
        extent: IndexExtent,
        built: &Path,
    ) -> Result<(), IndexFault> {
        let IndexExtent { applied, last, dropped, cards, shelf_bits, ops } = extent;
        durable::remove(new)?;
        durable::make_dir(new)?;
        let files = copy_files(built, &new.join("sled"))?;
        let files =
            files.ok_or_else(|| IndexFault("its files cannot be written: is the disk full?".into()))?;
        sync_files(new)?;
        let last_check = journal.header(last)?.map(|header| header.body_check);
        let last_check =
            last_check.ok_or_else(|| IndexFault("the journal's last entry is damaged".into()))?;
        let seal = journal.seal;
        let (version, manifest) = (VERSION, new.join("manifest"));
        let text = Self { version, seal, applied, last, last_check, dropped, cards, shelf_bits, ops, files };
        let text = rmp_serde::to_vec_named(&text).map_err(|error| IndexFault(error.to_string()))?;
        durable::write(root, &manifest, &durable::with_check(&text))?;
        remove(root)?;
        fs::rename(new, dir(root)).at("write", &dir(root))?;
        Ok(durable::sync(root)?)
    }
}

/// Removes the index, its manifest first: without a manifest, the files that a crash leaves are ignored.
pub(crate) fn remove(root: &Path) -> Result<(), StoreError> {
    let (path, dir) = (path(root), dir(root));
    if durable::present(fs::remove_file(&path)).at("remove", &path)?.is_some() {
        durable::sync(&dir)?;
    }
    durable::remove(&dir)
}

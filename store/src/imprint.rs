//! What the index is: whose it is, how far it goes, what its values mean, and the checksum of its files.
//!
//! The files of an index never change: a process copies them and opens its copy, and a newer index takes the place of an
//! older one as a whole. An index counts only while its files are, byte for byte, those that were published, as sled finds
//! little of the damage done to them. Knows nothing of sled.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    StoreError, durable,
    entry::{Header, Seal},
    error::At as _,
    index::Fault,
    journal::Journal,
    private::{FilesCheck, copy_files, sync_files},
};

/// The number of what the index holds and how. An index of another number is passed over, and replaced by the next one.
/// Those before 2 had one value per entry, and were changed in place.
const VERSION: u32 = 2;

/// Describes an index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Imprint {
    version: u32,
    /// The journal it belongs to.
    seal: Seal,
    /// How much of the journal it has taken in.
    pub(crate) applied: u64,
    /// Where the last entry within that is.
    last: u64,
    /// The checksum of that entry's body.
    last_check: [u8; 16],
    /// How many records have been dropped within that.
    pub(crate) dropped: u64,
    /// How many cards it has.
    pub(crate) cards: u64,
    /// By how many bits of the key its shelves are told apart.
    pub(crate) shelf_bits: u32,
    /// The names of ops that cards give the place of.
    pub(crate) ops: Vec<String>,
    /// The checksum of names and contents of its files.
    files: FilesCheck,
}

/// Says what an index of a journal up to a place is about.
pub(crate) struct Extent {
    /// Where the last entry taken in ends.
    pub(crate) applied: u64,
    /// Where it begins.
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

/// The folder of everything about the index.
pub(crate) fn dir(root: &Path) -> PathBuf {
    root.join("index")
}

/// The folder of what sled wrote.
fn sled_dir(root: &Path) -> PathBuf {
    dir(root).join("sled")
}

fn path(root: &Path) -> PathBuf {
    dir(root).join("imprint")
}

impl Imprint {
    /// Reads the imprint of an index that fits the journal; none if there is none that this program knows.
    pub(crate) fn read(root: &Path, journal: &Journal) -> Result<Option<Self>, Fault> {
        let damaged = || Fault("its imprint is damaged".into());
        let Some(bytes) = durable::read(&path(root))? else { return Ok(None) };
        let bytes = durable::checked(&bytes).ok_or_else(damaged)?;
        let Numbered { version } = rmp_serde::from_slice(bytes).map_err(|_| damaged())?;
        if version != VERSION {
            return Ok(None);
        }
        let imprint: Self = rmp_serde::from_slice(bytes).map_err(|_| damaged())?;
        if imprint.seal != journal.seal {
            return Err(Fault("it belongs to another journal".into()));
        }
        if journal.bytes()?.is_none_or(|bytes| bytes < imprint.applied) {
            return Err(Fault("it is ahead of the journal".into()));
        }
        let fits = |last: Header| {
            imprint.last + last.entry_bytes() == imprint.applied && last.body_check == imprint.last_check
        };
        if journal.header(imprint.last)?.is_none_or(|last| !fits(last)) {
            return Err(Fault("it knows another journal".into()));
        }
        Ok(Some(imprint))
    }

    /// Copies the index's files to the new folder `to`, if they are those that were published. None where there is no room
    /// for them.
    pub(crate) fn copy(&self, root: &Path, to: &Path) -> Result<Option<()>, Fault> {
        match copy_files(&sled_dir(root), to)? {
            Some(files) if files != self.files => Err(Fault("its files have changed".into())),
            copied => Ok(copied.map(drop)),
        }
    }

    /// The length of the index's files.
    pub(crate) fn bytes(root: &Path) -> u64 {
        durable::bytes(&sled_dir(root)).unwrap_or(0)
    }

    /// Puts the files that sled wrote in the folder `built` into the place of the index that is there. A crash on the way
    /// leaves the old index, or none.
    pub(crate) fn publish(root: &Path, journal: &Journal, extent: Extent, built: &Path) -> Result<(), Fault> {
        let new = durable::unfinished(root).join("index");
        let written = Self::write(root, &new, journal, extent, built);
        if written.is_err() {
            // On a full disk it would take the room that results need.
            let _ = durable::remove(&new);
        }
        written
    }

    fn write(root: &Path, new: &Path, journal: &Journal, extent: Extent, built: &Path) -> Result<(), Fault> {
        let Extent { applied, last, dropped, cards, shelf_bits, ops } = extent;
        durable::remove(new)?;
        durable::make_dir(new)?;
        let files = copy_files(built, &new.join("sled"))?;
        let files = files.ok_or_else(|| Fault("its files cannot be written: is the disk full?".into()))?;
        sync_files(new)?;
        let Some(Header { body_check: last_check, .. }) = journal.header(last)? else { return Ok(()) };
        let seal = journal.seal;
        let (version, imprint) = (VERSION, new.join("imprint"));
        let text = Self { version, seal, applied, last, last_check, dropped, cards, shelf_bits, ops, files };
        let text = rmp_serde::to_vec_named(&text).map_err(|error| Fault(error.to_string()))?;
        durable::write(root, &imprint, &durable::with_check(&text))?;
        remove(root)?;
        fs::rename(new, dir(root)).at("write", &dir(root))?;
        Ok(durable::sync(root)?)
    }
}

/// Removes the index, its imprint first: what is left of it after a crash does not count.
pub(crate) fn remove(root: &Path) -> Result<(), StoreError> {
    let (path, dir) = (path(root), dir(root));
    if durable::present(fs::remove_file(&path)).at("remove", &path)?.is_some() {
        durable::sync(&dir)?;
    }
    durable::remove(&dir)
}

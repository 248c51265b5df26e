//! A private folder of this process, for a copy of the index or a new index.
//!
//! The folder is in memory if the system has a memory file system, because sled syncs its files when it opens them.
//! Knows nothing of the meaning of the files.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::fs::{FlockOperation, OFlags, flock, statvfs};
use xxhash_rust::xxh3::Xxh3;

use crate::{StoreError, durable, error::IoContext as _, object::names};

/// Linux keeps the files of this folder in memory.
const MEMORY: &str = "/dev/shm";
const PREFIX: &str = "fewbits-index-";
const PIECE: usize = 1 << 20;

/// The checksum of the names and contents of all files below a folder.
pub(crate) type FilesCheck = [u8; 16];

/// Holds a private folder, and removes it when dropped.
#[derive(Debug)]
pub(crate) struct PrivateDir {
    path: PathBuf,
    /// The locked folder: the lock tells other processes that the folder is in use. A process id could not, because two
    /// containers may share the memory file system and not their process ids.
    _lock: File,
}

impl PrivateDir {
    /// Makes a folder with space for `bytes` bytes: in memory, else in `otherwise`. Returns `None` if neither has the
    /// space.
    pub(crate) fn make(bytes: u64, otherwise: Option<&Path>) -> Option<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let memory = Path::new(MEMORY);
        remove_orphans(memory);
        let pid = std::process::id();
        [Some(memory), otherwise].into_iter().flatten().filter(|parent| has_room(parent, bytes)).find_map(
            |parent| {
                let path = parent.join(format!("{PREFIX}{pid}-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
                // A folder that exists already may belong to another user.
                DirBuilder::new().mode(0o700).create(&path).ok()?;
                // If the lock is not free, another process takes this folder for one that a killed process left, and
                // removes it.
                let lock = locked(&path)?;
                Some(Self { path, _lock: lock })
            },
        )
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PrivateDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn has_room(dir: &Path, bytes: u64) -> bool {
    statvfs(dir).is_ok_and(|file_system| file_system.f_bavail * file_system.f_frsize >= bytes)
}

/// Removes the folders that killed processes left in memory. The folders of other users cannot be opened and stay.
fn remove_orphans(parent: &Path) {
    for name in names(parent).unwrap_or_default() {
        let dir = parent.join(&name);
        if name.starts_with(PREFIX) && locked(&dir).is_some() {
            let _ = fs::remove_dir_all(dir);
        }
    }
}

/// Opens a folder and locks it. Returns `None` if another process holds the lock, or the folder is gone.
fn locked(dir: &Path) -> Option<File> {
    // Another user may have put a link or a pipe of this name there: opening a pipe would wait for ever.
    let flags = (OFlags::DIRECTORY | OFlags::NOFOLLOW).bits() as i32;
    let lock = OpenOptions::new().read(true).custom_flags(flags).open(dir).ok()?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive).ok()?;
    // The previous holder may have removed the folder between the two calls.
    let is_there = fs::metadata(dir).ok()?.ino() == lock.metadata().ok()?.ino();
    is_there.then_some(lock)
}

/// Copies all files below `from` into the new folder `to`. Returns the checksum of the bytes read, or `None` if `to`
/// cannot be written.
pub(crate) fn copy_files(from: &Path, to: &Path) -> Result<Option<FilesCheck>, StoreError> {
    let mut check = Xxh3::new();
    Ok(copy_into(from, to, &mut check)?.ok().map(|()| check.digest128().to_le_bytes()))
}

/// Errors of reading are the outer result, errors of writing the inner one.
fn copy_into(from: &Path, to: &Path, check: &mut Xxh3) -> Result<io::Result<()>, StoreError> {
    let written = fs::create_dir(to);
    if written.is_err() {
        return Ok(written);
    }
    for name in names(from)? {
        let (from, to) = (from.join(&name), to.join(&name));
        check.update(name.as_bytes());
        let written = if from.is_dir() {
            check.update(b"/folder");
            copy_into(&from, &to, check)?
        } else {
            copy_file(&from, &to, check)?
        };
        if written.is_err() {
            return Ok(written);
        }
    }
    check.update(b"/end");
    Ok(Ok(()))
}

fn copy_file(from: &Path, to: &Path, check: &mut Xxh3) -> Result<io::Result<()>, StoreError> {
    let mut source = File::open(from).at("read", from)?;
    let mut target = match File::create_new(to) {
        Ok(target) => target,
        Err(error) => return Ok(Err(error)),
    };
    let (mut piece, mut length) = (vec![0; PIECE], 0u64);
    loop {
        let read = match source.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).at("read", from),
        };
        check.update(&piece[..read]);
        length += read as u64;
        if let Err(error) = target.write_all(&piece[..read]) {
            return Ok(Err(error));
        }
    }
    // Without the length in the checksum, bytes could move from one file to the next undetected.
    check.update(&length.to_le_bytes());
    Ok(Ok(()))
}

/// Syncs all files below a folder, and the folder itself, to the disk.
pub(crate) fn sync_files(dir: &Path) -> Result<(), StoreError> {
    for name in names(dir)? {
        let path = dir.join(name);
        if path.is_dir() { sync_files(&path)? } else { durable::sync(&path)? }
    }
    durable::sync(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_the_checksum_of_its_source_and_a_changed_file_another() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("from");
        fs::create_dir_all(from.join("below")).unwrap();
        for (name, content) in [("a", "one"), ("b", ""), ("below/c", "three")] {
            fs::write(from.join(name), content).unwrap();
        }
        let copy = |n: u32| copy_files(&from, &dir.path().join(n.to_string())).unwrap();
        let whole = copy(0);
        assert_eq!(copy_files(&dir.path().join("0"), &dir.path().join("again")).unwrap(), whole);
        assert_eq!(fs::read_to_string(dir.path().join("again/below/c")).unwrap(), "three");
        let changes: [&dyn Fn(); 4] = [
            &|| fs::write(from.join("a"), "oNe").unwrap(),
            &|| fs::write(from.join("b"), "one").unwrap(),
            &|| fs::rename(from.join("below/c"), from.join("c")).unwrap(),
            &|| fs::remove_dir(from.join("below")).unwrap(),
        ];
        let mut seen = vec![whole];
        for (n, change) in (1..).zip(changes) {
            change();
            let changed = copy(n);
            assert!(!seen.contains(&changed), "change {n}");
            seen.push(changed);
        }
        assert_eq!(copy(1), None, "the folder is there already");
        let of_nothing = copy_files(&dir.path().join("none"), &dir.path().join("other")).unwrap();
        assert!(!seen.contains(&of_nothing), "a folder that is gone");
    }

    #[test]
    fn a_folder_goes_with_its_holder() {
        let parent = tempfile::tempdir().unwrap();
        let held = PrivateDir::make(1, Some(parent.path())).unwrap();
        let path = held.path().to_owned();
        assert!(path.is_dir());
        drop(held);
        assert!(!path.exists());
        assert!(PrivateDir::make(u64::MAX, Some(parent.path())).is_none(), "there is not so much room");
    }

    #[test]
    fn a_folder_without_a_lock_is_removed_and_one_that_is_held_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let folders = ["1-0", "1-1"].map(|name| parent.path().join(format!("{PREFIX}{name}")));
        for folder in &folders {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("db"), "bytes").unwrap();
        }
        let held = locked(&folders[1]).unwrap();
        // A pipe and a link of such a name are not opened, and stay.
        let [pipe, link] = ["pipe", "link"].map(|name| parent.path().join(format!("{PREFIX}{name}")));
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        std::os::unix::fs::symlink(&folders[1], &link).unwrap();
        remove_orphans(parent.path());
        assert_eq!(folders.each_ref().map(|folder| folder.exists()), [false, true]);
        assert!(pipe.exists() && link.is_symlink());
        drop(held);
        remove_orphans(parent.path());
        assert!(!folders[1].exists());
    }
}

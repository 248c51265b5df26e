//! Durable files: each is whole or absent, also after a crash during a write.
//!
//! Every write is a temporary file, fsync, rename, and fsync of the directory. Knows nothing of the meaning of the
//! files.

use std::{
    fs::{self, File},
    hash::{BuildHasher as _, RandomState},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{StoreError, error::IoContext as _};

const CHECK: usize = 16;
/// Names this process among all that write to a folder. Process ids of two machines can be the same.
static PROCESS: LazyLock<u64> = LazyLock::new(random);

/// Returns the store's directory of unfinished files. The next writer deletes its content.
pub(crate) fn unfinished(root: &Path) -> PathBuf {
    root.join("tmp")
}

/// Replaces the file at `path` atomically by one with the content `bytes`, and syncs it.
pub(crate) fn write(root: &Path, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    write_with(root, path, |file| file.write_all(bytes))
}

/// Replaces the file at `path` atomically by one with the content that `fill` writes, and syncs it.
pub(crate) fn write_with(
    root: &Path,
    path: &Path,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<(), StoreError> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    // Processes of several machines write to the folder of an exchange.
    let name = format!("{:x}-{}", *PROCESS, NEXT.fetch_add(1, Ordering::Relaxed));
    let unfinished = unfinished(root).join(name);
    let written = (|| {
        let mut file = File::create_new(&unfinished)?;
        fill(&mut file)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    written.at("write", path)?;
    path.parent().map_or(Ok(()), sync)
}

/// Returns a random number for names.
pub(crate) fn random() -> u64 {
    // The hasher has a random seed of the system.
    RandomState::new().hash_one(std::process::id())
}

/// Returns the length of a file, or of all files below a folder, in bytes.
pub(crate) fn bytes(path: &Path) -> io::Result<u64> {
    let meta = fs::symlink_metadata(path)?;
    if !meta.is_dir() {
        return Ok(meta.len());
    }
    fs::read_dir(path)?.map(|entry| bytes(&entry?.path())).sum()
}

/// Syncs a file's content, or a directory's list of names, to the disk.
pub(crate) fn sync(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|file| file.sync_all()).at("sync", path)
}

/// Makes a directory and syncs its parent. A directory that exists is not an error.
pub(crate) fn make_dir(path: &Path) -> Result<(), StoreError> {
    match fs::create_dir(path) {
        Ok(()) => path.parent().map_or(Ok(()), sync),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error).at("create the directory", path),
    }
}

/// Reads a whole file. Returns `None` if there is no file at `path`.
pub(crate) fn read_if_present(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    present(fs::read(path)).at("read", path)
}

/// Removes a file, or a folder with its content. A missing file is not an error.
pub(crate) fn remove(path: &Path) -> Result<(), StoreError> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    present(removed).at("remove", path).map(drop)
}

/// Turns the errors of a missing file, and of a directory in the place of a file or the reverse, into `None`.
pub(crate) fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    use io::ErrorKind::{IsADirectory, NotADirectory, NotFound};
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind(), NotFound | NotADirectory | IsADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Moves a damaged file or directory to a free name in `aside/`, and returns the new path.
pub(crate) fn set_aside(root: &Path, path: &Path, name: &str) -> Result<PathBuf, StoreError> {
    let place = free_place(root, name)?;
    fs::rename(path, &place).at("set aside", path)?;
    Ok(place)
}

/// Removes a damaged file, and leaves a copy in `aside/` if there is room for one. The file is removed and not moved,
/// because readers that have it open detect its replacement by its link count of zero.
pub(crate) fn remove_leaving_copy(root: &Path, path: &Path, name: &str) -> Result<(), StoreError> {
    let place = free_place(root, name)?;
    if fs::copy(path, &place).is_err() {
        let _ = fs::remove_file(place);
    }
    fs::remove_file(path).at("remove", path)?;
    path.parent().map_or(Ok(()), sync)
}

fn free_place(root: &Path, name: &str) -> Result<PathBuf, StoreError> {
    let aside = root.join("aside");
    make_dir(&aside)?;
    let mut n = 1u32;
    let mut place = aside.join(format!("{name}-{n}"));
    while place.symlink_metadata().is_ok() {
        n += 1;
        place = aside.join(format!("{name}-{n}"));
    }
    Ok(place)
}

/// Puts a checksum in front of bytes: the first 16 bytes of their blake3 hash.
pub(crate) fn with_check(bytes: &[u8]) -> Vec<u8> {
    [&blake3::hash(bytes).as_bytes()[..CHECK], bytes].concat()
}

/// Returns the bytes behind the checksum; `None` if they do not match it.
pub(crate) fn checked(bytes: &[u8]) -> Option<&[u8]> {
    let (check, rest) = bytes.split_at_checked(CHECK)?;
    (blake3::hash(rest).as_bytes()[..CHECK] == *check).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_replaces_the_whole_file_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(unfinished(dir.path())).unwrap();
        let path = dir.path().join("file");
        for text in ["a long first text", "short"] {
            write(dir.path(), &path, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::read_dir(unfinished(dir.path())).unwrap().count(), 0);
        assert!(write(dir.path(), &dir.path().join("no/such"), b"").is_err());
        assert_eq!(fs::read_dir(unfinished(dir.path())).unwrap().count(), 0);
    }

    #[test]
    fn checked_bytes_show_every_flip_and_cut() {
        let whole = with_check(b"bytes");
        assert_eq!(checked(&whole), Some(&b"bytes"[..]));
        for at in 0..whole.len() {
            let mut bad = whole.clone();
            bad[at] ^= 1;
            assert_eq!(checked(&bad), None, "flip at {at}");
            assert_eq!(checked(&whole[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn things_set_aside_do_not_replace_each_other() {
        let dir = tempfile::tempdir().unwrap();
        for n in 1..=3 {
            fs::write(dir.path().join("bad"), [n]).unwrap();
            let place = set_aside(dir.path(), &dir.path().join("bad"), "bad").unwrap();
            assert_eq!(place, dir.path().join(format!("aside/bad-{n}")));
        }
    }
}

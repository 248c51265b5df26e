//! The exchange: a folder that the coordinator of a run shares with its workers on other machines.
//!
//! ```text
//! claim              the coordinator's lock and process id
//! workers/NAME/jobs     a mailbox that the coordinator writes
//! workers/NAME/results  a mailbox that the worker writes
//! objects/ab/cdef…   contents, named by their digest         partial/   checkpoints, one per key
//! log/               the output of workers                   tmp/       unfinished files
//! ```
//!
//! Every file has one writer. Names of files come from digests, keys and checked names of workers, never from content. The folder
//! must belong to the user alone, because a process of another user could otherwise feed results to the coordinator. Knows nothing
//! of jobs and results.

pub mod mailbox;

use std::{
    fs::{self, DirBuilder},
    io::ErrorKind,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use rustix::process::geteuid;

pub use self::mailbox::{MailReader, MailWriter};
use crate::{
    Digest, Key, StoreError, checkpoint, durable,
    error::{IoContext as _, Warnings},
    lock::Lock,
    object::{ObjectState, Objects, names},
};

/// The most workers whose folders a coordinator looks at.
const WORKERS_LIMIT: usize = 10_000;
/// The greatest length of a worker's name in bytes.
const NAME_LIMIT: usize = 120;
/// The greatest length of an object in bytes: that of an array of data in an experiment.
const OBJECT_LIMIT: u64 = 4 << 30;
/// The folders of an exchange.
const FOLDERS: [&str; 5] = ["workers", "objects", "partial", "log", "tmp"];

/// Reads and writes the files of an exchange.
#[derive(Debug)]
pub struct Exchange {
    root: PathBuf,
    objects: Objects,
    warnings: Warnings,
}

/// Makes its holder the only coordinator of an exchange until it is dropped.
#[derive(Debug)]
pub struct Claim {
    _lock: Lock,
}

impl Exchange {
    /// Opens the exchange in a folder, and makes the folder if it does not exist. Fails with [`StoreError::NotPrivate`] unless the
    /// folder belongs to the user of this process and nobody else has access.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        match DirBuilder::new().mode(0o700).create(root) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error).at("create", root),
            Ok(()) | Err(_) => {}
        }
        refuse_shared(root)?;
        for folder in FOLDERS {
            durable::make_dir(&root.join(folder))?;
        }
        // Names in messages between machines and processes are absolute.
        let root = root.canonicalize().at("find", root)?;
        Ok(Self { objects: Objects::new(&root), root, warnings: Warnings::default() })
    }

    /// Returns the absolute path of the exchange.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes the caller the coordinator. Fails with [`StoreError::Claimed`] while another process is.
    pub fn claim(&self) -> Result<Claim, StoreError> {
        match Lock::take(&self.root, "claim") {
            Ok(lock) => Ok(Claim { _lock: lock }),
            Err(StoreError::InUse { path, holder }) => Err(StoreError::Claimed { path, holder }),
            Err(error) => Err(error),
        }
    }

    /// Lists the names of all workers that have a folder, sorted. Folders with other names are ignored. Fails if the folder of all
    /// workers is gone.
    pub fn workers(&self) -> Result<Vec<String>, StoreError> {
        let folder = self.root.join("workers");
        fs::metadata(&folder).at("look at", &folder)?;
        let mut workers = names(&folder)?;
        workers.retain(|name| is_name(name));
        workers.sort_unstable();
        workers.truncate(WORKERS_LIMIT);
        Ok(workers)
    }

    /// Makes the folder of a new worker with both of its mailboxes, and returns the writer of its results. The worker's full name,
    /// [`MailWriter::worker`], starts with the letters, digits, `.`, `_` and `-` of `name`.
    pub fn enlist(&self, name: &str) -> Result<MailWriter, StoreError> {
        let mut name: String = name.chars().filter(|c| is_name_char(*c)).skip_while(|c| *c == '.').collect();
        name.truncate(NAME_LIMIT - 20);
        // Two machines may have the same name and give two workers the same process id.
        let name = format!("{name}-{:08x}", durable::random() as u32);
        let folder = self.root.join("workers").join(&name);
        durable::make_dir(&folder)?;
        MailWriter::create(&self.jobs(&name))?;
        MailWriter::create(&self.results(&name))
    }

    /// Removes the folder of a worker. The worker notices at its next write that it was given up.
    pub fn dismiss(&self, worker: &str) -> Result<(), StoreError> {
        durable::remove(&self.root.join("workers").join(worker))
    }

    /// Returns the path of the mailbox that the coordinator writes for a worker.
    #[must_use]
    pub fn jobs(&self, worker: &str) -> PathBuf {
        self.root.join("workers").join(worker).join("jobs")
    }

    /// Returns the path of the mailbox that a worker writes.
    #[must_use]
    pub fn results(&self, worker: &str) -> PathBuf {
        self.root.join("workers").join(worker).join("results")
    }

    /// Writes a content as an object, unless a good one is there. Returns its digest.
    pub fn put_object(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        self.objects.put(bytes, &self.warnings)
    }

    /// Reads an object. Returns `None` if it is missing, too large, no plain file, or does not match its digest.
    pub fn object(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.objects.path(digest);
        let is_plain = |meta: fs::Metadata| meta.is_file() && meta.len() <= OBJECT_LIMIT;
        if !durable::present(fs::symlink_metadata(&path)).at("look at", &path)?.is_some_and(is_plain) {
            return Ok(None);
        }
        Ok(match self.objects.read_object(digest)? {
            ObjectState::Good(bytes) => Some(bytes),
            ObjectState::Bad | ObjectState::Missing => None,
        })
    }

    /// Reads the checkpoint of a computation. Returns `None` if it is absent, damaged or of another key.
    #[must_use]
    pub fn checkpoint(&self, key: &Key) -> Option<Vec<u8>> {
        checkpoint::read(&self.root, key)
    }

    /// Replaces the checkpoint of a computation.
    pub fn save_checkpoint(&self, key: &Key, bytes: &[u8]) -> Result<(), StoreError> {
        checkpoint::write(&self.root, key, bytes)
    }

    /// Removes the checkpoint of a computation. Ignores errors: nothing reads a checkpoint of a computation with a result.
    pub fn remove_checkpoint(&self, key: &Key) {
        checkpoint::remove(&self.root, key);
    }

    /// Removes all objects and unfinished files. Only a coordinator without workers may call this.
    pub fn clear(&self) -> Result<(), StoreError> {
        for folder in ["objects", "tmp"] {
            durable::remove(&self.root.join(folder))?;
            durable::make_dir(&self.root.join(folder))?;
        }
        Ok(())
    }
}

/// Refuses a folder that is not the user's own, or to which others have access.
fn refuse_shared(root: &Path) -> Result<(), StoreError> {
    // The folder itself is looked at, not the target of a link, which another user may own and change.
    let meta = fs::symlink_metadata(root).at("look at", root)?;
    let why = if !meta.is_dir() {
        "is no folder"
    } else if meta.uid() != geteuid().as_raw() {
        "folder belongs to another user"
    } else if meta.mode() & 0o077 != 0 {
        "folder is open to other users"
    } else {
        return Ok(());
    };
    Err(StoreError::NotPrivate { path: root.to_owned(), why })
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

fn is_name(name: &str) -> bool {
    (1..=NAME_LIMIT).contains(&name.len()) && !name.starts_with('.') && name.chars().all(is_name_char)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn exchange() -> (tempfile::TempDir, Exchange) {
        let dir = tempfile::tempdir().unwrap();
        let exchange = Exchange::open(&dir.path().join("exchange")).unwrap();
        (dir, exchange)
    }

    #[test]
    fn a_folder_of_others_is_refused() {
        let (dir, exchange) = exchange();
        let root = exchange.root().to_owned();
        for mode in [0o750, 0o701, 0o777] {
            fs::set_permissions(&root, fs::Permissions::from_mode(mode)).unwrap();
            let error = Exchange::open(&root).unwrap_err().to_string();
            assert!(error.contains("this folder is open to other users; name a folder"), "{error}");
        }
        fs::set_permissions(&root, fs::Permissions::from_mode(0o700)).unwrap();
        Exchange::open(&root).unwrap();
        std::os::unix::fs::symlink(&root, dir.path().join("link")).unwrap();
        let error = Exchange::open(&dir.path().join("link")).unwrap_err().to_string();
        assert!(error.contains("this is no folder"), "{error}");
        fs::write(dir.path().join("file"), "").unwrap();
        let error = Exchange::open(&dir.path().join("file")).unwrap_err().to_string();
        assert!(error.contains("this is no folder"), "{error}");
    }

    #[test]
    fn a_second_coordinator_is_told_of_the_first() {
        let (_dir, exchange) = exchange();
        let first = exchange.claim().unwrap();
        let error = exchange.claim().unwrap_err().to_string();
        assert!(error.contains(&format!("process {} on ", std::process::id())), "{error}");
        drop(first);
        exchange.claim().unwrap();
    }

    #[test]
    fn workers_have_names_of_their_own() {
        let (_dir, exchange) = exchange();
        let one = exchange.enlist("../n 1;").unwrap();
        let two = exchange.enlist("../n 1;").unwrap();
        assert!(one.worker().starts_with("n1-"), "{}", one.worker());
        assert_ne!(one.worker(), two.worker());
        fs::create_dir(exchange.root().join("workers/a b")).unwrap();
        let mut names = [one.worker().to_owned(), two.worker().to_owned()];
        names.sort_unstable();
        assert_eq!(exchange.workers().unwrap(), names);
        exchange.dismiss(one.worker()).unwrap();
        assert_eq!(exchange.workers().unwrap(), [two.worker()]);
    }

    #[test]
    fn objects_and_checkpoints_are_checked() {
        let (_dir, exchange) = exchange();
        let digest = exchange.put_object(b"content").unwrap();
        assert_eq!(exchange.object(&digest).unwrap().as_deref(), Some(&b"content"[..]));
        fs::write(exchange.objects.path(&digest), b"contenT").unwrap();
        assert_eq!(exchange.object(&digest).unwrap(), None);
        let key = Key::derive("one");
        exchange.save_checkpoint(&key, b"state").unwrap();
        assert_eq!(exchange.checkpoint(&key).as_deref(), Some(&b"state"[..]));
        exchange.clear().unwrap();
        assert_eq!(exchange.object(&digest).unwrap(), None);
        assert!(exchange.checkpoint(&key).is_some(), "a later worker goes on from it");
        exchange.remove_checkpoint(&key);
        assert_eq!(exchange.checkpoint(&key), None);
    }
}

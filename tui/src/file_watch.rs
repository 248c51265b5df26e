//! Watches files: tells which of them changed, once they have been quiet for a moment.
//! The file system tells of changes; a look at each file every second finds those that it does not tell, as over NFS.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

/// The time without a change after which files count as written.
const QUIET: Duration = Duration::from_millis(100);
/// The longest wait for files that never become quiet.
const LONGEST: Duration = Duration::from_secs(1);
/// The time between two looks at the files.
const LOOK: Duration = Duration::from_secs(1);

/// A set of watched files. Dropping it ends the watch, after the call of `changed` that is under way.
pub struct FileWatch {
    paths: Arc<Mutex<Vec<PathBuf>>>,
    bell: Sender<Ring>,
    thread: Option<JoinHandle<()>>,
}

/// The reason that the thread wakes.
enum Ring {
    /// Something changed in a folder, or other files are watched.
    Look,
    /// The watch ends.
    End,
}

/// The facts that tell two contents of a file apart; `None` if there is no file.
type Stamp = Option<(u64, Option<SystemTime>, u64)>;

impl FileWatch {
    /// Starts to watch files. `changed` gets the paths that changed, on a thread of the watch.
    pub fn start(
        paths: Vec<PathBuf>,
        changed: impl Fn(&[PathBuf]) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (bell, rung) = channel();
        let paths = Arc::new(Mutex::new(paths));
        // The stamps are taken here, so that no change after this call is missed.
        let watched = Watched { paths: Arc::clone(&paths), rung, folders: BTreeSet::new(), stamps: vec![] };
        let told = bell.clone();
        let watcher = notify::recommended_watcher(move |_| drop(told.send(Ring::Look))).ok();
        let mut watched = watched.looked();
        let work = move || watched.work(watcher, &changed);
        let thread = std::thread::Builder::new().name("files".to_owned()).spawn(work)?;
        Ok(Self { paths, bell, thread: Some(thread) })
    }

    /// Watches other files from now on.
    pub fn set(&self, paths: Vec<PathBuf>) {
        *self.paths.lock().unwrap_or_else(PoisonError::into_inner) = paths;
        let _ = self.bell.send(Ring::Look);
    }
}

impl Drop for FileWatch {
    fn drop(&mut self) {
        let _ = self.bell.send(Ring::End);
        // What `changed` holds is free after this.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// The thread's side of a watch.
struct Watched {
    paths: Arc<Mutex<Vec<PathBuf>>>,
    rung: Receiver<Ring>,
    /// The folders of which the file system tells changes.
    folders: BTreeSet<PathBuf>,
    stamps: Vec<(PathBuf, Stamp)>,
}

impl Watched {
    fn looked(mut self) -> Self {
        self.stamps = self.look();
        self
    }

    fn work(&mut self, mut watcher: Option<RecommendedWatcher>, changed: &dyn Fn(&[PathBuf])) {
        loop {
            self.watch_folders(watcher.as_mut());
            if let Ok(Ring::End) | Err(RecvTimeoutError::Disconnected) = self.rung.recv_timeout(LOOK) {
                return;
            }
            let before = std::mem::take(&mut self.stamps);
            self.stamps = self.look();
            // A file that is watched from now on has not changed.
            let is_new = |path: &Path| before.iter().all(|(known, _)| known != path);
            let is_other = |now: &(PathBuf, Stamp)| !is_new(&now.0) && !before.contains(now);
            if !self.stamps.iter().any(is_other) {
                continue;
            }
            if !self.settle() {
                return;
            }
            let paths: Vec<PathBuf> =
                self.stamps.iter().filter(|now| is_other(now)).map(|(path, _)| path.clone()).collect();
            if !paths.is_empty() {
                changed(&paths);
            }
        }
    }

    /// Waits until the files are quiet; returns whether the watch goes on.
    fn settle(&mut self) -> bool {
        let began = Instant::now();
        let mut changed = began;
        while changed.elapsed() < QUIET && began.elapsed() < LONGEST {
            match self.rung.recv_timeout(QUIET.saturating_sub(changed.elapsed())) {
                Ok(Ring::End) | Err(RecvTimeoutError::Disconnected) => return false,
                Ok(Ring::Look) | Err(RecvTimeoutError::Timeout) => {}
            }
            let now = self.look();
            if now != self.stamps {
                (self.stamps, changed) = (now, Instant::now());
            }
        }
        true
    }

    fn look(&self) -> Vec<(PathBuf, Stamp)> {
        let paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner).clone();
        paths.into_iter().map(|path| (path.clone(), stamp(&path))).collect()
    }

    /// Asks the file system to tell of changes in the folders of the files. Editors replace files, so folders are
    /// watched. A folder that cannot be watched is looked at like the others.
    fn watch_folders(&mut self, watcher: Option<&mut RecommendedWatcher>) {
        let Some(watcher) = watcher else { return };
        for (path, _) in &self.stamps {
            let folder = match path.parent() {
                Some(folder) if folder != Path::new("") => folder,
                _ => Path::new("."),
            };
            if !self.folders.contains(folder) && watcher.watch(folder, RecursiveMode::NonRecursive).is_ok() {
                self.folders.insert(folder.to_path_buf());
            }
        }
    }
}

fn stamp(path: &Path) -> Stamp {
    use std::os::unix::fs::MetadataExt;

    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.len(), metadata.modified().ok(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Returns the names of the files of the next change.
    fn next(told: &Receiver<Vec<PathBuf>>) -> Vec<String> {
        let paths = told.recv_timeout(Duration::from_secs(20)).expect("a change");
        paths.iter().map(|path| path.file_name().expect("a name").to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn writes_renames_and_removals_are_told_and_nothing_else() {
        let dir = tempfile::tempdir().expect("folder");
        let path = |name: &str| dir.path().join(name);
        fs::write(path("a"), "1").expect("write");
        let (tell, told) = channel();
        let changed = move |paths: &[PathBuf]| tell.send(paths.to_vec()).expect("told");
        let watch = FileWatch::start(vec![path("a"), path("b")], changed).expect("watch");
        fs::write(path("a"), "22").expect("write");
        assert_eq!(next(&told), ["a"]);
        // As editors save: another file takes the name.
        fs::write(path("a.new"), "33").expect("write");
        fs::rename(path("a.new"), path("a")).expect("rename");
        assert_eq!(next(&told), ["a"]);
        fs::write(path("b"), "1").expect("write");
        fs::remove_file(path("a")).expect("remove");
        assert_eq!(next(&told), ["a", "b"]);
        fs::write(path("other"), "1").expect("write");
        watch.set(vec![path("b"), path("other")]);
        assert!(told.recv_timeout(Duration::from_millis(1500)).is_err());
        fs::write(path("other"), "22").expect("write");
        assert_eq!(next(&told), ["other"]);
    }

    #[test]
    fn a_file_that_never_rests_is_told_of_now_and_then() {
        let dir = tempfile::tempdir().expect("folder");
        let path = dir.path().join("a");
        let (tell, told) = channel();
        let changed = move |_: &[PathBuf]| tell.send(()).expect("told");
        let _watch = FileWatch::start(vec![path.clone()], changed).expect("watch");
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(2500) {
            fs::write(&path, format!("{:?}", began.elapsed())).expect("write");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!((1..=3).contains(&told.try_iter().count()));
    }
}

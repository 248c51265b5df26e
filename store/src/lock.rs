//! The lock that makes a process the only writer of a store.
//!
//! The lock is the system's `flock`, which ends with its process; the text in the file is for messages only. Knows
//! nothing of the journal.

use std::{fs::File, io::Write as _, os::unix::fs::FileExt as _, path::Path, time::Duration};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
    process::{Pid, test_kill_process},
    system::uname,
};

use crate::{StoreError, error::Holder, error::IoContext as _};

/// The number of looks for the holder's text, and the pause between two of them: a tenth of a second in all.
const LOOKS: usize = 20;
const PAUSE: Duration = Duration::from_millis(5);

/// Holds the lock of a store until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock in a file of this name without waiting for it.
    pub(crate) fn take(root: &Path, name: &str) -> Result<Self, StoreError> {
        let path = root.join(name);
        let open = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.at("open", &path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(StoreError::InUse { path: root.to_owned(), holder: wait_for_holder(&file) });
            }
            Err(error) => return Err(error.into()).at("lock", &path),
        }
        let text = format!("pid {}\nhost {}\n", std::process::id(), uname().nodename().to_string_lossy());
        // The lock holds without its text, so a full disk must not prevent a writer.
        let _ = file.set_len(0).and_then(|()| file.write_all(text.as_bytes()));
        Ok(Self { _file: file })
    }
}

/// Reads the holder of the lock. Waits a moment for the text, which the holder writes after it has taken the lock.
fn wait_for_holder(file: &File) -> Holder {
    let mut holder = read_holder(file);
    for _ in 0..LOOKS {
        if holder.pid.is_some() {
            break;
        }
        std::thread::sleep(PAUSE);
        holder = read_holder(file);
    }
    holder
}

/// Reads the holder of the lock from the text, as far as the text is readable.
fn read_holder(file: &File) -> Holder {
    let mut bytes = vec![0; 1024];
    let read = file.read_at(&mut bytes, 0).unwrap_or(0);
    let text = String::from_utf8_lossy(&bytes[..read]);
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    let printable = |host: &str| host.chars().filter(|c| !c.is_control()).collect();
    Holder { pid: field("pid ").and_then(|pid| pid.parse().ok()), host: field("host ").map(printable) }
}

/// Returns whether the process that last took the lock seems to exist. Takes no lock, so that it cannot disturb a
/// writer that is about to start. A later process with the same id is mistaken for the writer.
pub(crate) fn is_held_by_living(root: &Path) -> bool {
    let Ok(file) = File::open(root.join("lock")) else { return false };
    let Holder { pid, host } = read_holder(&file);
    let here = uname().nodename().to_string_lossy().into_owned();
    match pid.and_then(|pid| Pid::from_raw(pid as i32)) {
        // The processes of other machines cannot be checked.
        _ if host.is_some_and(|host| host != here) => true,
        Some(pid) => matches!(test_kill_process(pid), Ok(()) | Err(Errno::PERM)),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_who_the_first_is() {
        let dir = tempfile::tempdir().unwrap();
        let first = Lock::take(dir.path(), "lock").unwrap();
        let second = Lock::take(dir.path(), "lock").unwrap_err();
        let StoreError::InUse { holder, .. } = &second else { panic!("{second}") };
        assert_eq!(holder.pid, Some(std::process::id()));
        assert!(
            second.to_string().contains(&format!("in use by process {} on ", std::process::id())),
            "{second}"
        );
        drop(first);
        Lock::take(dir.path(), "lock").unwrap();
    }

    #[test]
    fn a_strange_text_in_the_lock_does_no_harm() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("lock"), "pid many\nhost a\u{1b}[31mb\n\u{0}").unwrap();
        let holder = read_holder(&File::open(dir.path().join("lock")).unwrap());
        assert_eq!(holder, Holder { pid: None, host: Some("a[31mb".into()) });
    }
}

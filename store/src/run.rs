//! Run logs: one file of lines per run, appended by the writer and read during the run or later. Pins: the lists of
//! keys that collections keep for a run.
//!
//! Knows nothing of the content of a line, except that it has no line break.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use crate::{Key, Store, StoreError, durable, error::IoContext as _, object::names};

const SUFFIX: &str = ".jsonl";
/// The longest line that a reader waits for, in bytes. A reader never gets past a longer one.
const LINE_LIMIT: u64 = 64 << 20;
/// The number of bytes at the end of the file that are searched for the last line.
const TAIL: u64 = 64 << 10;

/// Appends to the log of one run.
#[derive(Debug)]
pub struct RunWriter {
    path: PathBuf,
    file: File,
}

/// Reads the log of a run as far as it has been written.
#[derive(Debug)]
pub struct RunReader {
    path: PathBuf,
    file: BufReader<File>,
    /// The start of an unfinished line.
    begun: Vec<u8>,
}

impl Store {
    /// Creates the log of a run. The id is part of the file's name: ASCII letters, digits, `.`, `_` and `-`, no leading
    /// dot, at most 200 bytes. Ids that start with the time sort by time. An id that exists is an error.
    pub fn create_run(&self, id: &str) -> Result<RunWriter, StoreError> {
        self.writer()?;
        let path = self.run_path(id);
        check_id(id).at("name a run so", &path)?;
        let file = File::options().append(true).create_new(true).open(&path).at("create", &path)?;
        Ok(RunWriter { path, file })
    }

    /// Lists the ids of all runs, sorted.
    pub fn runs(&self) -> Result<Vec<String>, StoreError> {
        let ids = names(&self.root().join("runs"))?;
        Ok(ids.iter().filter_map(|name| name.strip_suffix(SUFFIX)).map(str::to_owned).collect())
    }

    /// Opens the log of a run for reading, from its first line.
    pub fn open_run(&self, id: &str) -> Result<RunReader, StoreError> {
        let path = self.run_path(id);
        check_id(id).at("read", &path)?;
        let file = BufReader::new(File::open(&path).at("read", &path)?);
        Ok(RunReader { path, file, begun: Vec::new() })
    }

    /// Returns the last whole line of a run's log. Reads the last 64 KiB only; returns `None` if they do not contain a
    /// whole line.
    pub fn last_line_of_run(&self, id: &str) -> Result<Option<String>, StoreError> {
        let path = self.run_path(id);
        check_id(id).at("read", &path)?;
        let mut file = File::open(&path).at("read", &path)?;
        let length = file.metadata().at("read", &path)?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL))).at("read", &path)?;
        let mut tail = vec![];
        file.take(TAIL).read_to_end(&mut tail).at("read", &path)?;
        let Some(end) = tail.iter().rposition(|&byte| byte == b'\n') else { return Ok(None) };
        let start = tail[..end].iter().rposition(|&byte| byte == b'\n').map(|at| at + 1);
        // If the tail does not start at the start of the file, its first line may be cut.
        let start = start.or((length <= TAIL).then_some(0));
        Ok(start.map(|start| String::from_utf8_lossy(&tail[start..end]).into_owned()))
    }

    /// Whether a run is pinned: collections keep the records that it reached.
    #[must_use]
    pub fn is_pinned(&self, id: &str) -> bool {
        self.pin_path(id).exists()
    }

    /// Pins a run: collections keep the records of the keys in `reached`, even if later ops have other versions and the
    /// experiment no longer reaches these keys.
    pub fn pin_run(&self, id: &str, reached: &BTreeSet<Key>) -> Result<(), StoreError> {
        self.writer()?;
        // Pinning a run that does not exist is an error.
        self.open_run(id)?;
        let lines: Vec<String> = reached.iter().map(|key| format!("{key}\n")).collect();
        durable::write(self.root(), &self.pin_path(id), lines.concat().as_bytes())
    }

    /// Returns the keys of a run's pin; `None` if the run is not pinned or a line of its pin is damaged.
    pub fn pinned(&self, id: &str) -> Result<Option<BTreeSet<Key>>, StoreError> {
        let Some(bytes) = durable::read_if_present(&self.pin_path(id))? else { return Ok(None) };
        Ok(String::from_utf8_lossy(&bytes).lines().map(|line| line.parse().ok()).collect())
    }

    /// Removes the pin that [`Self::pin_run`] made. A run without a pin is not an error.
    pub fn unpin_run(&self, id: &str) -> Result<(), StoreError> {
        self.writer()?;
        let path = self.pin_path(id);
        check_id(id).at("name a run so", &path)?;
        match durable::present(fs::remove_file(&path)).at("remove", &path)? {
            Some(()) => path.parent().map_or(Ok(()), durable::sync),
            None => Ok(()),
        }
    }

    fn pin_path(&self, id: &str) -> PathBuf {
        self.root().join("runs").join(format!("{id}.pin"))
    }

    /// Returns the path of a run's log.
    #[must_use]
    pub fn run_path(&self, id: &str) -> PathBuf {
        self.root().join("runs").join(format!("{id}{SUFFIX}"))
    }
}

impl RunWriter {
    /// Appends a line, which readers see at once. Line breaks within `line` become spaces. The file is not synced: a
    /// run log is no result.
    pub fn append_line(&mut self, line: &str) -> Result<(), StoreError> {
        let text = format!("{}\n", line.replace(['\n', '\r'], " "));
        self.file.write_all(text.as_bytes()).at("write", &self.path)
    }
}

impl RunReader {
    /// Returns the next whole line; `None` if it is not written yet. An unfinished last line, as a killed run leaves
    /// it, is never returned.
    pub fn next_line(&mut self) -> Result<Option<String>, StoreError> {
        let room = LINE_LIMIT.saturating_sub(self.begun.len() as u64);
        (&mut self.file).take(room).read_until(b'\n', &mut self.begun).at("read", &self.path)?;
        if self.begun.pop_if(|last| *last == b'\n').is_none() {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&self.begun).into_owned();
        self.begun.clear();
        Ok(Some(line))
    }

    /// Returns the path of the run log.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Checks that an id is the name of a visible file in its directory.
fn check_id(id: &str) -> io::Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let good = !id.is_empty() && id.len() <= 200 && !id.starts_with('.') && id.chars().all(plain);
    if good { Ok(()) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_follows_a_run_and_never_sees_half_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_writer(dir.path()).unwrap();
        let mut run = store.create_run("20260102T030405-1").unwrap();
        let mut reader = store.open_run("20260102T030405-1").unwrap();
        assert_eq!(reader.next_line().unwrap(), None);
        run.append_line(r#"{"n":1}"#).unwrap();
        run.file.write_all(br#"{"n":"#).unwrap();
        assert_eq!(reader.next_line().unwrap().as_deref(), Some(r#"{"n":1}"#));
        assert_eq!(reader.next_line().unwrap(), None);
        run.append_line("2}").unwrap();
        assert_eq!(reader.next_line().unwrap().as_deref(), Some(r#"{"n":2}"#));
        assert_eq!(reader.next_line().unwrap(), None);
    }

    #[test]
    fn the_last_line_is_the_last_whole_one() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_writer(dir.path()).unwrap();
        let mut run = store.create_run("r").unwrap();
        let last = || store.last_line_of_run("r").unwrap();
        assert_eq!(last(), None);
        run.append_line("one").unwrap();
        assert_eq!(last().as_deref(), Some("one"));
        run.append_line("two").unwrap();
        run.file.write_all(b"torn").unwrap();
        assert_eq!(last().as_deref(), Some("two"));
        run.append_line(&"x".repeat(TAIL as usize)).unwrap();
        assert_eq!(last(), None);
        run.append_line("three").unwrap();
        assert_eq!(last().as_deref(), Some("three"));
        assert!(store.has_living_writer());
    }

    #[test]
    fn runs_are_sorted_and_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_writer(dir.path()).unwrap();
        for id in ["2026-02", "2026-01", "2026-03"] {
            store.create_run(id).unwrap();
        }
        assert_eq!(store.runs().unwrap(), ["2026-01", "2026-02", "2026-03"]);
        assert!(store.create_run("2026-01").is_err());
    }

    #[test]
    fn an_id_cannot_leave_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_writer(dir.path()).unwrap();
        for id in ["", ".", "..", "../lock", "a/b", "a\0b", "a\nb", ".hidden"] {
            assert!(store.create_run(id).is_err() && store.open_run(id).is_err(), "{id:?}");
        }
    }
}

//! The journals of runs: one file of lines per run, written once and read live or later.
//!
//! Knows nothing of what the lines say, except that none has a line break in it.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use crate::{Key, Store, StoreError, durable, error::IoContext as _, object::names};

const SUFFIX: &str = ".jsonl";
/// A line longer than this is not waited for.
const LINE_LIMIT: u64 = 64 << 20;
/// The last line is looked for in so many bytes.
const TAIL: u64 = 64 << 10;

/// Writes the journal of one run.
#[derive(Debug)]
pub struct RunWriter {
    path: PathBuf,
    file: File,
}

/// Reads the journal of a run, as far as it has been written.
#[derive(Debug)]
pub struct RunReader {
    path: PathBuf,
    file: BufReader<File>,
    /// The beginning of a line whose end is not there yet.
    begun: Vec<u8>,
}

impl Store {
    /// Starts the journal of a run. The id names a file, and sorts by time if it begins with one.
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

    /// Opens the journal of a run for reading, from its first line.
    pub fn open_run(&self, id: &str) -> Result<RunReader, StoreError> {
        let path = self.run_path(id);
        check_id(id).at("read", &path)?;
        let file = BufReader::new(File::open(&path).at("read", &path)?);
        Ok(RunReader { path, file, begun: Vec::new() })
    }

    /// Gives the last whole line of a run's journal, without reading what comes before; none if it has none or it is
    /// very long.
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
        // Where the tail begins within a line, that line is not whole.
        let start = start.or((length <= TAIL).then_some(0));
        Ok(start.map(|start| String::from_utf8_lossy(&tail[start..end]).into_owned()))
    }

    /// Says whether a run is pinned: what it reached is to be kept.
    #[must_use]
    pub fn is_pinned(&self, id: &str) -> bool {
        self.pin_path(id).exists()
    }

    /// Pins a run: what it reached is kept, whatever a later program makes of its experiment.
    pub fn pin_run(&self, id: &str, reached: &BTreeSet<Key>) -> Result<(), StoreError> {
        self.writer()?;
        // A run that is not there cannot be pinned.
        self.open_run(id)?;
        let lines: Vec<String> = reached.iter().map(|key| format!("{key}\n")).collect();
        durable::write(self.root(), &self.pin_path(id), lines.concat().as_bytes())
    }

    /// Gives the keys that a pin holds; none if the run is not pinned, or a line of its pin is damaged.
    pub fn pinned(&self, id: &str) -> Result<Option<BTreeSet<Key>>, StoreError> {
        let Some(bytes) = durable::read_if_present(&self.pin_path(id))? else { return Ok(None) };
        Ok(String::from_utf8_lossy(&bytes).lines().map(|line| line.parse().ok()).collect())
    }

    /// Undoes [`Self::pin_run`].
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

    /// Says where the journal of a run is.
    #[must_use]
    pub fn run_path(&self, id: &str) -> PathBuf {
        self.root().join("runs").join(format!("{id}{SUFFIX}"))
    }
}

impl RunWriter {
    /// Adds a line, which readers see at once. It is not brought to the disk: a run's journal is no result.
    pub fn append_line(&mut self, line: &str) -> Result<(), StoreError> {
        let text = format!("{}\n", line.replace(['\n', '\r'], " "));
        self.file.write_all(text.as_bytes()).at("write", &self.path)
    }
}

impl RunReader {
    /// Gives the next whole line; none for now if there is no more. A torn last line is never given, and what a
    /// killed run left is closed by the end of the file.
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

    /// Says where the journal is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A name that stays in its directory and is no hidden file.
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

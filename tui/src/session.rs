//! The common start of most commands: parses the experiment, finds the store, makes the ops.
//! Knows nothing of the commands.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use fewbits_engine::graph::{TaskGraph, base_of};
use fewbits_engine::text::fault::Fault;
use fewbits_ops::StandardOps;
use fewbits_ops::format::{Codec, Format};
use fewbits_store::{Store, StoreError};

use crate::cli::{Color, Global};
use crate::dashboard::theme::Theme;
use crate::diagnose;
use crate::exit::{Coded, Exit};
use crate::ui::plain::printable;

/// The interval between attempts to open a store in use.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// The most bytes of an experiment file.
const MOST_BYTES: u64 = 16 << 20;

/// Holds an experiment with its ops.
pub struct Session {
    pub graph: Arc<TaskGraph<StandardOps>>,
    pub ops: Arc<StandardOps>,
}

/// Reads an experiment file. All its faults are in one error.
pub fn open(file: &Path, global: &Global) -> Result<Session> {
    parse(&read(file)?, file, global)
}

/// Reads the text of an experiment file.
pub fn read(file: &Path) -> Result<String> {
    let path = file.display();
    if std::fs::metadata(file).is_ok_and(|metadata| metadata.len() > MOST_BYTES) {
        let most = MOST_BYTES >> 20;
        return Err(Coded::usage(format!(
            "{path}: this file is larger than {most} MiB, so it is no experiment"
        )));
    }
    match std::fs::read(file) {
        Err(error) => Err(Coded::usage(format!(
            "{path}: {error}; name an experiment file, such as experiments/quickstart.ron"
        ))),
        Ok(bytes) => String::from_utf8(bytes).map_err(|error| {
            let is_utf16 = [b"\xff\xfe", b"\xfe\xff"].iter().any(|mark| error.as_bytes().starts_with(*mark));
            let what = if is_utf16 { "a text file in UTF-16" } else { "not a text file in UTF-8" };
            Coded::usage(format!("{path}: this is {what}; save it as UTF-8"))
        }),
    }
}

/// Parses an experiment's text; `file` is the base of relative paths and the name in messages.
pub fn parse(text: &str, file: &Path, global: &Global) -> Result<Session> {
    let path = file.display().to_string();
    let ops = StandardOps::new(data_dir(global), base_of(file).to_path_buf()).panicking_in(panics_in());
    let ops = Arc::new(ops);
    match TaskGraph::parse(text, &*ops, global.max_tasks) {
        Ok(mut graph) => {
            // The canonical path identifies the experiment, under any name of the file.
            let file = file.canonicalize().or_else(|_| std::path::absolute(file));
            let file = file.unwrap_or_else(|_| path.into());
            graph.file = Some(file.to_string_lossy().into_owned());
            Ok(Session { graph: Arc::new(graph), ops })
        }
        Err(faults) => Err(faulty(&faults, text, &path, global)),
    }
}

/// Parses a number format from the command line, and makes its codec.
pub fn format(text: &str, global: &Global) -> Result<(Format, Codec)> {
    if text.trim().is_empty() {
        return Err(Coded::usage(
            "FORMAT is empty; write one as in an experiment, such as E2M1 or 'Float(e: 3, m: 0)'",
        ));
    }
    let format = Format::parse(text).map_err(|faults| faulty(&faults, text, "FORMAT", global))?;
    let codec = format.codec()?;
    Ok((format, codec))
}

/// Makes the error of a text with faults. `path` names the text in the message.
pub fn faulty(faults: &[Fault], text: &str, path: &str, global: &Global) -> anyhow::Error {
    let color = colored(global.color, std::io::stderr().is_terminal());
    Coded::usage(diagnose::faults(faults, text, path, color).trim_end())
}

/// Opens the store for reading.
pub fn reader(global: &Global) -> Result<Store> {
    Ok(reader_of(&store_dir(global)?)?)
}

/// Opens the store in a folder for reading.
pub fn reader_of(dir: &Path) -> Result<Store, StoreError> {
    match index_from() {
        Some(bytes) => Store::open_reader_with(dir, bytes),
        None => Store::open_reader(dir),
    }
}

/// Opens the store for writing and holds its lock until it is dropped. With `wait`, waits while another process is the
/// writer, until `stops` returns true.
pub fn writer(global: &Global, wait: bool, stops: impl Fn() -> bool) -> Result<Store> {
    let dir = store_dir(global)?;
    let mut told = false;
    let open = || match index_from() {
        Some(bytes) => Store::open_writer_with(&dir, bytes),
        None => Store::open_writer(&dir),
    };
    loop {
        match open() {
            Err(StoreError::InUse { .. }) if wait && stops() => {
                let message = "interrupted while it waited for the store".to_owned();
                return Err(Coded { exit: Exit::Interrupted, message }.into());
            }
            Err(StoreError::InUse { holder, .. }) if wait => {
                if !std::mem::replace(&mut told, true) {
                    sayln!(
                        "waiting for {} to end its work in {}",
                        printable(&holder.to_string()),
                        dir.display()
                    );
                }
                std::thread::sleep(BETWEEN_LOOKS);
            }
            opened => return Ok(opened?),
        }
    }
}

/// Returns the folder of the store: that of `--store`, else the nearest `.fewbits/` in or above the working folder,
/// else a new one in it.
pub fn store_dir(global: &Global) -> Result<PathBuf> {
    if let Some(dir) = given(global.store.as_ref()) {
        if dir.is_file() {
            let message = format!("{}: this is a file; name a folder with --store", dir.display());
            return Err(Coded { exit: Exit::Store, message }.into());
        }
        return Ok(dir.clone());
    }
    let here = std::env::current_dir().context("this folder cannot be read")?;
    Ok(nearest_store(&here).unwrap_or_else(|| here.join(".fewbits")))
}

/// Returns the folder of the store of an experiment file: that of [`store_dir`] if it is there, else the nearest
/// `.fewbits/` above the file. An editor may work in any folder.
pub fn store_dir_of(file: &Path, global: &Global) -> Result<PathBuf> {
    let dir = store_dir(global)?;
    let beside = || nearest_store(base_of(file)).filter(|_| given(global.store.as_ref()).is_none());
    Ok(if dir.is_dir() { dir } else { beside().unwrap_or(dir) })
}

fn nearest_store(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().map(|dir| dir.join(".fewbits")).find(|dir| dir.is_dir())
}

/// Returns the folder of the datasets: that of `--data-dir`, else the user's cache.
pub fn data_dir(global: &Global) -> PathBuf {
    if let Some(dir) = given(global.data_dir.as_ref()) {
        return dir.clone();
    }
    let home = |name: &str| std::env::var_os(name).filter(|dir| !dir.is_empty()).map(PathBuf::from);
    home("XDG_CACHE_HOME")
        .or_else(|| home("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(|| PathBuf::from(".cache"))
        .join("fewbits")
}

fn given(dir: Option<&PathBuf>) -> Option<&PathBuf> {
    dir.filter(|dir| !dir.as_os_str().is_empty())
}

/// Returns the number of threads that all tasks share: `RAYON_NUM_THREADS` if set, else one per core.
pub fn threads() -> usize {
    let asked = std::env::var("RAYON_NUM_THREADS").ok().and_then(|threads| threads.parse().ok());
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    asked.filter(|threads| *threads > 0).unwrap_or_else(cores)
}

/// Returns an environment variable; `None` if it is unset or empty.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Returns the op, or `dashboard`, that panics on purpose in tests (`FEWBITS_PANIC_IN`, debug builds only).
pub fn panics_in() -> Option<String> {
    if cfg!(debug_assertions) { variable("FEWBITS_PANIC_IN") } else { None }
}

/// Returns the journal length in bytes above which the store has an index (`FEWBITS_INDEX_FROM`, debug builds only).
/// With 0, every lookup uses the index.
fn index_from() -> Option<u64> {
    if cfg!(debug_assertions) { variable("FEWBITS_INDEX_FROM")?.parse().ok() } else { None }
}

/// Returns the colours and symbols of the dashboard for this terminal.
pub fn theme(global: &Global) -> Theme {
    let [term, colorterm] = ["TERM", "COLORTERM"].map(|name| variable(name).unwrap_or_default());
    Theme::for_terminal(colored(global.color, true), &term, &colorterm, global.ascii)
}

/// Whether to colour the output on a stream; `terminal` tells whether the stream is one.
pub fn colored(color: Color, terminal: bool) -> bool {
    let plain = || variable("NO_COLOR").is_some() || variable("TERM").is_some_and(|term| term == "dumb");
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => terminal && !plain(),
    }
}

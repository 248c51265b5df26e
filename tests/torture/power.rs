//! Simulated power loss. A log has every system call that a run makes on its store. The log is replayed up to each
//! call, changes that are not synced by then are lost in any combination, and the remaining store is opened.
//!
//! The model disk keeps no more than was synced: a file's bytes by a sync of the file, a name by a sync of its folder.
//! Any selection of the unsynced writes survives, in whole or in half, and any selection of the unsynced names.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use fewbits_store::{Key, Record, Store};
use serde_json::Value as Json;

use crate::fixture::{Bench, end, files};
use crate::promises::{Random, THREE, Tally, long};
use crate::shim::logged;

/// One logged call: a change of the store, or output on standard output.
enum Call {
    Create(PathBuf),
    MakeDir(PathBuf),
    Write(PathBuf, u64, Vec<u8>),
    Cut(PathBuf, u64),
    Sync(PathBuf),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    Told(Vec<u8>),
}

/// Parses the log of `shim.c`.
fn read_log(log: &Path) -> Vec<Call> {
    let bytes = fs::read(log).expect("a log");
    let mut rest = &bytes[..];
    let mut calls = vec![];
    while let Some((kind, after)) = rest.split_first() {
        rest = after;
        let number = |rest: &mut &[u8]| {
            let (number, after) = rest.split_first_chunk::<8>().expect("a number");
            *rest = after;
            u64::from_le_bytes(*number)
        };
        let text = |rest: &mut &[u8]| {
            let length = number(rest) as usize;
            let (text, after) = rest.split_at(length);
            *rest = after;
            text.to_vec()
        };
        let path = |bytes: Vec<u8>| PathBuf::from(String::from_utf8(bytes).expect("a path"));
        let (one, two, data) = (path(text(&mut rest)), path(text(&mut rest)), text(&mut rest));
        let offset = number(&mut rest);
        calls.push(match kind {
            b'c' => Call::Create(one),
            b'm' => Call::MakeDir(one),
            b'w' => Call::Write(one, offset, data),
            b't' => Call::Cut(one, offset),
            b's' => Call::Sync(one),
            b'r' => Call::Rename(one, two),
            b'u' | b'd' => Call::Remove(one),
            b'S' => Call::Told(data),
            other => panic!("call {other}"),
        });
    }
    calls
}

/// An unsynced change of a file's bytes.
#[derive(Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Cut(u64),
}

/// An unsynced change of a folder.
#[derive(Clone)]
enum Naming {
    Is(PathBuf, Node),
    Gone(PathBuf),
}

#[derive(Clone, Copy)]
enum Node {
    Dir,
    /// The index of the file's bytes in `Disk::files`.
    File(usize),
}

#[derive(Clone, Default)]
struct Bytes {
    safe: Vec<u8>,
    open: Vec<Change>,
}

/// The model disk: the synced state, and the unsynced changes.
#[derive(Default)]
struct Disk {
    files: Vec<Bytes>,
    names: BTreeMap<PathBuf, Node>,
    open: Vec<Naming>,
    /// The file that each path named last. A process that has the file open still writes to it.
    meant: HashMap<PathBuf, usize>,
}

impl Disk {
    /// Creates a model disk from a store, with everything synced.
    fn of(root: &Path) -> Self {
        let mut disk = Self::default();
        disk.names.insert(root.to_owned(), Node::Dir);
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for path in files(&folder) {
                if path.is_dir() {
                    disk.names.insert(path.clone(), Node::Dir);
                    folders.push(path);
                } else {
                    disk.names.insert(path.clone(), Node::File(disk.files.len()));
                    disk.meant.insert(path.clone(), disk.files.len());
                    disk.files.push(Bytes { safe: fs::read(&path).expect("a file"), open: vec![] });
                }
            }
        }
        disk
    }

    fn play(&mut self, call: &Call) {
        match call {
            Call::Create(path) => {
                self.meant.insert(path.clone(), self.files.len());
                self.open.push(Naming::Is(path.clone(), Node::File(self.files.len())));
                self.files.push(Bytes::default());
            }
            Call::MakeDir(path) => self.open.push(Naming::Is(path.clone(), Node::Dir)),
            Call::Write(path, offset, data) => self.change(path, Change::Write(*offset, data.clone())),
            Call::Cut(path, length) => self.change(path, Change::Cut(*length)),
            Call::Sync(path) => self.sync(path),
            Call::Rename(from, to) => {
                let Some(&file) = self.meant.get(from) else { return self.rename_folder(from, to) };
                self.meant.insert(to.clone(), file);
                self.open.push(Naming::Is(to.clone(), Node::File(file)));
                self.open.push(Naming::Gone(from.clone()));
            }
            Call::Remove(path) => self.open.push(Naming::Gone(path.clone())),
            Call::Told(_) => {}
        }
    }

    /// Renames a folder with all its content; the model makes this durable at once. Only an index that is set aside is
    /// renamed.
    fn rename_folder(&mut self, from: &Path, to: &Path) {
        let moved: Vec<(PathBuf, Node)> =
            self.names.iter().map(|(path, node)| (path.clone(), *node)).collect();
        for (path, node) in moved {
            if let Ok(below) = path.strip_prefix(from) {
                self.names.remove(&path);
                self.names.insert(to.join(below), node);
            }
        }
    }

    fn change(&mut self, path: &Path, change: Change) {
        let file = self.meant[path];
        self.files[file].open.push(change);
    }

    fn sync(&mut self, path: &Path) {
        if let Some(&file) = self.meant.get(path) {
            let Bytes { safe, open } = &mut self.files[file];
            open.drain(..).for_each(|change| apply(safe, &change));
            return;
        }
        let open = std::mem::take(&mut self.open);
        for naming in open {
            let (Naming::Is(named, _) | Naming::Gone(named)) = &naming;
            if named.parent() == Some(path) { name(&mut self.names, naming) } else { self.open.push(naming) }
        }
    }

    /// Writes the store after a power loss to `to`. `comes` decides which unsynced changes survive.
    fn lose(&self, root: &Path, to: &Path, comes: &mut dyn FnMut() -> bool) {
        let mut names = self.names.clone();
        self.open.iter().filter(|_| comes()).for_each(|naming| self::name(&mut names, naming.clone()));
        for (path, node) in names {
            let Ok(below) = path.strip_prefix(root) else { continue };
            let place = to.join(below);
            // The content of a folder is lost if the folder's own name is lost.
            if below.parent().is_some_and(|parent| !to.join(parent).is_dir()) {
                continue;
            }
            match node {
                Node::Dir => fs::create_dir_all(place).expect("a folder"),
                Node::File(file) => {
                    let Bytes { mut safe, open } = self.files[file].clone();
                    for change in &open {
                        match change {
                            change if comes() => apply(&mut safe, change),
                            // Half of the write survives.
                            Change::Write(offset, data) if comes() => {
                                let half = data[..data.len() / 2].to_vec();
                                apply(&mut safe, &Change::Write(*offset, half));
                            }
                            _ => {}
                        }
                    }
                    fs::write(place, safe).expect("a file");
                }
            }
        }
    }
}

fn name(names: &mut BTreeMap<PathBuf, Node>, naming: Naming) {
    match naming {
        Naming::Is(path, node) => drop(names.insert(path, node)),
        Naming::Gone(path) => drop(names.remove(&path)),
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Cut(length) => bytes.resize(*length as usize, 0),
        Change::Write(offset, data) => {
            let end = *offset as usize + data.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[*offset as usize..end].copy_from_slice(data);
        }
    }
}

/// Returns the keys of the tasks that were reported as completed.
fn reported(calls: &[Call]) -> Vec<Key> {
    let told: Vec<u8> = calls
        .iter()
        .filter_map(|call| if let Call::Told(data) = call { Some(data) } else { None })
        .flatten()
        .copied()
        .collect();
    let text = String::from_utf8(told).expect("text");
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let events = whole.lines().filter_map(|line| serde_json::from_str::<Json>(line).ok());
    let done = events.filter(|event| event["event"] == "completed");
    done.map(|event| event["key"].as_str().expect("a key").parse().expect("a key")).collect()
}

fn records(store: &Store) -> BTreeMap<Key, Record> {
    let mut all = BTreeMap::new();
    store.for_each_record(&mut |key, record| drop(all.insert(key, record))).expect("the records");
    all
}

/// Returns the broken promises of a store after a power loss: for a reader, for a writer that uses the index, and for a
/// reader after the writer.
fn broken(root: &Path, truth: &BTreeMap<Key, Record>, done: &[Key]) -> Vec<String> {
    let mut broken = vec![];
    for who in ["reader", "writer", "next reader"] {
        let store = match if who == "writer" {
            Store::open_writer_with(root, 0)
        } else {
            Store::open_reader_with(root, 0)
        } {
            Ok(store) => store,
            Err(error) => {
                broken.push(format!("promise 3: {who}: {error}"));
                continue;
            }
        };
        let hits = match store.lookup(done) {
            Ok(hits) => hits,
            Err(error) => {
                broken.push(format!("promise 3: {who}: {error}"));
                continue;
            }
        };
        for (key, hit) in done.iter().zip(hits) {
            let record = store.record(key).expect("a look");
            let object = |record: &Record| {
                record
                    .parts
                    .values()
                    .all(|part| !record.kept || store.object(part).is_ok_and(|object| object.is_some()))
            };
            if hit.is_none() || !record.as_ref().is_some_and(object) {
                broken.push(format!("promise 1: {who}: {} was reported and is gone", key.short()));
            }
        }
        for (key, record) in records(&store) {
            if !truth.get(&key).is_some_and(|truth| truth.says_the_same_as(&record)) {
                broken.push(format!("promise 2: {who}: {} says something else", key.short()));
            }
        }
        if who == "next reader" && !store.verify().expect("a look").is_good() {
            broken.push("promise 3: damage is left".to_owned());
        }
    }
    broken
}

/// Replays a command's calls up to each one, and simulates a power loss there.
fn at_every_call(name: &'static str, bench: &Bench, arguments: [&str; 5], before: &[Key]) {
    let root = bench.path("store");
    fs::create_dir_all(&root).expect("a folder");
    let mut disk = Disk::of(&root);
    let mut truth = records(&Store::open_reader(&root).expect("the store"));
    let log = bench.path("log");
    let ended = end(&mut logged(bench, arguments, &log));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    truth.extend(records(&Store::open_reader(&root).expect("the store")));
    let calls = read_log(&log);
    let (mut tally, mut random) = (Tally::new(name), Random::new(name));
    let ways = if long() { 24 } else { 3 };
    for at in 0..=calls.len() {
        let done: Vec<Key> = reported(&calls[..at]).into_iter().chain(before.iter().copied()).collect();
        for way in 0..ways {
            let left = tempfile::tempdir().expect("a folder");
            let mut comes = || match way {
                0 => false,
                1 => true,
                _ => random.below(2) == 0,
            };
            disk.lose(&root, left.path(), &mut comes);
            tally.tried();
            tally.note(&format!("after call {at}, way {way}"), broken(left.path(), &truth, &done));
        }
        if let Some(call) = calls.get(at) {
            disk.play(call);
        }
    }
    tally.end(ways * 10);
}

const RUN: [&str; 5] = ["run", "x.ron", "--ui", "json", "--quiet"];

#[test]
fn in_a_first_run() {
    at_every_call("power lost at every call of a first run", &Bench::with(THREE), RUN, &[]);
}

#[test]
fn in_a_second_run() {
    let bench = Bench::with(THREE);
    bench.run_well();
    let before: Vec<Key> =
        records(&Store::open_reader(&bench.path("store")).expect("the store")).into_keys().collect();
    bench.edit("[0]", "[0, 1]");
    at_every_call("power lost at every call of a second run", &bench, RUN, &before);
}

/// A collection never loses a result that it keeps.
#[test]
fn in_a_collection() {
    let bench = Bench::with(THREE);
    bench.run_well();
    let before: Vec<Key> =
        records(&Store::open_reader(&bench.path("store")).expect("the store")).into_keys().collect();
    bench.edit("epochs: 1", "epochs: 2");
    bench.run_well();
    bench.edit("epochs: 2", "epochs: 1");
    at_every_call(
        "power lost at every call of a collection",
        &bench,
        ["store", "gc", "x.ron", "--delete", "--quiet"],
        &before,
    );
}

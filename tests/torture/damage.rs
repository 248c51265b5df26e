//! Every file of a store is damaged: a bit flipped, the end cut off, the file deleted or exchanged.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::fixture::{Bench, files};
use crate::kill::copy;
use crate::promises::{Random, THREE, Tally, Truth, broken_values, long, manners, unsound};

/// Returns all files below a folder, sorted.
fn all_files(dir: &Path) -> Vec<PathBuf> {
    let mut all = vec![];
    for path in files(dir) {
        if path.is_dir() { all.extend(all_files(&path)) } else { all.push(path) }
    }
    all.sort();
    all
}

/// A whole store and its expected results. Its copies are damaged, read, used by a run, and read again.
struct Subject {
    whole: Bench,
    truth: Truth,
    tally: Tally,
}

impl Subject {
    fn new(name: &'static str) -> Self {
        let more = THREE.replace("[0]", "[0, 1]");
        let whole = Bench::with(&more);
        whole.run_well();
        Self { whole, truth: Truth::of(&more), tally: Tally::new(name) }
    }

    fn files(&self) -> Vec<PathBuf> {
        let root = self.whole.path("store");
        let relative = |path: PathBuf| path.strip_prefix(&root).expect("below").to_owned();
        all_files(&root).into_iter().map(relative).collect()
    }

    fn damaged(&mut self, what: &str, damage: impl FnOnce(&Path)) {
        let bench = Bench::new();
        copy(&self.whole.path("."), &bench.path("."));
        damage(&bench.path("store"));
        self.tally.tried();
        for command in [["table", "x.ron"], ["plan", "x.ron"]] {
            let ended = bench.fewbits(command);
            let mut wrong = manners(&ended, &[0]);
            // A reader shows right values or none.
            if command[0] == "table" && ended.code == Some(0) && !is_right(&ended.stdout, &self.truth.tables)
            {
                wrong.push(format!("promise 2: {}", ended.stdout));
            }
            self.tally.note(&format!("{what}, {}", command[0]), wrong);
        }
        self.tally.note(what, broken_values(&bench, &self.truth, &BTreeSet::new()));
        // The new node reads the kept models, so the run finds damage in them.
        bench.edit(
            "\"score\":",
            "\"seen\": Evaluate(model: \"net\", data: \"mnist\", split: Train),\n\"score\":",
        );
        let told = bench.run();
        let mut wrong = if told.code == Some(0) { vec![] } else { vec![format!("promise 3: {told:?}")] };
        // The records of another store are right, but their kept objects are not in this store.
        if !what.contains("another store's journal") {
            wrong.extend(unsound(&bench));
        }
        self.tally.note(&format!("{what}, used"), wrong);
    }
}

/// Returns whether every line with a value also occurs in the expected tables.
fn is_right(shown: &str, truth: &str) -> bool {
    let is_value = |word: &str| word.contains('.') && word.parse::<f64>().is_ok();
    let has_value = |line: &&str| line.split_whitespace().any(is_value);
    shown.lines().filter(has_value).all(|line| truth.lines().any(|truth| truth == line))
}

#[test]
fn flipped() {
    let (mut subject, mut random) = (Subject::new("a bit flipped in every file"), Random::new("flipped"));
    for file in subject.files() {
        let bytes = fs::read(subject.whole.path("store").join(&file)).expect("a file");
        for _ in 0..if long() { 12 } else { 1 } {
            let (at, bit) = (random.below(bytes.len()), random.below(8));
            if bytes.is_empty() {
                continue;
            }
            subject.damaged(&format!("{} bit {bit} of byte {at}", file.display()), |store| {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1 << bit;
                fs::write(store.join(&file), bytes).expect("a write");
            });
        }
    }
    subject.tally.end(10);
}

#[test]
fn cut_and_deleted() {
    let mut subject = Subject::new("every file cut to 0, 1 and n-1 bytes, and deleted");
    for (at, file) in subject.files().into_iter().enumerate() {
        let length = fs::metadata(subject.whole.path("store").join(&file)).expect("a file").len();
        let mut lengths = vec![Some(0), Some(1), Some(length.saturating_sub(1)), None];
        if !long() {
            lengths = vec![lengths[at % 4]];
        }
        for length in lengths {
            subject.damaged(&format!("{} cut to {length:?}", file.display()), |store| match length {
                Some(length) => {
                    let file = fs::File::options().write(true).open(store.join(&file)).expect("a file");
                    file.set_len(length).expect("a cut");
                }
                None => fs::remove_file(store.join(&file)).expect("a deletion"),
            });
        }
    }
    subject.tally.end(10);
}

#[test]
fn exchanged() {
    let mut subject = Subject::new("files exchanged, folders deleted, another store's index");
    let other = Bench::with(&THREE.replace("train: 100", "train: 150"));
    other.run_well();
    let objects: Vec<PathBuf> =
        subject.files().into_iter().filter(|file| file.starts_with("objects")).collect();
    subject.damaged("two objects swapped", |store| {
        let [one, two] = [&objects[0], &objects[1]].map(|file| store.join(file));
        let content = fs::read(&one).expect("a file");
        fs::copy(&two, &one).expect("a copy");
        fs::write(&two, content).expect("a write");
    });
    for part in ["index", "journal", "STORE"] {
        subject.damaged(&format!("another store's {part}"), |store| {
            let (from, to) = (other.path("store").join(part), store.join(part));
            if from.is_dir() {
                fs::remove_dir_all(&to).expect("a deletion");
                copy(&from, &to);
            } else {
                fs::copy(from, to).expect("a copy");
            }
        });
    }
    for part in ["index", "journal", "objects", "runs", "partial", "tmp"] {
        subject.damaged(&format!("{part} deleted"), |store| {
            fs::remove_dir_all(store.join(part)).expect("a deletion");
        });
    }
    subject.damaged("an old copy of the journal's beginning behind its end", |store| {
        let path = store.join("journal/1.fbj");
        let bytes = fs::read(&path).expect("a file");
        fs::write(path, [&bytes[..], &bytes[48..]].concat()).expect("a write");
    });
    subject.tally.end(10);
}

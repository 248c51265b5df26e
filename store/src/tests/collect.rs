//! Tests of collections and archives.

use std::{collections::BTreeMap, fs};

use super::*;
use crate::{Digest, Retained, journal::Journal};

const MODELS: [&[u8]; 2] = [b"model 0", b"model 1"];

/// Makes a store of two trainings that keep their model, ten evaluations, a checkpoint, two runs and a file in
/// `aside/`.
fn furnished() -> (tempfile::TempDir, Vec<(Key, Record)>) {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open_writer(dir.path()).unwrap());
    let mut all: Vec<_> = (0..10).map(|n| sample("evaluate", n)).collect();
    for (n, model) in (0..).zip(MODELS) {
        let (key, record) = sample("train", n);
        let parts = BTreeMap::from([("model".to_owned(), Digest::hash(model))]);
        all.push((key, Record { parts, kept: true, ..record }));
    }
    let commits = (0..).zip(all.clone()).map(|(ticket, sample)| Commit {
        objects: if ticket < 10 { vec![] } else { vec![MODELS[ticket as usize - 10].to_vec()] },
        ..plain(ticket, sample)
    });
    commit(&store, commits.collect());
    store.save_checkpoint(&Key::derive("unfinished"), b"state").unwrap();
    for run in ["run-1", "run-2"] {
        store.create_run(run).unwrap().append_line("{}").unwrap();
    }
    fs::create_dir(dir.path().join("aside")).unwrap();
    fs::write(dir.path().join("aside/index-1"), "damaged").unwrap();
    (dir, all)
}

/// Selects every other evaluation, the first training, and the second run.
fn some(all: &[(Key, Record)]) -> Retained {
    let keys = all.iter().enumerate().filter(|(at, _)| at % 2 == 0).map(|(_, (key, _))| *key).collect();
    Retained { keys, runs: ["run-2".to_owned()].into() }
}

fn records(store: &Store) -> BTreeMap<Key, Record> {
    let mut found = BTreeMap::new();
    store.for_each_record(&mut |key, record| assert!(found.insert(key, record).is_none())).unwrap();
    found
}

fn left(all: &[(Key, Record)], wanted: &Retained) -> BTreeMap<Key, Record> {
    all.iter().filter(|(key, _)| wanted.keys.contains(key)).cloned().collect()
}

#[test]
fn what_is_not_wanted_is_found_and_then_deleted() {
    let (dir, all) = furnished();
    let wanted = some(&all);
    let before = fs::metadata(dir.path().join("journal/1.fbj")).unwrap().len();
    let reader = Store::open_reader(dir.path()).unwrap();
    let found = reader.unwanted(&wanted).unwrap();
    assert_eq!((found.kept, found.records(), found.ops["evaluate"].records), (6, 6, 5));
    assert_eq!((found.seconds(), &found.objects), (9.0, &vec![Digest::hash(MODELS[1])]));
    assert_eq!((&found.runs, found.rest.len()), (&vec!["run-1".to_owned()], 2));
    assert_eq!(records(&reader).len(), 12, "nothing is deleted by looking");
    let store = Store::open_writer(dir.path()).unwrap();
    let reached = wanted.keys.iter().copied().collect();
    store.pin_run("run-2", &reached).unwrap();
    assert_eq!(store.pinned("run-2").unwrap(), Some(reached));
    assert_eq!(store.collect(&wanted).unwrap(), found);
    assert_eq!(
        fs::metadata(dir.path().join("journal/2.fbj")).unwrap().len(),
        before - found.journal_bytes,
        "the journal got as much shorter as was said"
    );
    for store in [reader, Store::open_reader(dir.path()).unwrap(), Store::open_writer(dir.path()).unwrap()] {
        assert_eq!(records(&store), left(&all, &wanted));
        assert_eq!(store.object(&Digest::hash(MODELS[0])).unwrap().as_deref(), Some(MODELS[0]));
        assert!(!store.has_object(&Digest::hash(MODELS[1])));
        assert!(store.verify().unwrap().is_good() && store.is_pinned("run-2"));
        assert_eq!(store.warnings(), [""; 0]);
        let nothing = store.unwanted(&wanted).unwrap();
        assert_eq!((nothing.bytes(), nothing.records()), (0, 0));
    }
}

#[test]
fn an_index_of_the_old_journal_is_replaced_without_a_word() {
    let (dir, all) = furnished();
    let wanted = some(&all);
    let store = Store::open_writer_with(dir.path(), 0).unwrap();
    // The lookup opens the index.
    assert!(store.lookup(&[all[0].0]).unwrap()[0].is_some());
    store.collect(&wanted).unwrap();
    for _ in 0..2 {
        let store = Arc::new(Store::open_writer_with(dir.path(), 0).unwrap());
        let keys: Vec<Key> = all.iter().map(|(key, _)| *key).collect();
        let hits = store.lookup(&keys).unwrap();
        assert_eq!(hits.iter().flatten().count(), 6);
        commit(&store, vec![plain(0, all[0].clone())]);
        assert_eq!(store.warnings(), [""; 0]);
    }
}

#[test]
fn a_collection_that_was_cut_off_is_ended_by_the_next_writer() {
    let (dir, all) = furnished();
    let wanted = some(&all);
    let old = fs::read(dir.path().join("journal/1.fbj")).unwrap();
    Store::open_writer(dir.path()).unwrap().collect(&wanted).unwrap();
    // As after a crash between creating the new journal and removing the old one.
    fs::write(dir.path().join("journal/1.fbj"), &old).unwrap();
    assert_eq!(records(&Store::open_reader(dir.path()).unwrap()), left(&all, &wanted));
    let store = Store::open_writer(dir.path()).unwrap();
    assert_eq!(records(&store), left(&all, &wanted));
    assert_eq!(store.warnings(), [""; 0]);
    assert_eq!(Journal::generations(dir.path()).unwrap().len(), 1);
    drop(store);
    // If the new file is no journal, the old one is used.
    fs::write(dir.path().join("journal/1.fbj"), &old).unwrap();
    fs::write(dir.path().join("journal/2.fbj"), "").unwrap();
    fs::remove_file(dir.path().join("STORE")).unwrap();
    let store = Store::open_writer(dir.path()).unwrap();
    assert_eq!(records(&store).len(), 12);
    assert_eq!(store.warnings().len(), 2, "of the journal and of STORE");
}

#[test]
fn a_collection_brings_an_old_journal_to_the_newest_format() {
    let dir = tempfile::tempdir().unwrap();
    copy(&golden::golden(1), dir.path());
    let (key, record) = sample("evaluate", 1);
    let wanted = Retained { keys: [key].into(), runs: [].into() };
    let found = Store::open_writer(dir.path()).unwrap().collect(&wanted).unwrap();
    // One of the three evaluations was dropped.
    assert_eq!((found.kept, found.records(), found.objects.len()), (1, 2, 1));
    let store = Store::open_writer(dir.path()).unwrap();
    assert_eq!((store.record(&key).unwrap(), store.info().unwrap().format), (Some(record), 2));
    assert_eq!(store.warnings(), [""; 0]);
}

#[test]
fn an_archive_carries_records_and_objects() {
    let (dir, all) = furnished();
    let store = Store::open_reader(dir.path()).unwrap();
    let (file, wanted) = (dir.path().join("results.tar"), some(&all));
    let out = store.export(&|key| wanted.keys.contains(key), &file).unwrap().unwrap();
    assert_eq!((out.records, out.objects), (6, 1));
    assert_eq!(out.bytes, fs::metadata(&file).unwrap().len());
    let other = tempfile::tempdir().unwrap();
    let other = Store::open_writer(other.path()).unwrap();
    let told = other.import(&file).unwrap();
    assert_eq!((told.records, told.objects, told.present), (6, 1, 0));
    assert_eq!((told.refused, told.differing), (vec![], vec![]));
    assert_eq!(records(&other), left(&all, &wanted));
    assert!(other.verify().unwrap().is_good());
    let again = other.import(&file).unwrap();
    assert_eq!((again.records, again.objects, again.present), (0, 0, 6));
}

#[test]
fn a_record_whose_object_is_damaged_is_left_out() {
    let (dir, _) = furnished();
    let store = Store::open_reader(dir.path()).unwrap();
    fs::write(store.objects.path(&Digest::hash(MODELS[1])), "damaged").unwrap();
    let out = store.export(&|_| true, &dir.path().join("results.tar")).unwrap().unwrap();
    assert_eq!((out.records, out.objects), (11, 1));
}

#[test]
fn a_damaged_archive_gives_what_is_whole_and_never_a_wrong_value() {
    let (dir, all) = furnished();
    let file = dir.path().join("results.tar");
    Store::open_reader(dir.path()).unwrap().export(&|_| true, &file).unwrap();
    let whole = fs::read(&file).unwrap();
    let truth: BTreeMap<Key, Record> = all.into_iter().collect();
    let check = |bytes: &[u8], what: &str| {
        fs::write(&file, bytes).unwrap();
        let other = tempfile::tempdir().unwrap();
        let other = Store::open_writer(other.path()).unwrap();
        let told = other.import(&file).unwrap();
        let found = records(&other);
        assert_eq!(found.len() as u64, told.records, "{what}");
        assert!(found.iter().all(|(key, record)| truth.get(key) == Some(record)), "{what}");
        assert!(other.verify().unwrap().is_good(), "{what}");
        (told.records, told.refused.len())
    };
    assert_eq!(check(&whole, "whole"), (12, 0));
    for at in (0..whole.len()).step_by(97) {
        let mut bad = whole.clone();
        bad[at] ^= 0x20;
        check(&bad, &format!("flip at {at}"));
        check(&whole[..at], &format!("cut at {at}"));
    }
    assert_eq!(check(b"", "empty"), (0, 1));
    let (records, refused) = check(&[0x5a; 4096], "another file");
    assert_eq!((records, refused), (0, 1));
}

#[test]
fn a_hostile_archive_writes_nothing_outside_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open_writer(&dir.path().join("store")).unwrap();
    let mut archive = tar::Builder::new(vec![]);
    let digest = Digest::hash(b"another");
    for name in ["../evil", "objects/../../evil", &format!("objects/{digest}"), "STORE", "/tmp/evil-archive"]
    {
        let mut header = tar::Header::new_gnu();
        header.set_size(4);
        // The builder refuses such names, so the header is written directly.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        archive.append(&header, &b"evil"[..]).unwrap();
    }
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    archive.append_link(&mut link, "records/0", "/etc/passwd").unwrap();
    let file = dir.path().join("evil.tar");
    fs::write(&file, archive.into_inner().unwrap()).unwrap();
    let told = store.import(&file).unwrap();
    assert_eq!((told.records, told.objects), (0, 0));
    assert_eq!(told.refused.len(), 5, "{:?}", told.refused);
    assert!(store.objects.list().unwrap().is_empty());
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(!Path::new("/tmp/evil-archive").exists());
}

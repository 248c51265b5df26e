//! Tests of undamaged stores: which records the writer and readers find, and when.

use std::{fs, path::Path, sync::Arc, thread};

use super::*;
use crate::{Digest, Hit, OpInfo, StoreError, entry::JournalSeal, format, journal::first_bytes};

#[test]
fn a_committed_record_is_found_at_once_and_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let samples: Vec<_> = (0..20).map(|n| sample("evaluate", n)).collect();
    let keys: Vec<Key> = samples.iter().map(|(key, _)| *key).collect();
    let hit = |(key, record): &(Key, Record)| Some(Hit { key: *key, kept: false, part: record.only_part() });
    let expected: Vec<_> = samples.iter().map(hit).collect();
    let store = Arc::new(Store::open_writer(dir.path()).unwrap());
    assert_eq!(store.lookup(&keys).unwrap(), vec![None; 20]);
    commit(&store, (0..).zip(samples.clone()).map(|(n, sample)| plain(n, sample)).collect());
    let check = |store: &Store| {
        assert_eq!(store.lookup(&keys).unwrap(), expected);
        let mut found = Vec::new();
        store.for_each_record(&mut |key, record| found.push((key, record))).unwrap();
        assert_eq!(found, samples);
        assert_eq!(store.warnings(), [""; 0]);
    };
    check(&store);
    check(&Store::open_reader(dir.path()).unwrap());
    drop(store);
    check(&Store::open_reader(dir.path()).unwrap());
    check(&Store::open_writer(dir.path()).unwrap());
}

#[test]
fn the_last_record_of_a_key_wins_and_a_dropped_one_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (key, old) = sample("train", 1);
    let new = Record { seconds: 9.0, ..old.clone() };
    let store = Arc::new(Store::open_writer(dir.path()).unwrap());
    let reader = Store::open_reader(dir.path()).unwrap();
    for record in [&old, &new] {
        commit(&store, vec![plain(1, (key, record.clone()))]);
        assert_eq!(store.record(&key).unwrap().as_ref(), Some(record));
        assert_eq!(reader.record(&key).unwrap().as_ref(), Some(record));
    }
    store.drop_record(&key).unwrap();
    for store in [&*store, &reader, &Store::open_reader(dir.path()).unwrap()] {
        assert_eq!(store.lookup(&[key]).unwrap(), [None]);
        assert_eq!(store.record(&key).unwrap(), None);
        store.for_each_record(&mut |key, _| panic!("{key}")).unwrap();
        assert_eq!((store.info().unwrap().records, store.info().unwrap().dropped), (0, 1));
    }
    commit(&store, vec![plain(1, (key, new.clone()))]);
    assert_eq!(reader.record(&key).unwrap(), Some(new));
}

#[test]
fn a_store_that_does_not_exist_is_empty_and_is_not_made_by_reading() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("none");
    let reader = Store::open_reader(&root).unwrap();
    let (key, record) = sample("train", 1);
    assert_eq!(reader.lookup(&[key]).unwrap(), [None]);
    assert!(reader.verify().unwrap().is_good() && reader.info().unwrap().records == 0);
    assert!(matches!(reader.drop_record(&key), Err(StoreError::ReadOnly { .. })));
    assert!(matches!(reader.save_checkpoint(&key, b""), Err(StoreError::ReadOnly { .. })));
    assert!(matches!(reader.create_run("id"), Err(StoreError::ReadOnly { .. })));
    assert!(!root.exists());
    let writer = Arc::new(Store::open_writer(&root).unwrap());
    commit(&writer, vec![plain(1, (key, record.clone()))]);
    assert_eq!(reader.record(&key).unwrap(), Some(record), "a reader finds a store made after it was opened");
}

#[test]
fn a_second_writer_is_refused_and_readers_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let first = Store::open_writer(dir.path()).unwrap();
    assert!(matches!(Store::open_writer(dir.path()), Err(StoreError::InUse { .. })));
    Store::open_reader(dir.path()).unwrap();
    drop(first);
    Store::open_writer(dir.path()).unwrap();
}

#[test]
fn readers_of_a_store_in_use_see_whole_records_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Arc::new(Store::open_writer(dir.path()).unwrap());
    let samples: Vec<_> = (0..400).map(|n| sample("evaluate", n)).collect();
    let keys: Vec<Key> = samples.iter().map(|(key, _)| *key).collect();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let reader = Store::open_reader(dir.path()).unwrap();
                let mut before = 0;
                while before < keys.len() {
                    let hits = reader.lookup(&keys).unwrap();
                    let seen = hits.iter().take_while(|hit| hit.is_some()).count();
                    assert!(seen >= before && hits[seen..].iter().all(Option::is_none));
                    for (key, record) in &samples[before..seen] {
                        assert_eq!(reader.record(key).unwrap().as_ref(), Some(record));
                    }
                    before = seen;
                }
                assert_eq!(reader.warnings(), [""; 0]);
            });
        }
        scope.spawn(|| {
            for part in samples.chunks(7) {
                commit(&writer, part.iter().map(|sample| plain(0, sample.clone())).collect());
            }
        });
    });
}

#[test]
fn a_report_comes_after_the_record_can_be_read_by_others() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open_writer(dir.path()).unwrap());
    let samples: Vec<_> = (0..200).map(|n| sample("evaluate", n)).collect();
    let (root, keys) = (dir.path().to_owned(), samples.iter().map(|(key, _)| *key).collect::<Vec<_>>());
    let done = move |tickets: &[u64], result: Result<(), &StoreError>| {
        result.unwrap();
        let reader = Store::open_reader(&root).unwrap();
        for &ticket in tickets {
            assert!(reader.record(&keys[ticket as usize]).unwrap().is_some());
        }
    };
    let committer = Committer::start(store, done).unwrap();
    (0..).zip(samples).for_each(|(ticket, sample)| committer.submit(plain(ticket, sample)));
    committer.finish();
}

#[test]
fn a_record_keeps_only_parts_that_are_there_and_fails_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open_writer(dir.path()).unwrap());
    let kept = |n: u32| {
        let (key, record) = sample("train", n);
        (key, Record { kept: true, ..record })
    };
    let with = Commit { objects: vec![1u32.to_le_bytes().to_vec()], ..plain(1, kept(1)) };
    let reported = report(&store, vec![with.clone(), plain(2, kept(2)), plain(3, sample("train", 3))]);
    assert_eq!((&reported[&1], &reported[&3]), (&Ok(()), &Ok(())));
    assert!(reported[&2].as_ref().unwrap_err().contains("which the store does not hold"));
    let digest = Digest::hash(&1u32.to_le_bytes());
    assert!(store.has_object(&digest));
    assert_eq!(store.object(&digest).unwrap(), Some(1u32.to_le_bytes().to_vec()));
    assert_eq!(store.lookup(&[kept(1).0]).unwrap()[0].unwrap().part, Some(digest));
    assert_eq!(store.lookup(&[kept(2).0]).unwrap(), [None]);
    assert_eq!(report(&store, vec![plain(4, kept(1))])[&4], Ok(()), "the object is in the store already");
}

#[test]
fn an_object_that_cannot_be_written_fails_its_commit_and_reading_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open_writer(dir.path()).unwrap());
    let first = sample("train", 1);
    commit(&store, vec![plain(1, first.clone())]);
    fs::remove_dir(dir.path().join("objects")).unwrap();
    fs::write(dir.path().join("objects"), "a file").unwrap();
    let second = Commit { objects: vec![b"model".to_vec()], ..plain(2, sample("train", 2)) };
    let reported = report(&store, vec![second.clone()]);
    assert!(reported[&2].as_ref().unwrap_err().contains("cannot create the directory"), "{reported:?}");
    assert_eq!(store.record(&second.key).unwrap(), None);
    assert_eq!(store.record(&first.0).unwrap(), Some(first.1));
}

/// Lists every file with its content.
fn everything(root: &Path) -> BTreeMap<std::path::PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(everything(&path));
        } else {
            all.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    all
}

#[test]
fn a_newer_store_is_refused_without_a_write() {
    let newer = format::FORMAT + 1;
    let seal = JournalSeal { store: [1; 16], generation: 1, format: newer };
    for (file, content) in
        [("STORE", format::text_of(newer).into_bytes()), ("journal/1.fbj", first_bytes(&seal).to_vec())]
    {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("journal")).unwrap();
        fs::write(dir.path().join(file), content).unwrap();
        let before = everything(dir.path());
        for refused in [Store::open_writer(dir.path()), Store::open_reader(dir.path())] {
            let refused = refused.unwrap_err();
            assert!(matches!(refused, StoreError::Newer { found: 3, supported: 2, .. }), "{refused}");
            assert!(refused.to_string().ends_with("update fewbits"));
        }
        assert_eq!(everything(dir.path()), before);
    }
}

#[test]
fn reading_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let samples = store_of(dir.path(), 0..5);
    let before = everything(dir.path());
    let reader = Store::open_reader(dir.path()).unwrap();
    assert!(reader.record(&samples[0].0).unwrap().is_some());
    assert!(reader.verify().unwrap().is_good());
    reader.info().unwrap();
    drop(reader);
    assert_eq!(everything(dir.path()), before);
}

#[test]
fn info_counts_what_there_is_by_op() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open_writer(dir.path()).unwrap());
    let kept = Record { kept: true, ..sample("train", 9).1 };
    let train =
        Commit { objects: vec![9u32.to_le_bytes().to_vec()], ..plain(0, (sample("train", 9).0, kept)) };
    commit(&store, vec![train, plain(1, sample("evaluate", 1)), plain(2, sample("evaluate", 2))]);
    store.create_run("r1").unwrap();
    store.save_checkpoint(&Key::derive("x"), b"state").unwrap();
    let info = store.info().unwrap();
    assert_eq!((info.format, info.generation, info.records, info.dropped), (2, 1, 3, 0));
    assert_eq!(info.ops["evaluate"], OpInfo { records: 2, seconds: 3.0, ..info.ops["evaluate"] });
    assert_eq!(info.ops["train"], OpInfo { records: 1, seconds: 1.5, ..info.ops["train"] });
    assert_eq!((info.objects, info.object_bytes, info.runs, info.partial), (1, 4, 1, 1));
    assert_eq!(info.journal_bytes, fs::metadata(dir.path().join("journal/1.fbj")).unwrap().len());
}

//! Tests of damaged stores: damage is a miss and a warning, and nothing else is lost.

use std::{fs, path::PathBuf};

use proptest::prelude::*;

use super::*;
use crate::{Digest, append::Appender, append::NewEntry, journal, journal::Journal};

type Samples = Vec<(Key, Record)>;

const JOURNAL: &str = "journal/1.fbj";

/// Makes a store of three records. Returns also the bytes of its journal, and the start of each entry followed by the
/// end of the last one.
fn three() -> (tempfile::TempDir, Samples, Vec<u8>, Vec<usize>) {
    let dir = tempfile::tempdir().unwrap();
    let samples = store_of(dir.path(), 0..3);
    let bytes = fs::read(dir.path().join(JOURNAL)).unwrap();
    let mut starts = vec![journal::START as usize];
    for (_, record) in &samples {
        starts.push(starts.last().unwrap() + 104 + record.encode().unwrap().len());
    }
    assert_eq!(starts[3], bytes.len());
    (dir, samples, bytes, starts)
}

/// Asserts that lookups find exactly the records for which `lost` is false, with the right content.
fn assert_lost(store: &Store, samples: &[(Key, Record)], lost: impl Fn(usize) -> bool, what: &str) {
    for (n, (key, record)) in samples.iter().enumerate() {
        let expected = (!lost(n)).then_some(record);
        assert_eq!(store.record(key).unwrap().as_ref(), expected, "record {n}, {what}");
        assert_eq!(store.lookup(&[*key]).unwrap()[0].is_some(), expected.is_some(), "record {n}, {what}");
    }
}

#[test]
fn a_flip_anywhere_in_the_journal_loses_only_the_record_it_hits() {
    let (dir, samples, bytes, starts) = three();
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 1 << (at % 8);
        fs::remove_dir_all(dir.path().join("journal")).unwrap();
        fs::create_dir(dir.path().join("journal")).unwrap();
        fs::write(dir.path().join(JOURNAL), &bad).unwrap();
        let lost = |n: usize| (starts[n]..starts[n + 1]).contains(&at);
        let reader = Store::open_reader(dir.path()).unwrap();
        let keys: Vec<Key> = samples.iter().rev().map(|(key, _)| *key).chain([Key::derive("none")]).collect();
        let sound: Vec<bool> = [2, 1, 0].map(|n| !lost(n)).into_iter().chain([false]).collect();
        assert_eq!(reader.sound(&keys).unwrap(), sound, "flip at {at}");
        assert_lost(&reader, &samples, lost, &format!("reader, flip at {at}"));
        if at % 13 == 0 {
            let writer = Arc::new(Store::open_writer(dir.path()).unwrap());
            assert_lost(&writer, &samples, lost, &format!("writer, flip at {at}"));
            assert_eq!(writer.warnings().len(), 1, "flip at {at}");
            commit(&writer, (0..).zip(samples.clone()).map(|(n, sample)| plain(n, sample)).collect());
            drop(writer);
            let reader = Store::open_reader(dir.path()).unwrap();
            assert_lost(&reader, &samples, |_| false, "computed again");
            assert!(reader.verify().unwrap().is_good(), "damage is met once, flip at {at}");
        }
    }
}

#[test]
fn a_reader_follows_a_journal_that_is_written_anew() {
    let (dir, samples, mut bytes, starts) = three();
    bytes[starts[1] + 20] ^= 1;
    fs::write(dir.path().join(JOURNAL), bytes).unwrap();
    let reader = Store::open_reader(dir.path()).unwrap();
    assert_lost(&reader, &samples, |n| n == 1, "before");
    let writer = Arc::new(Store::open_writer(dir.path()).unwrap());
    assert_lost(&reader, &samples, |n| n == 1, "after it was written anew");
    commit(&writer, vec![plain(0, samples[1].clone())]);
    assert_lost(&reader, &samples, |_| false, "after what was lost was added");
}

#[test]
fn the_entries_say_in_which_format_a_journal_without_its_first_bytes_is() {
    for format in [1, 2] {
        let dir = tempfile::tempdir().unwrap();
        copy(&golden::golden(format), dir.path());
        // As if a newer program had written `STORE` last.
        let id = match crate::format::read_version(dir.path()).unwrap() {
            crate::format::StoreVersion::Store { id, .. } => id,
            other => panic!("{other:?}"),
        };
        fs::create_dir_all(dir.path().join("tmp")).unwrap();
        crate::format::write(dir.path(), 2, id).unwrap();
        let path = dir.path().join(JOURNAL);
        let mut bytes = fs::read(&path).unwrap();
        bytes[..48].fill(0);
        fs::write(&path, bytes).unwrap();
        let store = Store::open_writer(dir.path()).unwrap();
        assert_eq!(store.info().unwrap().format, format);
        let (key, record) = sample("evaluate", 1);
        assert_eq!(store.record(&key).unwrap(), Some(record));
    }
}

#[test]
fn an_empty_file_does_not_pass_for_a_newer_journal() {
    let (dir, samples, ..) = three();
    fs::write(dir.path().join("journal/2.fbj"), "").unwrap();
    assert_lost(&Store::open_reader(dir.path()).unwrap(), &samples, |_| false, "reader");
    assert_lost(&Store::open_writer(dir.path()).unwrap(), &samples, |_| false, "writer");
    assert_lost(&Store::open_reader(dir.path()).unwrap(), &samples, |_| false, "next reader");
}

#[test]
fn a_journal_cut_anywhere_keeps_every_record_before() {
    let (dir, samples, bytes, starts) = three();
    for at in 0..bytes.len() {
        fs::remove_dir_all(dir.path().join("journal")).unwrap();
        fs::create_dir(dir.path().join("journal")).unwrap();
        fs::write(dir.path().join(JOURNAL), &bytes[..at]).unwrap();
        let lost = |n: usize| starts[n + 1] > at;
        let reader = Store::open_reader(dir.path()).unwrap();
        assert_lost(&reader, &samples, lost, &format!("reader, cut at {at}"));
        // A file without a valid header and without entries is no journal.
        assert_eq!(reader.warnings().len(), usize::from(at < starts[0]));
        if at % 13 == 0 {
            let writer = Arc::new(Store::open_writer(dir.path()).unwrap());
            assert_lost(&writer, &samples, lost, &format!("writer, cut at {at}"));
            assert_eq!(writer.warnings().len(), usize::from(!starts.contains(&at)), "cut at {at}");
            commit(&writer, vec![plain(1, sample("train", 99))]);
            drop(writer);
            let reader = Store::open_reader(dir.path()).unwrap();
            assert_lost(&reader, &samples, lost, "healed");
            assert_eq!(reader.record(&sample("train", 99).0).unwrap(), Some(sample("train", 99).1));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_cut_and_any_tail_keep_every_earlier_record(
        count in 1..12u32,
        cut in 0.0..1.0f64,
        tail in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let samples = store_of(dir.path(), 0..count);
        let mut bytes = fs::read(dir.path().join(JOURNAL)).unwrap();
        let at = (cut * bytes.len() as f64) as usize;
        bytes.truncate(at);
        bytes.extend(tail);
        fs::write(dir.path().join(JOURNAL), bytes).unwrap();
        let mut end = journal::START as usize;
        let ends: Vec<usize> = samples.iter().map(|(_, record)| {
            end += 104 + record.encode().unwrap().len();
            end
        }).collect();
        assert_lost(&Store::open_reader(dir.path()).unwrap(), &samples, |n| ends[n] > at, "reader");
        assert_lost(&Store::open_writer(dir.path()).unwrap(), &samples, |n| ends[n] > at, "writer");
    }
}

#[test]
fn whatever_happens_to_the_file_store_the_records_are_found() {
    let (dir, samples, ..) = three();
    for bad in [None, Some(""), Some("garbage"), Some("fewbits store\nformat 9\nid 00\ncheck 00\n")] {
        match bad {
            None => fs::remove_file(dir.path().join("STORE")).unwrap(),
            Some(text) => fs::write(dir.path().join("STORE"), text).unwrap(),
        }
        assert_lost(&Store::open_reader(dir.path()).unwrap(), &samples, |_| false, "reader");
        let writer = Store::open_writer(dir.path()).unwrap();
        assert_lost(&writer, &samples, |_| false, "writer");
        assert_eq!(writer.warnings().len(), 1);
        drop(writer);
        assert_eq!(Store::open_writer(dir.path()).unwrap().warnings(), [""; 0]);
    }
}

#[test]
fn a_journal_that_cannot_be_told_from_garbage_is_set_aside() {
    let (dir, samples, ..) = three();
    fs::remove_file(dir.path().join("STORE")).unwrap();
    fs::write(dir.path().join(JOURNAL), "garbage").unwrap();
    let reader = Store::open_reader(dir.path()).unwrap();
    assert_lost(&reader, &samples, |_| true, "reader");
    assert_eq!(reader.warnings().len(), 1);
    let writer = Arc::new(Store::open_writer(dir.path()).unwrap());
    assert_eq!(writer.warnings().len(), 1);
    assert_eq!(fs::read_to_string(dir.path().join("aside/journal-1")).unwrap(), "garbage");
    commit(&writer, vec![plain(1, samples[1].clone())]);
    assert_lost(&reader, &samples, |n| n != 1, "the reader turns to the new journal");
}

#[test]
fn a_damaged_object_is_none_and_only_a_writer_moves_it() {
    let dir = tempfile::tempdir().unwrap();
    let (key, record) = sample("train", 1);
    let (content, record) = (1u32.to_le_bytes(), Record { kept: true, ..record });
    let digest = Digest::hash(&content);
    let name = digest.to_string();
    let path: PathBuf = dir.path().join("objects").join(&name[..2]).join(&name[2..]);
    let store = Arc::new(Store::open_writer(dir.path()).unwrap());
    let whole = Commit { objects: vec![content.to_vec()], ..plain(1, (key, record)) };
    for bad in [&[1, 0, 0, 4][..], &[1, 0, 0], &[]] {
        commit(&store, vec![whole.clone()]);
        fs::write(&path, bad).unwrap();
        assert_eq!(store.has_object(&digest), !bad.is_empty());
        let reader = Store::open_reader(dir.path()).unwrap();
        assert_eq!(reader.object(&digest).unwrap(), None);
        assert_eq!(reader.verify().unwrap().bad_objects, [digest]);
        assert!(path.exists() && reader.warnings().len() == 1);
        assert_eq!(store.object(&digest).unwrap(), None);
        assert!(!path.exists() && store.warnings().len() == 1);
        assert_eq!(store.object(&digest).unwrap(), None);
        assert_eq!(store.verify().unwrap().missing_objects, [(key, digest)]);
        assert_eq!(store.warnings(), [""; 0]);
    }
    commit(&store, vec![whole]);
    assert_eq!(store.object(&digest).unwrap().as_deref(), Some(&content[..]));
    assert!(store.verify().unwrap().is_good());
}

#[test]
fn verify_finds_a_bad_body_a_wrong_key_and_an_orphan() {
    let (dir, samples, mut bytes, starts) = three();
    bytes[starts[2] - 1] ^= 1;
    fs::write(dir.path().join(JOURNAL), bytes).unwrap();
    let store = Arc::new(Store::open_writer(dir.path()).unwrap());
    let lie = Commit {
        objects: vec![b"orphan".to_vec()],
        ..plain(1, (Key::derive("another"), samples[0].1.clone()))
    };
    commit(&store, vec![lie]);
    let found = store.verify().unwrap();
    assert_eq!(found.bad_records, [samples[1].0, Key::derive("another")]);
    assert_eq!((found.records, found.objects, found.damaged), (2, 1, 0));
    assert_eq!(found.orphans, [Digest::hash(b"orphan")]);
    assert!(!found.is_good());
}

#[test]
fn a_failed_write_leaves_the_journal_as_it_was() {
    let (dir, samples, bytes, _) = three();
    let (key, record) = sample("train", 4);
    let path = dir.path().join(JOURNAL);
    let warnings = crate::error::Warnings::default();
    // The journal is opened for reading only, so every write fails.
    let closed = Journal::open(dir.path(), (1, path.clone()), false, &warnings).unwrap().unwrap();
    let mut appender = Appender::new(Arc::new(closed), bytes.len() as u64);
    let entry = NewEntry::of_record(key, &record).unwrap();
    for _ in 0..2 {
        appender.append(std::slice::from_ref(&entry), true).unwrap_err();
    }
    assert_eq!(fs::read(&path).unwrap(), bytes);
    // The appender truncates the bytes of an earlier failed write before it appends.
    let open = Journal::open(dir.path(), (1, path.clone()), true, &warnings).unwrap().unwrap();
    fs::write(&path, [&bytes[..], b"half an entry"].concat()).unwrap();
    let mut appender = Appender::new(Arc::new(open), bytes.len() as u64);
    appender.cut().unwrap();
    appender.append(&[entry], true).unwrap();
    let reader = Store::open_reader(dir.path()).unwrap();
    assert_lost(&reader, &samples, |_| false, "before");
    assert_eq!(reader.record(&key).unwrap(), Some(record));
    assert_eq!(reader.warnings(), [""; 0]);
}

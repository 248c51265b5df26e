//! Tests of the index: used and written only when that pays, checked against the journal, and lost without harm.

use std::{fs, ops::ControlFlow};

use super::*;
use crate::Digest;

const COUNT: u32 = 400;

/// Opens a writer that treats every journal as long.
fn writer(root: &Path) -> Arc<Store> {
    Arc::new(Store::open_writer_with(root, 1).unwrap())
}

/// Opens a reader that treats every journal as long.
fn reader(root: &Path) -> Store {
    Store::open_reader_with(root, 1).unwrap()
}

/// Makes a store with an index, as a writer leaves it.
fn indexed() -> (tempfile::TempDir, Vec<(Key, Record)>) {
    let dir = tempfile::tempdir().unwrap();
    let samples: Vec<_> = (0..COUNT).map(|n| sample("evaluate", n)).collect();
    let store = writer(&dir.path().join("store"));
    commit(&store, (0..).zip(samples.clone()).map(|(ticket, sample)| plain(ticket, sample)).collect());
    drop(store);
    assert!(dir.path().join("store/index/manifest").exists());
    (dir, samples)
}

/// Looks up a few keys and one that is missing.
fn assert_few(store: &Store, samples: &[(Key, Record)], what: &str) {
    let few: Vec<&(Key, Record)> = samples.iter().step_by(samples.len() / 6).collect();
    let keys: Vec<Key> = few.iter().map(|(key, _)| *key).chain([sample("none", 0).0]).collect();
    let hits = store.lookup(&keys).unwrap();
    assert!(hits[..few.len()].iter().all(Option::is_some) && hits[few.len()].is_none(), "{what}");
    assert_eq!(store.record(&few[1].0).unwrap().as_ref(), Some(&few[1].1), "{what}");
}

/// Looks up a few keys, and then all keys.
fn assert_whole(store: &Store, samples: &[(Key, Record)], what: &str) {
    assert_few(store, samples, what);
    let keys: Vec<Key> = samples.iter().map(|(key, _)| *key).collect();
    assert!(store.lookup(&keys).unwrap().iter().all(Option::is_some), "{what}");
}

/// Returns the totals of a store and the preimages of an op, which must not depend on the index.
fn told(store: &Store, op: &str) -> (crate::Info, Vec<String>) {
    let mut preimages = vec![];
    let each = &mut |preimage: &str| {
        preimages.push(preimage.to_owned());
        ControlFlow::Continue(())
    };
    store.each_preimage(op, each).unwrap();
    (store.info().unwrap(), preimages)
}

#[test]
fn few_keys_are_asked_of_the_index_and_many_are_found_by_a_walk() {
    let (dir, samples) = indexed();
    let root = dir.path().join("store");
    let keys: Vec<Key> = samples.iter().map(|(key, _)| *key).collect();
    for store in [reader(&root), Arc::into_inner(writer(&root)).unwrap()] {
        assert_few(&store, &samples, "few");
        assert!(!store.catalog().is_complete(), "few were asked of the index");
        store.expect(10).unwrap();
        assert!(!store.catalog().is_complete(), "it is still worth it");
        store.expect(keys.len()).unwrap();
        assert!(store.catalog().is_complete(), "many are found by a walk");
        assert_whole(&store, &samples, "many");
        assert_eq!(store.warnings(), [""; 0]);
    }
    let store = reader(&root);
    for key in &keys {
        assert!(store.lookup(&[*key]).unwrap()[0].is_some());
    }
    assert!(store.catalog().is_complete(), "many questions are as many keys");
    let store = Store::open_reader(&root).unwrap();
    assert!(store.catalog().is_complete(), "a short journal is walked");
}

#[test]
fn with_a_limit_of_0_everything_is_asked() {
    let (dir, samples) = indexed();
    let root = dir.path().join("store");
    for store in [Store::open_reader_with(&root, 0), Store::open_writer_with(&root, 0)] {
        let store = store.unwrap();
        store.expect(samples.len()).unwrap();
        assert_whole(&store, &samples, "asked");
        assert!(!store.catalog().is_complete());
    }
}

#[test]
fn a_short_journal_gets_no_index() {
    let dir = tempfile::tempdir().unwrap();
    store_of(dir.path(), 0..COUNT);
    assert!(!dir.path().join("index").exists());
}

#[test]
fn what_came_after_the_index_counts_and_is_taken_in_when_it_pays() {
    let (dir, mut samples) = indexed();
    let root = dir.path().join("store");
    let manifest = || fs::read(root.join("index/manifest")).unwrap();
    let first = manifest();
    let mut is_replaced = false;
    for round in 0..12 {
        let store = writer(&root);
        let new: Vec<_> = (0..10).map(|n| sample("train", 100 * round + n)).collect();
        commit(&store, (0..).zip(new.clone()).map(|(ticket, sample)| plain(ticket, sample)).collect());
        // A record that the index covers is written again, one is dropped, and one is dropped and written again.
        let [once, gone, back] = [1, 2, 3].map(|n| samples[n + 3 * round as usize].clone());
        commit(&store, vec![plain(0, once)]);
        store.drop_record(&gone.0).unwrap();
        store.drop_record(&back.0).unwrap();
        commit(&store, vec![plain(1, back)]);
        samples.retain(|(key, _)| *key != gone.0);
        samples.extend(new);
        assert_eq!(store.lookup(&[gone.0]).unwrap(), [None]);
        assert!(!store.catalog().is_complete());
        let (by_walk, by_index) = (Store::open_reader(&root).unwrap(), reader(&root));
        for store in [&by_walk, &by_index, &*store] {
            assert_eq!(store.lookup(&[gone.0]).unwrap(), [None]);
            assert_few(store, &samples, "in use");
            assert_eq!(told(store, "train"), told(&by_walk, "train"));
            assert_eq!(told(store, "evaluate"), told(&by_walk, "evaluate"));
            assert_eq!(store.info().unwrap().records, samples.len() as u64);
            assert_eq!(store.info().unwrap().dropped, 2 * (u64::from(round) + 1));
        }
        assert!(!by_index.catalog().is_complete() && by_walk.catalog().is_complete());
        store.close();
        assert_eq!(store.warnings(), [""; 0]);
        assert!(round > 0 || manifest() == first, "a little more is not worth another index");
        is_replaced |= manifest() != first;
        drop(store);
        assert_whole(&reader(&root), &samples, "reopened");
    }
    assert!(is_replaced, "much more is");
}

#[test]
fn a_reader_keeps_its_index_while_a_writer_publishes_another() {
    let (dir, mut samples) = indexed();
    let root = dir.path().join("store");
    let before = reader(&root);
    assert_few(&before, &samples, "before");
    let store = writer(&root);
    let new: Vec<_> = (0..COUNT).map(|n| sample("train", n)).collect();
    commit(&store, (0..).zip(new.clone()).map(|(ticket, sample)| plain(ticket, sample)).collect());
    drop(store);
    samples.extend(new);
    assert_few(&before, &samples, "after");
    assert!(!before.catalog().is_complete());
    let after = reader(&root);
    assert_few(&after, &samples, "a later reader");
    assert_eq!(told(&before, "train"), told(&after, "train"));
}

#[test]
fn source_files_are_asked_of_the_index_too() {
    let (dir, samples) = indexed();
    let root = dir.path().join("store");
    let file = dir.path().join("data");
    fs::write(&file, "one").unwrap();
    let store = writer(&root);
    store.remember_source(&file, crate::Stat::read_metadata(&file).unwrap(), Digest::hash(b"one")).unwrap();
    commit(&store, (0..).zip(samples[..100].to_vec()).map(|(n, sample)| plain(n, sample)).collect());
    drop(store);
    fs::remove_file(&file).unwrap();
    let store = reader(&root);
    let gone = crate::SourceState::Gone(Some(Digest::hash(b"one")));
    assert_eq!(store.source_digest(&file).unwrap(), gone);
    assert!(!store.catalog().is_complete());
}

#[test]
fn an_index_that_was_lost_is_passed_over_and_built_again() {
    let (dir, samples) = indexed();
    let root = dir.path().join("store");
    for what in ["index", "index/manifest", "index/sled", "index/sled/db", "index/sled/conf"] {
        durable::remove(&root.join(what)).unwrap();
        let store = reader(&root);
        assert_whole(&store, &samples, what);
        assert_eq!(store.warnings(), [""; 0], "{what}");
        let store = writer(&root);
        assert_whole(&store, &samples, what);
        commit(&store, vec![plain(1, samples[0].clone())]);
        store.close();
        let is_silent = matches!(what, "index" | "index/manifest");
        assert_eq!(store.warnings().len(), usize::from(!is_silent), "{what}");
        drop(store);
        let store = reader(&root);
        assert_few(&store, &samples, what);
        assert!(!store.catalog().is_complete(), "{what}");
    }
}

#[test]
fn an_index_of_another_program_is_replaced_without_a_word() {
    let (dir, samples) = indexed();
    let root = dir.path().join("store");
    // The manifest of version 1, which has no version field.
    let old = rmp_serde::to_vec_named(&BTreeMap::from([("applied", 48u64), ("entries", 7)])).unwrap();
    fs::write(root.join("index/manifest"), durable::with_check(&old)).unwrap();
    let store = writer(&root);
    assert!(store.catalog().is_complete());
    commit(&store, vec![plain(1, samples[0].clone())]);
    store.close();
    assert_eq!(store.warnings(), [""; 0]);
    drop(store);
    let store = reader(&root);
    assert_few(&store, &samples, "replaced");
    assert!(!store.catalog().is_complete());
}

#[test]
fn a_file_of_the_index_that_changed_loses_nothing() {
    let (dir, samples) = indexed();
    let whole = dir.path().join("store");
    let files = || fs::read_dir(whole.join("index/sled")).unwrap().map(|entry| entry.unwrap().path());
    let paths = files().filter(|path| path.is_file()).chain([whole.join("index/manifest")]);
    for (n, path) in paths.enumerate() {
        let bytes = fs::read(&path).unwrap();
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 2] ^= 4;
        for (m, bad) in [flipped, Vec::new(), bytes[..bytes.len() - 1].to_vec()].into_iter().enumerate() {
            let root = dir.path().join(format!("{n}-{m}"));
            copy(&whole, &root);
            fs::write(root.join(path.strip_prefix(&whole).unwrap()), bad).unwrap();
            let store = reader(&root);
            assert_whole(&store, &samples, &path.display().to_string());
            assert_eq!(store.warnings(), [""; 0], "a reader leaves it to the next writer");
            let store = writer(&root);
            assert_whole(&store, &samples, &path.display().to_string());
            let warnings = store.warnings();
            assert!(warnings.len() == 1 && warnings[0].contains("set aside as"), "{path:?} {m} {warnings:?}");
            assert!(root.join("aside/index-1").exists());
        }
    }
}

#[test]
fn the_index_of_another_store_is_set_aside() {
    let (dir, samples) = indexed();
    let (other, _) = indexed();
    let root = dir.path().join("store");
    fs::remove_dir_all(root.join("index")).unwrap();
    copy(&other.path().join("store/index"), &root.join("index"));
    assert_whole(&reader(&root), &samples, "another's index");
    let store = writer(&root);
    assert_whole(&store, &samples, "another's index");
    let warnings = store.warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("another journal"), "{warnings:?}");
}

#[test]
fn an_index_ahead_of_its_journal_is_set_aside() {
    let (dir, samples) = indexed();
    let root = dir.path().join("store");
    let journal = root.join("journal/1.fbj");
    let bytes = fs::read(&journal).unwrap();
    fs::write(&journal, &bytes[..bytes.len() - 1]).unwrap();
    let (last, rest) = samples.split_last().unwrap();
    assert_whole(&reader(&root), rest, "shorter journal");
    let store = writer(&root);
    assert_whole(&store, rest, "shorter journal");
    assert_eq!(store.lookup(&[last.0]).unwrap(), [None]);
    assert_eq!(store.warnings().len(), 2, "the index, and the torn tail");
}

#[test]
fn an_index_that_says_other_than_the_journal_is_set_aside() {
    let (dir, samples) = indexed();
    let root = dir.path().join("store");
    // A walk skips the damaged header, while the index still has its card.
    let mut bytes = fs::read(root.join("journal/1.fbj")).unwrap();
    bytes[48 + 20] ^= 1;
    fs::write(root.join("journal/1.fbj"), bytes).unwrap();
    for is_writer in [false, true] {
        let store = if is_writer { Arc::into_inner(writer(&root)).unwrap() } else { reader(&root) };
        assert_eq!(store.lookup(&[samples[0].0]).unwrap(), [None]);
        assert_whole(&store, &samples[1..], "damaged header");
        let warnings = store.warnings().join("\n");
        assert_eq!(warnings.contains("disagrees with the journal"), is_writer, "{warnings}");
        assert!(warnings.contains("are damaged"), "{warnings}");
    }
    // The writer that found the damage has rewritten the journal.
    assert!(root.join("journal/2.fbj").exists() && reader(&root).verify().unwrap().is_good());
}

#[test]
fn damage_that_the_index_hides_is_mended_by_the_writer_that_meets_it() {
    let (dir, samples) = indexed();
    let root = dir.path().join("store");
    let store = writer(&root);
    assert_few(&store, &samples, "before");
    let mut bytes = fs::read(root.join("journal/1.fbj")).unwrap();
    bytes[48 + 20] ^= 1;
    fs::write(root.join("journal/1.fbj"), bytes).unwrap();
    assert!(store.lookup(&[samples[0].0]).unwrap()[0].is_some(), "it is known already");
    commit(&store, (0..).zip(samples[100..].to_vec()).map(|(n, sample)| plain(n, sample)).collect());
    drop(store);
    let store = writer(&root);
    assert_eq!(store.lookup(&[samples[0].0]).unwrap(), [None]);
    commit(&store, vec![plain(1, samples[0].clone())]);
    drop(store);
    assert!(!root.join("index").exists(), "it was of the journal that is gone");
    let store = reader(&root);
    assert!(store.verify().unwrap().is_good());
    assert_whole(&store, &samples, "mended");
}

#[test]
fn a_collection_that_meets_hidden_damage_deletes_what_it_is_to() {
    let (dir, samples) = indexed();
    let root = dir.path().join("store");
    let mut bytes = fs::read(root.join("journal/1.fbj")).unwrap();
    bytes[48 + 20] ^= 1;
    fs::write(root.join("journal/1.fbj"), bytes).unwrap();
    let store = writer(&root);
    assert_few(&store, &samples[1..], "before");
    assert_eq!(store.lookup(&[samples[0].0]).unwrap(), [None]);
    let keys = samples[..300].iter().map(|(key, _)| *key).collect();
    Arc::into_inner(store).unwrap().collect(&crate::Retained { keys, ..Default::default() }).unwrap();
    let store = reader(&root);
    assert_eq!(store.info().unwrap().records, 299);
    assert!(store.verify().unwrap().is_good());
}

#[test]
fn a_damaged_record_has_no_card_and_keeps_no_other_from_having_one() {
    let (dir, samples) = indexed();
    let root = dir.path().join("store");
    durable::remove(&root.join("index")).unwrap();
    let mut bytes = fs::read(root.join("journal/1.fbj")).unwrap();
    bytes[48 + 104 + 5] ^= 1;
    fs::write(root.join("journal/1.fbj"), bytes).unwrap();
    let store = writer(&root);
    commit(&store, vec![plain(1, samples[1].clone())]);
    drop(store);
    let store = reader(&root);
    assert_eq!(store.lookup(&[samples[0].0]).unwrap(), [None]);
    assert_few(&store, &samples[1..], "damaged body");
    assert!(!store.catalog().is_complete());
    assert_eq!(store.info().unwrap().records, u64::from(COUNT) - 1);
}

#[test]
fn a_journal_written_anew_has_no_index_until_one_is_written() {
    let (dir, samples) = indexed();
    let root = dir.path().join("store");
    let wanted =
        crate::Retained { keys: samples[..300].iter().map(|(key, _)| *key).collect(), ..Default::default() };
    Arc::into_inner(writer(&root)).unwrap().collect(&wanted).unwrap();
    assert!(!root.join("index").exists());
    let store = writer(&root);
    assert_whole(&store, &samples[..300], "collected");
    commit(&store, vec![plain(1, samples[399].clone())]);
    drop(store);
    let store = reader(&root);
    assert_few(&store, &samples[..300], "indexed again");
    assert!(!store.catalog().is_complete());
    assert_eq!(store.warnings(), [""; 0]);
}

//! The index: asked when it is worth it, never believed, and lost without loss.

use std::fs;

use super::*;

const COUNT: u32 = 200;

/// A store with an index, as a writer left it.
fn indexed() -> (tempfile::TempDir, Vec<(Key, Record)>) {
    let dir = tempfile::tempdir().unwrap();
    let samples = store_of(&dir.path().join("store"), 0..COUNT);
    assert!(dir.path().join("store/index/imprint").exists());
    (dir, samples)
}

/// Opens a writer for which every journal is a long one.
fn open(root: &Path) -> Arc<Store> {
    Arc::new(Store::open_writer_with(root, 0).unwrap())
}

/// Asks for a few keys, some of which are not there, and then for all.
fn assert_whole(store: &Store, samples: &[(Key, Record)], what: &str) {
    for few in samples.chunks(10) {
        let mut keys: Vec<Key> = few.iter().map(|(key, _)| *key).collect();
        keys.push(sample("none", 0).0);
        let hits = store.lookup(&keys).unwrap();
        assert!(hits[..few.len()].iter().all(Option::is_some) && hits[few.len()].is_none(), "{what}");
        assert_eq!(store.record(&few[0].0).unwrap().as_ref(), Some(&few[0].1), "{what}");
    }
    let keys: Vec<Key> = samples.iter().map(|(key, _)| *key).collect();
    assert!(store.lookup(&keys).unwrap().iter().all(Option::is_some), "{what}");
}

#[test]
fn few_keys_are_asked_of_the_index_and_what_is_new_is_added_to_it() {
    let (dir, mut samples) = indexed();
    let root = dir.path().join("store");
    for round in 0..3 {
        let store = open(&root);
        let (key, _) = samples[round];
        assert!(root.join("index/imprint").exists());
        assert!(store.lookup(&[key]).unwrap()[0].is_some());
        assert!(!root.join("index/imprint").exists(), "sled is open, so its imprint is gone");
        let new = sample("train", 1000 + round as u32);
        commit(&store, vec![plain(1, new.clone())]);
        store.drop_record(&samples[5].0).unwrap();
        commit(&store, vec![plain(1, samples[5].clone())]);
        store.drop_record(&sample("train", 1000).0).unwrap();
        assert_eq!(store.lookup(&[sample("train", 1000).0]).unwrap(), [None]);
        if round > 0 {
            samples.push(new);
        }
        assert_whole(&store, &samples, "in use");
        store.close();
        assert_eq!(store.warnings(), [""; 0]);
        drop(store);
        assert!(root.join("index/imprint").exists());
    }
    let store = open(&root);
    assert_eq!(store.lookup(&[sample("train", 1000).0]).unwrap(), [None], "dropped in the index too");
    assert_whole(&store, &samples, "reopened");
}

#[test]
fn a_full_hit_opens_no_index() {
    let (dir, samples) = indexed();
    let root = dir.path().join("store");
    let keys: Vec<Key> = samples.iter().map(|(key, _)| *key).collect();
    let store = open(&root);
    assert!(store.lookup(&keys).unwrap().iter().all(Option::is_some));
    assert!(root.join("index/imprint").exists());
    drop(store);
    let store = Store::open_writer(&root).unwrap();
    assert!(store.lookup(&keys[..2]).unwrap().iter().all(Option::is_some));
    assert!(root.join("index/imprint").exists());
}

#[test]
fn an_index_that_was_lost_or_never_closed_is_built_again() {
    let (dir, samples) = indexed();
    let root = dir.path().join("store");
    for what in ["index", "index/sled", "index/imprint", "index/sled/db", "index/sled/conf"] {
        let path = root.join(what);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
        let store = open(&root);
        assert_whole(&store, &samples, what);
        commit(&store, vec![plain(1, samples[0].clone())]);
        store.close();
        let silent = matches!(what, "index" | "index/imprint");
        assert_eq!(store.warnings().len(), usize::from(!silent), "{what}");
        drop(store);
        let store = open(&root);
        assert_whole(&store, &samples, what);
        assert_eq!(store.warnings(), [""; 0]);
    }
}

#[test]
fn a_file_of_the_index_that_changed_loses_nothing() {
    let (dir, samples) = indexed();
    let whole = dir.path().join("store");
    let files = || fs::read_dir(whole.join("index/sled")).unwrap().map(|entry| entry.unwrap().path());
    let paths = files().filter(|path| path.is_file()).chain([whole.join("index/imprint")]);
    for (n, path) in paths.enumerate() {
        let bytes = fs::read(&path).unwrap();
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 2] ^= 4;
        for (m, bad) in [flipped, Vec::new(), bytes[..bytes.len() - 1].to_vec()].into_iter().enumerate() {
            let root = dir.path().join(format!("{n}-{m}"));
            copy(&whole, &root);
            fs::write(root.join(path.strip_prefix(&whole).unwrap()), bad).unwrap();
            let store = open(&root);
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
    for limit in [0, u64::MAX] {
        fs::remove_dir_all(root.join("index")).unwrap();
        copy(&other.path().join("store/index"), &root.join("index"));
        let store = Arc::new(Store::open_writer_with(&root, limit).unwrap());
        assert_whole(&store, &samples, "another's index");
        commit(&store, vec![plain(1, samples[0].clone())]);
        store.close();
        let warnings = store.warnings();
        assert!(warnings.len() == 1 && warnings[0].contains("another journal"), "{warnings:?}");
    }
}

#[test]
fn an_index_ahead_of_its_journal_is_set_aside() {
    let (dir, samples) = indexed();
    let root = dir.path().join("store");
    let journal = root.join("journal/1.fbj");
    let bytes = fs::read(&journal).unwrap();
    fs::write(&journal, &bytes[..bytes.len() - 1]).unwrap();
    let store = open(&root);
    let (last, rest) = samples.split_last().unwrap();
    assert_whole(&store, rest, "shorter journal");
    assert_eq!(store.lookup(&[last.0]).unwrap(), [None]);
    assert_eq!(store.warnings().len(), 2, "the index, and the torn tail");
}

#[test]
fn an_index_that_says_other_than_the_journal_is_set_aside() {
    let (dir, samples) = indexed();
    let root = dir.path().join("store");
    // A damaged header, which only a walk passes over.
    let mut bytes = fs::read(root.join("journal/1.fbj")).unwrap();
    bytes[48 + 20] ^= 1;
    fs::write(root.join("journal/1.fbj"), bytes).unwrap();
    let store = open(&root);
    assert_whole(&store, &samples[1..], "damaged header");
    assert_eq!(store.lookup(&[samples[0].0]).unwrap(), [None]);
    let warnings = store.warnings().join("\n");
    assert!(
        warnings.contains("disagrees with the journal") || warnings.contains("are damaged"),
        "{warnings}"
    );
}

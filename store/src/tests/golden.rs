//! Tests of old formats: stores that programs of each format wrote remain readable.
//!
//! `FEWBITS_BLESS=1` makes the store of a new format, once.

use std::{collections::BTreeMap, fs, path::PathBuf};

use super::*;
use crate::{Digest, format::FORMAT};

const MODEL: &[u8] = b"a model";

pub(super) fn golden(format: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/tests/golden/format-{format}"))
}

/// Makes a record that keeps its model.
fn trained() -> (Key, Record) {
    let (key, record) = sample("train", 3);
    let parts = BTreeMap::from([("model".to_owned(), Digest::hash(MODEL))]);
    (key, Record { parts, kept: true, ..record })
}

/// Makes the content that the golden store of each format has.
fn make(root: &Path) {
    let store = Arc::new(Store::open_writer(root).unwrap());
    let (key, record) = trained();
    let mut commits: Vec<Commit> = (0..3).map(|n| plain(n, sample("evaluate", n as u32))).collect();
    commits.push(Commit { ticket: 3, key, record, objects: vec![MODEL.to_vec()] });
    commit(&store, commits);
    store.drop_record(&sample("evaluate", 0).0).unwrap();
    store.save_checkpoint(&sample("train", 9).0, b"epoch 1").unwrap();
    store.create_run("20260101-000000-000").unwrap().append_line("{}").unwrap();
    drop(store);
    // The file would keep git from committing the copy.
    fs::remove_file(root.join(".gitignore")).unwrap();
}

/// Asserts that a store has the content of [`make`].
fn assert_whole(store: &Store) {
    let mut found = BTreeMap::new();
    store.for_each_record(&mut |key, record| assert!(found.insert(key, record).is_none())).unwrap();
    assert_eq!(found, BTreeMap::from([sample("evaluate", 1), sample("evaluate", 2), trained()]));
    assert_eq!(store.object(&Digest::hash(MODEL)).unwrap().as_deref(), Some(MODEL));
    assert_eq!(store.checkpoint(&sample("train", 9).0).as_deref(), Some(&b"epoch 1"[..]));
    assert_eq!(store.runs().unwrap(), ["20260101-000000-000"]);
    assert!(store.verify().unwrap().is_good());
    assert_eq!(store.warnings(), [""; 0]);
}

#[test]
fn a_store_of_every_format_is_read_and_written_to() {
    if std::env::var_os("FEWBITS_BLESS").is_some() && !golden(FORMAT).exists() {
        make(&golden(FORMAT));
    }
    for format in 1..=FORMAT {
        for walk_limit in [0, u64::MAX] {
            let dir = tempfile::tempdir().unwrap();
            copy(&golden(format), dir.path());
            assert_whole(&Store::open_reader(dir.path()).unwrap());
            let store = Store::open_writer_with(dir.path(), walk_limit).unwrap();
            assert_whole(&store);
            drop(store);
            let (key, record) = sample("evaluate", 9);
            for walk_limit in [walk_limit, walk_limit] {
                let store = Arc::new(Store::open_writer_with(dir.path(), walk_limit).unwrap());
                commit(&store, vec![plain(0, (key, record.clone()))]);
                assert_eq!(store.info().unwrap().format, format);
                assert_eq!(store.warnings(), [""; 0]);
            }
            assert_eq!(Store::open_reader(dir.path()).unwrap().record(&key).unwrap(), Some(record));
        }
    }
}

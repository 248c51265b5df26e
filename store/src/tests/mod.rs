//! Tests of the store as a whole, against its promises in docs/store.md.

mod collect;
mod damage;
mod golden;
mod index;
mod life;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
};

use crate::{Commit, Committer, Key, Record, Store, durable, record::sample};

/// Commits records through a [`Committer`], and panics if a commit fails.
fn commit(store: &Arc<Store>, commits: Vec<Commit>) {
    let committer = Committer::start(store.clone(), |_, result| result.unwrap()).unwrap();
    for commit in commits {
        committer.submit(commit);
    }
    committer.finish();
}

fn plain(ticket: u64, (key, record): (Key, Record)) -> Commit {
    Commit { ticket, key, record, objects: vec![] }
}

/// Makes a store of this many small records.
fn store_of(root: &Path, records: std::ops::Range<u32>) -> Vec<(Key, Record)> {
    let samples: Vec<_> = records.map(|n| sample("evaluate", n)).collect();
    let store = Arc::new(Store::open_writer(root).unwrap());
    commit(&store, (0..).zip(samples.clone()).map(|(ticket, sample)| plain(ticket, sample)).collect());
    samples
}

/// Commits records and returns the result of each ticket, errors as text.
fn report(store: &Arc<Store>, commits: Vec<Commit>) -> BTreeMap<u64, Result<(), String>> {
    let reported = Arc::new(Mutex::new(BTreeMap::new()));
    let done = {
        let reported = reported.clone();
        move |tickets: &[u64], result: Result<(), &crate::StoreError>| {
            for &ticket in tickets {
                let result = result.map_err(ToString::to_string);
                assert!(reported.lock().unwrap().insert(ticket, result).is_none(), "reported twice");
            }
        }
    };
    let committer = Committer::start(store.clone(), done).unwrap();
    for commit in commits {
        committer.submit(commit);
    }
    committer.finish();
    std::mem::take(&mut reported.lock().unwrap())
}

/// Copies a store, so that each test can damage its own copy.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

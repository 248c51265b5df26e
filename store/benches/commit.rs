//! The cost of committing and of finding records: `cargo bench -p fewbits-store`.

use std::sync::Arc;

use divan::Bencher;
use fewbits_store::{Commit, Committer, Key, Record, Store};

const RECORDS: u64 = 10_000;

fn main() {
    divan::main();
}

/// Makes commits of records as an evaluation leaves them.
fn commits() -> Vec<Commit> {
    let commit = |ticket| {
        let preimage = format!(r#"{{"inputs":{{}},"op":"evaluate","params":{{"n":{ticket}}},"version":1}}"#);
        let metrics = [("accuracy".to_owned(), 0.5), ("loss".to_owned(), 1.5)].into();
        let key = Key::derive(&preimage);
        let record = Record { preimage, metrics, correct: Some(vec![0xa5; 250]), ..Record::default() };
        Commit { ticket, key, record, objects: vec![] }
    };
    (0..RECORDS).map(commit).collect()
}

fn commit(store: &Arc<Store>, commits: Vec<Commit>) {
    let committer =
        Committer::start(Arc::clone(store), |_, result| result.expect("a commit")).expect("a thread");
    for commit in commits {
        committer.submit(commit);
    }
    committer.finish();
}

/// Measures 10,000 commits in one queue, from opening the store to closing it with every record on the disk.
#[divan::bench(sample_count = 5)]
fn commit_10_000(bencher: Bencher) {
    let fresh = || (tempfile::tempdir().expect("a folder"), commits());
    bencher.with_inputs(fresh).bench_values(|(dir, commits)| {
        let store = Arc::new(Store::open_writer(dir.path()).expect("a store"));
        commit(&store, commits);
        drop(store);
        dir
    });
}

/// Measures 100 commits, each on the disk before the next one is queued, as in a run of slow tasks.
#[divan::bench(sample_count = 5)]
fn commit_100_one_by_one(bencher: Bencher) {
    let fresh = || (tempfile::tempdir().expect("a folder"), commits());
    bencher.with_inputs(fresh).bench_values(|(dir, commits)| {
        let store = Arc::new(Store::open_writer(dir.path()).expect("a store"));
        for one in commits.into_iter().take(100) {
            commit(&store, vec![one]);
        }
        dir
    });
}

/// Measures opening a store of 10,000 records and looking all of them up.
#[divan::bench(sample_count = 20)]
fn open_and_look_up_10_000(bencher: Bencher) {
    let dir = tempfile::tempdir().expect("a folder");
    let all = commits();
    let keys: Vec<Key> = all.iter().map(|commit| commit.key).collect();
    commit(&Arc::new(Store::open_writer(dir.path()).expect("a store")), all);
    bencher.bench_local(|| {
        let store = Store::open_reader(dir.path()).expect("a store");
        assert!(store.lookup(&keys).expect("a look").iter().all(Option::is_some));
    });
}

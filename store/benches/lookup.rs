//! The cost of finding records in stores of different sizes, by a walk over the journal's headers and by lookups in the
//! index. docs/performance.md has the measurements.
//!
//! `cargo bench -p fewbits-store --bench lookup [-- RECORDS…]`; a million records take 2 GB of disk and a minute.

use std::{
    fs,
    ops::{ControlFlow, Range},
    path::Path,
    sync::Arc,
    time::Instant,
};

use fewbits_store::{Commit, Committer, Digest, Key, Record, Series, Store};

/// With this walk limit every journal counts as short and has no index; with a limit of 1 every journal has one.
const WALK: u64 = u64::MAX;
const ASK: u64 = 1;

/// Makes the record number `n`. As in real experiments, one of 100 records is of a training, 50 are of quantizations,
/// and 49 of evaluations on 10,000 images.
fn record(n: u64) -> (Key, Record) {
    let (own, model) = (Digest::hash(&n.to_le_bytes()), Digest::hash(&(n / 100).to_le_bytes()));
    let place = n % 100;
    let preimage = match place {
        0 => format!(
            r#"{{"inputs":{{"data.train":"{own}","data.validation":"{model}"}},"op":"train","params":{{"batch":128,"epochs":10,"init":"KaimingUniform","model":{{"Layers":[{{"Linear":{{"out":512}}}},"Relu",{{"Linear":{{"out":256}}}},"Relu",{{"Linear":{{"out":10}}}}]}},"optimizer":{{"AdamW":{{"lr":0.001,"weight_decay":0.01}}}},"schedule":"Constant","seed":{n}}},"version":2}}"#
        ),
        odd if !odd.is_multiple_of(2) => format!(
            r#"{{"inputs":{{"model.model":"{model}"}},"op":"quantize","params":{{"format":{{"Float":{{"bias":"Ieee","e":{},"m":{}}}}},"layers":{{}},"random_bits":32,"rounding":"Stochastic","scale":{{"PowerOfTwo":{{"fit":"MaxAbs"}}}},"seed":{n},"tensors":"Weights"}},"version":2}}"#,
            odd % 5,
            odd / 5
        ),
        _ => format!(
            r#"{{"inputs":{{"data.test":"{}","model.model":"{own}"}},"op":"evaluate","params":{{}},"version":3}}"#,
            Digest::hash(b"test")
        ),
    };
    let is_quantization = !place.is_multiple_of(2);
    let is_evaluation = place > 0 && !is_quantization;
    let names = ["accuracy", "chance", "correct", "interval_high", "interval_low", "loss", "total"];
    let metrics = names.iter().map(|name| ((*name).to_owned(), n as f64 * 0.37)).collect();
    let curve = Series {
        along: "tensor".into(),
        names: ["linear1", "linear2", "linear3"].map(str::to_owned).to_vec(),
        values: vec![0.1, 0.2, n as f64],
    };
    let curves = ["mean_square_error", "signal_to_noise"].map(|name| (name.to_owned(), curve.clone()));
    let provenance = [("numerics", "avx2 2 1"), ("program", "fewbits 0.1.0"), ("host", "a-machine")];
    let record = Record {
        metrics,
        series: curves.into_iter().filter(|_| is_quantization).collect(),
        parts: (!is_evaluation).then(|| ("model".to_owned(), own)).into_iter().collect(),
        kept: false,
        correct: is_evaluation.then(|| vec![0xa5; 1250]),
        seconds: 0.0123 * n as f64,
        provenance: provenance.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        preimage,
    };
    (Key::derive(&record.preimage), record)
}

fn commit(store: &Arc<Store>, numbers: Range<u64>) {
    let committer =
        Committer::start(Arc::clone(store), |_, result| result.expect("a commit")).expect("a thread");
    for ticket in numbers {
        let (key, record) = record(ticket);
        committer.submit(Commit { ticket, key, record, objects: vec![] });
    }
    committer.finish();
}

/// Returns the median time of several calls, in milliseconds.
fn median(records: u64, mut once: impl FnMut()) -> f64 {
    let repeats = if records > 200_000 { 5 } else { 15 };
    let mut all: Vec<f64> = (0..repeats).map(|_| timed(&mut once)).collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn timed(once: impl FnOnce()) -> f64 {
    let start = Instant::now();
    once();
    start.elapsed().as_secs_f64() * 1e3
}

fn mib(path: &Path) -> f64 {
    fn bytes(path: &Path) -> u64 {
        let Ok(files) = fs::read_dir(path) else { return fs::metadata(path).map_or(0, |meta| meta.len()) };
        files.map(|file| bytes(&file.expect("a file").path())).sum()
    }
    bytes(path) as f64 / f64::from(1 << 20)
}

fn measure(records: u64) {
    let dir = tempfile::tempdir().expect("a folder");
    let root = dir.path();
    let made = timed(|| {
        let store = Arc::new(Store::open_writer_with(root, WALK).expect("a store"));
        commit(&store, 0..records);
    });
    let keys: Vec<Key> = (0..records).map(|n| record(n).0).collect();
    println!("{records} records: {made:.0} ms to write, journal {:.1} MiB", mib(&root.join("journal")));

    // Time to close the writer: after the first record in a store without an index, after a quarter more records, and
    // after one more record.
    for (what, added) in
        [("the first record after that", 1), ("a quarter more", records / 4), ("one more", 1)]
    {
        let store = Arc::new(Store::open_writer_with(root, ASK).expect("a store"));
        let from = records + store.info().expect("figures").records;
        commit(&store, from..from + added);
        let took = timed(|| store.close());
        println!("  close after {what}: {took:.1} ms, index {:.1} MiB", mib(&root.join("index")));
    }

    let every = |step: usize| keys.iter().step_by(step).copied().collect::<Vec<Key>>();
    let questions = [
        ("one key", vec![keys[0]]),
        ("1 % of the keys", every(100)),
        ("10 % of the keys", every(10)),
        ("all keys", keys.clone()),
    ];
    for (what, wanted) in &questions {
        let look = |limit| {
            let store = Store::open_reader_with(root, limit).expect("a store");
            store.expect(wanted.len()).expect("a look");
            assert!(store.lookup(wanted).expect("a look").iter().all(Option::is_some));
        };
        let (walk, ask) = (median(records, || look(WALK)), median(records, || look(ASK)));
        println!("  {what}: walking {walk:.1} ms, with the index {ask:.1} ms");
    }

    let totals = |limit| {
        let info = Store::open_reader_with(root, limit).expect("a store").info().expect("figures");
        assert_eq!(info.ops.len(), 3);
    };
    let (walk, ask) = (median(records, || totals(WALK)), median(records, || totals(ASK)));
    println!("  totals of all records: walking {walk:.1} ms, with the index {ask:.1} ms");
    for op in ["train", "quantize"] {
        let preimages = |limit| {
            let store = Store::open_reader_with(root, limit).expect("a store");
            let mut bytes = 0;
            let each = &mut |preimage: &str| {
                bytes += preimage.len();
                ControlFlow::Continue(())
            };
            store.each_preimage(op, each).expect("the preimages");
            assert!(bytes > 0);
        };
        let (walk, ask) = (median(records, || preimages(WALK)), median(records, || preimages(ASK)));
        println!("  preimages of `{op}`: walking {walk:.1} ms, with the index {ask:.1} ms");
    }
}

fn main() {
    // cargo passes `--bench`, which is no number.
    let asked: Vec<u64> = std::env::args().skip(1).filter_map(|records| records.parse().ok()).collect();
    let all = if asked.is_empty() { vec![1_000, 10_000, 100_000, 1_000_000] } else { asked };
    all.into_iter().for_each(measure);
}

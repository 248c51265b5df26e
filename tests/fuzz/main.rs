//! Fuzz tests of the readers of foreign files: for any bytes, a reader returns an error or a value, in bounded time and
//! memory.
//!
//! `cargo test -p fewbits --test fuzz` takes half a second per reader, as many as `FEWBITS_FUZZ_SECONDS` says, and a minute
//! with `FEWBITS_TORTURE=long`.
//! `BOLERO_RANDOM_SEED` repeats a failure with the seed that it printed. `cargo bolero test --package fewbits TARGET`
//! runs a coverage-guided fuzzer.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fewbits_engine::cluster::message::{Hello, JobOrder, Order, Reply, SourceOrder, SourceWay, Undone};
use fewbits_engine::graph::TaskGraph;
use fewbits_engine::run_log::{LoggedEvent, RunHeader};
use fewbits_engine::text::layout::{is_same, layout};
use fewbits_ops::StandardOps;
use fewbits_ops::dataset::idx::{Idx, IdxKind};
use fewbits_ops::dataset::source::SideOrder;
use fewbits_ops::dataset::{cifar, csv, npz, open::DatasetFile};
use fewbits_ops::format::{Format, RandomBits, Rounding};
use fewbits_ops::import::Import;
use fewbits_ops::import::golden::Golden;
use fewbits_ops::network::architecture::{Architecture, LayerSpec};
use fewbits_ops::network::definition::Network;
use fewbits_ops::network::model::Model;
use fewbits_ops::packed;
use fewbits_ops::quantize::{Quantization, Quantizer, Tensor, Tensors};
use fewbits_store::exchange::mailbox::{decode, encode};
use fewbits_store::{Exchange, MailReader, Store};
use rustix::process::{Resource, Rlimit, setrlimit};

/// The memory that a reader of such small files may allocate, in bytes.
const MEMORY: u64 = 4 << 30;
/// The longest time that a reader may take for one input.
const PATIENCE: Duration = Duration::from_secs(20);

/// A mutation of a valid input: replaced bytes, an optional cut, and appended bytes; or other bytes instead of the
/// input.
type Mutation = (u8, Vec<(u32, u8)>, Option<u32>, Vec<u8>);

fn mutated(seeds: &[Vec<u8>], (which, edits, cut, tail): &Mutation) -> Vec<u8> {
    let which = usize::from(*which) % (seeds.len() + 1);
    let Some(seed) = seeds.get(which) else { return tail.clone() };
    let mut bytes = seed.clone();
    for (at, byte) in edits {
        let at = *at as usize % bytes.len().max(1);
        if let Some(place) = bytes.get_mut(at) {
            *place = *byte;
        }
    }
    if let Some(cut) = cut {
        bytes.truncate(*cut as usize % (bytes.len() + 1));
    }
    bytes.extend(tail);
    bytes
}

/// What a reader reads now, and since when.
type Current = Mutex<Option<(Instant, Mutation)>>;

/// Ends the process where a reader takes longer than [`PATIENCE`], and shows the mutation: a reader that never returns
/// would hang the test.
fn watch(current: Arc<Current>) {
    let name = std::thread::current().name().unwrap_or("?").to_owned();
    std::thread::spawn(move || {
        // The reader's thread holds the other reference.
        while Arc::strong_count(&current) > 1 {
            std::thread::sleep(Duration::from_millis(100));
            let slow = current
                .lock()
                .ok()
                .and_then(|now| now.clone())
                .filter(|(since, _)| since.elapsed() > PATIENCE);
            if let Some((_, mutation)) = slow {
                eprintln!("{name}: a reader takes more than {PATIENCE:?} for {mutation:?}");
                std::process::abort();
            }
        }
    });
}

/// Calls a reader with mutated inputs until the time is over.
fn fuzz(seeds: &[Vec<u8>], read: impl Fn(&[u8]) + std::panic::RefUnwindSafe) {
    // A larger allocation fails and ends the test. The limit is on data and not on address space, because each thread
    // reserves address space.
    let limit = Rlimit { current: Some(MEMORY), maximum: None };
    setrlimit(Resource::Data, limit).expect("a limit");
    for seed in seeds {
        read(seed);
    }
    let long = std::env::var_os("FEWBITS_TORTURE").is_some_and(|mode| mode == "long");
    let seconds = std::env::var("FEWBITS_FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let time = if long { 60.0 } else { seconds.unwrap_or(0.5) };
    let time = Duration::from_secs_f64(time);
    let seeds = seeds.to_vec();
    // The time limits the number of inputs.
    let tried = AtomicUsize::new(0);
    let current = Arc::new(Current::default());
    watch(Arc::clone(&current));
    let target = bolero::check!().with_test_time(time).with_iterations(usize::MAX);
    target.with_type::<Mutation>().for_each(|mutation| {
        let bytes = mutated(&seeds, mutation);
        *current.lock().expect("no panic while it was locked") = Some((Instant::now(), mutation.clone()));
        read(&bytes);
        tried.fetch_add(1, Ordering::Relaxed);
    });
    let name = std::thread::current().name().unwrap_or("?").to_owned();
    println!("{name}: {} inputs", tried.into_inner());
}

const EXPERIMENT: &str = r#"Experiment(
    name: "fuzzed",
    axes: { "e": Range(1, 3), "format": [Float(e: 2, m: 1), Int(bits: 4), E4M3], "x": { "a": 0.5, "b": 1.0 } },
    only: ["e < 3 || x > 0.7"],
    nodes: {
        "data": Dataset(source: Mnist10k, train: 100, test: 50),
        "net": Train(data: "data", model: Layers([Conv(out: 2, kernel: 3), Relu, Flatten, Linear(10)]), epochs: Axis("e"),
                      optimizer: AdamW(lr: Axis("x"))),
        "small": Quantize(model: "net", format: Axis("format"), scale: Real),
        "score": Evaluate(model: "small", data: "data"),
    },
    tables: { "t": Pivot(value: "score.accuracy * 100.0", rows: ["e"], columns: ["format"], average: ["x"]) },
)
"#;

/// Returns a small store that the binary has written.
fn store() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a folder");
    let text = r#"Experiment(name: "s", nodes: {
        "data": Dataset(source: Mnist10k, train: 50, test: 20),
        "net": Train(data: "data", model: Layers([Conv(out: 2, kernel: 3, stride: 4), Flatten, Linear(10)]), epochs: 1),
        "score": Evaluate(model: "net", data: "data"),
    })"#;
    fs::write(dir.path().join("x.ron"), text).expect("a file");
    let store = dir.path().join("store");
    let mut run = Command::new(env!("CARGO_BIN_EXE_fewbits"));
    run.args(["run", "x.ron", "--quiet", "--store"]).arg(&store).current_dir(dir.path());
    assert!(run.status().expect("the binary").success());
    (dir, store)
}

/// Returns the entries of a folder, sorted.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut all: Vec<PathBuf> = entries.collect();
    all.sort();
    all
}

/// Returns the first file below a folder.
fn only_file(dir: &Path) -> PathBuf {
    let path = fs::read_dir(dir).expect("a folder").next().expect("a file").expect("an entry").path();
    if path.is_dir() { only_file(&path) } else { path }
}

#[test]
fn experiment() {
    let ops = StandardOps::new(PathBuf::from("nowhere"), PathBuf::from("nowhere"));
    let quick = include_bytes!("../../experiments/quickstart.ron").to_vec();
    let ops = std::panic::AssertUnwindSafe(ops);
    fuzz(&[EXPERIMENT.into(), quick], |bytes| {
        let _ = TaskGraph::parse(&String::from_utf8_lossy(bytes), &*ops, 10_000);
    });
}

#[test]
fn layout_of_an_experiment() {
    let quick = include_bytes!("../../experiments/quickstart.ron").to_vec();
    fuzz(&[EXPERIMENT.into(), quick], |bytes| {
        let text = String::from_utf8_lossy(bytes);
        // Whatever has a layout keeps its values and comments, and the layout is its own.
        if let Some(laid) = layout(&text) {
            assert!(is_same(&text, &laid), "{text}");
            assert_eq!(layout(&laid).as_ref(), Some(&laid), "{text}");
        }
    });
}

#[test]
fn idx_plain_and_gzipped() {
    let images = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 3][..], &[7; 18]].concat();
    let labels = vec![0, 0, 8, 1, 0, 0, 0, 3, 1, 2, 3];
    let gzipped = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
        encoder.write_all(bytes).expect("bytes");
        encoder.finish().expect("bytes")
    };
    let bomb =
        gzipped(&[&[0, 0, 8, 3, 0, 0x10, 0, 0, 0, 0, 0, 16, 0, 0, 0, 16][..], &vec![0; 1 << 20]].concat());
    fuzz(&[gzipped(&images), gzipped(&labels), images, labels, bomb], |bytes| {
        for kind in [IdxKind::Images, IdxKind::Labels] {
            let _ = DatasetFile::bytes("fuzzed", bytes).and_then(|mut input| Idx::parse(&mut input, kind));
        }
    });
}

#[test]
fn cifar_archive() {
    let mut archive = tar::Builder::new(vec![]);
    for name in ["cifar-10-batches-bin/data_batch_1.bin", "cifar-10-batches-bin/batches.meta.txt"] {
        let mut header = tar::Header::new_gnu();
        header.set_size(3073);
        archive.append_data(&mut header, name, &[3; 3073][..]).expect("a member");
    }
    fuzz(&[archive.into_inner().expect("an archive")], |bytes| {
        let _ = DatasetFile::bytes("fuzzed", bytes).and_then(cifar::archive);
    });
}

#[test]
fn onnx_network() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ops/tests/networks");
    let files = files(&folder).into_iter().filter(|path| path.extension().is_some_and(|end| end == "onnx"));
    let seeds: Vec<Vec<u8>> = files.map(|path| fs::read(path).expect("a network")).collect();
    fuzz(&seeds, |bytes| {
        // A network that can be read can also be stored and read again.
        if let Ok(imported) = Import::from_bytes(Path::new("fuzzed.onnx"), bytes) {
            Model::decode(&imported.model().encode().expect("a model")).expect("the same model");
        }
    });
}

#[test]
fn weights_of_others() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ops/tests/networks/residual.safetensors");
    let layers =
        vec![LayerSpec::conv(4, 3), LayerSpec::batch_norm(), LayerSpec::Flatten, LayerSpec::linear(4)];
    let network = Network::resolve(&Architecture::Layers(layers), [3, 3, 3], 4).expect("a network");
    let names =
        [("conv1", "0"), ("batchnorm1", "1"), ("linear1", "8")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    let names = names.into_iter().collect();
    fuzz(&[fs::read(path).expect("weights")], |bytes| {
        let _ = Import::weights_of_bytes(Path::new("fuzzed"), bytes, &network, &names);
    });
}

#[test]
fn mailboxes_of_workers() {
    let dir = tempfile::tempdir().expect("a folder");
    let exchange = Exchange::open(&dir.path().join("exchange")).expect("an exchange");
    let mut writer = exchange.enlist("seed").expect("a worker");
    let path = exchange.results(writer.worker());
    let digest = fewbits_store::Digest::hash(b"text");
    let source = SourceOrder {
        task: 1,
        key: fewbits_store::Key::derive("{}"),
        parts: BTreeMap::from([("model".to_owned(), digest)]),
        way: SourceWay::Made(vec![]),
    };
    let order = JobOrder {
        number: 3,
        experiment: digest,
        task: 2,
        preimage: "{}".to_owned(),
        keep: true,
        inputs: vec![source.clone(), SourceOrder { way: SourceWay::Made(vec![source.clone()]), ..source }],
    };
    let order = Order::Do(Box::new(order));
    let replies = [
        Reply::Hello(Hello { place: "n1".to_owned(), jobs: 2, ..Hello::default() }),
        Reply::Done { number: 3, record: Box::default() },
        Reply::Undone { number: 3, why: Undone::Failed("no".to_owned()) },
    ];
    writer.append(&replies, false).expect("replies");
    writer.append(&[order.clone(), Order::Cancel(3)], false).expect("orders");
    let mut seeds = vec![fs::read(&path).expect("a mailbox")];
    seeds.extend(replies.iter().map(|reply| encode(reply).expect("a reply")));
    seeds.push(encode(&order).expect("an order"));
    let path = std::panic::AssertUnwindSafe(path);
    fuzz(&seeds, |bytes| {
        fs::write(&*path, bytes).expect("a file");
        let (mut as_orders, mut as_replies) = (MailReader::new(&path), MailReader::new(&path));
        while !as_orders.read::<Order>().expect("a file").is_empty() {}
        while !as_replies.read::<Reply>().expect("a file").is_empty() {}
        // Behind a right checksum any bytes are decoded: a message of another program.
        let _ = decode::<Order>(bytes);
        let _ = decode::<Reply>(bytes);
    });
}

#[test]
fn packed_network() {
    let layers = vec![LayerSpec::Flatten, LayerSpec::linear(6), LayerSpec::linear(4)];
    let network = Network::resolve(&Architecture::Layers(layers), [1, 2, 3], 4).expect("a network");
    let formats = ["Int(3)", "KMeans(2)", "Int(bits: 4, range: Asymmetric)", "Ternary", "Nf4(block: 3)"];
    let files: Vec<Vec<u8>> = formats
        .iter()
        .map(|format| {
            let quantization =
                Quantization::new(Format::parse(format).expect("a format"), Rounding::Nearest, None)
                    .expect("a quantization");
            let quantizer = Quantizer {
                quantization,
                layers: BTreeMap::new(),
                seed: 0,
                random_bits: RandomBits::default(),
                tensors: Tensors::Weights,
            };
            let contents: Vec<(String, Vec<usize>, Vec<f32>)> = network
                .parameters()
                .into_iter()
                .map(|parameter| {
                    let count = parameter.shape.iter().product::<usize>();
                    (parameter.name, parameter.shape, (0..count).map(|at| at as f32 / 7.0 - 1.0).collect())
                })
                .collect();
            let tensors: Vec<Tensor<'_>> =
                contents.iter().map(|(name, shape, data)| Tensor { name, shape, data }).collect();
            packed::write(&network, &quantizer.encode(&tensors).expect("codes"), &serde_json::json!({}))
                .expect("a file")
        })
        .collect();
    for file in &files {
        packed::read(file).expect("what was written can be read");
    }
    fuzz(&files, |bytes| {
        let _ = packed::read(bytes);
    });
}

#[test]
fn numpy_archive() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ops/tests/networks/inverted.golden.npz");
    fuzz(&[fs::read(path).expect("an archive")], |bytes| {
        let _ = Golden::of(Cursor::new(bytes));
    });
}

#[test]
fn images_of_numpy() {
    // Six images of 2 x 1 x 3 bytes with labels, numbers in rows with labels that are texts, and both compressed
    // (`ops/tests/datasets/make.py`).
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ops/tests/datasets");
    let archives =
        ["bytes.npz", "rows.npz", "compressed.npz"].map(|name| fs::read(folder.join(name)).expect(name));
    fuzz(&archives, |bytes| {
        let _ = npz::images(Cursor::new(bytes), SideOrder::Nchw);
        let _ = npz::images(Cursor::new(bytes), SideOrder::Nhwc);
    });
}

#[test]
fn rows_of_csv() {
    let text = b"width, kind,height\n1.5,cat,-2\n\"3\",dog,1e2\n\n4,\"a \"\"b\"\"\",0\r\n".to_vec();
    fuzz(&[text], |bytes| {
        let _ = csv::rows(&mut &*bytes, Some("kind"));
        let _ = csv::rows(&mut &*bytes, None);
    });
}

#[test]
fn safetensors() {
    let (_dir, store) = store();
    let model = fs::read(only_file(&store.join("objects"))).expect("a model");
    fuzz(&[model], |bytes| drop(Model::decode(bytes)));
}

#[test]
fn store_journal() {
    let (_dir, store) = store();
    let journal = fs::read(store.join("journal/1.fbj")).expect("a journal");
    let place = tempfile::tempdir().expect("a folder");
    fuzz(&[journal], |bytes| {
        let _ = fs::remove_dir_all(place.path().join("journal"));
        fs::create_dir_all(place.path().join("journal")).expect("a folder");
        fs::copy(store.join("STORE"), place.path().join("STORE")).expect("a copy");
        fs::write(place.path().join("journal/1.fbj"), bytes).expect("a file");
        let look = |store: &Store| {
            store.for_each_record(&mut |_, _| {}).expect("records");
            store.verify().expect("a look");
        };
        // Damage is never taken for a newer version, because the version number has a checksum.
        look(&Store::open_reader(place.path()).expect("a store"));
        look(&Store::open_writer_with(place.path(), 0).expect("a store"));
        let healed = Store::open_reader(place.path()).expect("a store").verify().expect("a look");
        assert_eq!(healed.damaged, 0, "the writer has written it anew");
        let _ = fs::remove_dir_all(place.path().join("aside"));
    });
}

#[test]
fn imported_archive() {
    let (dir, store) = store();
    let file = dir.path().join("results.tar");
    Store::open_reader(&store).expect("a store").export(&|_| true, &file).expect("an archive");
    let archive = fs::read(&file).expect("an archive");
    let place = tempfile::tempdir().expect("a folder");
    fuzz(&[archive], |bytes| {
        fs::write(&file, bytes).expect("a file");
        let _ = fs::remove_dir_all(place.path().join("journal"));
        let _ = fs::remove_dir_all(place.path().join("objects"));
        let store = Store::open_writer(place.path()).expect("a store");
        store.import(&file).expect("what it is worth");
        assert!(store.verify().expect("a look").is_good());
    });
}

#[test]
fn run_journal() {
    let (_dir, store) = store();
    let lines = fs::read(only_file(&store.join("runs"))).expect("a journal");
    fuzz(&[lines], |bytes| {
        for line in String::from_utf8_lossy(bytes).lines() {
            let _ = serde_json::from_str::<RunHeader>(line);
            let _ = serde_json::from_str::<LoggedEvent>(line);
        }
    });
}

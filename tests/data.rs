//! Datasets: missing files, wrong content, the user's own files, and the real datasets.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::fixture::{Bench, TINY, Told, data_dir, end};

#[test]
fn a_missing_dataset_fails_its_task_alone_and_says_what_to_do() {
    let bench = Bench::with(TINY);
    bench.edit(
        "    nodes: {",
        r#"    nodes: {
        "fashion": Dataset(source: FashionMnist),
        "other": Train(data: "fashion", model: Mlp(hidden: [8]), epochs: 1),
        "judged": Evaluate(model: "other", data: "fashion"),"#,
    );
    let plan = bench.stdout(["plan", "x.ron"]);
    assert!(plan.contains("fashion: 1 task would fail: "), "{plan}");
    assert!(plan.contains("other: 1 task waiting for fashion"), "{plan}");
    let told = bench.run();
    assert_eq!(told.code, Some(1));
    assert_eq!(told.counts(), [16, 13, 0, 1, 2]);
    let failed = told.of("failed")[0];
    assert_eq!(failed["task"], "fashion");
    let error = failed["error"].as_str().expect("a sentence");
    assert!(error.contains("fewbits data fetch fashion-mnist"), "{error}");
    assert!(error.contains("fashion-mnist/train-images-idx3-ubyte"), "it says where it looked: {error}");
    assert_eq!(told.tasks("skipped"), ["judged", "other"]);
    assert!(told.of("skipped").iter().all(|event| event["because"] == "fashion"));
    let again = bench.run();
    assert_eq!((again.code, again.counts()), (Some(1), [16, 0, 13, 1, 2]));
    let plain = bench.fewbits(["run", "x.ron"]);
    assert_eq!(plain.code, Some(1));
    assert!(plain.stderr.contains("fashion failed: ") && plain.stdout.contains("tradeoff"), "{plain:?}");
    // A run with failures prints the advice once; a run without failures does not print it.
    let advice = "failed tasks are not kept: the next `run` runs them again\n";
    for arguments in [&["run", "x.ron"][..], &["run", "x.ron", "--quiet"]] {
        let told = bench.fewbits(arguments);
        assert_eq!(told.stderr.matches(advice).count(), 1, "{told:?}");
    }
    assert_eq!(bench.stdout(["watch"]).matches(advice).count(), 1);
    bench.write("x.ron", TINY);
    let well = bench.fewbits(["run", "x.ron"]);
    assert!(well.code == Some(0) && !well.stderr.contains("not kept"), "{well:?}");
}

#[test]
fn the_first_failure_stops_a_run_that_is_to_fail_fast() {
    let bench = Bench::with(TINY);
    bench.edit("    nodes: {", "    nodes: {\n        \"fashion\": Dataset(source: FashionMnist),");
    let told = Told::from(bench.fewbits(["run", "x.ron", "--ui", "json", "--fail-fast", "--jobs", "1"]));
    assert_eq!(told.code, Some(1));
    let [tasks, ran, cached, failed, skipped] = told.counts();
    assert!(failed == 1 && skipped > 0 && tasks == ran + cached + failed + skipped, "{told:?}");
}

#[test]
fn datasets_are_listed() {
    let listed = Bench::new().stdout(["data", "list"]);
    for name in ["mnist-10k", "mnist", "fashion-mnist", "cifar10"] {
        assert!(listed.lines().any(|line| line.trim_start().starts_with(name)), "{listed}");
    }
    assert_eq!(listed.matches("not here").count(), 3, "{listed}");
}

/// Starts a server that answers every request with this body; returns its address.
fn serve(body: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}/files", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        }
    });
    address
}

/// Content of the same length as the published file, so that only the checksum reveals that it is wrong.
static AS_LONG: [u8; 9_912_422] = [7; 9_912_422];

#[test]
fn wrong_content_is_not_taken_for_a_dataset() {
    let bench = Bench::new();
    let check = |body: &'static [u8], words: &[&str]| {
        let told = bench.fewbits(["data", "fetch", "mnist", "--mirror", &serve(body), "--data-dir", "data"]);
        assert_eq!((told.code, told.stdout.as_str()), (Some(1), ""), "{told:?}");
        let last = told.stderr.lines().last().expect("a sentence");
        assert!(words.iter().all(|word| last.contains(word)), "{}", told.stderr);
        assert!(!bench.path("data/mnist/train-images-idx3-ubyte.gz").exists());
    };
    check(b"<html>not here</html>", &["train-images-idx3-ubyte.gz"]);
    check(&AS_LONG, &["train-images-idx3-ubyte.gz", "SHA-256"]);
    assert!(bench.stdout(["data", "list", "--data-dir", "data"]).contains("not here"));
}

#[test]
fn no_server_is_said_in_one_sentence() {
    let bench = Bench::new();
    let address =
        format!("http://{}", TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port"));
    let told = bench.fewbits(["data", "fetch", "cifar10", "--mirror", &address]);
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(told.stderr.contains(&address) && told.stderr.contains("--mirror"), "{}", told.stderr);
}

/// Returns images of 4 × 4 pixels in three classes and their labels as IDX files. The bright pixels are in the row of
/// the class.
fn idx(count: u8, shift: u8) -> (Vec<u8>, Vec<u8>) {
    let number = |n: u8| [0, 0, 0, n];
    let mut images = [[0, 0, 8, 3], number(count), number(4), number(4)].concat();
    let mut labels = [[0, 0, 8, 1], number(count)].concat();
    for at in 0..count {
        let label = at % 3;
        let pixel = |p: u8| if p / 4 == label { 200 + at % 50 } else { (p * 7 + at + shift) % 60 };
        images.extend((0..16).map(pixel));
        labels.push(label);
    }
    (images, labels)
}

fn write_idx(bench: &Bench, part: &str, count: u8, shift: u8) {
    let (images, labels) = idx(count, shift);
    for (kind, bytes) in [("images", images), ("labels", labels)] {
        let path = bench.path(&format!("own/{part}-{kind}"));
        fs::create_dir_all(bench.path("own")).expect("a folder");
        fs::write(&path, bytes).expect("a file");
        age(&path);
    }
}

/// Makes a file look old, because the digest of a recently changed file is not remembered.
fn age(path: &Path) {
    let file = fs::File::options().append(true).open(path).expect("a file");
    file.set_modified(SystemTime::now() - Duration::from_secs(100)).expect("a time");
}

fn own() -> Bench {
    let bench = Bench::with(TINY);
    bench.edit(
        "Dataset(source: Mnist10k, train: 200, test: 100)",
        r#"Dataset(source: Idx(train_images: "own/train-images", train_labels: "own/train-labels", test_images: "own/test-images", test_labels: "own/test-labels"))"#,
    );
    write_idx(&bench, "train", 120, 0);
    write_idx(&bench, "test", 60, 1);
    bench
}

#[test]
fn own_files_are_known_by_their_content() {
    let bench = own();
    assert_eq!(bench.run_well().counts(), [13, 13, 0, 0, 0]);
    assert_eq!(bench.long()[0]["full.total"], 60.0);
    assert_eq!(bench.run_well().kinds(), ["planned", "finished"]);
    // The file is written again with the same content.
    write_idx(&bench, "train", 120, 0);
    assert_eq!(bench.run_well().kinds(), ["planned", "finished"]);
    // With other test images, the networks do not run again.
    write_idx(&bench, "test", 60, 2);
    let told = bench.run_well();
    assert!(
        told.tasks("completed").iter().all(|task| !task.starts_with("net") && !task.starts_with("small"))
    );
    assert_eq!(told.counts()[..3], [13, 7, 6]);
    // With other training images, the networks are trained again.
    write_idx(&bench, "train", 90, 0);
    assert!(bench.run_well().tasks("completed").contains(&"net(seed=1)"));
    // The files are moved; their path is not part of a key.
    fs::rename(bench.path("own"), bench.path("moved")).expect("a folder");
    bench.edit("own/", "moved/");
    assert_eq!(bench.run_well().count("ran"), 0);
}

#[test]
fn a_stray_label_is_named_with_its_image_and_file() {
    let bench = own();
    let path = bench.path("own/train-labels");
    let mut labels = fs::read(&path).expect("labels");
    // The label of image 17 is behind the header of 8 bytes.
    labels[8 + 17] = 255;
    fs::write(&path, labels).expect("a file");
    let told = bench.run();
    assert_eq!((told.code, told.tasks("failed")), (Some(1), vec!["mnist"]));
    let error = told.of("failed")[0]["error"].as_str().expect("a sentence");
    let expected = "own/train-labels: byte 25: image 17 has label 255, the largest there, but no training image has \
                    label 3; correct the labels";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn results_are_shown_when_the_files_are_gone() {
    let bench = own();
    bench.run_well();
    let table = bench.stdout(["table", "x.ron"]);
    fs::remove_dir_all(bench.path("own")).expect("a folder");
    let told = bench.fewbits(["table", "x.ron"]);
    assert_eq!((told.code, &told.stdout), (Some(0), &table));
    assert!(told.stderr.contains("own/train-images: the file is gone"), "{}", told.stderr);
    let run = bench.run_well();
    assert_eq!(run.count("ran"), 0);
    assert!(
        run.of("warned")
            .iter()
            .any(|event| event["message"].as_str().is_some_and(|text| text.contains("is gone"))),
        "{run:?}"
    );
}

#[test]
fn files_that_were_never_there_are_named() {
    let bench = own();
    fs::remove_file(bench.path("own/test-labels")).expect("a file");
    let told = bench.run();
    assert_eq!((told.code, told.counts()), (Some(1), [13, 0, 0, 1, 12]));
    assert!(
        told.of("failed")[0]["error"].as_str().is_some_and(|text| text.contains("own/test-labels")),
        "{told:?}"
    );
}

#[test]
fn files_that_are_wrong_are_named_with_what_is_wrong() {
    let bench = own();
    let check = |content: &[u8], words: &str| {
        bench.write("own/train-labels", content);
        let told = bench.run();
        assert_eq!((told.code, told.count("failed")), (Some(1), 1), "{told:?}");
        let error = told.of("failed")[0]["error"].as_str().expect("a sentence").to_owned();
        assert!(error.contains("own/train-labels") && error.contains(words), "{error}");
    };
    check(b"hello", "");
    check(&idx(120, 0).1[..100], "");
    check(&idx(119, 0).1, "119");
}

/// Runs the experiment with a real dataset if `FEWBITS_DATA_DIR` names the data folder.
fn real(source: &str, model: &str) -> Option<Told> {
    let dir = data_dir()?;
    let bench = Bench::with(TINY);
    bench.edit("source: Mnist10k, train: 200", source);
    bench.edit("Mlp(hidden: [8])", model);
    bench.edit("\"seed\": [0, 1]", "\"seed\": [0]");
    let mut command = bench.command(["run", "x.ron", "--ui", "json"]);
    let told = Told::from(end(command.env("FEWBITS_DATA_DIR", dir)));
    assert_eq!((told.code, told.counts()), (Some(0), [7, 7, 0, 0, 0]), "{told:?}");
    Some(told)
}

#[test]
fn mnist_itself() {
    let Some(told) = real("source: Mnist, train: 500, validation: 100", "Mlp(hidden: [32])") else { return };
    let full =
        told.of("completed").into_iter().find(|event| event["task"] == "full(seed=0)").expect("a task");
    assert!(full["metrics"]["accuracy"].as_f64().is_some_and(|accuracy| accuracy > 0.3), "{full}");
}

#[test]
fn cifar10_itself() {
    let model = "Layers([Conv(out: 4, kernel: 5, stride: 3), Relu, Flatten, Linear(10)])";
    let Some(told) = real("source: Cifar10, train: 300", model) else { return };
    let data = told.of("completed").into_iter().find(|event| event["task"] == "mnist").expect("a task");
    assert_eq!(data["metrics"]["train_images"], 300.0);
}

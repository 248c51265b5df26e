//! A user's own data: `NumPy` archives and CSV files, with words as labels and without labels; faults and warnings.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::fixture::Bench;

const FLOWERS: &str = r#"Experiment(
    name: "flowers",
    axes: { "bits": [2, 8] },
    nodes: {
        "data": Dataset(
            source: Csv(train: "train.csv", test: "test.csv", label: "kind"), validation: 30,
            normalize: Standard(mean: [2.0, 5.0], std: [1.5, 2.5]),
        ),
        "net": Train(data: "data", model: Mlp(hidden: [8]), epochs: 30, batch: 10),
        "small": Quantize(model: "net", format: Int(Axis("bits"))),
        "full": Evaluate(model: "net", data: "data"),
        "confusion": Confusion(model: "small", data: "data"),
        "agreement": Compare(model: "small", baseline: "net", data: "data"),
    },
    tables: {
        "full": Table(rows: [], columns: ["data.classes", "data.train_images", "full.accuracy"]),
        "worst": Table(rows: ["bits"], columns: ["confusion.lowest_recall", "confusion.total"]),
    },
)"#;

/// Returns a folder with rows of three kinds of flowers that lie far apart.
fn flowers() -> Bench {
    let bench = Bench::with(FLOWERS);
    for (file, first, rows) in [("train.csv", 0, 120_u32), ("test.csv", 120, 45)] {
        let mut text = "wide,kind,high\n".to_owned();
        for at in first..first + rows {
            let noise = |of: u32| f64::from((at * of + of).wrapping_mul(2_654_435_761) >> 24) / 512.0;
            let (kind, wide, high) =
                [("rose", 1.0, 2.0), ("aster", 3.0, 5.0), ("iris", 1.0, 8.0)][at as usize % 3];
            writeln!(text, "{},{kind},{}", wide + noise(3), high + noise(7)).expect("a row");
        }
        bench.write(file, text);
    }
    bench
}

#[test]
fn rows_with_words_as_labels_go_all_the_way() {
    let bench = flowers();
    bench.run_well();
    let full = bench.stdout(["table", "x.ron", "full"]);
    assert!(full.contains(" 3 ") && full.contains(" 90 ") && full.contains(" 1.000 ±"), "{full}");
    assert!(bench.stdout(["table", "x.ron", "worst"]).contains(" 45"));
    bench.stdout(["report", "x.ron", "-o", "x.html"]);
    let page = fs::read_to_string(bench.path("x.html")).expect("a page");
    assert!(page.contains("Counts of true by given class of confusion(bits=2)"), "{page}");
    assert!([">aster<", ">iris<", ">rose<"].iter().all(|name| page.contains(name)));
    bench.stdout(["plot", "x.ron", "confusion", "-o", "x.svg"]);
    let picture = fs::read_to_string(bench.path("x.svg")).expect("a picture");
    assert!(picture.contains(">true class<") && picture.contains(">15<"), "{picture}");
    // Labels in another order are other classes, and everything behind them is computed anew.
    let names = r#"classes: ["rose", "iris", "aster"], validation: 30"#;
    bench.write("x.ron", FLOWERS.replace("validation: 30", names));
    assert_eq!(bench.run_well().count("cached"), 0);
}

#[test]
fn faults_of_own_data_are_told() {
    let bench = flowers();
    let told = |command: &str, code, from: &str, to: &str| {
        bench.write("y.ron", FLOWERS.replace(from, to));
        let ended = bench.fewbits([command, "y.ron"]);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        ended.stderr
    };
    let no_labels = told("check", 2, r#", label: "kind""#, "");
    assert!(
        no_labels.contains("the images have no labels") && no_labels.contains("`label: \"column\"`"),
        "{no_labels}"
    );
    let no_test = told("check", 2, r#"test: "test.csv", "#, "");
    assert!(no_test.contains("this dataset has no test images"), "{no_test}");
    let bytes = told("check", 2, "Standard(mean: [2.0, 5.0], std: [1.5, 2.5])", "UnitRange");
    assert!(bytes.contains("UnitRange and Bytes are of bytes"), "{bytes}");
    // The fault of a file is a warning of `check`, and fails the task.
    for (from, to, sentence) in [
        (
            r#"label: "kind""#,
            r#"label: "species""#,
            "train.csv: line 1: no column named \"species\"; the columns are wide, kind, high",
        ),
        (
            "validation: 30",
            r#"classes: ["rose", "aster"], validation: 30"#,
            "label \"iris\" of image 2 is none of the classes rose, aster",
        ),
    ] {
        let warned = told("check", 0, from, to);
        assert!(warned.starts_with("warning: node `data`: ") && warned.contains(sentence), "{warned}");
        assert!(told("run", 1, from, to).contains(sentence));
    }
    let network = told("check", 2, "Mlp(hidden: [8])", "Layers([Flatten, Linear(4)])");
    assert!(network.contains("the last layer gives 4 numbers, but there are 3 classes"), "{network}");
    fs::remove_file(bench.path("train.csv")).expect("the file");
    assert!(told("check", 0, "flowers", "gone").contains("warning: node `data`: train: "));
    let gone = told("run", 1, "flowers", "gone");
    assert!(gone.contains("train: ") && gone.contains("train.csv is not there"), "{gone}");
}

#[test]
fn images_of_one_class_are_refused() {
    let bench = flowers();
    let text = fs::read_to_string(bench.path("train.csv")).expect("rows");
    for file in ["train.csv", "test.csv"] {
        bench.write(file, text.replace("aster", "rose").replace("iris", "rose"));
    }
    let ended = bench.fewbits(["check", "x.ron"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("all images are of one class"), "{ended:?}");
}

/// The network of one output that a sigmoid follows, with rows for it: by its sign it answers with one of two classes.
const SINGLE: &str = r#"Experiment(
    name: "single",
    nodes: {
        "data": Dataset(source: Npz(train: "rows.npz", test: "rows.npz"), classes: CLASSES, validation: 2, validation_from: FROM),
        "net": Import(file: "net.onnx", golden: "net.npz"),
        "small": Quantize(model: "net", format: Int(4)),
        "same": Compare(model: "small", baseline: "net", data: "data", split: Validation),
        NODES
    },
    tables: { "net": Table(rows: [], columns: ["net.golden_difference", "same.agreement", "same.total"]) },
)"#;

#[test]
fn a_single_output_is_two_classes_and_labels_may_be_absent() {
    let bench = Bench::new();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ops/tests");
    for (from, to) in [
        ("networks/single.onnx", "net.onnx"),
        ("networks/single.golden.npz", "net.npz"),
        ("datasets/unlabelled.npz", "rows.npz"),
    ] {
        fs::copy(tests.join(from), bench.path(to)).expect(to);
    }
    let text = |nodes: &str, classes: &str| {
        SINGLE.replace("NODES", nodes).replace("FROM", "Test").replace("CLASSES", classes)
    };
    bench.write("x.ron", text("", r#"["no", "yes"]"#));
    bench.run_well();
    assert!(bench.stdout(["table", "x.ron", "net"]).trim_end().ends_with(" 2"));
    let check = |nodes: &str, classes: &str| {
        bench.write("x.ron", text(nodes, classes));
        let ended = bench.fewbits(["check", "x.ron"]);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        ended.stderr
    };
    for node in [
        r#""full": Evaluate(model: "net", data: "data", split: Train),"#,
        r#""counts": Confusion(model: "net", data: "data"),"#,
        r#""other": Train(data: "data", model: Mlp()),"#,
    ] {
        let told = check(node, r#"["no", "yes"]"#);
        assert!(told.contains("the images have no labels") && told.contains("the array `y`"), "{told}");
    }
    // Three classes are not two.
    fs::copy(tests.join("datasets/rows.npz"), bench.path("rows.npz")).expect("rows");
    let told = check(r#""full": Evaluate(model: "net", data: "data"),"#, r#"["ox", "ass", "hen"]"#);
    assert!(
        told.contains(
            "takes 4 x 1 x 1 images in 1 class, these are 4 x 1 x 1 images in 3 classes; a single output"
        ),
        "{told}"
    );
}

#[test]
fn images_that_an_imported_network_has_seen_are_warned_about() {
    let bench = Bench::new();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ops/tests");
    fs::copy(tests.join("networks/single.onnx"), bench.path("net.onnx")).expect("a network");
    fs::copy(tests.join("networks/single.golden.npz"), bench.path("net.npz")).expect("its outputs");
    let text = |from: &str, normalize: &str| {
        let text = SINGLE.replace("NODES", "").replace("FROM", from).replace("CLASSES", r#"["no", "yes"]"#);
        text.replace("validation: 2", &format!("normalize: {normalize}, validation: 2"))
    };
    let told = |command: &str, code, from: &str, normalize: &str| {
        bench.write("x.ron", text(from, normalize));
        let ended = bench.fewbits([command, "x.ron"]);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        ended.stderr.lines().filter(|line| !line.contains("rows.npz is not there")).collect::<String>()
    };
    assert_eq!(told("check", 0, "Test", "UnitRange"), "");
    let seen = told("check", 0, "Train", "UnitRange");
    assert!(
        seen.starts_with("warning: node `same`: the validation images are training images, which "),
        "{seen}"
    );
    assert!(told("plan", 0, "Train", "UnitRange").contains(&seen));
    assert!(told("run", 1, "Train", "UnitRange").contains(&seen["warning: ".len()..]));
    let range = told("check", 0, "Test", "Bytes");
    assert!(range.contains("the numbers of this dataset from 0 to 255; `golden` does not test"), "{range}");
    // So does a calibration on images of another range.
    let other = r#""other": Dataset(source: Npz(train: "rows.npz"), normalize: Bytes), "net": Import"#;
    let calibrated = text("Test", "UnitRange").replace(r#""net": Import"#, other).replace(
        r#"(model: "net", format"#,
        r#"(model: "net", data: "other", bias_correction: true, format"#,
    );
    bench.write("x.ron", calibrated);
    let errors = bench.fewbits(["check", "x.ron"]).stderr;
    assert!(
        errors.contains("node `small`") && errors.contains("from 0 to 255; `golden` does not test"),
        "{errors}"
    );
    // The numbers of a file count, not only how they are normalized.
    let rows = fs::read(tests.join("datasets/unlabelled.npz")).expect("rows");
    bench.write("rows.npz", rows);
    let range =
        told("check", 0, "Test", "Standard(mean: [900.0, 900.0, 900.0, 900.0], std: [1.0, 1.0, 1.0, 1.0])");
    assert!(range.contains("the numbers of this dataset from -901 to -899"), "{range}");
}

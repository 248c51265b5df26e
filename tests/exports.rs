//! Exports for other programs: tables as CSV, JSON and Parquet, and weights as `NumPy` archives.
//! `exports/open.py` opens them with their usual readers, if Python has these modules.

use std::fs;
use std::process::Command;

use crate::fixture::{Bench, TINY};

/// An experiment with axes of every type and formats of every kind.
const EVERY_TYPE: &str = r#"Experiment(
    name: "types",
    axes: {
        "seed": [0, 1],
        "dropout": [0, 0.5],
        "setting": {"a": (batch: 50, fast: true), "b": (batch: 25, fast: false)},
        "format": {"int": Int(bits: 4), "float": Float(e: 2, m: 1)},
        "rounding": [Nearest, Stochastic],
    },
    nodes: {
        "mnist": Dataset(source: Mnist10k, train: 200, test: 100),
        "net": Train(data: "mnist", model: Mlp(hidden: [8], dropout: Axis("dropout")), batch: Axis("setting.batch"),
                     epochs: 1, seed: Axis("seed")),
        "small": Quantize(model: "net", format: Axis("format"), rounding: Axis("rounding"), scale: Real(per: Channel)),
        "accuracy": Evaluate(model: "small", data: "mnist"),
        "full": Evaluate(model: "net", data: "mnist"),
        "int": Quantize(model: "net", format: Int(4), scale: Real(per: Channel)),
        "float": Quantize(model: "net", format: Float(e: 2, m: 1), scale: Real(per: Channel), rounding: Stochastic),
        "blocks": Quantize(model: "net", format: Int(bits: 5, range: Asymmetric), scale: Real(per: Block(10)), last: Int(8)),
        "kmeans": Quantize(model: "net", format: KMeans(3), layers: {"linear2": Ternary}),
        "wide": Quantize(model: "net", format: Float(e: 5, m: 4)),
    },
    tables: {
        "list": Table(rows: ["format", "dropout", "setting", "rounding"], columns: {"=loss": "accuracy.loss"}, replicate: "seed"),
        "choice": Choose(minimize: "small.bytes", select: (value: "accuracy.accuracy", baseline: "full.accuracy"), replicate: "seed", max_drop: 1),
    },
)
"#;

/// The modules that `exports/open.py` imports.
const MODULES: &str = "import jsonschema, numpy, pandas, polars, pyarrow";

fn done() -> Bench {
    let bench = Bench::with(EVERY_TYPE);
    bench.run_well();
    bench
}

/// Returns a Python interpreter that can carry out these imports; `None`, with a message, if there is none.
pub fn python(imports: &str) -> Option<String> {
    let python = std::env::var("FEWBITS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let tried = Command::new(&python).args(["-c", imports]).output();
    if tried.is_ok_and(|tried| tried.status.success()) {
        return Some(python);
    }
    eprintln!("not tested: `{python}` cannot `{imports}`; FEWBITS_PYTHON names one that can");
    None
}

#[test]
fn their_readers_open_them() {
    let Some(python) = python(MODULES) else { return };
    let bench = done();
    for format in ["csv", "json", "parquet"] {
        bench.stdout(["table", "x.ron", "--format", format, "-o", &format!("long.{format}")]);
        bench.stdout(["table", "x.ron", "list", "--format", format, "-o", &format!("list.{format}")]);
    }
    bench.write("choice.json", bench.stdout(["choose", "x.ron", "--format", "json"]));
    for name in ["net", "int", "float", "blocks", "kmeans", "wide"] {
        let task = format!("{name}(seed=1,dropout=0,setting=a)");
        let told = bench.stdout(["weights", "x.ron", &task, "-o", &format!("{name}.npz")]);
        assert!(told.starts_with(&format!("{name}.npz: 4 tensors of {task}, ")), "{told}");
    }
    // The quote in front of a heading protects spreadsheets and is not part of the name, so it is removed.
    let csv = fs::read_to_string(bench.path("list.csv")).expect("list.csv");
    assert!(csv.contains(",'=loss,'=loss.low,"), "{csv}");
    bench.write("list.csv", csv.replace("'=", "="));
    let tests = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/exports/open.py");
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/table.schema.json");
    let opened = Command::new(python).arg(tests).arg(bench.path("")).arg(schema).output().expect("Python");
    let (out, error) = (String::from_utf8_lossy(&opened.stdout), String::from_utf8_lossy(&opened.stderr));
    assert!(opened.status.success() && out == "good\n", "{out}{error}");
}

#[test]
fn the_same_weights_are_the_same_bytes() {
    let bench = Bench::with(TINY);
    bench.run_well();
    let objects = bench.objects();
    let write = |file: &str| {
        bench.stdout(["weights", "x.ron", "small(e=3, seed=0)", "-o", file]);
        fs::read(bench.path(file)).expect(file)
    };
    assert_eq!(write("a.npz"), write("b.npz"));
    assert_eq!(bench.objects(), objects, "nothing is kept of it");
    // A prefix of the key also identifies the task.
    let why = bench.stdout(["why", "x.ron", "small(e=3, seed=0)"]);
    let key = why.lines().find_map(|line| line.strip_prefix("key     ")).expect(&why);
    bench.stdout(["weights", "x.ron", &key[..8], "-o", "c.npz"]);
    assert_eq!(write("a.npz"), fs::read(bench.path("c.npz")).expect("c.npz"));
}

#[test]
fn weights_that_cannot_be_had_are_told_in_a_sentence() {
    let bench = Bench::with(TINY);
    let check = |task: &str, code: i32, expected: &str| {
        let told = bench.fewbits(["weights", "x.ron", task, "-o", "x.npz"]);
        assert_eq!(
            (told.code, told.stderr.as_str()),
            (Some(code), format!("fewbits: {expected}\n").as_str())
        );
        assert!(!bench.path("x.npz").exists());
    };
    check("small(e=2,seed=0)", 1, "mnist: there is no result yet; run the experiment first");
    bench.run_well();
    check(
        "mnist",
        2,
        "mnist: it has no weights; name a task of a Train, an Import, a Quantize or an Allocate",
    );
    check(
        "full(seed=0)",
        2,
        "full(seed=0): it has no weights; name a task of a Train, an Import, a Quantize or an Allocate",
    );
    for object in bench.objects() {
        fs::remove_file(object).expect("an object");
    }
    let lost = "net(seed=1): its result is not in the store any more; run the experiment to make it again";
    check("small(e=2,seed=1)", 1, lost);
    check("net(seed=1)", 1, lost);
}

#[test]
fn parquet_without_a_file_is_refused() {
    let told = Bench::with(TINY).fewbits(["table", "x.ron", "--format", "parquet"]);
    assert_eq!(told.code, Some(2));
    assert_eq!(told.stderr, "fewbits: Parquet is not for reading: name a file to write with -o FILE\n");
    assert_eq!(told.stdout, "");
}

#[test]
fn a_table_in_a_file_is_what_would_be_printed() {
    let bench = Bench::with(TINY);
    bench.run_well();
    for format in ["text", "md", "csv", "json"] {
        for name in [&[][..], &["tradeoff"]] {
            let arguments = [&["table", "x.ron"], name, &["--format", format]].concat();
            let printed = bench.stdout(&arguments);
            let told = bench.stdout([&arguments[..], &["-o", "out"]].concat());
            assert_eq!(fs::read_to_string(bench.path("out")).expect("out"), printed);
            assert!(told.starts_with("out: ") && told.lines().count() == 1, "{told}");
        }
    }
    let told = bench.fewbits(["table", "x.ron", "-o", "no/such/folder/out"]);
    assert_eq!(told.code, Some(2), "{told:?}");
}

/// Texts from a file that a spreadsheet could run as formulas, or a terminal as escape codes.
#[test]
fn texts_in_csv_are_harmless() {
    let bench = Bench::with(
        "Experiment(name: \"x\",
    axes: {\"path\": [\"=cmd|' /C calc'!A1\", \"+1\", \"-1\", \"@x\", \"\\tx\", \"\\rx\", \"a\\u{1b}]0;x\\u{7}\", \"a=1\"]},
    nodes: {
        \"d\": Dataset(source: Idx(train_images: Axis(\"path\"), train_labels: \"l\", test_images: \"i\", test_labels: \"l\")),
        \"net\": Train(data: \"d\", model: Mlp(hidden: [8])),
    },
    tables: {\"t\": Table(rows: [\"path\"], columns: {\"-net\": \"-net.train_loss\"})},
)",
    );
    let csv = bench.stdout(["table", "x.ron", "--format", "csv"]);
    let cells: Vec<&str> = csv.lines().skip(1).map(|line| line.split(",,").next().expect("a cell")).collect();
    let bad = '\u{fffd}';
    let safe = [
        "'=cmd|' /C calc'!A1",
        "'+1",
        "'-1",
        "'@x",
        &format!("'{bad}x"),
        &format!("'{bad}x"),
        &format!("a{bad}]0;x{bad}"),
        "a=1",
    ];
    assert_eq!(cells, safe, "{csv}");
    let named = bench.stdout(["table", "x.ron", "t", "--format", "csv"]);
    assert!(named.starts_with("path,'-net\n"), "{named}");
    for format in ["text", "md", "csv"] {
        let shown = bench.stdout(["table", "x.ron", "--format", format]);
        assert!(shown.chars().all(|c| !c.is_control() || c == '\n'), "{shown:?}");
    }
}

#[test]
fn a_dash_is_standard_output() {
    let bench = Bench::with(TINY);
    bench.run_well();
    let csv = bench.stdout(["table", "x.ron", "tradeoff", "--format", "csv"]);
    assert_eq!(bench.stdout(["table", "x.ron", "tradeoff", "--format", "csv", "-o", "-"]), csv);
    assert!(bench.stdout(["report", "x.ron", "-o", "-"]).starts_with("<!DOCTYPE html>"));
    assert!(bench.stdout(["plot", "x.ron", "pareto", "-o", "-", "--format", "svg"]).starts_with("<?xml"));
    let told = bench.fewbits(["plot", "x.ron", "pareto", "-o", "-"]);
    assert_eq!((told.code, told.stdout.as_str()), (Some(2), ""));
    assert!(told.stderr.contains("give `--format svg` or `--format png`"), "{told:?}");
    let told = bench.fewbits(["plot", "x.ron", "pareto", "-o", "x.png", "--format", "svg"]);
    assert!(told.code == Some(2) && told.stderr.contains("differ"), "{told:?}");
    for (arguments, start) in [
        (&["plot", "x.ron", "pareto", "-o", "-", "--format", "png"][..], &b"\x89PNG"[..]),
        (&["weights", "x.ron", "net(seed=0)", "-o", "-"], b"PK"),
        (&["table", "x.ron", "tradeoff", "--format", "parquet", "-o", "-"], b"PAR1"),
    ] {
        let bytes = bench.command(arguments.iter()).output().expect("fewbits").stdout;
        assert!(bytes.starts_with(start), "{arguments:?}");
    }
    let archive = bench.command(["store", "export", "-o", "-"]).output().expect("fewbits").stdout;
    bench.stdout(["store", "export", "-o", "all.fbx"]);
    assert_eq!(archive.len(), std::fs::read(bench.path("all.fbx")).expect("an archive").len());
    assert!(!bench.path("-").exists(), "no file is named so");
}

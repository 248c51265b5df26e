//! Regression tests for kinds of faults: each has the input that revealed the fault, and another input of the same
//! kind. The expected values come from arithmetic or from the experiment file itself.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value as Json;

use crate::fixture::{Bench, Ended};

/// A dataset with few images, so that a training takes milliseconds.
const IMAGES: &str = r#""images": Dataset(source: Mnist10k, train: 300, test: 200)"#;

/// Returns an experiment with a network of 16 neurons, and with these axes, training parameters, nodes and tables.
fn experiment(axes: &str, train: &str, nodes: &str, tables: &str) -> String {
    format!(
        r#"Experiment(name: "kinds", axes: {{ {axes} }}, nodes: {{
            {IMAGES},
            "net": Train(data: "images", model: Mlp(hidden: [16]), epochs: 1{train}),
            {nodes}
        }}, tables: {{ {tables} }})"#
    )
}

fn done(text: &str) -> Bench {
    let bench = Bench::with(text);
    bench.run_well();
    bench
}

fn rows(bench: &Bench, table: &str) -> Vec<Json> {
    let text = bench.stdout(["table", "x.ron", table, "--format", "json"]);
    serde_json::from_str(&text).expect(&text)
}

/// Returns one column of a table as numbers; NaN for cells without a number.
fn column(bench: &Bench, table: &str, name: &str) -> Vec<f64> {
    rows(bench, table).iter().map(|row| row[name].as_f64().unwrap_or(f64::NAN)).collect()
}

#[test]
fn seeds_beyond_binary64_are_different_trainings() {
    let keys = |axis: &str, train: &str, nodes: &str, node: &str| {
        let bench = done(&experiment(axis, train, nodes, ""));
        let text = bench.stdout(["table", "x.ron", "--format", "json"]);
        let rows: Vec<Json> = serde_json::from_str(&text).expect(&text);
        let told = bench.run_well();
        assert_eq!(told.count("ran"), 0);
        let metric = if node == "net" { "net.train_loss" } else { "q.mse" };
        rows.iter().map(|row| row[metric].to_string()).collect::<BTreeSet<_>>().len()
    };
    let clock = r#""seed": Range(1732752000000000000, 1732752000000000004)"#;
    assert_eq!(keys(clock, r#", seed: Axis("seed")"#, "", "net"), 5);
    let last = r#""seed": [9223372036854775806, 9223372036854775807]"#;
    let q = r#""q": Quantize(model: "net", format: Int(4), rounding: Stochastic, seed: Axis("seed"))"#;
    assert_eq!(keys(last, "", q, "q"), 2);
}

#[test]
fn infinite_numbers_are_exported() {
    let nodes = r#""made": Quantize(model: "net", format: Values([0.0, 1e30])),
        "small": Quantize(model: "made", format: Axis("q")), "acc": Evaluate(model: "small", data: "images")"#;
    let tables = r#""t": Table(rows: ["q"], columns: ["small.sqnr_db"]),
        "ratio": Table(rows: ["q"], columns: {"x": "acc.accuracy / small.flushed", "nan": "(small.flushed - small.flushed) / small.flushed"})"#;
    let bench = done(&experiment(r#""q": [Values([0.1, 0.2]), Int(4)]"#, "", nodes, tables));
    let csv = |name: &str| bench.stdout(["table", "x.ron", name, "--format", "csv"]);
    // All weights are 0. For the first format the ratio is 10·log10(0 / error) = −∞; the second has no error, so the
    // ratio is undefined.
    assert!(csv("t").contains(r#""Values([0.1,0.2])",-inf,1"#), "{}", csv("t"));
    assert!(csv("t").contains("Int(4),,\n"), "{}", csv("t"));
    let found = rows(&bench, "t");
    assert_eq!(
        (&found[0]["small.sqnr_db"], &found[0]["small.sqnr_db.n"]),
        (&Json::from("-Infinity"), &Json::from(1))
    );
    assert_eq!(found[1]["small.sqnr_db"], Json::Null);
    assert!(bench.stdout(["table", "x.ron", "t"]).contains("-inf"));
    // No weight is flushed, because all weights are 0 before quantization: both quotients divide by zero.
    let found = rows(&bench, "ratio");
    assert_eq!((&found[0]["x"], &found[0]["nan"]), (&Json::from("Infinity"), &Json::from("NaN")));
    assert!(csv("ratio").contains(",inf,1,NaN,1"), "{}", csv("ratio"));
    // The events and the run log write infinite numbers the same way, and `watch` reads the run log back.
    let journal = fs::read_dir(bench.path("store/runs")).expect("runs").filter_map(Result::ok);
    let text: String = journal.filter_map(|file| fs::read_to_string(file.path()).ok()).collect();
    assert!(text.contains(r#""sqnr_db":"-Infinity""#), "{text}");
    let watched = bench.stdout(["watch", "--ui", "plain"]);
    assert!(watched.contains("small") && watched.contains("0 failed"), "{watched}");
}

#[test]
fn small_numbers_print_as_such() {
    let nodes = r#""small": Quantize(model: "net", format: Int(bits: Axis("b")), rounding: Axis("r")),
        "acc": Evaluate(model: "small", data: "images")"#;
    let tables = r#""t": Table(rows: ["b", "r"], columns: ["small.mse"], replicate: "seed"),
        "one": Table(rows: ["b", "r", "seed"], columns: ["small.mse"]),
        "plain": Contrast(value: "small.mse", between: ["r"], replicate: "seed"),
        "pico": Contrast(value: "1e12 * small.mse", between: ["r"], replicate: "seed")"#;
    let axes = r#""seed": Range(0, 3), "b": [12, 18, 24], "r": [Nearest, TowardZero]"#;
    let bench = done(&experiment(axes, r#", seed: Axis("seed")"#, nodes, tables));
    for name in ["t", "one"] {
        let text = bench.stdout(["table", "x.ron", name]);
        for line in text.lines().filter(|line| line.contains("Nearest") || line.contains("TowardZero")) {
            assert!(line.contains("e-1") && !line.ends_with(" 0") && !line.contains("0.0000"), "{text}");
        }
    }
    let [plain, pico] = ["plain", "pico"].map(|name| rows(&bench, name));
    for (plain, pico) in plain.iter().zip(&pico) {
        for what in ["", ".low", ".high", ".p"] {
            let name = format!("r: TowardZero − Nearest{what}");
            let unit = if what == ".p" { 1.0 } else { 1e12 };
            let (one, other) = (plain[&name].as_f64().unwrap() * unit, pico[&name].as_f64().unwrap());
            assert!((one / other - 1.0).abs() < 1e-9, "{name}: {one} {other}");
        }
    }
    let mark = |name: &str| bench.stdout(["table", "x.ron", name]).matches(" *\n").count();
    assert_eq!((mark("plain"), mark("pico")), (3, 3));
}

#[test]
fn equal_values_have_no_deviation() {
    // The draws are equal: rounding to nearest uses no random numbers, so each draw has the same accuracy.
    let nodes = r#""small": Quantize(model: "net", format: Int(8), seed: Axis("draw")),
        "acc": Evaluate(model: "small", data: "images")"#;
    let tables =
        r#""t": Table(columns: {"a": "0.1 + 0.7 * acc.accuracy"}, replicate: "seed", average: ["draw"])"#;
    let axes = r#""seed": [0, 1], "draw": Range(0, 6)"#;
    let bench = done(&experiment(axes, r#", seed: Axis("seed")"#, nodes, tables));
    assert_eq!(column(&bench, "t", "a.sd"), [0.0]);
}

#[test]
fn an_undefined_metric_answers_a_filter() {
    let nodes =
        r#""q": Quantize(model: "net", format: Axis("f")), "a": Evaluate(model: "q", data: "images")"#;
    let tables = r#""filtered": Table(rows: ["f"], columns: ["a.accuracy"], where: "q.sqnr_db > 10.0"),
        "validation": Table(rows: ["f"], columns: ["a.accuracy"], where: "net.validation_loss < 3.0"),
        "either": Table(rows: ["f"], columns: ["a.accuracy"], where: "!has(q.sqnr_db) || q.sqnr_db > 40.0"),
        "guarded": Table(rows: ["f"], columns: {"s": "has(q.sqnr_db) ? q.sqnr_db : 999.0"})"#;
    let axes = r#""f": {"f32": F32, "int4": Int(4), "int8": Int(8)}"#;
    let bench = Bench::with(&experiment(axes, "", nodes, tables));
    // Before a run, results are missing. After it, none is missing, although some metrics are undefined.
    assert!(bench.stdout(["table", "x.ron"]).contains("3 results are not there yet"));
    bench.run_well();
    let text = bench.stdout(["table", "x.ron"]);
    assert!(!text.contains("not there yet"), "{text}");
    let shown = |name: &str| -> Vec<String> {
        rows(&bench, name).iter().map(|row| row["f"].as_str().unwrap().to_owned()).collect()
    };
    // F32 has no error, so its signal-to-noise ratio is undefined. At 6.02 dB per bit, 8 bits exceed 40 dB and 4 bits
    // do not.
    assert_eq!(shown("filtered"), ["int4", "int8"]);
    assert_eq!(shown("validation"), [""; 0]);
    assert_eq!(shown("either"), ["f32", "int8"]);
    assert_eq!(column(&bench, "guarded", "s")[0], 999.0);
}

/// The made-up metrics of `check` do not decide about guards, indices and quotients, because real metrics can differ.
#[test]
fn expressions_that_fit_their_results_are_no_faults() {
    let nodes =
        r#""q": Quantize(model: "net", format: Axis("f")), "a": Evaluate(model: "q", data: "images")"#;
    let tables = r#""indexed": Table(rows: ["f"], columns: {"v": "[1.0, 2.0, 4.0][int(q.code_bits) - 2]"}),
        "guarded": Table(rows: ["f"], columns: {"v": "a.accuracy == net.train_accuracy ? f.none : 7.0"}),
        "mixed": Table(rows: ["f"], columns: {"v": "[0, 0, 9, 9, 9][int(q.code_bits)] > 3 ? 7.0 : f.none"}),
        "divided": Table(rows: ["f"], columns: {"v": "double(1000 / int(1000.0 * a.accuracy))"}, interval: Images)"#;
    let bench = done(&experiment(r#""f": [Int(2), Int(4)]"#, "", nodes, tables));
    assert_eq!(column(&bench, "indexed", "v"), [1.0, 4.0]);
    assert_eq!(column(&bench, "guarded", "v"), [7.0, 7.0]);
    assert_eq!(column(&bench, "mixed", "v"), [7.0, 7.0]);
    assert!(column(&bench, "divided", "v").iter().all(|value| *value >= 1.0));
}

#[test]
fn axes_are_sorted_as_numbers_and_missing_values_come_last() {
    let nodes = r#""q": Quantize(model: "net", format: Axis("f"))"#;
    let tables = r#""h": Table(rows: ["h", "wd"], columns: ["net.parameters"], sort: ["h", "-wd"]),
        "up": Table(rows: ["f"], columns: {"s": "q.sqnr_db"}, sort: "s", where: "h == 9 && wd == 0.1"),
        "down": Table(rows: ["f"], columns: {"-s": "q.sqnr_db"}, sort: "--s", where: "h == 9 && wd == 0.1"),
        "sign": Table(rows: ["f"], columns: {"-s": "q.sqnr_db"}, sort: "-s", where: "h == 9 && wd == 0.1"),
        "names": Table(rows: ["f"], columns: ["q.bytes"], sort: "-f", where: "h == 9 && wd == 0.1")"#;
    let axes =
        r#""h": [100, 9, 10], "wd": [1e-2, 1e-10, 0.1], "f": {"exact": F32, "b": Int(4), "a": Int(2)}"#;
    let text = experiment(axes, r#", optimizer: AdamW(weight_decay: Axis("wd"))"#, nodes, tables)
        .replace("hidden: [16]", "hidden: [Axis(\"h\")]")
        .replace("where: \"h", "average: [\"h\", \"wd\"], where: \"h");
    let bench = done(&text);
    assert_eq!(column(&bench, "h", "h"), [9.0, 9.0, 9.0, 10.0, 10.0, 10.0, 100.0, 100.0, 100.0]);
    assert_eq!(column(&bench, "h", "wd")[..3], [0.1, 0.01, 1e-10]);
    let order = |name: &str| -> Vec<String> {
        rows(&bench, name).iter().map(|row| row["f"].as_str().unwrap().to_owned()).collect()
    };
    // F32 has no error, so it has no value in that column.
    assert_eq!(order("up"), ["a", "b", "exact"]);
    assert_eq!(order("sign"), ["a", "b", "exact"]);
    assert_eq!(order("down"), ["b", "a", "exact"]);
    // Values that are not numbers are sorted in the order of the file, or in the reverse order.
    assert_eq!(order("names"), ["a", "b", "exact"]);
}

#[test]
fn markdown_shows_texts_as_they_are() {
    let nodes = r#""q": Quantize(model: "net", format: Axis("f"))"#;
    let tables = r#""t": Table(rows: ["f"], columns: {"max |w - q|": "q.max_error", "bytes\n(packed)": "q.bytes"}),
        "p": Pivot(value: "q.bytes", rows: ["f"], columns: [], each: []),
        "c": Choose(minimize: "q.bytes", select: "net.train_accuracy")"#;
    let axes = r#""f": { "int3 | asym": Int(bits: 3, range: Asymmetric), "_*int4*_ `x` <b>": Int(4) }"#;
    let bench = done(&experiment(axes, "", nodes, tables));
    let markdown = |name: &str| bench.stdout(["table", "x.ron", name, "--format", "md"]);
    let cells = |line: &str| line.replace("\\|", "").matches('|').count();
    for name in ["t", "p", "c"] {
        let text = markdown(name);
        let grid: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
        assert!(grid.len() > 2 && grid.iter().all(|line| cells(line) == cells(grid[0])), "{text}");
    }
    let text = markdown("t");
    assert!(text.contains(r"max \|w - q\|") && text.contains("bytes<br>(packed)"), "{text}");
    assert!(text.contains(r"int3 \| asym") && text.contains(r"\_\*int4\*\_ \`x\` \<b\>"), "{text}");
    let long = bench.stdout(["table", "x.ron", "--format", "md"]);
    assert!(!long.contains("| asym |"), "{long}");
    let answer = markdown("c");
    assert!(answer.contains(r"Choose f=int3 \| asym") || answer.contains(r"Choose f=\_\*int4"), "{answer}");
}

#[test]
fn no_output_takes_the_place_of_an_input() {
    let nodes = r#""q": Quantize(model: "net", format: Int(4)), "a": Evaluate(model: "q", data: "images")"#;
    let tables = r#""t": Table(columns: ["q.bytes"])"#;
    let text = experiment("", "", nodes, tables);
    let bench = done(&text);
    fs::hard_link(bench.path("x.ron"), bench.path("hard.svg")).expect("a link");
    std::os::unix::fs::symlink(bench.path("x.ron"), bench.path("soft.svg")).expect("a link");
    let refused = |arguments: &[&str]| {
        let Ended { code, stderr, stdout } = bench.fewbits(arguments);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{arguments:?} {stderr}");
        assert!(stderr.contains("name another file with -o FILE"), "{stderr}");
        assert_eq!(fs::read_to_string(bench.path("x.ron")).expect("x.ron"), text, "{arguments:?}");
    };
    for output in ["x.ron", "./x.ron", "hard.svg", "soft.svg", "store/journal/1.fbj", "store/new.csv"] {
        refused(&["table", "x.ron", "--format", "csv", "-o", output]);
        refused(&["report", "x.ron", "-o", output]);
        refused(&["weights", "x.ron", "q", "-o", output]);
        refused(&["store", "export", "x.ron", "-o", output]);
    }
    refused(&["plot", "x.ron", "t", "-o", "hard.svg"]);
    assert_eq!(bench.run_well().count("ran"), 0, "the store is as it was");
    // An image file that the experiment names is an input as well.
    let idx = |count: u8, image: bool| {
        let mut bytes = if image {
            vec![0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, 2, 0, 0, 0, 2]
        } else {
            vec![0, 0, 8, 1, 0, 0, 0, count]
        };
        bytes.extend((0..count).flat_map(|at| if image { vec![at; 4] } else { vec![at % 2] }));
        bytes
    };
    for (name, image) in [("ti", true), ("tl", false), ("ei", true), ("el", false)] {
        bench.write(name, idx(8, image));
    }
    bench.write("own.ron", r#"Experiment(name: "own", nodes: {"d": Dataset(source: Idx(train_images: "ti", train_labels: "tl", test_images: "ei", test_labels: "el"))})"#);
    for command in [
        &["table", "own.ron", "--format", "csv", "-o", "tl"][..],
        &["store", "export", "own.ron", "-o", "tl"],
    ] {
        let told = bench.fewbits(command);
        assert_eq!(told.code, Some(2), "{told:?}");
        assert_eq!(fs::read(bench.path("tl")).expect("tl"), idx(8, false));
    }
}

/// A file is the same experiment under every path: `gc` keeps the newest run of the file.
#[test]
fn a_file_is_one_experiment_under_every_path() {
    let bench = done(&experiment("", "", "", ""));
    fs::create_dir(bench.path("below")).expect("a folder");
    bench.edit("epochs: 1", "epochs: 2");
    let own_store = bench.path("store");
    let mut command = bench.command(["run", "../x.ron", "--store"]);
    command.arg(&own_store).current_dir(bench.path("below"));
    assert_eq!(crate::fixture::end(&mut command).code, Some(0));
    let info = bench.stdout(["store", "info"]);
    assert_eq!(info.matches("experiment kinds").count(), 1, "{info}");
    let kept = bench.stdout(["store", "gc", "x.ron"]);
    assert!(kept.contains("1 run"), "the older run alone goes: {kept}");
    std::os::unix::fs::symlink(bench.path("x.ron"), bench.path("link.ron")).expect("a link");
    bench.stdout(["run", "link.ron"]);
    assert_eq!(bench.stdout(["store", "info"]).matches("experiment kinds").count(), 1);
}

#[test]
fn options_of_choose_replace_the_limits_of_the_file() {
    let nodes = r#""full": Evaluate(model: "net", data: "images"),
        "small": Quantize(model: "net", format: Int(Axis("bits"))), "a": Evaluate(model: "small", data: "images")"#;
    let size = r#""choice": Choose(minimize: "small.bytes", select: (value: "a.accuracy", baseline: "full.accuracy"),
        max_drop: 0.9, at_most: {"small.bytes": 100}, replicate: "seed")"#;
    let error = r#""choice": Choose(minimize: "1.0 - a.accuracy", select: "a.accuracy", at_most: {"small.bytes": 100}, replicate: "seed")"#;
    let scaled = error.replace(r#""small.bytes": 100"#, r#""small.bytes / 1024.0": 0.1"#);
    let axes = r#""seed": Range(0, 2), "bits": [4, 8]"#;
    let limit = "small.bytes at most 1048576";
    for tables in [size, error, scaled.as_str()] {
        let bench = done(&experiment(axes, r#", seed: Axis("seed")"#, nodes, tables));
        assert_eq!(bench.fewbits(["choose", "x.ron"]).code, Some(1));
        let ended = bench.fewbits(["choose", "x.ron", "--max-bytes", "1MiB"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stdout.contains(limit) && !ended.stdout.contains("at most 100;"), "{}", ended.stdout);
        assert!(!ended.stdout.contains("at most 0.1"), "{}", ended.stdout);
        // `--max-bits` adds a limit for the same network, even if the minimized value is an error and not a size.
        let ended = bench.fewbits(["choose", "x.ron", "--max-bytes", "1MiB", "--max-bits", "4"]);
        assert!(ended.stdout.contains("small.code_bits at most 4"), "{ended:?}");
        assert!(ended.stdout.contains("Choose bits=4"), "{ended:?}");
    }
}

#[test]
fn a_gain_is_told_as_one() {
    let nodes = r#""full": Evaluate(model: "net", data: "images"),
        "small": Quantize(model: "net", format: Int(Axis("bits"))), "a": Evaluate(model: "small", data: "images")"#;
    // The baseline is half of the accuracy, so every network gains half of its accuracy.
    let tables = r#""choice": Choose(minimize: "small.bytes", select: (value: "a.accuracy", baseline: "0.5 * a.accuracy"), max_drop: 0.1, replicate: "seed")"#;
    let bench =
        done(&experiment(r#""seed": Range(0, 2), "bits": [4, 8]"#, r#", seed: Axis("seed")"#, nodes, tables));
    let text = bench.stdout(["choose", "x.ron"]);
    assert!(text.contains("it gains ") && !text.contains("loses -") && !text.contains("gains -"), "{text}");
}

#[test]
fn a_table_that_fails_does_not_withhold_the_others() {
    // The division happens only for the real number of parameters. The made-up metrics of `check` do not reach it.
    let tables = r#""good": Table(rows: ["s"], columns: ["net.train_loss"]),
        "bad": Table(rows: ["s"], columns: {"x": "net.parameters < 2e6 && net.parameters > 1e4 ? 1 / (s - s) : 1"})"#;
    let bench = Bench::with(&experiment(r#""s": [0, 1]"#, r#", seed: Axis("s")"#, "", tables));
    assert_eq!(bench.fewbits(["check", "x.ron"]).code, Some(0));
    for arguments in [&["run", "x.ron"][..], &["table", "x.ron"], &["report", "x.ron", "-o", "x.html"]] {
        let ended = bench.fewbits(arguments);
        assert_eq!(ended.code, Some(1), "{arguments:?} {ended:?}");
        assert!(
            ended.stderr.contains("table `bad`: ") && ended.stderr.contains("divides a whole number by zero"),
            "{ended:?}"
        );
        assert!(arguments[0] == "report" || ended.stdout.contains("good: net.train_loss"), "{ended:?}");
    }
    // With JSON events, the exit code and standard error report the failure.
    let ended = bench.fewbits(["run", "x.ron", "--ui", "json"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("table `bad`: ") && !ended.stdout.contains("good:"), "{ended:?}");
    // The failure of the table is reported even if the output file cannot be written. Commands that do not show the
    // table succeed.
    let ended = bench.fewbits(["table", "x.ron", "-o", "no/such/folder/x.txt"]);
    assert!(
        ended.stderr.contains("table `bad`: ") && ended.stderr.contains("no file can be made"),
        "{ended:?}"
    );
    assert_eq!(bench.fewbits(["plot", "x.ron", "good", "-o", "x.svg"]).code, Some(0));
    let page = fs::read_to_string(bench.path("x.html")).expect("x.html");
    assert!(page.contains("This table cannot be made") && page.contains("table-good"));
}

#[test]
fn names_and_structs_mixed_have_a_kind_wherever_they_stand() {
    let axes = r#""setting": { "int": (format: Int(4), scale: Own, by: (r: Nearest)), "tern": (format: Ternary, scale: Own, by: (r: Nearest)) },
        "f": [F32, Int(8)]"#;
    let nodes = r#""q": Quantize(model: "net", format: Axis("setting.format"), scale: Axis("setting.scale"), rounding: Nearest),
        "p": Quantize(model: "net", format: Axis("f"))"#;
    let tables = r#""t": Table(rows: ["setting"], columns: ["q.bytes"], where: "setting.format.kind == 'Int'"),
        "u": Table(rows: ["f"], columns: ["p.bytes"], where: "f.kind == 'F32'"),
        "v": Table(rows: ["setting"], columns: ["q.bytes"], where: "setting.by.r == 'Nearest' && setting.scale == 'Own'")"#;
    let bench = done(&experiment(axes, "", nodes, tables));
    assert_eq!((rows(&bench, "t").len(), rows(&bench, "u").len(), rows(&bench, "v").len()), (1, 1, 2));
}

#[test]
fn a_byte_order_mark_is_read_and_places_are_those_of_the_editor() {
    let bench = Bench::with(&format!("\u{feff}Experiment(name: \"bom\", nodes: {{{IMAGES}}})"));
    bench.run_well();
    let bench = Bench::with("\u{feff}Experiment(name: \"bom\", nodes: {\"d\": Dataset(sorce: Mnist10k)})");
    let told = bench.fewbits(["check", "x.ron"]);
    // Editors count characters from 1 and do not count the byte-order mark.
    assert!(told.stderr.contains("did you mean `source`?") && told.stderr.contains("x.ron:1:46"), "{told:?}");
}

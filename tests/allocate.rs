//! A format for each layer within a budget of bytes, from the file to codes and report.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value as Json;

use crate::fixture::{Bench, Told};
use crate::packed::bytes_of_tensors;

const TEXT: &str = r#"Experiment(
    name: "allocated",
    axes: { "budget": [1670, 1690, 3300], "draw": [0, 1] },
    nodes: {
        "mnist": Dataset(source: Mnist10k, train: 500, test: 200),
        "net": Train(data: "mnist", model: Mlp(hidden: [8]), epochs: 3),
        "full": Evaluate(model: "net", data: "mnist"),
        "mixed": Allocate(
            model: "net", data: "mnist", formats: [Int(2), Int(4)], max_bytes: Axis("budget"),
            method: Gptq, calibration: 100, calibration_seed: Axis("draw"), sensitivity_images: 200,
        ),
        "accuracy": Evaluate(model: "mixed", data: "mnist"),
    },
    tables: { "t": Table(rows: ["budget", "draw"], columns: {"bytes": "mixed.bytes", "loss": "mixed.predicted_loss", "whole": "mixed.measured_loss"}) },
)"#;

/// Returns the tasks of a node that a run computed.
fn ran<'t>(told: &'t Told, node: &str) -> BTreeSet<&'t str> {
    let is_of =
        |task: &&str| task.strip_prefix(node).is_some_and(|rest| rest.is_empty() || rest.starts_with('('));
    told.tasks("completed").into_iter().filter(is_of).collect()
}

fn rows(bench: &Bench) -> Vec<Json> {
    let text = bench.stdout(["table", "x.ron", "t", "--format", "json"]);
    serde_json::from_str(&text).expect(&text)
}

#[test]
fn an_edit_runs_exactly_what_it_touches() {
    let bench = Bench::with(TEXT);
    let told = bench.run_well();
    // Two layers in two formats, for each draw.
    assert_eq!(ran(&told, "mixed.probe").len(), 8);
    assert_eq!(ran(&told, "mixed").len(), 6);
    let losses: Vec<(String, f64)> = told
        .of("completed")
        .into_iter()
        .filter_map(|event| Some((event["task"].as_str()?.to_owned(), event["metrics"]["loss"].as_f64()?)))
        .collect();
    let loss = |draw: &Json, layer: &str, bits: u64| {
        let name = format!("mixed.probe(draw={draw},Probe={layer}:Int({bits}))");
        losses.iter().find(|(task, _)| *task == name).unwrap_or_else(|| panic!("{name}: {losses:?}")).1
    };
    // The best of the four choices within each budget: 6,272 and 80 weights, two scales and 18 biases.
    for row in rows(&bench) {
        let choices = [(2, 2), (2, 4), (4, 2), (4, 4)].map(|(first, second)| {
            let bytes = 784 * first + 10 * second + 80;
            (bytes, loss(&row["draw"], "linear1", first) + loss(&row["draw"], "linear2", second))
        });
        let budget = row["budget"].as_u64().expect("a budget");
        let within = choices.into_iter().filter(|(bytes, _)| *bytes <= budget);
        let (bytes, least) = within.min_by(|one, other| one.1.total_cmp(&other.1)).expect("a choice");
        assert_eq!(row["bytes"].as_f64(), Some(bytes as f64), "{row}");
        assert!((row["loss"].as_f64().expect("a loss") - least).abs() < 1e-12, "{row} {least}");
    }
    assert_eq!(bench.run_well().count("ran"), 0);
    // Another budget: the choice alone.
    bench.edit("[1670, 1690, 3300]", "[1670, 1690, 3240, 3300]");
    let told = bench.run_well();
    assert_eq!((ran(&told, "mixed.probe").len(), ran(&told, "mixed").len()), (0, 2));
    // One format more: its own probes.
    bench.edit("[Int(2), Int(4)]", "[Int(2), Int(3), Int(4)]");
    let told = bench.run_well();
    let probes = ran(&told, "mixed.probe");
    assert!(probes.len() == 4 && probes.iter().all(|task| task.contains("Int(3)")), "{probes:?}");
    assert_eq!(ran(&told, "mixed").len(), 8);
    // Another draw: the probes of this draw.
    bench.edit("\"draw\": [0, 1]", "\"draw\": [0, 1, 2]");
    let told = bench.run_well();
    let probes = ran(&told, "mixed.probe");
    assert!(probes.len() == 6 && probes.iter().all(|task| task.contains("draw=2")), "{probes:?}");
    // What a plan says agrees, and why names the probes.
    bench.edit("[Int(2), Int(3), Int(4)]", "[Int(2), Int(4)]");
    let told = bench.run_well();
    let chosen = ran(&told, "mixed");
    assert!(
        ran(&told, "mixed.probe").is_empty() && chosen.iter().all(|task| task.contains("draw=2")),
        "{chosen:?}"
    );
    bench.edit("[1670, 1690, 3240, 3300]", "[1670, 1690, 3000, 3240, 3300]");
    let plan = bench.stdout(["plan", "x.ron"]);
    assert!(plan.contains("  mixed: 3 tasks to run"), "{plan}");
    let why = bench.stdout(["why", "x.ron", "mixed(budget=1670,draw=0)"]);
    assert!(why.contains("probe.linear1:Int(2)"), "{why}");
}

/// With one format, the network is that of Quantize: also with scales that the method finds, and with integer activations.
#[test]
fn one_format_is_quantize() {
    let by_output = "method: CoordinateDescent, bias_correction: true, scale: Real(per: Channel, fit: OutputError, store: F16)";
    let fields =
        ["method: Gptq".to_owned(), by_output.to_owned(), format!("{by_output}, activations: Int(8)")];
    for fields in fields {
        let quantize = format!(
            "\"small\": Quantize(model: \"net\", data: \"mnist\", format: Int(4), {fields}, calibration: 100, \
             calibration_seed: Axis(\"draw\")), \"same\": Compare(model: \"mixed\", baseline: \"small\", data: \"mnist\"), \
             \"accuracy\":"
        );
        let text = TEXT
            .replace("[Int(2), Int(4)]", "[Int(4)]")
            .replace("method: Gptq", &fields)
            .replace("\"accuracy\":", &quantize)
            .replace("\"whole\": \"mixed.measured_loss\"", "\"difference\": \"same.loss_difference\"")
            .replace("[1670, 1690, 3300]", "[4000, 4050]");
        let bench = Bench::with(&text);
        bench.run_well();
        let rows = rows(&bench);
        assert_eq!(rows.len(), 4);
        for row in rows {
            assert_eq!(row["difference"], 0.0, "{fields}: {row}");
        }
    }
}

/// The bytes of a choice are those of its packed file.
#[test]
fn a_choice_has_the_bytes_of_its_codes() {
    let bench = Bench::with(TEXT);
    bench.run_well();
    let metrics = rows(&bench).pop().expect("a row");
    bench.stdout(["weights", "x.ron", "mixed(budget=3300,draw=1)", "-o", "w.npz"]);
    let archive = fs::read(bench.path("w.npz")).expect("an archive");
    bench.stdout(["export", "x.ron", "mixed(budget=3300,draw=1)", "--to", "packed", "-o", "w.safetensors"]);
    let packed = fs::read(bench.path("w.safetensors")).expect("a packed network");
    let bytes = metrics["bytes"].as_f64().expect("bytes") as u64;
    assert_eq!((bytes_of_tensors(&packed), bytes), (bytes, 3256));
    assert!(!archive.is_empty());
    bench.stdout(["report", "x.ron", "-o", "x.html"]);
    let report = fs::read_to_string(bench.path("x.html")).expect("a report");
    assert!(report.contains("linear1.weight") && report.contains("mixed.probe"), "the layers and the probes");
    assert!(bench.stdout(["cite", "x.ron"]).contains("HAWQ-V3"));
}

#[test]
fn answers_of_several_nodes_compete() {
    let both = TEXT.replace(
        "\"accuracy\":",
        "\"small\": Quantize(model: \"net\", format: Int(8)), \"plain\": Evaluate(model: \"small\", data: \"mnist\"), \"accuracy\":",
    );
    let bench = Bench::with(
        &both
            .replace("max_bytes: Axis(\"budget\")", "max_bytes: 4000")
            .replace("\"budget\": [1670, 1690, 3300], ", "")
            .replace("[\"budget\", \"draw\"]", "[\"draw\"]"),
    );
    bench.run_well();
    let ended = bench.fewbits(["choose", "x.ron", "--max-drop", "50pp"]);
    let (mixed, small) = (ended.stdout.find("mixed\n"), ended.stdout.find("small\n"));
    assert!(mixed < small && mixed.is_some(), "{ended:?}");
    // Eight bits do not fit here.
    let ended =
        bench.fewbits(["choose", "x.ron", "--max-drop", "50pp", "--max-bytes", "4000", "--format", "json"]);
    assert!(ended.stdout.contains("mixed.bytes") && !ended.stdout.contains("small.bytes"), "{ended:?}");
}

#[test]
fn a_budget_below_the_smallest_choice_is_a_fault() {
    let bench = Bench::with(&TEXT.replace("[1670, 1690, 3300]", "[100, 3300]"));
    let ended = bench.fewbits(["check", "x.ron"]);
    assert_eq!(ended.code, Some(2));
    let told = ended.stderr;
    assert!(
        told.contains("the network takes at least ")
            && told.contains(" bytes in these formats, more than 100"),
        "{told}"
    );
    // So many bytes are enough.
    let least: String =
        told.split("at least ").nth(1).unwrap_or_default().chars().take_while(char::is_ascii_digit).collect();
    bench.write("x.ron", TEXT.replace("[1670, 1690, 3300]", &format!("[{least}, 3300]")));
    bench.stdout(["check", "x.ron"]);
    let below = least.parse::<u64>().expect("a number") - 1;
    bench.write("x.ron", TEXT.replace("[1670, 1690, 3300]", &format!("[{below}, 3300]")));
    assert_eq!(bench.fewbits(["check", "x.ron"]).code, Some(2));
}

#[test]
fn too_few_images_fail_the_probes() {
    let bench = Bench::with(&TEXT.replace("sensitivity_images: 200", "sensitivity_images: 501"));
    let told = bench.run();
    assert!(told.count("failed") == 8 && told.count("skipped") == 12, "{:?}", told.counts());
}

#[test]
fn a_probe_is_named_by_its_axes_in_any_order() {
    let bench = Bench::with(TEXT);
    bench.run_well();
    let plan = bench.stdout(["why", "x.ron", "mixed.probe(draw=0,Probe=linear1:Int(2))"]);
    assert!(plan.contains("sensitivity"), "{plan}");
    let other = bench.stdout(["why", "x.ron", "mixed.probe(Probe=linear1:Int(2), draw=0)"]);
    assert_eq!(plan, other);
}

/// Networks that have nothing in common do not compete.
#[test]
fn answers_about_different_networks_do_not_compete() {
    let two = TEXT.replace("\"full\":", "\"other\": Train(data: \"mnist\", model: Mlp(hidden: [2]), epochs: 1), \"tiny\": Quantize(model: \"other\", format: Int(8)), \"tiny_accuracy\": Evaluate(model: \"tiny\", data: \"mnist\"), \"full\":");
    let bench = Bench::with(&two);
    let ended = bench.fewbits(["choose", "x.ron"]);
    assert!(
        ended.code == Some(2) && ended.stderr.contains("different networks in several nodes (tiny, mixed)"),
        "{ended:?}"
    );
}

/// Without a method, no calibration image is needed.
#[test]
fn rounding_to_nearest_needs_no_calibration_images() {
    let few = TEXT.replace("train: 500", "train: 100").replace(
        "method: Gptq, calibration: 100, calibration_seed: Axis(\"draw\"), sensitivity_images: 200",
        "calibration_seed: Axis(\"draw\"), sensitivity_images: 50",
    );
    let bench = Bench::with(&few);
    assert_eq!(bench.run_well().count("failed"), 0);
}

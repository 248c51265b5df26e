//! Bit flips of packed networks: keys, figures, and what leaves the program.

use std::fs;

use serde_json::Value as Json;

use crate::fixture::Bench;

const FLIPPED: &str = r#"Experiment(
    name: "flipped",
    axes: {"rate": [0, 1e-3, 0.02], "draw": [0, 1]},
    nodes: {
        "mnist": Dataset(source: Mnist10k, train: 500, test: 200),
        "net": Train(data: "mnist", model: Mlp(hidden: [16]), epochs: 8),
        "plain": Quantize(model: "net", format: Int(4)),
        "int": Quantize(model: "net", format: Int(4), flips: (rate: Axis("rate"), seed: Axis("draw"))),
        "wide": Quantize(model: "net", format: Int(bits: 6), flips: (rate: 0.02, seed: 0)),
        "gptq": Quantize(model: "net", data: "mnist", format: Int(4), method: Gptq, flips: (rate: 1e-3, seed: 0, bits: Codes)),
        "exact": Quantize(model: "net", data: "mnist", format: Int(4), method: Gptq),
        "mixed": Allocate(
            model: "net", data: "mnist", formats: [Int(2), Int(4)], max_bytes: 6000, sensitivity_images: 100,
            flips: (rate: 1e-3, seed: 5),
        ),
        "accuracy": Evaluate(model: "int", data: "mnist"),
        "gptq_accuracy": Evaluate(model: "gptq", data: "mnist"),
        "mixed_accuracy": Evaluate(model: "mixed", data: "mnist"),
    },
    tables: {
        "rates": Table(
            rows: ["rate"], columns: {"flips": "int.flipped_bits", "accuracy": "accuracy.accuracy", "bytes": "int.bytes"}, average: ["draw"],
        ),
    },
)"#;

fn key(bench: &Bench, file: &str, task: &str) -> String {
    let why = bench.stdout(["why", file, task]);
    why.lines().find(|line| line.starts_with("key")).expect("a key").to_owned()
}

#[test]
fn flips_are_faults_of_one_packed_network() {
    let bench = Bench::with(FLIPPED);
    bench.run_well();
    // Without flips it is the network without the field.
    assert_eq!(key(&bench, "x.ron", "int(rate=0,draw=1)"), key(&bench, "x.ron", "plain"));
    assert_ne!(
        key(&bench, "x.ron", "int(rate=0.001,draw=1)"),
        key(&bench, "x.ron", "int(rate=0.001,draw=0)")
    );
    let rows: Json =
        serde_json::from_str(&bench.stdout(["table", "x.ron", "rates", "--format", "json"])).expect("JSON");
    let value = |row: usize, name: &str| rows[row][name].as_f64();
    // 784·16 + 16·10 codes of 4 bits, two scales and 26 biases of 32 bits: 51,712 bits.
    assert_eq!((value(0, "flips"), value(0, "bytes")), (None, Some(6464.0)));
    for (row, expected) in [(1, 51.712), (2, 1034.24)] {
        let found = value(row, "flips").expect("flips");
        assert!((found - expected).abs() < 5.0 * f64::sqrt(expected / 2.0), "{found} instead of {expected}");
        assert_eq!(value(row, "bytes"), Some(6464.0));
    }
    assert!(value(2, "accuracy") < value(0, "accuracy"), "{rows}");
}

#[test]
fn a_network_with_flips_leaves_as_it_is() {
    let bench = Bench::with(FLIPPED);
    bench.run_well();
    for (task, evaluation) in [
        ("int(rate=0.001,draw=0)", "accuracy(rate=0.001,draw=0)"),
        ("gptq", "gptq_accuracy"),
        ("mixed", "mixed_accuracy"),
    ] {
        bench.stdout(["export", "x.ron", task, "--to", "packed", "-o", "net.safetensors"]);
        bench.stdout(["weights", "x.ron", task, "-o", "net.npz"]);
        let again = r#"Experiment(name: "again", nodes: {
            "mnist": Dataset(source: Mnist10k, train: 500, test: 200),
            "net": Import(file: "net.safetensors"), "accuracy": Evaluate(model: "net", data: "mnist"),
        })"#;
        bench.write("y.ron", again);
        bench.stdout(["run", "y.ron", "--ui", "plain"]);
        assert_eq!(key(&bench, "y.ron", "accuracy"), key(&bench, "x.ron", evaluation), "{task}");
        fs::remove_file(bench.path("net.safetensors")).expect("a file");
    }
}

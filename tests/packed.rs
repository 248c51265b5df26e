//! Packed networks: written, imported again, and read in `NumPy` by the program of `docs/packed.md`.

use std::fs;
use std::process::Command;

use serde_json::Value as Json;

use crate::exports::python;
use crate::fixture::Bench;

/// A format of every packing, with scales of every stored type and every part of a tensor.
const FORMATS: [(&str, &str); 12] = [
    ("int", "format: Int(3), scale: Real(per: Channel, store: F16)"),
    ("zero_points", "format: Int(bits: 5, range: Asymmetric), scale: Real(per: Block(10))"),
    ("codebook", "format: KMeans(3)"),
    ("ternary", "format: Ternary, scale: Real(per: Channel, store: Bf16)"),
    ("binary", "format: Binary"),
    ("float", "format: E2M1, scale: Real(per: Block(16), store: E4M3)"),
    ("power", "format: PowerOfTwo(4), scale: PowerOfTwo(per: Channel)"),
    ("posit", "format: Posit(n: 6, es: 1)"),
    ("nf4", "format: Nf4(block: 32)"),
    ("mx", "format: Mx(E2M1)"),
    ("wide", "format: Float(e: 5, m: 4)"),
    ("mixed", "format: Int(4), layers: {\"linear2\": (format: Values([-1, 0, 0.5, 1]), scale: Real)}"),
];

fn experiment() -> String {
    let node = |(name, fields): &(&str, &str)| {
        format!(
            "\"{name}\": Quantize(model: \"net\", {fields}), \"{name}_accuracy\": Evaluate(model: \"{name}\", data: \"mnist\"),\n"
        )
    };
    let columns: Vec<String> =
        FORMATS.iter().map(|(name, _)| format!("\"{name}\": \"{name}.bytes\"")).collect();
    format!(
        r#"Experiment(name: "packed", nodes: {{
            "mnist": Dataset(source: Mnist10k, train: 500, test: 200),
            "net": Train(data: "mnist", model: Mlp(hidden: [8]), epochs: 1),
            "full": Evaluate(model: "net", data: "mnist"),
            {}
        }}, tables: {{ "t": Table(rows: [], columns: {{{}}}) }})"#,
        FORMATS.iter().map(node).collect::<String>(),
        columns.join(", ")
    )
}

/// Returns the sum of the lengths of a safetensors file's tensors.
pub fn bytes_of_tensors(file: &[u8]) -> u64 {
    let length = u64::from_le_bytes(file[..8].try_into().expect("a length")) as usize;
    let header: Json = serde_json::from_slice(&file[8..8 + length]).expect("JSON");
    let lengths = header.as_object().expect("tensors").values().filter_map(|tensor| {
        let ends = tensor["data_offsets"].as_array()?;
        Some(ends[1].as_u64()? - ends[0].as_u64()?)
    });
    lengths.sum()
}

#[test]
fn a_packed_network_is_the_same_network() {
    let bench = Bench::with(&experiment());
    bench.run_well();
    let table: Json =
        serde_json::from_str(&bench.stdout(["table", "x.ron", "t", "--format", "json"])).expect("JSON");
    for (name, _) in FORMATS {
        let file = format!("{name}.safetensors");
        bench.stdout(["export", "x.ron", name, "--to", "packed", "-o", &file]);
        let content = fs::read(bench.path(&file)).expect("a file");
        bench.stdout(["export", "x.ron", name, "--to", "packed", "-o", "again.safetensors"]);
        assert!(
            fs::read(bench.path("again.safetensors")).expect("a file") == content,
            "{name}: the same bytes"
        );
        assert_eq!(bytes_of_tensors(&content), table[0][name].as_f64().expect("bytes") as u64, "{name}");
        // A network of the same digest: its evaluation is there.
        bench.write(
            "y.ron",
            format!(
                r#"Experiment(name: "again", nodes: {{
                    "mnist": Dataset(source: Mnist10k, train: 500, test: 200),
                    "net": Import(file: "{file}"), "accuracy": Evaluate(model: "net", data: "mnist"),
                }})"#
            ),
        );
        bench.stdout(["run", "y.ron", "--ui", "plain"]);
        let why = bench.stdout(["why", "y.ron", "accuracy"]);
        let same = bench.stdout(["why", "x.ron", &format!("{name}_accuracy")]);
        let key = |text: &str| text.lines().find(|line| line.starts_with("key")).map(str::to_owned);
        assert_eq!(key(&why), key(&same), "{name}");
    }
    // A trained network has no codes: its tensors are binary32.
    bench.stdout(["export", "x.ron", "net", "--to", "packed", "-o", "net.safetensors"]);
    let Some(python) = python("import numpy") else { return };
    let manual = include_str!("../docs/packed.md");
    let program =
        manual.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a program");
    bench.write("packed.py", program);
    bench.write("compare.py", COMPARE);
    for name in FORMATS.map(|(name, _)| name).into_iter().chain(["net"]) {
        bench.stdout(["weights", "x.ron", name, "-o", &format!("{name}.npz")]);
        let ended = Command::new(&python)
            .args(["compare.py", name])
            .current_dir(bench.path("."))
            .output()
            .expect("Python");
        assert!(ended.status.success(), "{name}: {}", String::from_utf8_lossy(&ended.stderr));
    }
}

/// Compares the reader's weights with those of the archive, bit for bit.
const COMPARE: &str = r#"
import sys, numpy as np
from packed import read
name = sys.argv[1]
weights, archive = read(name + ".safetensors"), np.load(name + ".npz")
for tensor, weight in weights.items():
    expected = archive[tensor + "/weight"]
    assert weight.shape == expected.shape and weight.tobytes() == expected.tobytes(), tensor
assert len(weights) == 4
"#;

#[test]
fn a_file_that_is_no_packed_network_is_a_fault_at_its_place() {
    let bench = Bench::with(&experiment());
    bench.run_well();
    bench.stdout(["export", "x.ron", "int", "--to", "packed", "-o", "int.safetensors"]);
    let whole = fs::read(bench.path("int.safetensors")).expect("a file");
    bench.write("y.ron", r#"Experiment(name: "again", nodes: {"net": Import(file: "bad.safetensors")})"#);
    let told = |content: &[u8]| {
        bench.write("bad.safetensors", content);
        let ended = bench.fewbits(["check", "y.ron"]);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(!ended.stderr.contains("panicked"), "{ended:?}");
        ended.stderr
    };
    assert!(told(b"").contains("no safetensors file"));
    assert!(told(&whole[..whole.len() - 1]).contains("no safetensors file"));
    let text = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len(), "offsets stay");
        let at = whole.windows(from.len()).position(|window| window == from.as_bytes()).expect(from);
        let mut bad = whole.clone();
        bad[at..at + to.len()].copy_from_slice(to.as_bytes());
        bad
    };
    assert!(told(&text("fewbits_packed", "fewbits-packed")).contains("it is no packed network"));
    assert!(
        told(&text("linear1.weight.codes", "linear3.weight.codes"))
            .contains("linear1.weight: its codes have 0 bytes")
    );
    assert!(told(&text("Int(3)", "Int(4)")).contains("its codes have "));
    assert!(told(&text("Int(3)", "Itn(3)")).contains("`Itn(3)` is no format"));
}

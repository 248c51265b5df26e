//! Quantization with regard to training images, from the file to the report.

use std::fs;

use serde_json::Value as Json;

use crate::fixture::{Bench, Told, end};

const DIRECT: &str = r#"Experiment(
    name: "calibrated",
    axes: { "bits": [2, 3] },
    nodes: {
        "mnist": Dataset(source: Mnist10k, train: 500, test: 200),
        "net": Train(data: "mnist", model: Layers([Conv(out: 4, kernel: 3, bias: false), Relu, MaxPool(2), Flatten, Linear(10)]), epochs: 3),
        "full": Evaluate(model: "net", data: "mnist"),
        "small": Quantize(model: "net", format: Int(Axis("bits")), scale: Real(per: Channel)),
        "accuracy": Evaluate(model: "small", data: "mnist"),
    },
    tables: { "t": Pivot(value: "accuracy.accuracy", rows: ["bits"]) },
)"#;

/// The same with every method, of which one is the old one.
fn every_method() -> String {
    DIRECT
        .replace(r#""bits": [2, 3]"#, r#""bits": [2, 3], "method": [Direct, Gptq, CoordinateDescent]"#)
        .replace(
            r#"Quantize(model: "net","#,
            r#"Quantize(model: "net", data: "mnist", method: Axis("method"), calibration: 100,"#,
        )
        .replace(r#"rows: ["bits"]"#, r#"rows: ["bits"], columns: ["method"]"#)
}

fn rows(bench: &Bench) -> Vec<Json> {
    let text = bench.stdout(["table", "x.ron", "t", "--format", "json"]);
    serde_json::from_str(&text).expect(&text)
}

#[test]
fn a_method_is_an_axis_and_what_was_known_stays() {
    let bench = Bench::with(DIRECT);
    bench.run_well();
    let before = rows(&bench);
    bench.write("x.ron", every_method());
    let told = bench.run_well();
    // Data set, network, its evaluation, two quantizations and two evaluations of them are there.
    assert_eq!((told.count("ran"), told.count("cached")), (8, 7));
    let after = rows(&bench);
    let direct: Vec<&Json> = after.iter().filter(|row| row["method"] == "Direct").collect();
    assert_eq!(direct.len(), before.len());
    assert!(
        direct
            .iter()
            .zip(&before)
            .all(|(after, before)| after["accuracy.accuracy"] == before["accuracy.accuracy"])
    );
    assert_eq!(bench.run_well().count("ran"), 0);
    // Only what took a calibration is kept, beside the network.
    assert_eq!(bench.objects().len(), 5);
    bench.stdout(["weights", "x.ron", "small(bits=2, method=Gptq)", "-o", "w.npz"]);
    assert!(bench.stdout(["cite", "x.ron"]).contains("GPTQ: accurate post-training quantization"));
    bench.stdout(["report", "x.ron", "-o", "x.html"]);
    // What the recommended network consists of.
    let report = fs::read_to_string(bench.path("x.html")).expect("report");
    let row = |tensor: &str| {
        let start = format!("<td class=\"a\">{tensor}</td><td class=\"a\">");
        let row = report.split(&start).nth(1).and_then(|rest| rest.split("</tr>").next()).unwrap_or_default();
        // The number of bits has a bar before it.
        let (before, rest) = row.split_once("<svg").unwrap_or((row, ""));
        format!("{before}{}", rest.split_once("</svg> ").map_or("", |(_, rest)| rest))
    };
    // 36 weights of 3 bits, and four scales.
    assert!(
        row("conv1.weight").starts_with("Int(3)</td><td>36</td><td>6.6667</td><td>30</td>"),
        "{}",
        row("conv1.weight")
    );
    assert!(
        row("linear1.bias").starts_with("F32</td><td>10</td><td>32</td><td>40</td>"),
        "{}",
        row("linear1.bias")
    );
}

#[test]
fn jobs_and_threads_change_no_bit() {
    let with = |jobs: &str, threads: &str| {
        let bench = Bench::with(
            &every_method().replace("calibration: 100", "calibration: 100, bias_correction: true"),
        );
        let mut command = bench.command(["run", "x.ron", "--ui", "json", "--jobs", jobs]);
        let told = Told::from(end(command.env("RAYON_NUM_THREADS", threads)));
        assert_eq!(told.code, Some(0), "{told:?}");
        let mut names: Vec<_> =
            bench.objects().iter().filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect();
        names.sort();
        names
    };
    let one = with("1", "1");
    assert_eq!(one.len(), 7);
    assert_eq!(with("2", "1"), one);
    assert_eq!(with("1", "2"), one);
}

#[test]
fn biases_that_were_not_there_are_counted() {
    let bench = Bench::with(&DIRECT.replace(
        "scale: Real(per: Channel)",
        r#"scale: Real(per: Channel), data: "mnist", bias_correction: true"#,
    ));
    bench.run_well();
    bench.write("y.ron", DIRECT);
    bench.stdout(["run", "y.ron", "--quiet"]);
    let bytes = |file: &str| -> f64 {
        let text = fs::read_to_string(bench.path(file)).expect(file);
        bench.write(file, text.replace(r#"value: "accuracy.accuracy""#, r#"value: "small.bytes""#));
        let text = bench.stdout(["table", file, "t", "--format", "json"]);
        let rows: Vec<Json> = serde_json::from_str(&text).expect(&text);
        rows[0]["small.bytes"].as_f64().expect("bytes")
    };
    // Four channels, four bytes each.
    assert!((bytes("x.ron") - bytes("y.ron") - 16.0).abs() < 1e-9);
}

#[test]
fn more_images_than_there_are_fail_the_task() {
    let bench = Bench::with(&every_method().replace("calibration: 100", "calibration: 501"));
    let ended = bench.fewbits(["run", "x.ron", "--ui", "plain"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let sentence =
        "calibration: 501 images wanted, there are 500 training images; set `calibration` to at most 500";
    assert!(ended.stderr.contains(sentence), "{ended:?}");
}

#[test]
fn what_is_not_kept_is_made_again_and_a_method_without_data_ignores_it() {
    let calibrated = DIRECT.replace(
        "scale: Real(per: Channel)",
        r#"scale: Real(per: Channel), data: "mnist", method: Gptq, calibration: 50"#,
    );
    let bench = Bench::with(&calibrated.replace("calibration: 50", "calibration: 50, keep: false"));
    bench.run_well();
    // The trained network alone.
    assert_eq!(bench.objects().len(), 1);
    bench.stdout(["weights", "x.ron", "small(bits=2)", "-o", "w.npz"]);
    bench.stdout(["report", "x.ron", "-o", "x.html"]);
    let report = fs::read_to_string(bench.path("x.html")).expect("report");
    assert!(report.contains("would have to be trained or calibrated again"));
    // Another number of images is another result; without a calibration it is none.
    let axis = calibrated.replace(r#""bits": [2, 3]"#, r#""bits": [2, 3], "method": [Direct, Gptq]"#);
    let axis = axis
        .replace("method: Gptq", r#"method: Axis("method")"#)
        .replace(r#"rows: ["bits"]"#, r#"rows: ["bits"], columns: ["method"]"#);
    bench.write("x.ron", &axis);
    bench.run_well();
    bench.write("y.ron", axis.replace("calibration: 50", "calibration: 60"));
    let told = bench.stdout(["plan", "y.ron"]);
    assert!(told.contains("small: 2 tasks to run: calibration: 50 → 60"), "{told}");
    let changes = bench.stdout(["diff", "x.ron", "y.ron"]);
    assert!(changes.contains("calibration"), "{changes}");
}

/// `weights` compares the codes' numbers with the network's bits, so it sees any other scale.
#[test]
fn scales_that_were_fitted_to_inputs_are_found_again() {
    for fit in [
        "Real(per: Channel, fit: HessianDiagonal)",
        "Real(per: Channel, fit: OutputError, store: F16), method: Gptq, bias_correction: true",
        "PowerOfTwo(per: Channel, fit: OutputError), method: CoordinateDescent",
        "Real(per: Channel, fit: OutputError), activations: Int(8)",
        "Real(per: Channel, fit: OutputError), method: Gptq, flips: (rate: 1e-3)",
    ] {
        let fields = format!(r#"scale: {fit}, data: "mnist", calibration: 50"#);
        let bench = Bench::with(&DIRECT.replace("scale: Real(per: Channel)", &fields));
        bench.run_well();
        bench.stdout(["weights", "x.ron", "small(bits=3)", "-o", "by_inputs.npz"]);
        bench.stdout(["report", "x.ron", "-o", "x.html"]);
        assert_eq!(bench.run_well().count("ran"), 0);
    }
}

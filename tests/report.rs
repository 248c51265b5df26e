//! `report` and `plot`: a self-contained page, safe against hostile names.

use std::fs;

use crate::fixture::{Bench, TINY};

/// Returns an experiment that has run, with many points and with several kinds of table.
pub fn done() -> Bench {
    let bench = Bench::with(TINY);
    bench.edit("\"e\": [2, 3]", "\"e\": Range(1, 8)");
    bench.edit(
        "replicate: \"seed\"),\n    },",
        "replicate: \"seed\"),\n        \"list\": Table(rows: [\"seed\", \"e\"], columns: [\"small.mse\"]),\n        \
         \"effect\": Contrast(value: \"accuracy.accuracy\", between: [\"e\"], replicate: \"seed\"),\n    },",
    );
    bench.run_well();
    bench
}

pub fn report(bench: &Bench) -> String {
    bench.stdout(["report", "x.ron", "-o", "x.html"]);
    fs::read_to_string(bench.path("x.html")).expect("x.html")
}

#[test]
fn a_report_is_one_file_with_everything_in_it() {
    let bench = done();
    let page = report(&bench);
    for part in [
        "id=\"summary\"",
        "Recommendation",
        "id=\"table-tradeoff\"",
        "id=\"table-pareto\"",
        "Which axis matters",
        "share of the variance of accuracy.accuracy",
        "id=\"training\"",
        "id=\"layers\"",
        "id=\"weights\"",
        "id=\"graph\"",
        "activations are binary32",
        "linear1.weight",
        "fma-1 libm-0.2",
        "Dataset(source: Mnist10k",
    ] {
        assert!(page.contains(part), "{part}");
    }
    for outside in ["src=", "href=\"http", "url(", "@import", "<link", "<iframe"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert_eq!(page, report(&bench), "the same results, the same bytes");
    bench.edit("epochs: 1, seed", "epochs: 1, keep: false, seed");
    assert!(report(&bench).contains("would have to be trained or calibrated again"));
    // The report counts the tasks without a result.
    bench.edit("Range(1, 8)", "Range(0, 8)");
    assert!(report(&bench).contains("4 of them without a result"));
}

#[test]
fn hostile_names_are_harmless() {
    let bench = Bench::with(TINY);
    let hostile = "<script>document.title='hacked'</script>";
    bench.edit("name: \"tiny\"", &format!("name: \"{hostile}\", about: \"\\u{{1b}}[31m<b>&\""));
    bench.edit(
        "\"e\": [2, 3]",
        "\"e\": {\"=cmd|' /C calc'!A0\": 2, \"<img src=x onerror=alert(1)>\\u{1b}[2J\": 3}",
    );
    bench.run_well();
    let page = report(&bench);
    assert!(
        !page.contains(hostile)
            && !page.contains("<img")
            && !page.contains('\u{1b}')
            && !page.contains("<b>")
    );
    assert!(page.contains("&lt;script&gt;") && page.contains("&lt;img src=x"));
    for table in [
        vec!["table", "x.ron"],
        vec!["choose", "x.ron"],
        vec!["table", "x.ron", "tradeoff", "--format", "csv"],
    ] {
        let ended = bench.fewbits(table);
        assert!(!ended.stdout.contains('\u{1b}') && !ended.stderr.contains('\u{1b}'), "{ended:?}");
    }
    bench.stdout(["plot", "x.ron", "tradeoff", "-o", "x.svg"]);
    let figure = fs::read_to_string(bench.path("x.svg")).expect("x.svg");
    assert!(!figure.contains("<img") && !figure.contains('\u{1b}') && figure.contains("&lt;img"), "{figure}");
}

#[test]
fn figures_are_files_of_their_own() {
    let bench = done();
    for (name, kind) in
        [("pareto", "svg"), ("tradeoff", "svg"), ("list", "svg"), ("effect", "svg"), ("net", "svg")]
    {
        let path = format!("{name}.{kind}");
        bench.stdout(["plot", "x.ron", name, "-o", &path]);
        let figure = fs::read_to_string(bench.path(&path)).expect("a figure");
        assert!(figure.starts_with("<?xml") && figure.contains("</svg>"), "{figure}");
        assert!(!figure.contains("NaN") && !figure.contains("inf"), "{figure}");
    }
    bench.stdout(["plot", "x.ron", "pareto", "-o", "pareto.png"]);
    let image = fs::read(bench.path("pareto.png")).expect("an image");
    assert!(image.starts_with(b"\x89PNG") && image.len() > 10_000, "{} bytes", image.len());
    let told = |arguments: [&str; 5]| {
        let ended = bench.fewbits(arguments);
        assert_ne!(ended.code, Some(0), "{ended:?}");
        ended.stderr
    };
    let wide = ["--width", "900", "--height", "300", "--log", "--title", "a title"];
    let figure =
        bench.stdout(["plot", "x.ron", "pareto", "-o", "-", "--format", "svg"].into_iter().chain(wide));
    assert!(figure.contains("width=\"900\"") && figure.contains("height=\"324\""), "{figure}");
    assert!(
        figure.contains(">a title</text>") && figure.contains("bits_per_weight, logarithmic"),
        "{figure}"
    );
    let curves = bench.stdout(["plot", "x.ron", "net", "-o", "-", "--format", "svg", "--log"]);
    assert!(curves.contains(">epoch</text>"), "{curves}");
    // A smoothed curve is a line, and its values stay as faint dots; `--by` groups trainings.
    let curves = |more: &[&'static str]| {
        let arguments = ["plot", "x.ron", "net", "-o", "-", "--format", "svg"];
        bench.stdout(arguments.iter().chain(more))
    };
    let smoothed = curves(&["--smooth", "3"]);
    assert!(
        smoothed.contains("mean of 3 epochs") && smoothed.contains("fill-opacity=\"0.35\""),
        "{smoothed}"
    );
    assert!(!curves(&["--smooth", "1"]).contains("mean of"));
    let grouped = curves(&["--by", "seed"]);
    assert!(grouped.contains("<polygon") && grouped.contains(">seed=1</text>"), "{grouped}");
    for (arguments, sentence) in [
        (&["net", "--smooth", "2"][..], "write an odd number below 1000"),
        (&["net", "--by", "e"], "--by: `net` has no axis `e`; only `seed` is valid here"),
        (&["pareto", "--smooth", "3"], "`--smooth` and `--by` are for curves"),
    ] {
        let ended = bench.fewbits([&["plot", "x.ron", "-o", "x.svg"], arguments].concat());
        assert!(ended.code == Some(2) && ended.stderr.contains(sentence), "{ended:?}");
    }
    let ended = bench.fewbits(["plot", "x.ron", "tradeoff", "-o", "x.svg", "--width", "900"]);
    assert!(ended.code == Some(2) && ended.stderr.contains("are for charts"), "{ended:?}");
    assert!(told(["plot", "x.ron", "paret", "-o", "x.svg"]).contains("did you mean `pareto`?"));
    assert!(told(["plot", "x.ron", "pareto", "-o", "x.pdf"]).contains("as .svg or .png"));
    assert!(told(["plot", "x.ron", "mnist", "-o", "x.svg"]).contains("has no curves"));
}

/// An experiment in which one of two trainings fails.
const HALF_FAILING: &str = r#"Experiment(
    name: "half",
    axes: { "lr": [0.01, 1e30], "e": [2, 3] },
    nodes: {
        "mnist": Dataset(source: Mnist10k, train: 200, test: 100),
        "net": Train(data: "mnist", model: Mlp(hidden: [8]), optimizer: Sgd(lr: Axis("lr")), epochs: 2),
        "small": Quantize(model: "net", format: Float(e: Axis("e"), m: 1)),
        "accuracy": Evaluate(model: "small", data: "mnist"),
    },
    tables: {
        "grid": Pivot(value: "accuracy.accuracy", rows: ["lr"], columns: ["e"]),
        "list": Table(columns: ["accuracy.accuracy"]),
    },
)"#;

#[test]
fn failures_are_told_with_what_they_take_along() {
    let bench = Bench::with(HALF_FAILING);
    let before = bench.stdout(["table", "x.ron", "grid"]);
    assert!(before.contains("4 results are not there yet") && !before.contains("failed"), "{before}");
    let ended = bench.fewbits(["run", "x.ron"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let grid = bench.stdout(["table", "x.ron", "grid"]);
    assert!(grid.contains("2 rows have no result because a task failed\n"), "{grid}");
    let row = grid.lines().find(|line| line.trim_start().starts_with("1e30")).expect(&grid);
    assert_eq!(row.matches("failed").count(), 2, "{grid}");
    assert!(!grid.contains('…') && !grid.contains("not there yet"), "{grid}");
    let page = report(&bench);
    let section = page.split("id=\"failures\"").nth(1).and_then(|rest| rest.split("</section>").next());
    let section = section.expect("a section of failures");
    assert!(section.contains("net(lr=1e30)") && section.contains("loss"), "{section}");
    assert!(section.contains("4 more tasks without a result because of it"), "{section}");
    assert_eq!(page.matches("<td class=\"none\">failed</td>").count(), 4);
    // A damaged run log has no failures, and no table fails because of it.
    for file in fs::read_dir(bench.path("store/runs")).expect("run logs") {
        let path = file.expect("a file").path();
        if path.is_file() {
            let log = fs::read(&path).expect("a run log");
            fs::write(&path, b"\xff no run log").expect("a damaged run log");
            assert!(bench.stdout(["table", "x.ron", "grid"]).contains("not there yet"));
            fs::write(&path, log).expect("the run log");
        }
    }
    // A task that has changed since is not a failed one.
    bench.edit("1e30", "0.02");
    let page = report(&bench);
    assert!(!page.contains("id=\"failures\"") && page.contains("<td class=\"none\">…</td>"), "{page}");
}

//! `choose`: the answer in sentences, its limits, and the answer when no point satisfies them.

use serde_json::Value as Json;

use crate::fixture::{Bench, TINY};

/// Returns an experiment with validation images, whose networks are evaluated on both splits, before and after
/// quantization.
fn validated() -> Bench {
    let bench = Bench::with(TINY);
    bench.edit("train: 200, test: 100", "train: 300, test: 100, validation: 100");
    bench.edit(
        "    },\n    tables:",
        "        \"full_validation\": Evaluate(model: \"net\", data: \"mnist\", split: Validation),\n        \
         \"validation\": Evaluate(model: \"small\", data: \"mnist\", split: Validation),\n    },\n    tables:",
    );
    bench.edit("replicate: \"seed\"),\n    },", "replicate: \"seed\"),\n        // more\n    },");
    bench
}

#[test]
fn without_a_question_the_usual_one_is_asked() {
    let bench = validated();
    bench.run_well();
    let ended = bench.fewbits(["choose", "x.ron", "--max-drop", "0.25"]);
    let text = &ended.stdout;
    // Two seeds give wide bounds, so the choice itself can vary, but its confidence is always stated.
    assert!(text.contains("95 % confidence"), "{ended:?}");
    assert!(text.contains("loses at most 0.25 of validation.accuracy"), "{text}");
    assert!(text.contains("reported on accuracy.accuracy") && !text.contains("optimistic"), "{text}");
    assert!(text.contains("mean and 95 % t interval over seed"), "{text}");
    assert_eq!(ended.code, Some(i32::from(!text.starts_with("Choose "))), "{text}");
    assert_eq!(ended.stdout, bench.fewbits(["choose", "x.ron", "--max-drop", "25pp"]).stdout);
}

#[test]
fn a_file_without_validation_images_gets_an_optimistic_answer() {
    let bench = Bench::with(TINY);
    bench.run_well();
    let text = bench.fewbits(["choose", "x.ron"]).stdout;
    assert!(text.contains("optimistic: chosen and reported on the same images"), "{text}");
}

#[test]
fn limits_that_nothing_keeps_name_the_closest() {
    let bench = Bench::with(TINY);
    bench.run_well();
    let ended = bench.fewbits(["choose", "x.ron", "--max-bytes", "1KiB"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stdout.starts_with("Nothing fits: no point keeps small.bytes at most 1024. Closest is e=2: "),
        "{}",
        ended.stdout
    );
    assert!(ended.stdout.contains("small.bytes at most 1024"), "{}", ended.stdout);
    let json: Json = serde_json::from_str(
        &bench.fewbits(["choose", "x.ron", "--max-bytes", "1KiB", "--format", "json"]).stdout,
    )
    .expect("JSON");
    let closest = &json["points"][0];
    assert_eq!((&closest["part"], &closest["values"]["e"]), (&Json::from("closest"), &Json::from(2)));
    let sentence = json["sentences"][0].as_str().expect("a sentence");
    assert!(json["fits"] == false && ended.stdout.starts_with(sentence), "{json}");
}

#[test]
fn a_drop_from_a_bad_baseline_is_told() {
    let bench = Bench::with(TINY);
    bench.edit("\"seed\": [0, 1],", "\"seed\": [0, 1], \"lr\": [1e-6, 0.1],");
    bench.edit("columns: [\"seed\"]", "columns: [\"seed\", \"lr\"]");
    bench.edit("train: 200, test: 100", "train: 400, test: 200");
    bench.edit("epochs: 1", "epochs: 5");
    bench.edit("seed: Axis(\"seed\")", "optimizer: Sgd(lr: Axis(\"lr\")), seed: Axis(\"seed\")");
    bench.run_well();
    // A network that learns nothing loses nothing.
    let text = bench.fewbits(["choose", "x.ron", "--max-drop", "5pp"]).stdout;
    let is_bad = text.starts_with("Choose lr=1e-6 ");
    assert_eq!(text.contains("The drop is from a baseline that is not the best: "), is_bad, "{text}");
    assert!(is_bad && text.contains(" with lr=0.1. Compare the values too."), "{text}");
}

#[test]
fn a_table_asks_and_its_answer_ends_the_run() {
    let bench = validated();
    bench.edit(
        "        // more\n",
        "        \"choice\": Choose(minimize: \"small.bytes\", select: \"validation.accuracy\", \
         report: \"accuracy.accuracy\", replicate: \"seed\"),\n",
    );
    bench.run_well();
    let text = bench.stdout(["table", "x.ron", "choice"]);
    let last = text.lines().filter(|line| !line.is_empty()).collect::<Vec<_>>();
    assert!(last.iter().any(|line| line.starts_with("Choose e=")), "{text}");
    assert!(bench.stdout(["run", "x.ron"]).contains(&text));
    assert!(bench.stdout(["choose", "x.ron"]).starts_with("Choose e="));
    let ended = bench.fewbits(["choose", "x.ron", "--max-drop", "1pp"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("a drop is from a baseline, and the table names none"), "{}", ended.stderr);
}

#[test]
fn before_a_run_there_is_nothing_to_choose() {
    let ended = Bench::with(TINY).fewbits(["choose", "x.ron"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.contains("Nothing can be chosen yet: there are no results."), "{ended:?}");
}

#[test]
fn what_cannot_be_asked_is_told() {
    let bench = Bench::with(TINY);
    let told = |arguments: &[&str]| {
        let ended = bench.fewbits(arguments);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        ended.stderr
    };
    assert!(told(&["choose", "x.ron", "--table", "paret"]).contains("there is no table `paret`"));
    assert!(told(&["choose", "x.ron", "--table", "pareto"]).contains("table `pareto` is no `Choose` table"));
    assert!(told(&["choose", "x.ron", "--max-drop", "0.5"]).contains("a loss in points, such as 0.5pp"));
    assert!(told(&["choose", "x.ron", "--max-bits", "nan"]).contains("a number of bits above 0"));
    assert!(told(&["choose", "x.ron", "--max-bytes", "big"]).contains("such as 32768 or 48KiB"));
    bench.edit("        \"small\": Quantize(model: \"net\", format: Float(e: Axis(\"e\"), m: 2), scale: PowerOfTwo),\n        \"accuracy\": Evaluate(model: \"small\", data: \"mnist\"),\n", "");
    bench.edit("        \"e\": [2, 3],\n", "");
    bench.edit(
        "        \"tradeoff\": Pivot(value: \"accuracy.accuracy\", rows: [\"e\"], columns: [\"seed\"]),\n        \"pareto\": Pareto(minimize: \"small.bits_per_weight\", maximize: \"accuracy.accuracy\", replicate: \"seed\"),\n",
        "",
    );
    let text = told(&["choose", "x.ron"]);
    assert!(text.contains("it quantizes no network; add a `Choose` table"), "{text}");
}

/// Two networks and two limits: four answers, each with its row and its sentence.
#[test]
fn a_question_with_groups_has_an_answer_for_each() {
    let bench = Bench::with(TINY);
    bench.edit(
        "replicate: \"seed\"),\n    },",
        "replicate: \"seed\"),\n        \"ship\": Choose(maximize: \"accuracy.accuracy\", at_most: {\"small.bytes\": [10, 100000]}, each: [\"seed\"]),\n                 \"fronts\": Pareto(minimize: \"small.bytes\", maximize: \"accuracy.accuracy\", each: [\"seed\"]),\n    },",
    );
    bench.run_well();
    let ended = bench.fewbits(["choose", "x.ron", "--table", "ship"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let text = &ended.stdout;
    for seed in [0, 1] {
        let nothing = format!(
            "\nseed={seed}, small.bytes at most 10: Nothing fits: no point keeps small.bytes at most 10."
        );
        let chosen = format!("\nseed={seed}, small.bytes at most 100000: Choose e=");
        assert!(format!("\n{text}").contains(&nothing) && text.contains(&chosen), "{text}");
    }
    assert!(!text.contains("Runner-up"), "{text}");
    let row = |words: &[&str]| text.lines().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(row(&["part", "small.bytes at most", "seed", "e"]) && row(&["chosen", "100000"]), "{text}");
    let json = bench.fewbits(["choose", "x.ron", "--table", "ship", "--format", "json"]).stdout;
    let json: Json = serde_json::from_str(&json).expect("JSON");
    let parts: Vec<&str> = json["points"]
        .as_array()
        .expect("points")
        .iter()
        .filter_map(|point| point["part"].as_str())
        .collect();
    assert_eq!((json["fits"].as_bool(), parts), (Some(false), ["closest", "chosen"].repeat(2)));
    assert_eq!(json["points"][1]["values"]["small.bytes at most"], 100_000.0);
    // A chart for each network.
    for table in ["ship", "fronts"] {
        bench.stdout(["plot", "x.ron", table, "-o", "x.svg"]);
        let figure = std::fs::read_to_string(bench.path("x.svg")).expect("a figure");
        let charts = figure.matches("<g transform=\"translate(0 ").count();
        assert_eq!(
            (charts, figure.matches(">seed=0<").count(), figure.matches(">seed=1<").count()),
            (2, 1, 1),
            "{figure}"
        );
    }
    bench.stdout(["report", "x.ron", "-o", "x.html"]);
    let page = std::fs::read_to_string(bench.path("x.html")).expect("a page");
    assert_eq!(page.matches("seed=1, small.bytes at most 100000: Choose e=").count(), 2, "{page}");
    assert_eq!(text.matches("  fewbits export x.ron ").count(), 2, "{text}");
    let [md, csv] = ["md", "csv"]
        .map(|format| bench.fewbits(["choose", "x.ron", "--table", "ship", "--format", format]).stdout);
    assert!(md.contains("seed=0, small.bytes at most 10: Nothing fits"), "{md}");
    assert_eq!(
        (csv.lines().count(), csv.starts_with("part,small.bytes at most,seed,e,")),
        (5, true),
        "{csv}"
    );
    assert_eq!(bench.fewbits(["choose", "x.ron", "--table", "ship", "--max-bytes", "100kB"]).code, Some(0));
}

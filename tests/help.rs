//! Aids for users: templates, the schema, completions, manual pages, and the examples in the help.

use std::collections::HashSet;

use serde_json::Value as Json;

use crate::fixture::{Bench, Ended, TINY, end, files};

const TEMPLATES: [&str; 16] = [
    "minimal",
    "quickstart",
    "formats",
    "own",
    "algorithms",
    "per-layer",
    "faults",
    "integers",
    "mnist",
    "cifar10",
    "mlperf-tiny",
    "resnet8",
    "paper-mnist",
    "paper-cifar10",
    "ship-mnist",
    "ship-cifar10",
];

#[test]
fn every_template_is_an_experiment() {
    let bench = Bench::new();
    for template in TEMPLATES {
        let file = format!("{template}.ron");
        let told = bench.stdout(["new", &file, "--template", template]);
        assert!(told.ends_with(&format!("Next:\n  fewbits run {file}\n")), "{told}");
        bench.stdout(["check", &file]);
        let text = std::fs::read_to_string(bench.path(&file)).expect(&file);
        assert!(!text.contains("experiments/"), "{text}");
    }
    let listed = bench.stdout(["new", "--list"]);
    let names: Vec<&str> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, TEMPLATES, "{listed}");
    let there = files(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../experiments"));
    assert_eq!(there.len(), TEMPLATES.len(), "an experiment is no template: {there:?}");
}

#[test]
fn the_first_template_runs() {
    let bench = Bench::new();
    assert!(bench.stdout(["new", "a b.ron"]).ends_with("fewbits run 'a b.ron'\n"));
    let told = bench.fewbits(["run", "a b.ron", "--quiet"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.stdout.contains("points lost"), "{told:?}");
}

#[test]
fn a_file_that_is_there_is_left_alone() {
    let bench = Bench::new();
    bench.write("x.ron", "mine");
    let check = |arguments: &[&str], words: &str| {
        let told = bench.fewbits(arguments);
        assert_eq!(told.code, Some(2), "{arguments:?}: {told:?}");
        assert!(told.stderr.contains(words) && told.stdout.is_empty(), "{arguments:?}: {told:?}");
    };
    check(&["new", "x.ron"], "x.ron is there already and is left as it is: choose another name");
    check(&["new", "nowhere/x.ron"], "nowhere/x.ron: ");
    check(&["new", "y.ron", "--template", "minmal"], "minimal");
    check(&["new"], "FILE");
    assert_eq!(std::fs::read_to_string(bench.path("x.ron")).expect("x.ron"), "mine");
    assert!(!bench.path("y.ron").exists());
}

/// Returns the variants of the schema, each with the name of its choice.
fn variants<'s>(schema: &'s Json) -> Vec<(&'s str, &'s Json)> {
    let of = |choice: &'s Json| {
        let what = choice["what"].as_str().expect("what");
        choice["variants"].as_array().expect("variants").iter().map(move |variant| (what, variant))
    };
    schema["choices"].as_array().expect("choices").iter().flat_map(of).collect()
}

#[test]
fn the_schema_and_the_reference_agree() {
    let schema: Json =
        serde_json::from_str(&Bench::new().stdout(["schema", "--format", "json"])).expect("JSON");
    let reference = include_str!("../docs/experiment.md");
    // Names count as mentioned only in code: between backticks or in a code block.
    let code: String = reference.split('`').skip(1).step_by(2).collect::<Vec<_>>().join(" ");
    let words: HashSet<&str> = code.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let mut fields = 0;
    for (what, variant) in variants(&schema) {
        let name = variant["name"].as_str().expect("name");
        assert!(words.contains(name), "docs/experiment.md does not mention {name}, {what}");
        for field in variant["fields"].as_array().expect("fields") {
            let field = field["name"].as_str().expect("name");
            assert!(words.contains(field), "docs/experiment.md does not mention {field} of {name}");
            fields += 1;
        }
        for metric in variant["metrics"].as_array().into_iter().flatten() {
            assert!(words.contains(metric.as_str().expect("a name")), "{metric} of {name}");
        }
    }
    assert!(fields > 80, "{fields}");
}

#[test]
fn the_schema_has_what_the_readers_take() {
    let bench = Bench::new();
    let check = |name: &str, lines: &[&str]| {
        let text = bench.stdout(["schema", name]);
        let squeezed: Vec<String> =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        for line in lines {
            assert!(squeezed.iter().any(|found| found == line), "{name}: no `{line}` in\n{text}");
        }
    };
    check("Dataset", &["source a source required", "train `All` or a number of images default All"]);
    check(
        "Train",
        &[
            "data the name of a node that gives a dataset required",
            "optimizer an optimizer default AdamW(lr: 0.001, weight_decay: 0.01)",
            "epochs a whole number from 1 to 1000000 default 10",
            "keep `true` or `false` default: true",
        ],
    );
    check(
        "Quantize",
        &[
            "scale a scale default: the format's own",
            "first a format for this layer, such as `Int(8)`, or `(format: …, scale: …)` default: no exception",
        ],
    );
    check(
        "rounding",
        &["Quantize", "rounding Nearest, NearestAway, TowardZero or Stochastic default Nearest"],
    );
    check(
        "MaxPool",
        &["stride a whole number from 1 to 1048576, or [height, width] default: the same as `size`"],
    );
    check("Layers", &["layers a list, each a layer required"]);
    check("Conv", &["name a text, small letters, digits and `_` default None"]);
    check("Pivot", &["value a text required", "replicate a text optional"]);
    check("axis", &["an axis: a list, `Range(first, last)` or a map of labels to values"]);
    check("op", &["Dataset", "Train", "Quantize", "Evaluate", "Compare", "Describe"]);
    let told = bench.fewbits(["schema", "epoch"]);
    assert_eq!(told.code, Some(2), "{told:?}");
    assert!(told.stderr.contains("did you mean `epochs`?"), "{told:?}");
}

#[test]
fn an_unnamed_value_is_the_first_field_that_the_schema_shows() {
    let bench = Bench::with(TINY);
    let schema = bench.stdout(["schema", "Dataset"]);
    assert!(schema.starts_with("an op\n  Dataset\n    source "), "{schema}");
    bench.edit("Dataset(source: Mnist10k, train: 200, test: 100)", "Dataset(Mnist10k)");
    bench.stdout(["check", "x.ron"]);
    bench.edit("Dataset(Mnist10k)", "Dataset(Mnist10k, keep: true)");
    let told = bench.fewbits(["check", "x.ron"]);
    assert_eq!(told.code, Some(2), "{told:?}");
}

/// Requests completions as a shell does, with the cursor at the last word.
fn candidates(bench: &Bench, shell: &str, words: &[&str]) -> Vec<String> {
    let mut command = bench.command(["--", "fewbits"]);
    command.args(words).env("FEWBITS_COMPLETE", shell);
    command.env("_CLAP_COMPLETE_INDEX", words.len().to_string()).env("_CLAP_IFS", "\n");
    let told: Ended = end(&mut command);
    assert_eq!((told.code, &*told.stderr), (Some(0), ""), "{told:?}");
    told.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn a_shell_is_told_what_can_stand_at_the_cursor() {
    let bench = Bench::with(TINY);
    let run = bench.run_well();
    assert_eq!(run.code, Some(0));
    let journals = files(&bench.path("store/runs"));
    let run = journals[0].file_stem().and_then(|stem| stem.to_str()).expect("a run").to_owned();
    let check = |shell: &str, words: &[&str], expected: &[&str]| {
        let found = candidates(&bench, shell, words);
        let values: Vec<&str> = found.iter().map(|line| line.split('\t').next().unwrap_or(line)).collect();
        let values: Vec<&str> = values.into_iter().filter(|value| !value.starts_with('-')).collect();
        assert_eq!(values, expected, "{shell} {words:?}");
    };
    check("bash", &["table", "x.ron", ""], &["tradeoff", "pareto"]);
    check("fish", &["table", "--format", "csv", "x.ron", "pa"], &["pareto"]);
    check("bash", &["check", ""], &["x.ron", "store/"]);
    check("bash", &["why", "x.ron", "n"], &["'net(seed=0)'", "'net(seed=1)'"]);
    check("zsh", &["why", "x.ron", "net"], &["net(seed=0)", "net(seed=1)"]);
    check("bash", &["why", "x.ron", "mni"], &["mnist"]);
    check("bash", &["watch", ""], &[&run]);
    check("bash", &["runs", "--pin", &run[..4]], &[&run]);
    check("bash", &["watch", "--store", "other", ""], &[]);
    check("bash", &["values", "E2"], &["E2M1", "E2M3"]);
    check("bash", &["round", "--rounding", "Near"], &["Nearest", "NearestAway"]);
    check("bash", &["new", "y.ron", "--template", "m"], &["minimal", "mnist", "mlperf-tiny"]);
    check("bash", &["schema", "opt"], &["optimizer"]);
    check("bash", &["data", "fetch", ""], &["mnist", "fashion-mnist", "cifar10"]);
    check("bash", &["table", "nowhere.ron", ""], &[]);
    // A file with faults gives the completions that its readable part contains; after a syntax error there are none.
    bench.edit("epochs: 1", "epochs: 0, ?");
    check("bash", &["table", "x.ron", ""], &[]);
    bench.edit("epochs: 0, ?", "epochs: 0");
    check("bash", &["table", "x.ron", ""], &["tradeoff", "pareto"]);
    check("bash", &["why", "x.ron", "n"], &["net"]);
    assert!(!bench.path("other").exists(), "a look made a store");
}

#[test]
fn every_shell_has_its_script() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = Bench::new().stdout(["completions", shell]);
        assert!(
            script.contains("FEWBITS_COMPLETE") && script.contains(env!("CARGO_BIN_EXE_fewbits")),
            "{script}"
        );
    }
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let bench = Bench::new();
    let page = bench.stdout(["man"]);
    assert!(page.contains(".TH fewbits") && page.contains("fewbits new study.ron"), "{page}");
    bench.stdout(["man", "pages/man1"]);
    let pages = files(&bench.path("pages/man1"));
    for name in ["fewbits", "fewbits-run", "fewbits-schema", "fewbits-store-gc", "fewbits-data-fetch"] {
        let text = std::fs::read_to_string(bench.path(&format!("pages/man1/{name}.1"))).expect(name);
        assert!(text.contains("Example"), "{text}");
    }
    assert!(pages.len() > 20, "{pages:?}");
    bench.write("file", "");
    let told = bench.fewbits(["man", "file/man1"]);
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(told.stderr.contains("the manual pages cannot be written to file/man1: "), "{told:?}");
}

/// Returns the examples of a command's help and, recursively, of its subcommands' help.
fn examples(bench: &Bench, path: &[&str]) -> Vec<String> {
    let help = bench.stdout(path.iter().copied().chain(["--help"]));
    let (_, shown) = help.split_once("\nExample").expect(&help);
    let mut all: Vec<String> = shown.lines().skip(1).map(|line| line.trim().to_owned()).collect();
    let commands = help.split_once("\nCommands:\n").map_or("", |(_, rest)| rest);
    for line in commands.lines().take_while(|line| line.starts_with("  ")) {
        let name = line.split_whitespace().next().expect("a name");
        if name != "help" && !line.starts_with("   ") {
            all.extend(examples(bench, &[path, &[name]].concat()));
        }
    }
    all
}

#[test]
fn examples_do_what_they_say() {
    let bench = Bench::new();
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_fewbits"));
    let path = format!("{}:/usr/bin:/bin", binary.parent().expect("a folder").display());
    // These examples need a run or a key of the reader, a download, a cluster, or a file name that is not in use.
    let skipped = ["20261124", "3f9a12", "fetch", "--slurm", "fewbits worker", "new study.ron"];
    let mut examples = examples(&bench, &[]);
    examples.retain(|example| !skipped.iter().any(|words| example.contains(words)));
    for folder in
        ["experiments", ".zfunc", ".config/fish/completions", ".local/share/bash-completion/completions"]
    {
        std::fs::create_dir_all(bench.path(folder)).expect(folder);
    }
    for file in ["study.ron", "other.ron", "experiments/quickstart.ron"] {
        bench.write(file, TINY);
    }
    let run = |example: &str| {
        let line = example.split("   (").next().unwrap_or(example);
        // A run that follows its file ends by Ctrl-C.
        let stop = if line.contains("--watch") {
            "timeout --foreground --preserve-status --signal INT 2 "
        } else {
            ""
        };
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &format!("{stop}{line}")]).current_dir(bench.path("")).env_clear();
        command.env("PATH", &path).env("HOME", bench.path("")).env("FEWBITS_STORE", bench.path("store"));
        let told: Ended = end(&mut command);
        // The networks are so small that `choose` may find none that is good enough.
        let is_answer = line.contains(" choose ") && told.code == Some(1);
        assert!(told.code == Some(0) || is_answer, "`{line}`: {told:?}");
    };
    run("fewbits run study.ron");
    run("fewbits store export -o results.tar");
    examples.iter().filter(|example| !example.is_empty()).for_each(|example| run(example));
    assert!(examples.len() > 40, "{examples:?}");
}

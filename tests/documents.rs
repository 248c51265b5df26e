//! The commands, experiments and outputs in the README and the documents, as they are written there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::exports::python;
use crate::fixture::Bench;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository").to_owned()
}

fn document(name: &str) -> String {
    fs::read_to_string(repository().join(name)).expect(name)
}

/// Returns the blocks of a language in a document.
fn blocks<'t>(text: &'t str, language: &str) -> Vec<&'t str> {
    let start = format!("```{language}\n");
    text.split(start.as_str()).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// Returns the arguments of the fewbits commands in a block of shell commands.
fn commands(block: &str) -> Vec<Vec<String>> {
    let command = |line: &str| {
        let line = line.split("  #").next().unwrap_or(line).trim().to_owned();
        let arguments =
            line.strip_prefix("cargo run --release -- ").or_else(|| line.strip_prefix("fewbits "))?;
        Some(arguments.split_whitespace().map(|word| word.trim_matches('\'').to_owned()).collect())
    };
    block.lines().filter_map(command).collect()
}

/// Returns the fenced blocks of a document, each with its language.
fn fenced(text: &str) -> Vec<(&str, &str)> {
    // A fence starts a line; every second one ends a block.
    let parts = text.split("\n```").skip(1).step_by(2);
    parts.filter_map(|part| part.split_once('\n')).collect()
}

/// Follows a document in a folder as a reader would: runs its commands (`sh`) in order, compares the outputs that it
/// shows (`text`) with those of the commands before them, and checks its experiments (`ron`). Blocks of other commands
/// (`console`) need more than a test has, and so do the outputs behind them. Returns the numbers of commands, outputs
/// and experiments.
fn follow(name: &str, bench: &Bench) -> [usize; 3] {
    let text = document(name);
    let (mut counts, mut printed) = ([0; 3], None);
    for (language, block) in fenced(&text) {
        match language {
            "sh" => {
                let mut output = String::new();
                for arguments in commands(block) {
                    let ended = bench.fewbits(&arguments);
                    assert_eq!(ended.code, Some(0), "{name}: {arguments:?}: {ended:?}");
                    output += &(ended.stdout + &ended.stderr);
                    counts[0] += 1;
                }
                printed = Some(output);
            }
            "console" => printed = None,
            "text" => {
                let Some(printed) = &printed else { continue };
                let wrapped = block.lines().collect::<Vec<_>>().join(" ");
                assert!(shows(printed, &wrapped), "{name}:\n{block}\nis not in\n{printed}");
                counts[1] += 1;
            }
            "ron" if block.starts_with("Experiment(") => {
                bench.write("block.ron", block);
                bench.stdout(["check", "block.ron"]);
                counts[2] += 1;
            }
            _ => {}
        }
    }
    counts
}

/// Returns whether a text contains these lines one after the other; `…` in a line stands for any text.
fn shows(text: &str, expected: &str) -> bool {
    let squeeze = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = squeeze(text);
    let mut rest = text.as_str();
    expected.split('…').map(squeeze).filter(|part| !part.is_empty()).all(|part| {
        match rest.find(part.trim()) {
            Some(at) => {
                rest = &rest[at + part.trim().len()..];
                true
            }
            None => false,
        }
    })
}

/// Returns a folder with the repository's experiments, in which the quick start has run.
fn quickstart() -> Bench {
    let bench = Bench::with("");
    fs::create_dir(bench.path("experiments")).expect("a folder");
    for file in fs::read_dir(repository().join("experiments")).expect("experiments") {
        let file = file.expect("a file");
        fs::copy(file.path(), bench.path("experiments").join(file.file_name())).expect("a copy");
    }
    let ended = bench.fewbits(["run", "experiments/quickstart.ron", "--ui", "plain"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    bench
}

#[test]
fn every_command_output_and_experiment_is_as_written() {
    let bench = quickstart();
    let check = |name: &str, least: [usize; 3]| {
        let counts = follow(name, &bench);
        let enough = counts.iter().zip(&least).all(|(count, least)| count >= least);
        assert!(enough, "{name}: {counts:?} commands, outputs and experiments");
    };
    check("README.md", [5, 1, 1]);
    check("docs/results.md", [7, 0, 0]);
    check("docs/compare.md", [2, 1, 0]);
    check("docs/formats.md", [1, 0, 0]);
    check("docs/store.md", [4, 0, 0]);
    check("docs/experiment.md", [4, 0, 2]);
    check("docs/import.md", [0, 0, 1]);
}

#[test]
fn an_edit_is_compared_as_the_document_shows_it() {
    let text = document("docs/compare.md");
    let blocks = fenced(&text);
    let [("console", edit), ("text", output)] = blocks[..2] else {
        panic!("an edit and its output: {blocks:?}")
    };
    let bench = Bench::with("");
    let mut printed = String::new();
    for arguments in commands(edit) {
        if arguments == ["run", "new.ron"] {
            let old = fs::read_to_string(bench.path("old.ron")).expect("old.ron");
            let new = old
                .replace("epochs: 4", "epochs: 6")
                .replace("\"bits\": [2, 3, 4,", "\"bits\": [2, 3, 4, 5,");
            assert_eq!(new.lines().zip(old.lines()).filter(|(new, old)| new != old).count(), 2, "{old}");
            bench.write("new.ron", new);
        }
        let ended = bench.fewbits(&arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
        printed = ended.stdout;
    }
    let wrapped = output.lines().collect::<Vec<_>>().join(" ");
    assert!(shows(&printed, &wrapped), "{output}\nis not in\n{printed}");
}

#[test]
fn the_experiment_of_the_readme_is_the_one_of_the_exports() {
    let readme = document("README.md");
    let [example] = blocks(&readme, "ron")[..] else { panic!("the README has one experiment") };
    // The same experiment, small enough for a test.
    let small = example
        .replace("source: Mnist10k", "source: Mnist10k, train: 100, test: 50")
        .replace("epochs: 5", "epochs: 1")
        .replace("[256]", "[8]")
        .replace("Range(0, 3),\n        \"e\"", "Range(0, 1),\n        \"e\"");
    let bench = Bench::with("");
    bench.write("mine.ron", &small);
    assert_eq!(bench.fewbits(["run", "mine.ron"]).code, Some(0));
    assert!(follow("docs/exports.md", &bench)[0] >= 3);
    let exports = document("docs/exports.md");
    let [script] = blocks(&exports, "python")[..] else { panic!("docs/exports.md has one script") };
    let Some(python) = python("import numpy") else { return };
    bench.write("read.py", script);
    let ended = Command::new(python).arg("read.py").current_dir(bench.path("")).output().expect("Python");
    assert!(ended.status.success(), "{ended:?}");
}

#[test]
fn the_questions_of_the_results_can_be_asked() {
    let results = document("docs/results.md");
    let questions = blocks(&results, "ron").concat();
    let text = format!(
        r#"Experiment(name: "x", axes: {{ "seed": [0, 1], "draw": [0, 1], "kind": {{ "a": Int(4), "b": Int(3) }}, "network": [Mlp(hidden: [8]), Mlp(hidden: [16])] }}, nodes: {{
            "data": Dataset(source: Mnist10k, validation: 100),
            "net": Train(data: "data", model: Axis("network"), seed: Axis("seed")),
            "full": Evaluate(model: "net", data: "data"),
            "full_validation": Evaluate(model: "net", data: "data", split: Validation),
            "small": Quantize(model: "net", format: Axis("kind"), rounding: Stochastic, seed: Axis("draw")),
            "accuracy": Evaluate(model: "small", data: "data"),
            "validation": Evaluate(model: "small", data: "data", split: Validation),
        }}, tables: {{ {questions} }})"#
    );
    Bench::with(&text).stdout(["check", "x.ron"]);
}

#[test]
fn every_experiment_in_a_command_exists_and_is_valid() {
    let mut named: Vec<String> = vec![];
    for name in ["README.md", "docs/results.md", "docs/paper.md", "docs/formats.md", "docs/dashboard.md"] {
        let text = document(name);
        let found = text.split(|c: char| c.is_whitespace() || "`()".contains(c));
        named.extend(
            found
                .filter(|word| word.starts_with("experiments/") && word.contains(".ron"))
                .map(|word| word.split_inclusive(".ron").next().unwrap_or(word))
                .map(str::to_owned),
        );
    }
    named.sort_unstable();
    named.dedup();
    assert!(named.len() >= 6, "{named:?}");
    let bench = Bench::with("");
    for name in named {
        let path = repository().join(&name);
        bench.stdout([Path::new("check"), &path]);
    }
}

/// The sentences are written where fields are read, so a new field without one fails here.
#[test]
fn every_field_of_the_language_has_a_sentence() {
    let text = Bench::new().stdout(["schema", "--format", "json"]);
    let schema: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let of = |value: &serde_json::Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let mut seen = 0;
    for variant in of(&schema, "choices").iter().flat_map(|choice| of(choice, "variants")) {
        for field in of(&variant, "fields") {
            let about = field["about"].as_str().unwrap_or_default();
            assert!(about.ends_with('.') && about.len() > 8, "{}: {field}", variant["name"]);
            seen += 1;
        }
    }
    assert!(seen > 190, "{seen}");
}

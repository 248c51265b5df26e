//! The commands, experiments and outputs in the README and the documents, as they are written there.

use std::fs;
use std::path::{Path, PathBuf};

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

/// Returns the arguments of the fewbits commands in a document.
fn commands(text: &str) -> Vec<Vec<String>> {
    let lines = blocks(text, "sh").into_iter().flat_map(str::lines);
    let command = |line: &str| {
        let line = line.split("  #").next().unwrap_or(line).trim().to_owned();
        let arguments =
            line.strip_prefix("cargo run --release -- ").or_else(|| line.strip_prefix("fewbits "))?;
        Some(arguments.split_whitespace().map(|word| word.trim_matches('\'').to_owned()).collect())
    };
    lines.filter_map(command).collect()
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
fn quickstart() -> (Bench, String) {
    let bench = Bench::with("");
    fs::create_dir(bench.path("experiments")).expect("a folder");
    for file in fs::read_dir(repository().join("experiments")).expect("experiments") {
        let file = file.expect("a file");
        fs::copy(file.path(), bench.path("experiments").join(file.file_name())).expect("a copy");
    }
    let ended = bench.fewbits(["run", "experiments/quickstart.ron", "--ui", "plain"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    (bench, ended.stdout)
}

#[test]
fn the_commands_of_the_quick_start_work_as_written() {
    let (bench, printed) = quickstart();
    for name in ["README.md", "docs/results.md"] {
        for arguments in commands(&document(name)) {
            let ended = bench.fewbits(&arguments);
            assert_eq!(ended.code, Some(0), "{name}: {arguments:?}: {ended:?}");
        }
    }
    let readme = document("README.md");
    for output in blocks(&readme, "text") {
        let wrapped = output.lines().collect::<Vec<_>>().join(" ");
        assert!(shows(&printed, &wrapped), "{output}\nis not in\n{printed}");
    }
}

#[test]
fn the_experiment_of_the_readme_is_the_one_of_the_exports() {
    let readme = document("README.md");
    let [example] = blocks(&readme, "ron")[..] else { panic!("the README has one experiment") };
    let bench = Bench::with(example);
    bench.stdout(["check", "x.ron"]);
    // The same experiment, small enough for a test.
    let small = example
        .replace("source: Mnist10k", "source: Mnist10k, train: 100, test: 50")
        .replace("epochs: 5", "epochs: 1")
        .replace("[256]", "[8]")
        .replace("Range(0, 3),\n        \"e\"", "Range(0, 1),\n        \"e\"");
    bench.write("mine.ron", &small);
    assert_eq!(bench.fewbits(["run", "mine.ron"]).code, Some(0));
    let exports = commands(&document("docs/exports.md"));
    assert!(exports.len() >= 3, "{exports:?}");
    for arguments in exports {
        let ended = bench.fewbits(&arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
    }
}

#[test]
fn the_question_of_the_results_can_be_asked() {
    let results = document("docs/results.md");
    let [question] = blocks(&results, "ron")[..] else { panic!("docs/results.md has one question") };
    let text = format!(
        r#"Experiment(name: "x", axes: {{ "seed": [0, 1], "draw": [0, 1], "kind": {{ "a": Int(4), "b": Int(3) }} }}, nodes: {{
            "data": Dataset(source: Mnist10k, validation: 100),
            "net": Train(data: "data", model: Mlp(hidden: [8]), seed: Axis("seed")),
            "full": Evaluate(model: "net", data: "data"),
            "full_validation": Evaluate(model: "net", data: "data", split: Validation),
            "small": Quantize(model: "net", format: Axis("kind"), rounding: Stochastic, seed: Axis("draw")),
            "accuracy": Evaluate(model: "small", data: "data"),
            "validation": Evaluate(model: "small", data: "data", split: Validation),
        }}, tables: {{ {question} }})"#
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

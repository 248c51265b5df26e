//! The identities of ops, pinned: name, version and parameters as they enter preimages. Every variant of the language
//! is pinned as text (`variants.ron`), and every experiment in the repository as digests. A change here means that
//! existing stores no longer answer for these experiments, so the change must be intended: then the version is raised
//! for the ops whose numbers change, the changelog says so, and `FEWBITS_BLESS=1` writes the new digests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use fewbits_engine::graph::{ResolvedOp, TaskGraph};
use fewbits_engine::schema::{ChoiceSchema, Schema, ValueSchema};
use fewbits_ops::StandardOps;
use fewbits_store::Digest;

/// The task limit: above the tasks of the largest experiment.
const MOST_TASKS: usize = 1_000_000;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn experiments() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../experiments");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Returns the graph of an experiment.
fn graph(file: &Path) -> TaskGraph<StandardOps> {
    let text = fs::read_to_string(file).unwrap();
    TaskGraph::parse(&text, &StandardOps::new(PathBuf::new(), PathBuf::new()), MOST_TASKS).unwrap()
}

fn identity(work: &ResolvedOp<StandardOps>) -> String {
    format!("{} {} {} {:?}\n", work.name, work.version, work.params, work.reads)
}

/// Returns a line per node of an experiment: file, node, number of ops, digest of their identities.
fn digests(file: &Path) -> String {
    let graph = graph(file);
    let mut lines = String::new();
    for (node, step) in graph.experiment.nodes.iter().zip(&graph.node_tasks) {
        let all: String = step.resolved_ops.iter().map(identity).collect();
        let name = file.file_stem().unwrap().to_string_lossy();
        lines += &format!(
            "{name} {} {} {}\n",
            node.name,
            step.resolved_ops.len(),
            Digest::hash(all.as_bytes()).short()
        );
    }
    lines
}

/// Compares a text with a file of this folder, and writes the file if `FEWBITS_BLESS` is set.
fn check(found: &str, file: &str) {
    let file = folder().join(file);
    if std::env::var_os("FEWBITS_BLESS").is_some() {
        fs::write(&file, found).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap();
    for (found, expected) in found.lines().zip(expected.lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.lines().count(), expected.lines().count());
}

#[test]
fn works_of_the_experiments_are_pinned() {
    let found: String = experiments().iter().map(|file| digests(file)).collect();
    check(&found, "preimages.txt");
}

#[test]
fn works_of_every_variant_are_pinned() {
    let graph = graph(&folder().join("variants.ron"));
    let nodes = graph.experiment.nodes.iter().zip(&graph.node_tasks);
    let lines = nodes.flat_map(|(node, step)| {
        step.resolved_ops.iter().map(|work| format!("{} {}", node.name, identity(work))).collect::<Vec<_>>()
    });
    check(&lines.collect::<String>(), "variants.txt");
}

/// `variants.ron` covers every variant and field of the language; additions to the language go there too.
#[test]
fn every_variant_and_field_of_the_language_is_among_them() {
    let text = fs::read_to_string(folder().join("variants.ron")).unwrap();
    let words: BTreeSet<&str> = text.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
    let schema = Schema::describe(&StandardOps::new(PathBuf::new(), PathBuf::new()));
    // Tables and names enter no preimage.
    let enters = |choice: &&ChoiceSchema| choice.what != "a kind of table" && choice.what != "an experiment";
    for variant in schema.choices.iter().filter(enters).flat_map(|choice| &choice.variants) {
        assert!(words.contains(&*variant.name), "{}", variant.name);
        // A variant's only field is written without a name.
        for field in variant.fields.iter().filter(|_| variant.fields.len() > 1) {
            assert!(words.contains(field.name), "{} of {}", field.name, variant.name);
            let ValueSchema::Name(names) = &field.value else { continue };
            assert!(names.iter().all(|name| words.contains(&**name)), "{} of {}", field.name, variant.name);
        }
    }
}

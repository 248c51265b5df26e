//! The identity of every work of every experiment in the repository, pinned: op, version and parameters as they enter
//! preimages. A change here means that stores out there no longer answer for these experiments, so the change must be
//! meant: then the version is raised for the works whose numbers change, the changelog says so, and
//! `FEWBITS_BLESS=1` writes the new digests.

use std::fs;
use std::path::{Path, PathBuf};

use fewbits_engine::graph::Graph;
use fewbits_ops::StandardOps;
use fewbits_store::Digest;

/// Tasks of the largest experiment, with room.
const MOST_TASKS: usize = 1_000_000;

fn experiments() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../experiments");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Returns a line per node of an experiment: file, node, number of works, digest of their identities.
fn lines(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let ops = StandardOps::new(PathBuf::new(), PathBuf::new());
    let graph = Graph::read(&text, &ops, MOST_TASKS).unwrap();
    let mut lines = String::new();
    for (node, step) in graph.experiment.nodes.iter().zip(&graph.steps) {
        let identity = |work: &fewbits_engine::graph::Work<StandardOps>| {
            format!("{} {} {} {:?}\n", work.name, work.version, work.params, work.reads)
        };
        let all: String = step.works.iter().map(identity).collect();
        let name = file.file_stem().unwrap().to_string_lossy();
        lines +=
            &format!("{name} {} {} {}\n", node.name, step.works.len(), Digest::of(all.as_bytes()).short());
    }
    lines
}

#[test]
fn works_of_the_experiments_are_pinned() {
    let found: String = experiments().iter().map(|file| lines(file)).collect();
    let pinned = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/works.txt");
    if std::env::var_os("FEWBITS_BLESS").is_some() {
        fs::write(&pinned, &found).unwrap();
    }
    let expected = fs::read_to_string(&pinned).unwrap();
    assert_eq!(found, expected);
}

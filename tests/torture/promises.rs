//! The promises that hold after every kind of fault, checked through the binary as a user would.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value as Json;

use crate::fixture::{Bench, Ended, Told, events};

/// An experiment with 57 tasks, which run in a third of a second.
pub const MANY: &str = r#"Experiment(
    name: "many",
    axes: { "seed": Range(0, 7), "e": [2, 3] },
    nodes: {
        "mnist": Dataset(source: Mnist10k, train: 200, test: 100),
        "net": Train(data: "mnist", model: Mlp(hidden: [8]), batch: 50, epochs: 2, seed: Axis("seed")),
        "full": Evaluate(model: "net", data: "mnist"),
        "seen": Evaluate(model: "net", data: "mnist", split: Train),
        "small": Quantize(model: "net", format: Float(e: Axis("e"), m: 2), scale: PowerOfTwo),
        "accuracy": Evaluate(model: "small", data: "mnist"),
    },
    tables: { "tradeoff": Pivot(value: "accuracy.accuracy", rows: ["e"], replicate: "seed") },
)
"#;

/// An experiment with three tasks.
pub const THREE: &str = r#"Experiment(
    name: "three",
    axes: { "seed": [0] },
    nodes: {
        "mnist": Dataset(source: Mnist10k, train: 100, test: 50),
        "net": Train(data: "mnist", model: Mlp(hidden: []), batch: 50, epochs: 1, seed: Axis("seed")),
        "score": Evaluate(model: "net", data: "mnist"),
    },
    tables: { "scores": Table(rows: ["seed"], columns: ["score.accuracy"]) },
)
"#;

/// The results of an undisturbed run of an experiment.
pub struct Truth {
    pub long: Json,
    pub tables: String,
}

impl Truth {
    /// Runs an experiment without any fault.
    pub fn of(experiment: &str) -> Self {
        let bench = Bench::with(experiment);
        bench.run_well();
        Self { long: bench.long(), tables: bench.stdout(["table", "x.ron"]) }
    }
}

/// The number of tries and the violations of a test.
pub struct Tally {
    name: &'static str,
    tried: usize,
    broken: Vec<String>,
}

impl Tally {
    pub fn new(name: &'static str) -> Self {
        Self { name, tried: 0, broken: vec![] }
    }

    pub fn tried(&mut self) {
        self.tried += 1;
    }

    /// Adds the violations found at a moment.
    pub fn note(&mut self, moment: &str, broken: Vec<String>) {
        self.broken.extend(broken.into_iter().map(|what| format!("{moment}: {what}")));
    }

    /// Prints the counts; panics if there was a violation, or fewer than `least` tries.
    pub fn end(self, least: usize) {
        let Self { name, tried, broken } = self;
        println!("{name}: {tried} tried, {} violations (seed {})", broken.len(), seed());
        assert!(tried >= least, "{name}: only {tried} tried");
        let told = broken.iter().take(20).fold(String::new(), |mut text, what| {
            let _ = writeln!(text, "  {what}");
            text
        });
        assert!(broken.is_empty(), "{name}: {} violations:\n{told}", broken.len());
    }
}

/// Returns the tasks that were reported as completed.
pub fn completed(events: &[Json]) -> BTreeSet<String> {
    let done = events.iter().filter(|event| event["event"] == "completed");
    done.filter_map(|event| event["task"].as_str().map(str::to_owned)).collect()
}

/// Returns the tasks that a run reported as completed before it ended, even if it was killed.
pub fn reported(stdout: &str) -> BTreeSet<String> {
    completed(&events(stdout))
}

/// Returns the violations in a command's end: an exit code that is not in `codes`, the words of a panic, or an error
/// code without a message.
pub fn manners(ended: &Ended, codes: &[i32]) -> Vec<String> {
    let mut broken = vec![];
    // `None` means that the process was killed.
    if let Some(code) = ended.code.filter(|code| !codes.contains(code)) {
        broken.push(format!("promise 6: exit code {code}: {}", ended.stderr));
    }
    for word in ["panicked", "a fault in fewbits", "RUST_BACKTRACE", "unwrap"] {
        if ended.stderr.contains(word) || ended.stdout.contains(word) {
            broken.push(format!("promise 6: {word}: {}", ended.stderr));
        }
    }
    if matches!(ended.code, Some(2..=4)) && ended.stderr.trim().is_empty() {
        broken.push("promise 6: it says nothing".to_owned());
    }
    broken
}

/// Runs `x.ron` once more without a fault, and returns the violations of the promises. `done` has the tasks that were
/// reported as completed before.
pub fn broken(bench: &Bench, truth: &Truth, done: &BTreeSet<String>) -> Vec<String> {
    let mut broken = broken_values(bench, truth, done);
    broken.extend(unsound(bench));
    broken
}

/// Returns the violations that `store verify` finds.
pub fn unsound(bench: &Bench) -> Vec<String> {
    let verified = bench.fewbits(["store", "verify"]);
    let told = format!("promise 3: after the next run, verify says {}", verified.stdout);
    if verified.code == Some(0) { vec![] } else { vec![told] }
}

/// Like [`broken`], but allows damage that no command has read yet.
pub fn broken_values(bench: &Bench, truth: &Truth, done: &BTreeSet<String>) -> Vec<String> {
    let ended = bench.fewbits(["run", "x.ron", "--ui", "json"]);
    let mut broken = manners(&ended, &[0]);
    let told = Told::from(ended);
    if told.code != Some(0) {
        broken.push(format!("promise 3: the next run ends with {:?}: {}", told.code, told.stderr));
        return broken;
    }
    let started: BTreeSet<String> = told.tasks("started").into_iter().map(str::to_owned).collect();
    let again: Vec<&String> = done.intersection(&started).collect();
    if !again.is_empty() {
        broken.push(format!("promises 1 and 4: {again:?} were done and run again"));
    }
    if told.counts()[3..] != [0, 0] {
        broken.push(format!("promise 3: {:?}", told.counts()));
    }
    if bench.long() != truth.long {
        broken.push("promise 2: another value".to_owned());
    }
    if bench.stdout(["table", "x.ron"]) != truth.tables {
        broken.push("promise 5: another table".to_owned());
    }
    broken
}

/// Returns whether the tests try all faults.
pub fn long() -> bool {
    std::env::var_os("FEWBITS_TORTURE").is_some_and(|mode| mode == "long")
}

/// Returns the seed of random choices.
pub fn seed() -> u64 {
    std::env::var("FEWBITS_TORTURE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

/// A random number generator (splitmix64).
pub struct Random(u64);

impl Random {
    /// Creates a generator whose sequence depends on the name and the seed.
    pub fn new(name: &str) -> Self {
        Self(name.bytes().fold(seed(), |state, byte| state.wrapping_mul(31).wrapping_add(u64::from(byte))))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// Returns a number in [0, 1).
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

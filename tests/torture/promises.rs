//! What must hold after a fault, whatever it was: asked of the binary, as a user would.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value as Json;

use crate::fixture::{Bench, Ended, Told, events};

/// 57 tasks in a third of a second.
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

/// Three tasks.
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

/// What an undisturbed run of an experiment shows.
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

/// What was broken, and how often it was tried.
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

    /// Notes what was broken at a moment, if anything was.
    pub fn note(&mut self, moment: &str, broken: Vec<String>) {
        self.broken.extend(broken.into_iter().map(|what| format!("{moment}: {what}")));
    }

    /// Says the count, and fails if anything was broken.
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

/// The tasks that were reported done.
pub fn completed(events: &[Json]) -> BTreeSet<String> {
    let done = events.iter().filter(|event| event["event"] == "completed");
    done.filter_map(|event| event["task"].as_str().map(str::to_owned)).collect()
}

/// The tasks reported done in what a run wrote before it ended, in whatever way.
pub fn reported(stdout: &str) -> BTreeSet<String> {
    completed(&events(stdout))
}

/// Returns what is wrong with how a command ended: the code must be documented, and the words no panic's.
pub fn manners(ended: &Ended, codes: &[i32]) -> Vec<String> {
    let mut broken = vec![];
    // None is a kill.
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

/// Runs `x.ron` once more without a fault, and returns what of the promises does not hold. `done` is what was reported
/// done before.
pub fn broken(bench: &Bench, truth: &Truth, done: &BTreeSet<String>) -> Vec<String> {
    let mut broken = broken_values(bench, truth, done);
    broken.extend(unsound(bench));
    broken
}

/// Returns what is wrong with the store itself.
pub fn unsound(bench: &Bench) -> Vec<String> {
    let verified = bench.fewbits(["store", "verify"]);
    let told = format!("promise 3: after the next run, verify says {}", verified.stdout);
    if verified.code == Some(0) { vec![] } else { vec![told] }
}

/// Like [`broken`], where damage may be left that nobody has met yet.
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

/// Whether all is to be tried.
pub fn long() -> bool {
    std::env::var_os("FEWBITS_TORTURE").is_some_and(|mode| mode == "long")
}

/// What random choices begin with.
pub fn seed() -> u64 {
    std::env::var("FEWBITS_TORTURE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

/// Random numbers (splitmix64).
pub struct Random(u64);

impl Random {
    /// Begins a sequence of its own for each name.
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

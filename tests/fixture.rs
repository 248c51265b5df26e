//! The fixture of end-to-end tests: a temporary folder for each test, and the binary in it with a clean environment.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value as Json;
use tempfile::TempDir;

/// An experiment with two trainings, each quantized to two formats: 13 tasks in well under a second.
pub const TINY: &str = r#"Experiment(
    name: "tiny",
    axes: {
        "seed": [0, 1],
        "e": [2, 3],
    },
    nodes: {
        "mnist": Dataset(source: Mnist10k, train: 200, test: 100),
        "net": Train(data: "mnist", model: Mlp(hidden: [8]), batch: 50, epochs: 1, seed: Axis("seed")),
        "full": Evaluate(model: "net", data: "mnist"),
        "small": Quantize(model: "net", format: Float(e: Axis("e"), m: 2), scale: PowerOfTwo),
        "accuracy": Evaluate(model: "small", data: "mnist"),
    },
    tables: {
        "tradeoff": Pivot(value: "accuracy.accuracy", rows: ["e"], columns: ["seed"]),
        "pareto": Pareto(minimize: "small.bits_per_weight", maximize: "accuracy.accuracy", replicate: "seed"),
    },
)
"#;

/// A temporary folder with a store, and the binary.
pub struct Bench {
    dir: TempDir,
}

/// The exit code and the output of a command.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// The exit code, the errors and the events of a run with `--ui json`.
#[derive(Debug)]
pub struct Told {
    pub code: Option<i32>,
    pub stderr: String,
    pub events: Vec<Json>,
}

impl Bench {
    /// Creates an empty folder.
    pub fn new() -> Self {
        Self { dir: TempDir::new().expect("a temporary folder") }
    }

    /// Creates a folder with an experiment in the file `x.ron`.
    pub fn with(experiment: &str) -> Self {
        let bench = Self::new();
        bench.write("x.ron", experiment);
        bench
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).expect(name);
    }

    /// Replaces a piece of `x.ron`. Panics if `x.ron` does not contain it.
    pub fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.path("x.ron")).expect("x.ron");
        assert!(text.contains(from), "there is no {from:?} in {text}");
        self.write("x.ron", text.replace(from, to));
    }

    /// Returns a command that runs the binary with these arguments, and with its store in `store/`.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fewbits"));
        command.args(arguments).current_dir(self.dir.path()).stdin(Stdio::null());
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.env("HOME", self.dir.path()).env("FEWBITS_STORE", self.path("store"));
        command.env("NO_COLOR", "1").env("COLUMNS", "100");
        if env!("CARGO_CRATE_NAME") == "torture" {
            // The journals of the torture tests are short, and they must have an index anyway.
            command.env("FEWBITS_INDEX_FROM", "0");
        }
        command
    }

    /// Runs the binary until it exits.
    pub fn fewbits<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Ended {
        end(&mut self.command(arguments))
    }

    /// Runs the binary, which must succeed, and returns its standard output.
    pub fn stdout<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> String {
        let ended = self.fewbits(arguments);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.stdout
    }

    /// Runs `x.ron` and returns its events.
    pub fn run(&self) -> Told {
        Told::from(end(&mut self.command(["run", "x.ron", "--ui", "json"])))
    }

    /// Runs `x.ron`, which must succeed.
    pub fn run_well(&self) -> Told {
        let told = self.run();
        assert_eq!(told.code, Some(0), "{told:?}");
        told
    }

    /// Starts a run of `x.ron` with one job and its events on a pipe.
    pub fn start(&self) -> Child {
        let mut command = self.command(["run", "x.ron", "--ui", "json", "--jobs", "1"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary")
    }

    /// Returns the long table without the seconds, which differ from run to run.
    pub fn long(&self) -> Json {
        let text = self.stdout(["table", "x.ron", "--format", "json"]);
        let mut rows: Vec<serde_json::Map<String, Json>> = serde_json::from_str(&text).expect(&text);
        for row in &mut rows {
            row.retain(|name, _| !name.ends_with(".seconds"));
        }
        Json::from(rows.into_iter().map(Json::Object).collect::<Vec<_>>())
    }

    /// Returns the paths of the kept objects, sorted.
    pub fn objects(&self) -> Vec<PathBuf> {
        let mut all: Vec<PathBuf> =
            files(&self.path("store/objects")).into_iter().flat_map(|shelf| files(&shelf)).collect();
        all.sort();
        all
    }
}

impl Told {
    /// Returns the events of one kind.
    pub fn of(&self, kind: &str) -> Vec<&Json> {
        self.events.iter().filter(|event| event["event"] == kind).collect()
    }

    /// Returns the tasks of the events of one kind, sorted.
    pub fn tasks(&self, kind: &str) -> Vec<&str> {
        let mut tasks: Vec<&str> =
            self.of(kind).iter().map(|event| event["task"].as_str().expect("a task")).collect();
        tasks.sort_unstable();
        tasks
    }

    /// Returns the kinds of all events, in order.
    pub fn kinds(&self) -> Vec<&str> {
        self.events.iter().filter_map(|event| event["event"].as_str()).collect()
    }

    /// Returns one of the counts of the summary, which is the last event.
    pub fn count(&self, name: &str) -> u64 {
        let last = self.events.last().expect("a summary");
        assert_eq!(last["event"], "finished", "{last}");
        last[name].as_u64().expect(name)
    }

    /// Returns `[tasks, ran, cached, failed, skipped]`.
    pub fn counts(&self) -> [u64; 5] {
        ["tasks", "ran", "cached", "failed", "skipped"].map(|name| self.count(name))
    }
}

impl From<Ended> for Told {
    fn from(ended: Ended) -> Self {
        Self { code: ended.code, stderr: ended.stderr, events: events(&ended.stdout) }
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// Returns the folder of the real datasets, or prints that the test is skipped. A relative path starts at the repository.
pub fn data_dir() -> Option<PathBuf> {
    let dir = std::env::var_os("FEWBITS_DATA_DIR");
    if dir.is_none() {
        println!("skipped: FEWBITS_DATA_DIR is not set");
    }
    Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(dir?))
}

/// Runs a command until it exits.
pub fn end(command: &mut Command) -> Ended {
    command.output().expect("the binary").into()
}

/// Parses events, one per line. The last line is ignored if a kill has cut it off.
pub fn events(stdout: &str) -> Vec<Json> {
    let whole = stdout.rfind('\n').map_or("", |end| &stdout[..end]);
    whole.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// Reads the events of a running command up to the first that satisfies `wanted`; returns the rest of its output.
pub fn wait_for(
    child: &mut Child,
    mut wanted: impl FnMut(&Json) -> bool,
) -> BufReader<std::process::ChildStdout> {
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
    loop {
        let mut line = String::new();
        assert_ne!(lines.read_line(&mut line).expect("a line"), 0, "the run ended too early");
        if wanted(&serde_json::from_str(&line).expect(&line)) {
            return lines;
        }
    }
}

/// Returns the paths in a folder; empty if the folder does not exist.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

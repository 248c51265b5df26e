//! Runs on workers that are started by hand: processes of the binary that share a folder with the run.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::fixture::{Bench, TINY, Told, end, wait_for};

/// The time that a worker may take for anything.
const PATIENCE: Duration = Duration::from_mins(1);

/// A process that ends with the test.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a worker of the exchange in `exchange/`.
fn worker(bench: &Bench, change: impl FnOnce(&mut Command)) -> Process {
    let mut command = bench.command(["worker", "exchange", "--jobs", "1"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    change(&mut command);
    Process(command.spawn().expect("the binary"))
}

/// Returns the command that runs `x.ron` on workers.
fn on_workers(bench: &Bench) -> Command {
    bench.command(["run", "x.ron", "--ui", "json", "--workers-in", "exchange", "--silence", "3s"])
}

/// Runs `x.ron` on workers.
fn run(bench: &Bench) -> Told {
    Told::from(end(&mut on_workers(bench)))
}

/// Returns an experiment with a thousand tasks, sixteen trainings among them, that take a few seconds in all.
pub fn sweep() -> Bench {
    let bench = Bench::with(TINY);
    bench.edit("\"seed\": [0, 1]", "\"seed\": Range(0, 15)");
    bench.edit("\"e\": [2, 3]", "\"e\": Range(2, 5), \"m\": Range(0, 7)");
    bench.edit("Float(e: Axis(\"e\"), m: 2)", "Float(e: Axis(\"e\"), m: Axis(\"m\"))");
    bench.edit("columns: [\"seed\"]", "columns: [\"m\"], replicate: \"seed\"");
    bench
}

/// Returns the line of `cite` that names the digest of all results.
pub fn results_digest(bench: &Bench) -> String {
    let cited = bench.stdout(["cite", "x.ron"]);
    let line = cited.lines().find(|line| line.trim_start().starts_with("results ")).expect(&cited);
    line.trim().to_owned()
}

/// Returns the keys of all records in the journal of a store, in order: a record that was written twice is there twice.
pub fn recorded_keys(store: &Path) -> Vec<Vec<u8>> {
    let mut keys = vec![];
    for path in crate::fixture::files(&store.join("journal")) {
        let bytes = fs::read(path).expect("a journal");
        // An entry begins with these four bytes and the kind 1; its key follows at the twelfth byte.
        let entries = bytes.windows(5).enumerate().filter(|(_, window)| *window == b"\xfbE1\n\x01");
        keys.extend(entries.map(|(at, _)| bytes[at + 12..at + 44].to_vec()));
    }
    keys
}

/// Asserts that a store has the results of a run in one process, and each of them once.
pub fn assert_whole(bench: &Bench, local: &Bench) {
    assert_eq!(results_digest(bench), results_digest(local));
    let keys = recorded_keys(&bench.path("store"));
    let unique: BTreeSet<&Vec<u8>> = keys.iter().collect();
    assert_eq!(keys.len(), unique.len(), "no result is recorded twice");
    let verified = bench.fewbits(["store", "verify"]);
    assert_eq!(verified.code, Some(0), "{verified:?}");
}

pub fn signal(process: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &process.id().to_string()]).status();
    assert!(sent.expect("kill").success());
}

#[test]
fn workers_give_what_one_process_gives() {
    let (bench, local) = (sweep(), sweep());
    let counts = local.run_well().counts();
    let _workers = [worker(&bench, |_| ()), worker(&bench, |_| ())];
    let told = run(&bench);
    assert_eq!((told.code, told.counts()), (Some(0), counts), "{}", told.stderr);
    assert!(counts[0] >= 1000, "{counts:?}");
    let on = |event: &&Json| event["on"].is_string();
    assert_eq!(told.of("started").iter().filter(|event| on(event)).count() as u64, counts[1]);
    assert_whole(&bench, &local);
    assert_eq!(run(&bench).counts()[1], 0, "a second run computes nothing");
}

#[test]
fn a_killed_worker_costs_its_tasks_in_hand_alone() {
    let (bench, local) = (sweep(), sweep());
    local.run_well();
    let mut first = worker(&bench, |_| ());
    let mut child = on_workers(&bench).stdout(Stdio::piped()).spawn().expect("the binary");
    let mut done = 0;
    let rest = wait_for(&mut child, |event| {
        done += usize::from(event["event"] == "completed");
        done == 40
    });
    first.0.kill().expect("a kill");
    // A clock that is an hour ahead changes nothing, because no time of a worker is compared with one of the run.
    let faketime = [
        "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
        "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    ];
    let ahead = faketime.into_iter().find(|library| Path::new(library).exists());
    let _second = worker(&bench, |command| {
        if let Some(library) = ahead {
            command
                .env("LD_PRELOAD", library)
                .env("FAKETIME", "+1h")
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
    });
    let rest = std::io::read_to_string(rest).expect("events");
    assert_eq!(child.wait().expect("an end").code(), Some(0), "{rest}");
    assert!(rest.contains("it has been silent for 3 s"), "{rest}");
    assert_whole(&bench, &local);
}

#[test]
fn a_killed_run_comes_back_to_the_results_of_its_workers() {
    let (bench, local) = (sweep(), sweep());
    let counts = local.run_well().counts();
    let _workers = [worker(&bench, |_| ()), worker(&bench, |_| ())];
    let mut done = 0;
    for name in ["KILL", "INT", "TERM"] {
        let mut child = on_workers(&bench).stdout(Stdio::piped()).spawn().expect("the binary");
        let mut here = 0;
        let rest = wait_for(&mut child, |event| {
            here += usize::from(event["event"] == "completed");
            here == 50
        });
        signal(&child, name);
        let rest = std::io::read_to_string(rest).expect("events");
        let code = child.wait().expect("an end").code();
        if name != "KILL" {
            assert_eq!(code, Some(130), "{rest}");
            assert!(rest.contains(r#""event":"left""#), "{rest}");
        }
        done += here;
    }
    let told = run(&bench);
    assert_eq!((told.code, told.count("failed")), (Some(0), 0), "{}", told.stderr);
    assert!(told.count("ran") + done as u64 <= counts[1], "what was done is not done again");
    assert_whole(&bench, &local);
}

#[test]
fn a_folder_that_others_can_open_is_refused() {
    let bench = Bench::with(TINY);
    let folder = bench.path("exchange");
    fs::create_dir(&folder).expect("a folder");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("permissions");
    for arguments in [&["run", "x.ron", "--workers-in", "exchange"][..], &["worker", "exchange"]] {
        let refused = bench.fewbits(arguments);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(
            refused.stderr.contains("this folder is open to other users; name a folder of your own"),
            "{refused:?}"
        );
    }
}

#[test]
fn a_second_run_in_the_same_folder_is_told_of_the_first() {
    let bench = Bench::with(TINY);
    let mut first = on_workers(&bench).stdout(Stdio::piped()).spawn().expect("the binary");
    wait_for(&mut first, |event| event["event"] == "noted");
    let first = Process(first);
    let second = end(on_workers(&bench).env("FEWBITS_STORE", bench.path("other")));
    assert_eq!(second.code, Some(3), "{second:?}");
    let words = format!("process {} on ", first.0.id());
    assert!(
        second.stderr.contains(&words) && second.stderr.contains("coordinates the workers here"),
        "{second:?}"
    );
}

#[test]
fn a_worker_with_other_files_is_no_danger() {
    let Some(data) = crate::fixture::data_dir() else { return };
    let bench = Bench::with(&TINY.replace("Mnist10k", "Mnist"));
    let other = bench.path("data");
    fs::create_dir_all(other.join("mnist")).expect("a folder");
    for path in crate::fixture::files(&data.join("mnist")) {
        let mut bytes = fs::read(&path).expect("a file");
        *bytes.last_mut().expect("a byte") ^= 1;
        fs::write(other.join("mnist").join(path.file_name().expect("a name")), bytes).expect("a file");
    }
    let _bad = worker(&bench, |command| {
        command.env("FEWBITS_DATA_DIR", &other);
    });
    let told = Told::from(end(on_workers(&bench).env("FEWBITS_DATA_DIR", &data)));
    assert_eq!(told.code, Some(1), "{told:?}");
    let error = told.of("failed")[0]["error"].as_str().expect("an error");
    assert!(error.contains("its key is another one here") && error.contains("the files differ"), "{error}");
}

#[test]
fn a_folder_that_fills_up_or_vanishes_ends_the_run_with_its_results() {
    let bench = sweep();
    let _worker = worker(&bench, |_| ());
    let mut child =
        on_workers(&bench).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary");
    let mut done = 0;
    let rest = wait_for(&mut child, |event| {
        done += usize::from(event["event"] == "completed");
        done == 40
    });
    fs::rename(bench.path("exchange"), bench.path("gone")).expect("a rename");
    let rest = std::io::read_to_string(rest).expect("events");
    let ended = child.wait_with_output().expect("an end");
    assert_eq!(ended.status.code(), Some(4), "{rest}");
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert!(stderr.contains("exchange"), "{stderr}");
    // The run goes on in one process.
    let told = bench.run_well();
    assert!(told.count("cached") >= 40, "{told:?}");
}

#[test]
fn a_worker_without_a_run_ends_by_itself() {
    let bench = Bench::new();
    let start = Instant::now();
    let ended = bench.fewbits(["worker", "exchange", "--idle", "1s"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("no coordinator gave a sign of life"), "{ended:?}");
    assert!(start.elapsed() < PATIENCE);
    let left: Vec<PathBuf> = crate::fixture::files(&bench.path("exchange/workers"));
    assert_eq!(left.len(), 1);
}

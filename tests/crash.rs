//! Interrupts and kills: completed tasks stay completed, and the final results are the same.

use std::collections::BTreeSet;
use std::io::Read;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::fixture::{Bench, TINY, Told, end, events, wait_for};

/// Returns an experiment with ten trainings and the tasks after them, long enough to be interrupted in the middle.
fn long() -> Bench {
    let bench = Bench::with(TINY);
    bench.edit("\"seed\": [0, 1]", "\"seed\": Range(0, 9)");
    bench.edit("columns: [\"seed\"]", "replicate: \"seed\"");
    bench
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", child.id())]).status();
    assert!(sent.expect("a shell").success(), "the run has ended already");
}

fn completed(told: &[serde_json::Value]) -> BTreeSet<String> {
    let done = told.iter().filter(|event| event["event"] == "completed");
    done.map(|event| event["task"].as_str().expect("a task").to_owned()).collect()
}

fn started(told: &[serde_json::Value]) -> BTreeSet<String> {
    let begun = told.iter().filter(|event| event["event"] == "started");
    begun.map(|event| event["task"].as_str().expect("a task").to_owned()).collect()
}

#[test]
fn an_interrupted_run_keeps_what_is_done_and_goes_on_from_there() {
    let bench = long();
    bench.edit("epochs: 1", "epochs: 20");
    let mut child = bench.start();
    let mut seen = BTreeSet::new();
    let mut pipe = {
        let wanted =
            |event: &serde_json::Value| event["event"] == "completed" && event["task"] == "net(seed=1)";
        wait_for(&mut child, wanted)
    };
    signal(&child, "INT");
    let mut rest = String::new();
    pipe.read_to_string(&mut rest).expect("the rest");
    let code = child.wait().expect("an end").code();
    assert_eq!(code, Some(130));
    let told = Told { code, stderr: String::new(), events: events(&rest) };
    assert!(told.kinds().contains(&"interrupted"), "{told:?}");
    let [tasks, ran, cached, failed, skipped] = told.counts();
    assert_eq!((tasks, failed), (61, 0));
    assert!(skipped > 0 && tasks == ran + cached + failed + skipped, "{told:?}");
    seen.extend(completed(&told.events));
    assert!(bench.stdout(["runs"]).contains(&format!("{skipped} skipped")));
    let plan = bench.stdout(["plan", "x.ron"]);
    // The number of trainings to run depends on the moment of the interrupt, so it is not checked.
    let left = plan.lines().any(|line| {
        line.trim_start().starts_with("net: ")
            && line.ends_with("to run: the last run left it without a result")
    });
    assert!(left, "{plan}");
    let after = bench.run_well();
    assert_eq!(after.count("cached"), ran, "what was done is known");
    assert!(seen.is_disjoint(&started(&after.events)));
    assert_eq!(after.counts()[3..], [0, 0]);
}

#[test]
fn terminating_is_interrupting() {
    let bench = long();
    bench.edit("epochs: 1", "epochs: 100");
    let mut child = bench.start();
    let pipe = wait_for(&mut child, |event| event["event"] == "progressed");
    signal(&child, "TERM");
    assert_eq!(child.wait().expect("an end").code(), Some(130));
    drop(pipe);
}

#[test]
fn the_second_interrupt_ends_at_once() {
    // A batch of all images takes long in a wide network, and a training can stop only between batches.
    let bench = Bench::with(TINY);
    bench.edit("train: 200", "train: 8000");
    bench.edit("hidden: [8]", "hidden: [2048, 2048]");
    bench.edit("epochs: 1", "epochs: 1000");
    bench.edit("batch: 50", "batch: 8000");
    let mut child = bench.start();
    // Before its first batch a training stops at once, so the interrupt is sent during the second epoch.
    let pipe = wait_for(&mut child, |event| event["event"] == "progressed");
    std::thread::sleep(Duration::from_millis(100));
    signal(&child, "INT");
    std::thread::sleep(Duration::from_millis(200));
    assert!(child.try_wait().expect("a state").is_none(), "the first interrupt waits for the batch");
    signal(&child, "INT");
    let sent = Instant::now();
    assert_eq!(child.wait().expect("an end").code(), Some(130));
    assert!(sent.elapsed() < Duration::from_secs(1), "{:?}", sent.elapsed());
    drop(pipe);
}

#[test]
fn killed_at_any_moment_it_repeats_nothing_that_was_done() {
    let longer = || {
        let bench = long();
        bench.edit("epochs: 1", "epochs: 150");
        bench
    };
    let quiet = longer();
    let begin = Instant::now();
    assert_eq!(quiet.run_well().count("tasks"), 61);
    let undisturbed = begin.elapsed();
    let bench = longer();
    let mut done = BTreeSet::new();
    // Each run is killed after a random share, 5 % to 45 %, of the time of an undisturbed run.
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..6 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let share = (random >> 33) as f64 / f64::from(1_u32 << 31);
        let mut child = bench.start();
        std::thread::sleep(undisturbed.mul_f64(0.05 + share * 0.4));
        child.kill().expect("a kill");
        let output = child.wait_with_output().expect("an end");
        let told = events(&String::from_utf8(output.stdout).expect("text"));
        assert!(done.is_disjoint(&started(&told)), "{:?}", done.intersection(&started(&told)));
        done.extend(completed(&told));
        assert!(bench.fewbits(["plan", "x.ron"]).code == Some(0), "a reader needs no repair");
    }
    assert!(!done.is_empty(), "no run came to an end of any task");
    let last = bench.run_well();
    assert!(done.is_disjoint(&started(&last.events)));
    assert_eq!(last.counts()[3..], [0, 0]);
    assert_eq!(bench.long(), quiet.long());
    let tables = |bench: &Bench| bench.stdout(["table", "x.ron"]);
    assert_eq!(tables(&bench), tables(&quiet));
    let names = |bench: &Bench| {
        let all = bench.objects();
        all.iter().map(|path| path.file_name().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&bench), names(&quiet));
    assert!(bench.stdout(["store", "verify"]).contains("are good\n"));
}

#[test]
fn a_reader_that_closes_the_pipe_is_no_fault() {
    let bench = long();
    bench.run_well();
    let program = env!("CARGO_BIN_EXE_fewbits");
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("'{program}' table x.ron --format json | head -n 1")]);
    shell.current_dir(bench.path(".")).env("FEWBITS_STORE", bench.path("store"));
    let told = end(&mut shell);
    assert_eq!((told.stdout.as_str(), told.stderr.as_str()), ("[\n", ""));
}

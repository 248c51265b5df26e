//! A store of an earlier version: its records are cache hits, except for ops whose version has changed since.

use std::fs;
use std::path::Path;

use serde_json::Value as Json;

use crate::fixture::{self, Bench, files};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for path in files(from) {
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, target).expect("a copy");
        }
    }
}

/// Returns a bench with an experiment of version 0.1.0 and a store that the program of that version wrote.
fn bench(experiment: &str, store: &str) -> Bench {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");
    let bench = Bench::with(&fs::read_to_string(golden.join(experiment)).expect("an experiment"));
    copy(&golden.join(store), &bench.path("store"));
    bench
}

/// Returns the events of a run log, without their times.
fn logged(bench: &Bench) -> Vec<Json> {
    let [log] = files(&bench.path("store/runs")).try_into().expect("one run");
    let text = fs::read_to_string(log).expect("a run log");
    let mut events: Vec<Json> =
        text.lines().skip(1).map(|line| serde_json::from_str(line).expect(line)).collect();
    for event in &mut events {
        event.as_object_mut().expect("an object").remove("at").expect("a time");
    }
    events
}

#[test]
fn a_run_log_is_replayed_event_by_event() {
    let bench = bench("interrupted.ron", "interrupted");
    let events = logged(&bench);
    assert_eq!(fixture::events(&bench.stdout(["watch", "--ui", "json"])), events);
    assert!(events.len() > 100 && events.iter().any(|event| event["event"] == "interrupted"));
}

/// The epochs after the checkpoint have the same metrics as in the interrupted run, to the bit.
#[test]
fn a_training_goes_on_from_a_checkpoint() {
    let bench = bench("interrupted.ron", "interrupted");
    let events = logged(&bench);
    let epoch = |done: u64| {
        let is_it = move |event: &&Json| event["task"] == "net" && event["done"] == done;
        events.iter().find(is_it).expect("the epoch")["metrics"].clone()
    };
    let mut seen = vec![];
    let mut child = bench.start();
    fixture::wait_for(&mut child, |event| {
        if event["event"] == "progressed" {
            seen.push((event["done"].as_u64().expect("an epoch"), event["metrics"].clone()));
        }
        assert!(event["event"] != "completed" && event["event"] != "finished", "{event}");
        seen.len() == 3
    });
    child.kill().expect("the end");
    child.wait().expect("the end");
    assert_eq!(seen, [95, 96, 97].map(|done| (done, epoch(done))));
}

#[test]
fn a_store_of_version_0_1_0_is_used_for_works_whose_version_is_unchanged() {
    let bench = bench("before.ron", "store");
    let plan = bench.stdout(["plan", "x.ron"]);
    // These ops have new versions: a normalization after a convolution may have one number per channel, k-means is
    // exact, zeros of Binary stay zero, and networks without a finite answer do not agree.
    let expected = [
        "before: 74 tasks: 55 cached, 9 to run, 10 waiting for results that decide whether they run",
        "  conv: 1 task to run: new",
        "  small: 8 tasks to run: new",
        "  accuracy: 8 tasks waiting for small",
        "  percentile: 1 task waiting for conv",
        "  change: 1 task waiting for percentile",
    ];
    assert_eq!(plan.lines().collect::<Vec<_>>(), expected);
    let told = bench.run_well();
    let ran = told.tasks("completed");
    let is_newer = |task: &&&str| {
        task.starts_with("conv")
            || task.starts_with("change")
            || task.contains("kmeans")
            || task.contains("binary")
    };
    // Every batch has more than one image, so the retrained network is identical and the tasks that read it are cached.
    assert_eq!(ran.iter().filter(is_newer).count(), ran.len(), "{ran:?}");
    assert!(ran.contains(&"conv") && !ran.contains(&"percentile"), "{ran:?}");
    assert_eq!(bench.run_well().count("ran"), 0);
}

//! Keeping a store small and moving results: `gc`, pins, archives, and recomputing a sample.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use fewbits_store::{Commit, Committer, Key, Record, Store};

use crate::fixture::{Bench, TINY, end};

/// Runs `x.ron`, then an edited version of it with another name.
fn two_studies() -> Bench {
    let bench = Bench::with(TINY);
    bench.run_well();
    fs::copy(bench.path("x.ron"), bench.path("first.ron")).expect("a copy");
    bench.edit("\"tiny\"", "\"second\"");
    bench.edit("hidden: [8]", "hidden: [9]");
    assert_eq!(bench.run_well().counts(), [13, 12, 1, 0, 0]);
    bench
}

#[test]
fn collecting_keeps_what_is_named_and_shows_it_first() {
    let bench = two_studies();
    let before = bench.long();
    let shown = bench.stdout(["store", "gc", "x.ron"]);
    assert!(shown.starts_with("kept: x.ron, 13 tasks\n"), "{shown}");
    assert!(shown.contains("train: 2 records") && shown.contains("2 objects"), "{shown}");
    assert!(shown.contains("would be deleted; --delete does it"), "{shown}");
    assert_eq!(bench.objects().len(), 4, "nothing is deleted yet");
    let done = bench.stdout(["store", "gc", "x.ron", "--delete"]);
    assert_eq!(done.replace(": deleted", ""), shown.replace(": would be deleted; --delete does it", ""));
    assert_eq!((bench.objects().len(), bench.long()), (2, before));
    assert_eq!(bench.stdout(["store", "verify"]), "13 records and 2 objects are good\n");
    assert_eq!(bench.stdout(["store", "gc", "x.ron"]), "kept: x.ron, 13 tasks\nnothing to delete\n");
    assert_eq!(bench.run_well().counts(), [13, 0, 13, 0, 0]);
    assert_eq!(end(&mut bench.command(["run", "first.ron"])).code, Some(0));
}

#[test]
fn a_pinned_run_is_kept_and_nothing_named_is_no_reason_to_delete() {
    let bench = two_studies();
    let nothing = bench.fewbits(["store", "gc", "--delete"]);
    assert_eq!(nothing.code, Some(2), "{nothing:?}");
    assert!(nothing.stderr.contains("name the experiments to keep"), "{nothing:?}");
    let runs = bench.stdout(["runs"]);
    let first = runs.split_whitespace().next().expect("a run");
    assert!(bench.stdout(["runs", "--pin", first]).contains("(pinned)"));
    let shown = bench.stdout(["store", "gc", "x.ron", "--delete"]);
    assert!(
        shown.contains(&format!("kept: run {first}, 13 results")) && shown.ends_with("nothing to delete\n")
    );
    assert!(!bench.stdout(["runs", "--unpin", first]).contains("(pinned)"));
    assert!(bench.stdout(["store", "gc", "x.ron", "--delete"]).ends_with("deleted\n"));
    assert_eq!(bench.stdout(["runs"]).lines().count(), 1, "the run of what is kept");
    let unknown = bench.fewbits(["runs", "--pin", "1999"]);
    assert!(unknown.code == Some(2) && unknown.stderr.contains("there is no run `1999`"), "{unknown:?}");
}

/// The keys behind a task without a result are unknown, so `gc` could delete results that a later run would use.
#[test]
fn what_cannot_be_reached_is_not_deleted_by_mistake() {
    let bench = two_studies();
    fs::remove_file(&bench.objects()[0]).expect("a model");
    let files = ["x.ron", "first.ron"];
    let shown = bench.stdout(["store", "gc", files[0], files[1]]);
    assert!(
        shown.contains(
            ".ron: 6 of 13 tasks have no result; the results of tasks that depend on them are not known"
        ),
        "{shown}"
    );
    let refused = bench.fewbits(["store", "gc", files[0], files[1], "--delete"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("run it first, or add --unfinished"), "{refused:?}");
    for file in files {
        assert_eq!(bench.fewbits(["run", file]).code, Some(0));
    }
    let ended = bench.stdout(["store", "gc", files[0], files[1], "--delete"]);
    assert!(!ended.contains("record") && !ended.contains("object"), "only what others left: {ended}");
}

#[test]
fn info_says_what_each_experiment_takes() {
    let bench = two_studies();
    let info = bench.stdout(["store", "info"]);
    assert!(info.contains("experiment tiny: 13 records") && info.contains("experiment second: 13 records"));
    assert!(!info.contains("earlier edits"), "{info}");
    bench.edit("hidden: [9]", "hidden: [10]");
    bench.run_well();
    let info = bench.stdout(["store", "info"]);
    assert!(info.contains("of earlier edits: 12 records"), "{info}");
}

#[test]
fn info_tells_two_files_of_one_name_apart() {
    let bench = Bench::with(TINY);
    bench.run_well();
    let text = fs::read_to_string(bench.path("x.ron")).expect("x.ron");
    bench.write("y.ron", text.replace("hidden: [8]", "hidden: [9]").replace("\"e\": [2, 3]", "\"e\": [2]"));
    assert_eq!(bench.fewbits(["run", "y.ron"]).code, Some(0));
    let info = bench.stdout(["store", "info"]);
    assert!(info.contains("experiment tiny (x.ron): 13 records"), "{info}");
    assert!(info.contains("experiment tiny (y.ron): 9 records"), "{info}");
    assert!(!info.contains("earlier edits"), "{info}");
    // Each file is compared with its own last run.
    let why = bench.stdout(["why", "y.ron", "net(seed=0)"]);
    assert!(why.contains("state   cached"), "{why}");
    bench.edit("epochs: 1", "epochs: 2");
    let plan = bench.stdout(["plan", "x.ron"]);
    assert!(plan.contains("net: 2 tasks to run: epochs: 1 → 2\n"), "{plan}");
    bench.edit("epochs: 2", "epochs: 1");
    // `gc` for one file keeps the last run of that file.
    bench.stdout(["store", "gc", "x.ron", "--delete"]);
    assert!(bench.stdout(["store", "info"]).contains("experiment tiny: 13 records"));
    // A moved file is still the same experiment.
    fs::rename(bench.path("x.ron"), bench.path("z.ron")).expect("a move");
    assert_eq!(bench.fewbits(["run", "z.ron"]).code, Some(0));
    let info = bench.stdout(["store", "info"]);
    assert!(info.contains("experiment tiny: 13 records"), "{info}");
}

#[test]
fn results_are_carried_to_another_store() {
    let bench = two_studies();
    let told = bench.stdout(["store", "export", "x.ron", "-o", "second.tar"]);
    assert!(told.starts_with("second.tar: 13 records, 2 objects, "), "{told}");
    let other = Bench::new();
    fs::copy(bench.path("x.ron"), other.path("x.ron")).expect("a copy");
    fs::copy(bench.path("second.tar"), other.path("second.tar")).expect("a copy");
    let told = other.stdout(["store", "import", "second.tar"]);
    assert_eq!(told, "second.tar: 13 records and 2 objects taken in, 0 records were here already\n");
    assert_eq!(other.run_well().counts(), [13, 0, 13, 0, 0]);
    assert_eq!(other.long(), bench.long());
    other.write("third.tar", "no archive at all");
    let bad = other.fewbits(["store", "import", "third.tar"]);
    assert_eq!(bad.code, Some(1), "{bad:?}");
    assert!(bad.stdout.contains("not a tar file, or damaged"), "{bad:?}");
    let none = other.fewbits(["store", "import", "no.tar"]);
    assert!(none.code == Some(2) && none.stderr.contains("this is not a file"), "{none:?}");
    // An export without results does not touch the file that exists.
    let before = fs::read(bench.path("second.tar")).expect("an archive");
    let nothing = bench.fewbits(["store", "export", "-o", "second.tar", "--store", "none"]);
    assert!(fs::read(bench.path("second.tar")).expect("an archive") == before, "the archive is unchanged");
    assert_eq!(nothing.code, Some(1));
    assert!(!bench.path("second.tar.unfinished").exists());
    let empty = Bench::with(TINY).fewbits(["store", "export", "-o", "x.tar"]);
    assert!(empty.code == Some(1) && empty.stderr.contains("no results to export yet"), "{empty:?}");
}

/// Replaces a record by one with other content, as a bug or a forger could.
fn forge(bench: &Bench, change: impl FnOnce(&mut Record)) {
    let store = Arc::new(Store::open_writer(&bench.path("store")).expect("the store"));
    let mut evaluations: Vec<(Key, Record)> = vec![];
    let mut each = |key, record: Record| {
        if record.op().as_deref() == Some("evaluate") {
            evaluations.push((key, record));
        }
    };
    store.for_each_record(&mut each).expect("the records");
    // The smallest key is taken, so that each call changes the same record.
    evaluations.sort_by_key(|(key, _)| *key);
    let (key, mut record) = evaluations.swap_remove(0);
    change(&mut record);
    let committer = Committer::start(Arc::clone(&store), |_, result| result.expect("a commit"));
    let committer = committer.expect("a committer");
    committer.submit(Commit { ticket: 0, key, record, objects: vec![] });
    committer.finish();
}

#[test]
fn a_sample_computed_once_more_finds_a_wrong_value() {
    let bench = Bench::with(TINY);
    bench.run_well();
    let good = bench.stdout(["store", "verify", "--recompute", "100%", "--seed", "7"]);
    assert!(good.ends_with("13 tasks computed once more (--seed 7): 13 came out as recorded\n"), "{good}");
    let some = bench.stdout(["store", "verify", "--recompute", "20%", "x.ron"]);
    assert!(some.contains("3 tasks computed once more"), "{some}");
    // 15 % of 13 tasks are 1.95 tasks.
    let few = bench.stdout(["store", "verify", "--recompute", "0.15", "x.ron"]);
    assert!(few.contains("2 tasks computed once more"), "{few}");
    forge(&bench, |record| {
        record.metrics.insert("accuracy".to_owned(), 0.999);
    });
    assert_eq!(bench.stdout(["store", "verify"]), "13 records and 2 objects are good\n", "it is whole");
    let bad = bench.fewbits(["store", "verify", "--recompute", "100%"]);
    assert_eq!(bad.code, Some(1), "{bad:?}");
    assert!(
        bad.stdout.contains("12 came out as recorded") && bad.stdout.contains("instead of 0.999"),
        "{bad:?}"
    );
    forge(&bench, |record| drop(record.provenance.insert("numerics".to_owned(), "another".to_owned())));
    let other = bench.stdout(["store", "verify", "--recompute", "100%"]);
    assert!(
        other.contains("1 task cannot be compared: it was recorded by a build with other numbers"),
        "{other}"
    );
    // Without a rounding error, the signal-to-noise ratio of a tensor is undefined. Two undefined metrics count as
    // equal.
    bench.edit("m: 2", "m: 23");
    bench.edit("[2, 3]", "[8]");
    bench.run_well();
    bench.stdout(["store", "verify", "--recompute", "100%", "x.ron"]);
    let odd = bench.fewbits(["store", "verify", "--recompute", "0"]);
    assert!(odd.code == Some(2) && odd.stderr.contains("above 0%"), "{odd:?}");
}

#[test]
fn waiting_takes_the_store_when_it_is_free() {
    let bench = Bench::with(TINY);
    let store = Store::open_writer(&bench.path("store")).expect("the store");
    let mut command = bench.command(["run", "x.ron", "--wait", "--ui", "json"]);
    let mut waiting = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary");
    let mut other = bench.command(["run", "x.ron", "--wait"]);
    let mut other = other.stderr(Stdio::piped()).spawn().expect("the binary");
    let mut line = String::new();
    let told = BufReader::new(other.stderr.take().expect("a pipe")).read_line(&mut line);
    assert!(told.is_ok() && line.starts_with("waiting for process"), "{line}");
    std::thread::sleep(Duration::from_millis(300));
    assert!(waiting.try_wait().expect("a state").is_none(), "it waits");
    let interrupt = std::process::Command::new("kill").args(["-INT", &other.id().to_string()]).status();
    assert!(interrupt.expect("kill").success());
    assert_eq!(other.wait().expect("an end").code(), Some(130));
    drop(store);
    let output = waiting.wait_with_output().expect("an end");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains(&format!("waiting for process {}", std::process::id())), "{stderr}");
}

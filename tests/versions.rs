//! `run --watch`: each saved version runs, and nothing of the versions before is lost.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value as Json;

use crate::fixture::{Bench, TINY, Told, files};

/// The longest wait for an event, on a machine that is busy with other work.
const PATIENCE: Duration = Duration::from_mins(1);

/// A run that follows its file, in another process.
struct Live<'b> {
    bench: &'b Bench,
    process: Child,
    events: Receiver<Json>,
}

impl<'b> Live<'b> {
    fn start(bench: &'b Bench) -> Self {
        let mut command = bench.command(["run", "x.ron", "--watch", "--ui", "json", "--jobs", "1"]);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a process");
        let lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        let (tell, events) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = tell.send(serde_json::from_str(&line).expect("an event"));
            }
        });
        Self { bench, process, events }
    }

    /// Returns the events up to one of this kind.
    fn until(&self, kind: &str) -> Vec<Json> {
        let mut seen = vec![];
        loop {
            seen.push(self.events.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no {kind}: {seen:#?}")));
            if seen.last().is_some_and(|event| event["event"] == kind) {
                return seen;
            }
        }
    }

    /// Edits the file as editors do, with another file that takes its name, and returns the events of the version.
    fn edit(&self, from: &str, to: &str) -> Vec<Json> {
        self.save(from, to);
        self.until("finished")
    }

    fn save(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.bench.path("x.ron")).expect("the file");
        assert!(text.contains(from), "{from} is not in\n{text}");
        self.bench.write("x.ron.new", text.replace(from, to));
        fs::rename(self.bench.path("x.ron.new"), self.bench.path("x.ron")).expect("a rename");
    }
}

impl Drop for Live<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The tasks that ran.
fn ran(events: &[Json]) -> BTreeSet<&str> {
    let done = events.iter().filter(|event| event["event"] == "completed");
    done.filter_map(|event| event["task"].as_str()).collect()
}

fn preview<'e>(events: &'e [Json], node: &str) -> &'e Json {
    let edited = events.iter().find(|event| event["event"] == "edited").expect("a preview");
    let nodes = edited["nodes"].as_array().expect("nodes");
    nodes.iter().find(|of| of["node"] == node).expect(node)
}

#[test]
fn every_save_runs_what_it_touches_and_no_more() {
    let bench = Bench::with(TINY);
    let live = Live::start(&bench);
    assert_eq!(ran(&live.until("finished")).len(), 13);
    // A value of an axis.
    let events = live.edit("\"e\": [2, 3]", "\"e\": [2, 3, 4]");
    let expected = ["small", "accuracy"].map(|node| [0, 1].map(|seed| format!("{node}(seed={seed},e=4)")));
    assert_eq!(ran(&events), expected.iter().flatten().map(String::as_str).collect());
    assert_eq!((&preview(&events, "small")["run"], &preview(&events, "net")["run"]), (&2.into(), &0.into()));
    let runs = bench.stdout(["runs"]);
    let ids: Vec<&str> = runs.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(
        runs.lines().nth(1).is_some_and(|line| line.ends_with(&format!("; follows {}", ids[0]))),
        "{runs}"
    );
    // A comment, a table, a label: nothing runs, and the file is followed on.
    for (from, to) in [
        ("Experiment(", "// why\nExperiment("),
        ("accuracy.accuracy\"", "100.0 * accuracy.accuracy\""),
        ("\"seed\": [0, 1]", "\"seed\": {\"one\": 0, \"two\": 1}"),
    ] {
        assert!(ran(&live.edit(from, to)).is_empty());
    }
    // A parameter.
    let events = live.edit("epochs: 1", "epochs: 2");
    assert_eq!(ran(&events).iter().filter(|task| task.starts_with("net(")).count(), 2);
    let net = preview(&events, "net");
    assert_eq!(
        (&net["changes"][0]["field"], &net["changes"][0]["to"]),
        (&"params.epochs".into(), &"2".into())
    );
    assert!(net["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{net}");
    // Back: the results are there.
    assert!(ran(&live.edit("epochs: 2", "epochs: 1")).is_empty());
    // Each version is a run with its text, and names the one before.
    drop(live);
    let runs = bench.stdout(["runs"]);
    assert_eq!(runs.matches("tiny").count(), 7, "{runs}");
}

#[test]
fn a_broken_file_is_told_of_and_the_last_version_stays() {
    let bench = Bench::with(TINY);
    let live = Live::start(&bench);
    live.until("finished");
    let refused = |live: &Live<'_>| {
        let message = live.until("refused").pop().expect("an event")["message"].clone();
        message.as_str().expect("a text").to_owned()
    };
    live.save("epochs: 1", "epochs: one");
    let told = refused(&live);
    assert!(told.contains("x.ron:") && told.contains("epochs: one") && told.contains('^'), "{told}");
    // Half of it.
    let text = fs::read_to_string(bench.path("x.ron")).expect("the file").replace("epochs: one", "epochs: 2");
    bench.write("x.ron", &text[..text.len() / 2]);
    assert!(refused(&live).contains("x.ron:"));
    bench.write("x.ron", b"\xff\xfe\x00E");
    assert!(refused(&live).contains("UTF-16"));
    fs::remove_file(bench.path("x.ron")).expect("removed");
    assert!(refused(&live).contains("the file is gone"));
    let large = fs::File::create(bench.path("x.ron")).expect("a file");
    large.set_len(100 << 20).expect("a large file");
    assert!(refused(&live).contains("larger than 16 MiB"));
    bench.write("x.ron", &text);
    assert_eq!(ran(&live.until("finished")).iter().filter(|task| task.starts_with("net(")).count(), 2);
}

#[test]
fn a_training_that_the_edit_does_not_touch_goes_on_and_another_one_stops() {
    let bench = Bench::with(TINY);
    bench.edit("train: 200", "train: 2000");
    bench.edit("epochs: 1", "epochs: 60");
    let live = Live::start(&bench);
    live.until("progressed");
    live.save("\"e\": [2, 3]", "\"e\": [3]");
    assert_eq!(live.until("superseded").iter().filter(|event| event["event"] == "completed").count(), 0);
    let events = live.until("finished");
    // The images may have been read already.
    assert!(events.last().expect("an end")["ran"].as_u64() <= Some(1), "{events:#?}");
    let events = live.until("completed");
    let started: Vec<&str> = events
        .iter()
        .filter(|event| event["event"] == "started")
        .filter_map(|event| event["task"].as_str())
        .collect();
    assert_eq!(started[0], "net(seed=0)", "{started:?}");
    let steps = |events: &[Json]| -> Vec<u64> {
        let of =
            events.iter().filter(|event| event["event"] == "progressed" && event["task"] == "net(seed=0)");
        of.filter_map(|event| event["done"].as_u64()).collect()
    };
    assert_eq!(steps(&events), (1..=60).collect::<Vec<u64>>(), "its curve is whole");
    live.until("progressed");
    live.save("epochs: 60", "epochs: 1");
    live.until("superseded");
    let events = [live.until("finished"), live.until("finished")].concat();
    assert!(ran(&events).contains("net(seed=1)"), "{events:#?}");
    assert_eq!(events.last().expect("an end")["skipped"], 0);
}

#[test]
fn fifty_saves_a_second_are_not_too_many() {
    let bench = Bench::with(TINY);
    let live = Live::start(&bench);
    live.until("finished");
    for round in 0..100 {
        let epochs = format!("epochs: {}", 2 + round % 3);
        bench.write("x.ron", format!("// {round}\n{}", TINY.replace("epochs: 1", &epochs)));
        std::thread::sleep(Duration::from_millis(20));
    }
    bench.write("x.ron", TINY.replace("epochs: 1", "epochs: 6"));
    let mut seen = vec![];
    while !seen
        .iter()
        .any(|event: &Json| event["event"] == "edited" && event.to_string().contains("\"to\":\"6\""))
    {
        seen.push(live.events.recv_timeout(PATIENCE).expect("the last version"));
    }
    assert_eq!(ran(&live.until("finished")).iter().filter(|task| task.starts_with("net(")).count(), 2);
}

#[test]
fn files_that_the_experiment_reads_are_followed() {
    let bench = Bench::with(
        r#"Experiment(
            name: "own",
            nodes: {
                "data": Dataset(source: Csv(train: "rows.csv", label: "kind"), normalize: None),
                "net": Train(data: "data", model: Mlp(hidden: [4]), epochs: 1),
            },
        )"#,
    );
    let rows = |last: &str| format!("wide,high,kind\n1,2,a\n3,4,b\n5,6,a\n7,8,{last}\n");
    bench.write("rows.csv", rows("b"));
    let live = Live::start(&bench);
    assert_eq!(ran(&live.until("finished")).len(), 2);
    bench.write("rows.csv", rows("a"));
    assert_eq!(ran(&live.until("finished")).len(), 2);
    bench.write("rows.csv", rows("b"));
    assert_eq!(ran(&live.until("finished")).len(), 0);
}

/// Whenever the process is killed, the results that it told of are there, and the last text runs to the same end.
#[test]
fn a_kill_at_any_moment_of_the_edits_loses_nothing() {
    let alone = Bench::with(&TINY.replace("epochs: 1", "epochs: 2"));
    alone.run_well();
    let bench = Bench::with(TINY);
    let mut seed = 7_u64;
    let mut told = BTreeSet::new();
    for round in 0..50 {
        bench.write("x.ron", TINY.replace("epochs: 1", &format!("epochs: {}", 1 + round % 5)));
        let live = Live::start(&bench);
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        std::thread::sleep(Duration::from_millis((seed >> 33) % 150));
        live.save("epochs: ", "epochs: 1");
        std::thread::sleep(Duration::from_millis((seed >> 40) % 250));
        let mut live = live;
        live.process.kill().expect("killed");
        live.process.wait().expect("gone");
        let events: Vec<Json> = live.events.iter().collect();
        let done = events.iter().filter(|event| event["event"] == "completed");
        told.extend(done.filter_map(|event| event["key"].as_str().map(str::to_owned)));
    }
    bench.write("x.ron", TINY.replace("epochs: 1", "epochs: 2"));
    let last: Told = bench.run_well();
    let again = last.events.iter().filter(|event| event["event"] == "completed");
    assert!(again.filter_map(|event| event["key"].as_str()).all(|key| !told.contains(key)), "{last:?}");
    assert_eq!(bench.long(), alone.long());
    let verified = bench.stdout(["store", "verify"]);
    assert!(verified.contains("are good"), "{verified}");
}

#[test]
fn damaged_records_are_computed_again() {
    let bench = Bench::with(TINY);
    bench.run_well();
    let results = bench.long();
    let journal = files(&bench.path("store/journal"))
        .into_iter()
        .max_by_key(|path| fs::metadata(path).map_or(0, |of| of.len()));
    let journal = journal.expect("a journal");
    let mut bytes = fs::read(&journal).expect("the journal");
    let at = bytes.len() - 30;
    bytes[at] ^= 1;
    fs::write(&journal, bytes).expect("damage");
    let live = Live::start(&bench);
    // The damage is found when the results are read.
    live.until("finished");
    live.until("warned");
    let events = live.until("finished");
    assert_eq!(ran(&events).len(), 1, "{events:#?}");
    drop(live);
    assert_eq!(bench.long(), results);
}

#[test]
fn a_watch_without_a_reader_ends() {
    let bench = Bench::with(TINY);
    bench.run_well();
    let binary = env!("CARGO_BIN_EXE_fewbits");
    let line = format!("'{binary}' --store store run x.ron --watch --ui json | head -1; echo over");
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &line]).current_dir(bench.path(".")).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = shell.spawn().expect("a shell");
    // The first event after the reader is gone ends the watch.
    std::thread::sleep(Duration::from_millis(500));
    bench.edit("epochs: 1", "epochs: 2");
    let mut text = String::new();
    std::io::Read::read_to_string(&mut process.stdout.take().expect("output"), &mut text).expect("the end");
    assert!(text.contains("planned") && text.contains("over"), "{text}");
    process.wait().expect("gone");
}

/// A file with faults at the start is waited for, too.
#[test]
fn a_file_that_begins_with_a_fault_is_waited_for() {
    let bench = Bench::with(&TINY.replace("epochs: 1", "epochs: 0"));
    let mut command = bench.command(["run", "x.ron", "--watch", "--ui", "plain"]);
    let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("a process");
    let mut lines = BufReader::new(process.stderr.take().expect("its errors")).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "waiting until x.ron has no faults"));
    bench.edit("epochs: 0", "epochs: -1");
    assert!(lines.any(|line| line.contains("not -1")), "the other fault");
    bench.edit("epochs: -1", "epochs: 1");
    assert!(lines.any(|line| line.starts_with("13 tasks: 13 ran")));
    process.kill().expect("an end");
    process.wait().expect("gone");
    // A name that is no file may be misspelt.
    assert_eq!(bench.fewbits(["run", "y.ron", "--watch"]).code, Some(2));
}

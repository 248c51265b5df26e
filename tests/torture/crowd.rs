//! Many processes use one store.

use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::fixture::{Bench, Ended};
use crate::promises::{MANY, Random, Tally, Truth, broken, long, manners, reported};

fn start(bench: &Bench) -> Child {
    let mut command = bench.command(["run", "x.ron", "--ui", "json", "--jobs", "1"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary")
}

/// Reads the store with every command until `stop` is set; returns the violations.
fn read(bench: &Bench, stop: &AtomicBool) -> Vec<String> {
    let mut wrong = vec![];
    while !stop.load(Ordering::Relaxed) {
        for command in [&["table", "x.ron"][..], &["plan", "x.ron"], &["runs"], &["store", "info"]] {
            wrong.extend(manners(&bench.fewbits(command), &[0]));
        }
        // There is no run until the first writer has started one.
        wrong.extend(manners(&bench.fewbits(["watch", "--ui", "plain"]), &[0, 1]));
    }
    wrong
}

#[test]
fn eight_start_at_once_and_the_holder_is_killed() {
    let (truth, mut random) = (Truth::of(MANY), Random::new("crowd"));
    let mut tally = Tally::new("eight starters at once, the holder killed, readers throughout");
    let rounds = if long() { 12 } else { 1 };
    for round in 0..rounds {
        let bench = Bench::with(MANY);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| read(&bench, &stop));
            let mut children: Vec<Child> = (0..8).map(|_| start(&bench)).collect();
            std::thread::sleep(Duration::from_millis(30 + random.below(150) as u64));
            // One of the running processes holds the store.
            for child in &mut children {
                if child.try_wait().expect("a state").is_none() {
                    let _ = child.kill();
                }
            }
            let mut done = std::collections::BTreeSet::new();
            for child in children {
                let ended = Ended::from(child.wait_with_output().expect("an end"));
                done.extend(reported(&ended.stdout));
                tally.note(&format!("round {round}, starter"), manners(&ended, &[0, 3]));
                if ended.code == Some(3) && !ended.stderr.contains("in use by process") {
                    tally.note("starter", vec![format!("promise 6: {}", ended.stderr)]);
                }
                tally.tried();
            }
            tally.note(&format!("round {round}"), broken(&bench, &truth, &done));
            stop.store(true, Ordering::Relaxed);
            tally.note(&format!("round {round}, readers"), reader.join().expect("the readers"));
        });
    }
    tally.end(8 * rounds);
}

#[test]
fn who_waits_comes_next() {
    let truth = Truth::of(MANY);
    let mut tally = Tally::new("eight that wait for each other");
    let bench = Bench::with(MANY);
    let waiting = |_| {
        let mut command = bench.command(["run", "x.ron", "--wait", "--ui", "json", "--jobs", "1"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary")
    };
    let children: Vec<Child> = (0..8).map(waiting).collect();
    let mut ran = 0;
    for child in children {
        let ended = Ended::from(child.wait_with_output().expect("an end"));
        tally.tried();
        tally.note("waiting", manners(&ended, &[0]));
        ran += reported(&ended.stdout).len();
    }
    if ran != 57 {
        tally.note("waiting", vec![format!("promise 4: {ran} tasks ran")]);
    }
    tally.note("after all", broken(&bench, &truth, &std::collections::BTreeSet::new()));
    tally.end(8);
}

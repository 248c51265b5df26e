//! Kills at random moments and at every system call.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use crate::fixture::{Bench, Ended, end};
use crate::promises::{MANY, Random, THREE, Tally, Truth, broken, long, manners, reported};
use crate::shim::{CALLS, Deed, struck};

#[test]
fn at_random_moments() {
    let (truth, mut random) = (Truth::of(MANY), Random::new("moments"));
    let mut tally = Tally::new("killed at random moments of 57 tasks");
    let begin = Instant::now();
    Bench::with(MANY).run_well();
    let undisturbed = begin.elapsed();
    let count = if long() { 220 } else { 12 };
    for _ in 0..count {
        let bench = Bench::with(MANY);
        let moment = undisturbed.mul_f64(random.share() * 1.1);
        let mut child = bench.start();
        std::thread::sleep(moment);
        let _ = child.kill();
        let ended = Ended::from(child.wait_with_output().expect("an end"));
        tally.tried();
        let mut wrong = manners(&ended, &[0]);
        wrong.extend(broken(&bench, &truth, &reported(&ended.stdout)));
        tally.note(&format!("killed after {moment:?}"), wrong);
    }
    tally.end(count);
}

#[test]
fn again_and_again_in_one_store() {
    let (truth, mut random) = (Truth::of(MANY), Random::new("again"));
    let mut tally = Tally::new("killed again and again in one store");
    let rounds = if long() { 20 } else { 2 };
    for round in 0..rounds {
        let bench = Bench::with(MANY);
        let mut done = BTreeSet::new();
        for _ in 0..5 {
            let mut child = bench.start();
            std::thread::sleep(Duration::from_millis(20 + random.below(150) as u64));
            let _ = child.kill();
            done.extend(reported(&Ended::from(child.wait_with_output().expect("an end")).stdout));
            tally.tried();
        }
        tally.note(&format!("round {round}"), broken(&bench, &truth, &done));
    }
    tally.end(5 * rounds);
}

/// Kills a run of `x.ron` at each call of each kind, or at a sample of them, until a run ends by itself. `prepare`
/// makes the store before the run.
fn at_every_call(name: &'static str, experiment: &str, prepare: impl Fn() -> Bench) {
    let truth = Truth::of(experiment);
    let mut tally = Tally::new(name);
    let mut random = Random::new(name);
    for (calls, deed) in CALLS.map(|call| (call, Deed::Kill)).into_iter().chain([("write", Deed::Torn)]) {
        let (step, mut at) = if long() { (1, 1) } else { (9, 1 + random.below(9)) };
        loop {
            let bench = prepare();
            let output = struck(&bench, ["run", "x.ron", "--ui", "json"], calls, at, deed).output();
            let output = output.expect("the binary");
            let survived = output.status.signal().is_none();
            let ended = Ended::from(output);
            if survived {
                tally.note(&format!("{calls} {at}"), manners(&ended, &[0]));
                break;
            }
            tally.tried();
            tally
                .note(&format!("{deed:?} at {calls} {at}"), broken(&bench, &truth, &reported(&ended.stdout)));
            at += step;
        }
    }
    tally.end(if long() { 50 } else { 5 });
}

#[test]
fn at_every_call_of_a_first_run() {
    at_every_call("killed at every call of a run of three tasks", THREE, || Bench::with(THREE));
}

/// The second run opens a journal and an index, and adds to both.
#[test]
fn at_every_call_of_a_second_run() {
    let more = THREE.replace("[0]", "[0, 1]");
    at_every_call("killed at every call of a run that adds two tasks", &more, || {
        let bench = Bench::with(THREE);
        bench.run_well();
        bench.write("x.ron", &more);
        bench
    });
}

/// `gc` rewrites the journal and deletes files. Results that it keeps must survive a kill at any moment.
#[test]
fn at_every_call_of_a_collection() {
    let truth = Truth::of(THREE);
    let prepared = Bench::with(THREE);
    prepared.run_well();
    prepared.edit("epochs: 1", "epochs: 2");
    prepared.run_well();
    prepared.edit("epochs: 2", "epochs: 1");
    let kept = BTreeSet::from(["mnist", "net(seed=0)", "score(seed=0)"].map(str::to_owned));
    let mut tally = Tally::new("killed at every call of a collection");
    for calls in CALLS {
        for at in (1..).step_by(if long() { 1 } else { 3 }) {
            let bench = Bench::with(THREE);
            copy(&prepared.path("store"), &bench.path("store"));
            let command = &mut struck(&bench, ["store", "gc", "x.ron", "--delete"], calls, at, Deed::Kill);
            let ended = end(command);
            if ended.code.is_some() {
                tally.note(calls, manners(&ended, &[0]));
                break;
            }
            tally.tried();
            tally.note(&format!("{calls} {at}"), broken(&bench, &truth, &kept));
            let again = bench.fewbits(["store", "gc", "x.ron", "--delete"]);
            tally.note(&format!("{calls} {at}, collected again"), manners(&again, &[0]));
            tally.note(&format!("{calls} {at}, then run"), broken(&bench, &truth, &kept));
        }
    }
    tally.end(if long() { 20 } else { 7 });
}

/// Copies a folder.
pub fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("a copy");
        }
    }
}

//! System calls that fail: a full disk, a failing disk, and a disk that cannot be read.

use std::collections::BTreeSet;

use crate::fixture::{Bench, Ended};
use crate::promises::{Random, THREE, Tally, Truth, broken, long, manners, reported};
use crate::shim::{CALLS, Deed, struck};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// Runs `x.ron` once for each call of these kinds, or for a sample of them, and makes that call fail.
fn at_every(
    name: &'static str,
    calls: &[&'static str],
    deeds: &[Deed],
    prepare: impl Fn() -> Bench,
    truth: &Truth,
) {
    let mut tally = Tally::new(name);
    let mut random = Random::new(name);
    for &call in calls {
        // The number of such calls in a run; a fault at a later call would never happen.
        let most = calls_of(&prepare(), call);
        assert!(most > 0 || call == "truncate", "no {call} was met: does shim.c still stand in its way?");
        let (step, first) = if long() { (1, 1) } else { (11, 1 + random.below(11)) };
        for at in (first..=most).step_by(step) {
            for &deed in deeds {
                let bench = prepare();
                let output = struck(&bench, ["run", "x.ron", "--ui", "json"], call, at, deed).output();
                let ended = Ended::from(output.expect("the binary"));
                let moment = format!("{deed:?} at {call} {at}");
                let mut wrong = manners(&ended, &[0, 4]);
                let done: BTreeSet<String> = reported(&ended.stdout);
                wrong.extend(broken(&bench, truth, &done));
                tally.tried();
                tally.note(&moment, wrong);
            }
        }
    }
    tally.end(1);
}

/// Returns the number of such calls in a run, by bisection: a kill at a later call does not happen.
fn calls_of(bench: &Bench, call: &str) -> usize {
    let (mut low, mut high) = (0, 1024);
    while low < high {
        let middle = usize::midpoint(low, high) + 1;
        let fresh = Bench::new();
        crate::kill::copy(&bench.path("."), &fresh.path("."));
        let killed = struck(&fresh, ["run", "x.ron", "--ui", "json"], call, middle, Deed::Kill).output();
        if killed.expect("the binary").status.code().is_none() { low = middle } else { high = middle - 1 }
    }
    low
}

#[test]
fn writing_fails() {
    let truth = Truth::of(THREE);
    let deeds = [Deed::Fail(EIO), Deed::Fail(ENOSPC), Deed::FailOn(ENOSPC)];
    at_every("calls that change the store fail", &CALLS, &deeds, || Bench::with(THREE), &truth);
}

#[test]
fn reading_fails() {
    let more = THREE.replace("[0]", "[0, 1]");
    let truth = Truth::of(&more);
    let prepare = || {
        let bench = Bench::with(THREE);
        bench.run_well();
        bench.write("x.ron", &more);
        bench
    };
    at_every("reading fails", &["read", "open"], &[Deed::Fail(EIO), Deed::FailOn(EIO)], prepare, &truth);
}

/// The writer rewrites a journal that is damaged inside. If the rewriting fails halfway, no entry may be appended to
/// the old journal.
#[test]
fn mending_fails() {
    let more = THREE.replace("[0]", "[0, 1]");
    let truth = Truth::of(&more);
    let prepare = || {
        let bench = Bench::with(THREE);
        bench.run_well();
        let path = bench.path("store/journal/1.fbj");
        let mut bytes = std::fs::read(&path).expect("a journal");
        // The damage is in the header of the second entry.
        let second = 48 + 104 + u32::from_le_bytes(bytes[56..60].try_into().expect("four bytes")) as usize;
        bytes[second + 20] ^= 1;
        std::fs::write(&path, bytes).expect("a write");
        bench.write("x.ron", &more);
        bench
    };
    let deeds = [Deed::Fail(EIO), Deed::Fail(ENOSPC), Deed::FailOn(ENOSPC)];
    at_every("calls fail while damage is mended", &CALLS, &deeds, prepare, &truth);
}

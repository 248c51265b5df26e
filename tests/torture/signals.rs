//! Signals and closed outputs at random moments.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::fixture::{Bench, Ended};
use crate::promises::{MANY, Random, Tally, Truth, broken, long, manners, reported};

#[test]
fn by_signals() {
    let (truth, mut random) = (Truth::of(MANY), Random::new("signals"));
    let mut tally = Tally::new("interrupted, terminated, hung up");
    let rounds = if long() { 25 } else { 2 };
    for round in 0..rounds {
        for signals in [&["INT"][..], &["INT", "INT"], &["TERM"], &["HUP"]] {
            let bench = Bench::with(MANY);
            let child = bench.start();
            // The signal is sent only after the program has installed its handlers; before that, the default action
            // would apply.
            std::thread::sleep(Duration::from_millis(40 + random.below(120) as u64));
            for name in signals {
                let _ = Command::new("sh")
                    .args(["-c", &format!("kill -{name} {}", child.id())])
                    .stderr(Stdio::null())
                    .status();
            }
            let ended = Ended::from(child.wait_with_output().expect("an end"));
            tally.tried();
            let mut wrong = manners(&ended, &[0, 130]);
            wrong.extend(broken(&bench, &truth, &reported(&ended.stdout)));
            tally.note(&format!("round {round}: {signals:?}"), wrong);
        }
    }
    tally.end(4 * rounds);
}

#[test]
fn by_closed_outputs() {
    let (truth, mut random) = (Truth::of(MANY), Random::new("closed"));
    let mut tally = Tally::new("standard output, or standard error too, closed");
    let rounds = if long() { 25 } else { 2 };
    for round in 0..rounds {
        let bench = Bench::with(MANY);
        let mut child = bench.start();
        std::thread::sleep(Duration::from_millis(random.below(150) as u64));
        drop(child.stdout.take());
        if round % 2 == 1 {
            drop(child.stderr.take());
        }
        let ended = Ended::from(child.wait_with_output().expect("an end"));
        tally.tried();
        let mut wrong = manners(&ended, &[0, 130]);
        if ended.code.is_none() {
            wrong.push("promise 6: it was aborted".to_owned());
        }
        wrong.extend(broken(&bench, &truth, &reported(&ended.stdout)));
        tally.note(&format!("round {round}"), wrong);
    }
    tally.end(rounds);
}

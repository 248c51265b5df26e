//! A wrong or jumping clock (libfaketime).

use std::path::Path;
use std::process::Command;

use crate::fixture::{Bench, Told, end};
use crate::promises::{THREE, Tally, Truth, manners};

fn library() -> Option<String> {
    let places =
        ["/usr/lib/x86_64-linux-gnu/faketime", "/usr/lib/aarch64-linux-gnu/faketime", "/usr/lib/faketime"];
    let file = |place: &str| format!("{place}/libfaketimeMT.so.1");
    places.into_iter().map(file).find(|file| Path::new(file).exists())
}

#[test]
fn keys_and_hits_do_not_know_the_time() {
    let Some(library) = library() else {
        println!("not tried: libfaketime is not installed (Debian: faketime)");
        return;
    };
    let truth = Truth::of(THREE);
    let mut tally = Tally::new("the clock a year back, ten years ahead, and jumping");
    // The same store is used at each of these times in turn.
    let times =
        ["-1y", "+0d", "+10y", "-10y", "@2038-01-19 03:14:00", "@1971-01-01 00:00:00 x1000", "+0 x100000"];
    let bench = Bench::with(THREE);
    let at = |time: &str, arguments: &[&str]| -> Command {
        let mut command = bench.command(arguments);
        command.env("LD_PRELOAD", &library).env("FAKETIME", time).env("FAKETIME_NO_CACHE", "1");
        command
    };
    for (round, time) in times.into_iter().enumerate() {
        let ended = end(&mut at(time, &["run", "x.ron", "--ui", "json"]));
        tally.tried();
        tally.note(time, manners(&ended, &[0]));
        let told = Told::from(ended);
        let ran = if round == 0 { 3 } else { 0 };
        if told.code == Some(0) && told.count("ran") != ran {
            tally.note(time, vec![format!("{} tasks ran, not {ran}", told.count("ran"))]);
        }
        let collected = end(&mut at(time, &["store", "gc", "x.ron", "--delete"]));
        tally.note(time, manners(&collected, &[0]));
        if bench.long() != truth.long {
            tally.note(time, vec!["promise 2: another value, or collected early".to_owned()]);
        }
    }
    tally.end(times.len());
}

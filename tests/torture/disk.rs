//! A real disk that is full or read-only: a small tmpfs, if this user may mount one.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use crate::fixture::{Bench, end};
use crate::promises::{MANY, Tally, Truth, broken, manners, reported};

/// A tmpfs in place of the store; unmounted on drop.
struct Mount(PathBuf);

impl Mount {
    fn new(place: PathBuf, kib: u32) -> Option<Self> {
        std::fs::create_dir_all(&place).expect("a folder");
        let mounted = mount(&["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs"], &place);
        mounted.then_some(Self(place))
    }

    fn remount(&self, options: &str) {
        assert!(mount(&["-o", &format!("remount,{options}")], &self.0), "remount {options}");
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

fn mount(arguments: &[&str], place: &std::path::Path) -> bool {
    let output = Command::new("mount").args(arguments).arg(place).output();
    output.is_ok_and(|output| output.status.success())
}

#[test]
fn full_and_read_only() {
    let truth = Truth::of(MANY);
    let mut tally = Tally::new("a full disk, then a read-only one");
    for kib in [4, 40, 80, 120, 160, 240] {
        let bench = Bench::with(MANY);
        let Some(mount) = Mount::new(bench.path("store"), kib) else {
            println!("not tried: this user may not mount");
            return;
        };
        let mut command = bench.command(["run", "x.ron", "--ui", "json"]);
        let full = end(&mut command);
        tally.tried();
        let moment = format!("a disk of {kib} KiB");
        tally.note(&moment, manners(&full, &[4]));
        if full.code != Some(4) || !full.stderr.contains("No space left") {
            tally.note(&moment, vec![format!("promise 6: {:?} {}", full.code, full.stderr)]);
        }
        // A read-only store can still be read.
        mount.remount("ro");
        tally.note(&format!("{moment}, read-only"), manners(&bench.fewbits(["table", "x.ron"]), &[0]));
        tally.note(&format!("{moment}, read-only"), manners(&bench.fewbits(["run", "x.ron"]), &[4]));
        mount.remount("rw,size=64m");
        let done: BTreeSet<String> = reported(&full.stdout);
        tally.note(&format!("{moment}, with room"), broken(&bench, &truth, &done));
    }
    tally.end(6);
}

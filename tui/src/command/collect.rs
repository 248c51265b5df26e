//! `store gc`: deletes what nobody reaches any more; shows it first.

use std::collections::{BTreeSet, HashSet};

use anyhow::Result;
use fewbits_store::{Store, Unwanted, Wanted};

use super::{count, note, print};
use crate::cli::{Gc, Global};
use crate::exit::{Coded, Exit};
use crate::reach::{Reach, newest_runs};
use crate::render::number::bytes;
use crate::session::{reader, writer};
use crate::ui::eta::duration;
use crate::ui::plain::printable;

/// Collects, or shows what would be.
pub fn collect(args: &Gc, global: &Global) -> Result<Exit> {
    // What is wanted is looked up while nobody else can add to it.
    let store = if args.delete { writer(global, args.wait, || false)? } else { reader(global)? };
    let (wanted, mut text) = wanted(args, &store, global)?;
    let found = if args.delete { None } else { Some(store.unwanted(&wanted)?) };
    note(store.warnings());
    let found = match found {
        Some(found) => found,
        None => store.collect(&wanted)?,
    };
    text += &told(&found, args.delete);
    print(&printable(&text))?;
    Ok(Exit::Done)
}

/// Returns what the named experiments and the pinned runs reach, and a line on each.
fn wanted(args: &Gc, store: &Store, global: &Global) -> Result<(Wanted, String)> {
    let mut reached = vec![];
    for file in &args.files {
        reached.push(Reach::of_file(file, store, global)?);
    }
    let pinned: Vec<String> = store.runs()?.into_iter().filter(|run| store.is_pinned(run)).collect();
    for run in &pinned {
        match Reach::of_run(run, store, global)? {
            Ok(reach) => reached.push(reach),
            Err(why) => {
                return Err(Coded::usage(format!("{why}, so what it reached is not known; unpin it first")));
            }
        }
    }
    if reached.is_empty() {
        let message = "name the experiments to keep, or pin runs with `fewbits runs --pin RUN`; \
                       to delete everything, delete the store's folder";
        return Err(Coded::usage(message));
    }
    let (mut keys, mut text) = (HashSet::new(), String::new());
    let mut runs: BTreeSet<String> = pinned.into_iter().collect();
    let newest = newest_runs(store)?;
    for reach in &reached {
        let missing = match reach.missing() {
            0 => String::new(),
            missing => format!(", {missing} without a result; what depends on those is not kept"),
        };
        text += &format!("kept: {}, {}{missing}\n", reach.name, count(reach.plan.tasks.len(), "task"));
        keys.extend(reach.keys());
        // What `why` compares with.
        runs.extend(newest.get(&reach.graph.experiment.name).cloned());
    }
    Ok((Wanted { keys, runs }, text))
}

fn told(found: &Unwanted, deleted: bool) -> String {
    if found.records() == 0 && found.bytes() == 0 {
        return "nothing to delete\n".to_owned();
    }
    let mut text = String::new();
    for (op, of) in &found.ops {
        let (records, seconds) = (count(of.records as usize, "record"), duration(of.seconds));
        text += &format!("  {op}: {records}, {}, {seconds} to compute again\n", bytes(of.bytes));
    }
    let rest = [
        (found.objects.len(), "object", found.object_bytes),
        (found.runs.len(), "journal of a run", found.run_bytes),
        (found.rest.len(), "checkpoint or damaged file", found.rest_bytes),
    ];
    for (number, noun, size) in rest.into_iter().filter(|(number, ..)| *number > 0) {
        let noun = match (number, noun) {
            (1, noun) => noun.to_owned(),
            (_, "journal of a run") => "journals of runs".to_owned(),
            (_, "checkpoint or damaged file") => "checkpoints or damaged files".to_owned(),
            (_, noun) => format!("{noun}s"),
        };
        text += &format!("  {number} {noun}, {}\n", bytes(size));
    }
    let end = if deleted { "deleted" } else { "would be deleted; --delete does it" };
    let again = duration(found.seconds());
    text + &format!("{}, {again} to compute again: {end}\n", bytes(found.bytes()))
}

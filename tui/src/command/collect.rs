//! `store gc`: deletes the results that no named experiment and no pinned run reaches.
//! Without `--delete`, only lists them.

use anyhow::Result;
use fewbits_engine::run_log::RunHeader;
use fewbits_store::{Collectable, Retained, Store};

use super::{note, print};
use crate::cli::{Gc, Global};
use crate::exit::{Coded, Exit};
use crate::reach::Reach;
use crate::render::number::bytes;
use crate::render::number::count;
use crate::session::{reader, writer};
use crate::ui::eta::duration;
use crate::ui::plain::printable;

/// Deletes unreached results, or lists them.
pub fn collect(args: &Gc, global: &Global) -> Result<Exit> {
    // With `--delete`, the lock is taken before planning, so that no other process can add results in between.
    let store = if args.delete { writer(global, args.wait, || false)? } else { reader(global)? };
    let (wanted, mut text) = wanted(args, &store, global)?;
    note(store.warnings());
    let found = if args.delete { store.collect(&wanted)? } else { store.unwanted(&wanted)? };
    text += &told(&found, args.delete);
    print(&printable(&text))?;
    Ok(Exit::Done)
}

/// Returns the results that the named experiments and the pinned runs reach, and one line for each.
fn wanted(args: &Gc, store: &Store, global: &Global) -> Result<(Retained, String)> {
    let (mut wanted, mut text) = (Retained::default(), String::new());
    for file in &args.files {
        let reach = Reach::of_file(file, store, global)?;
        if let Some(unfinished) = reach.unfinished() {
            let meaning = "the results of tasks that depend on them are not known, and not kept";
            if args.delete && !args.unfinished {
                return Err(Coded::usage(format!(
                    "{unfinished}, and {meaning}: run it first, or add --unfinished"
                )));
            }
            text += &format!("{unfinished}; {meaning}\n");
        }
        text += &format!("kept: {}, {}\n", reach.name, count(reach.plan.tasks.len(), "task"));
        wanted.keys.extend(reach.keys());
        // `why` compares tasks with this run.
        wanted.runs.extend(RunHeader::newest(store, &*reach.graph)?.map(|(run, _)| run));
    }
    for run in store.runs()?.into_iter().filter(|run| store.is_pinned(run)) {
        let Some(keys) = store.pinned(&run)? else {
            return Err(Coded::usage(format!("the pin of run {run} is damaged: pin it again, or unpin it")));
        };
        text += &format!("kept: run {run}, {}\n", count(keys.len(), "result"));
        wanted.keys.extend(keys);
        wanted.runs.insert(run);
    }
    if text.is_empty() {
        let message = "name the experiments to keep, or pin runs with `fewbits runs --pin RUN`; \
                       to delete everything, delete the store's folder";
        return Err(Coded::usage(message));
    }
    Ok((wanted, text))
}

fn told(found: &Collectable, deleted: bool) -> String {
    if found.records() == 0 && found.bytes() == 0 {
        return "nothing to delete\n".to_owned();
    }
    let mut text = String::new();
    for (op, of) in &found.ops {
        let (records, seconds) = (count(of.records as usize, "record"), duration(of.seconds));
        text += &format!("  {op}: {records}, {}, {seconds} to compute again\n", bytes(of.bytes));
    }
    let objects = count(found.objects.len(), "object");
    let runs = format!("the logs of {}", count(found.runs.len(), "run"));
    let rest =
        count(found.rest.len(), "checkpoint or damaged file").replace("checkpoint or", "checkpoints or");
    let kinds = [
        (found.objects.len(), objects, found.object_bytes),
        (found.runs.len(), runs, found.run_bytes),
        (found.rest.len(), rest, found.rest_bytes),
    ];
    for (_, what, size) in kinds.into_iter().filter(|(number, ..)| *number > 0) {
        text += &format!("  {what}, {}\n", bytes(size));
    }
    let end = if deleted { "deleted" } else { "would be deleted; --delete does it" };
    let again = duration(found.seconds());
    text + &format!("{}, {again} to compute again: {end}\n", bytes(found.bytes()))
}

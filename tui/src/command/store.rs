//! `store`: its commands, and `store info` itself.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write;

use anyhow::Result;
use fewbits_store::{Digest, Item, Key, Store};

use super::archive::{export, import};
use super::collect::collect;
use super::verify::verify;
use super::{count, note, print};
use crate::cli::{Global, StoreCommand};
use crate::exit::Exit;
use crate::reach::{Reach, newest_runs};
use crate::render::number::bytes;
use crate::session::reader;
use crate::ui::eta::duration;
use crate::ui::plain::printable;

/// Does one of them.
pub fn store(command: &StoreCommand, global: &Global) -> Result<Exit> {
    match command {
        StoreCommand::Info => info(global),
        StoreCommand::Verify(args) => verify(args, global),
        StoreCommand::Gc(args) => collect(args, global),
        StoreCommand::Export(args) => export(args, global),
        StoreCommand::Import(args) => import(args, global),
    }
}

fn info(global: &Global) -> Result<Exit> {
    let store = reader(global)?;
    let info = store.info()?;
    let mut text = format!(
        "{}\n  format {}, journal {} ({}, {} dropped), {} {}, {}, {} of checkpoints\n",
        store.root().display(),
        info.format,
        bytes(info.journal_bytes),
        count(info.records as usize, "record"),
        info.dropped,
        count(info.objects as usize, "object"),
        bytes(info.object_bytes),
        count(info.runs as usize, "run"),
        bytes(info.partial_bytes),
    );
    for (op, of) in &info.ops {
        let (records, seconds) = (count(of.records as usize, "record"), duration(of.seconds));
        writeln!(text, "  {op}: {records}, {}, {seconds} to compute", bytes(of.bytes))?;
    }
    text += &by_experiment(&store, global)?;
    print(&printable(&text))?;
    note(store.warnings());
    Ok(Exit::Done)
}

/// Says what each experiment takes, as its newest run knew it; what several reach counts for each.
fn by_experiment(store: &Store, global: &Global) -> Result<String> {
    let items: HashMap<Key, Item> = store.contents()?.into_iter().map(|item| (item.key, item)).collect();
    let sizes = store.object_bytes()?;
    let (mut text, mut reached) = (String::new(), HashSet::new());
    for (name, run) in newest_runs(store)? {
        let reach = match Reach::of_run(&run, store, global)? {
            Ok(reach) => reach,
            Err(why) => {
                note([why]);
                continue;
            }
        };
        let keys = reach.keys();
        let here: Vec<&Item> = keys.iter().filter_map(|key| items.get(key)).collect();
        writeln!(text, "  experiment {name}: {}", size(&here, &sizes))?;
        reached.extend(keys);
    }
    let rest: Vec<&Item> = items.values().filter(|item| !reached.contains(&item.key)).collect();
    if !rest.is_empty() {
        writeln!(text, "  of earlier edits: {}; `store gc FILE…` would delete them", size(&rest, &sizes))?;
    }
    Ok(text)
}

fn size(items: &[&Item], sizes: &BTreeMap<Digest, u64>) -> String {
    let objects: HashSet<&Digest> = items.iter().flat_map(|item| &item.objects).collect();
    let taken: u64 = items.iter().map(|item| item.bytes).sum();
    let kept: u64 = objects.iter().filter_map(|digest| sizes.get(*digest)).sum();
    // An empty sum would be −0.
    let seconds = duration(items.iter().fold(0.0, |sum, item| sum + item.seconds));
    format!(
        "{}, {}, {} {}, {seconds} to compute",
        count(items.len(), "record"),
        bytes(taken),
        count(objects.len(), "object"),
        bytes(kept)
    )
}

//! `store info` and `store verify`.

use anyhow::Result;

use super::{count, note, print};
use crate::cli::{Global, StoreCommand};
use crate::exit::Exit;
use crate::render::number::bytes;
use crate::session::reader;
use crate::ui::eta::duration;
use crate::ui::plain::printable;

/// Looks at the store.
pub fn store(command: &StoreCommand, global: &Global) -> Result<Exit> {
    let store = reader(global)?;
    let exit = match command {
        StoreCommand::Info => {
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
                text += &format!(
                    "  {op}: {}, {} to compute\n",
                    count(of.records as usize, "record"),
                    duration(of.seconds)
                );
            }
            print(&printable(&text))?;
            Exit::Done
        }
        StoreCommand::Verify => {
            let found = store.verify()?;
            let mut text = format!(
                "{} and {} are good\n",
                count(found.records as usize, "record"),
                count(found.objects as usize, "object")
            );
            for key in &found.bad_records {
                text += &format!("record {key} is damaged: its task runs again\n");
            }
            for digest in &found.bad_objects {
                text += &format!("object {digest} is damaged: its task runs again\n");
            }
            for (key, digest) in &found.missing_objects {
                text += &format!("object {digest} of record {key} is missing: its task runs again\n");
            }
            if found.bad_sources + found.damaged > 0 {
                let places = count((found.bad_sources + found.damaged) as usize, "place");
                text += &format!(
                    "the journal is damaged at {places}: what was there is computed again when needed\n"
                );
            }
            if !found.orphans.is_empty() {
                text += &format!(
                    "{} belong to no record and only take space\n",
                    count(found.orphans.len(), "object")
                );
            }
            print(&text)?;
            if found.is_good() { Exit::Done } else { Exit::Failed }
        }
    };
    note(store.warnings());
    Ok(exit)
}

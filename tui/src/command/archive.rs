//! `store export` and `store import`.
//! Knows nothing of the archive's format.

use std::collections::HashSet;
use std::fs::File;

use anyhow::{Result, anyhow};
use fewbits_store::{Key, Store};

use super::{note, print};
use crate::cli::{Export, Global, Import};
use crate::exit::{Coded, Exit};
use crate::inputs::Inputs;
use crate::output;
use crate::reach::Reach;
use crate::render::number::bytes;
use crate::render::number::count;
use crate::session::{reader, store_dir, writer};
use crate::ui::plain::printable;

/// The most refusals, and the most differing records, that are listed.
const TOLD: usize = 20;

/// Exports results to a file.
pub fn export(args: &Export, global: &Global) -> Result<Exit> {
    let store = reader(global)?;
    let mut keys: HashSet<Key> = HashSet::new();
    let mut inputs = Inputs { files: vec![], store: Some(store_dir(global)?) };
    for file in &args.files {
        let reach = Reach::of_file(file, &store, global)?;
        note(
            reach
                .unfinished()
                .map(|unfinished| format!("{unfinished}; tasks that depend on them are left out")),
        );
        keys.extend(reach.keys());
        inputs.files.extend(Inputs::collect(&reach.graph, &reach.ops, file, global)?.files);
    }
    let wanted = |key: &Key| args.files.is_empty() || keys.contains(key);
    inputs.refuse(&args.output)?;
    if output::is_standard(&args.output) {
        return export_to_stdout(&store, &wanted);
    }
    let done = store.export(&wanted, &args.output)?;
    note(store.warnings());
    let Some(done) = done else {
        return Err(nothing_to_export());
    };
    print(&printable(&format!(
        "{}: {}, {}, {}\n",
        args.output.display(),
        count(done.records as usize, "record"),
        count(done.objects as usize, "object"),
        bytes(done.bytes)
    )))?;
    Ok(Exit::Done)
}

/// Exports results to standard output, through a temporary file.
fn export_to_stdout(store: &Store, wanted: &dyn Fn(&Key) -> bool) -> Result<Exit> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("export");
    let done = store.export(&wanted, &path)?;
    note(store.warnings());
    if done.is_none() {
        return Err(nothing_to_export());
    }
    let copied = std::io::copy(&mut File::open(path)?, &mut std::io::stdout().lock());
    match copied {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(_) | Err(_) => Ok(Exit::Done),
    }
}

fn nothing_to_export() -> anyhow::Error {
    anyhow!("there are no results to export yet: run the experiment first")
}

/// Imports the results of a file. Exit code 1 if a part was refused or a record differs.
pub fn import(args: &Import, global: &Global) -> Result<Exit> {
    if !args.archive.is_file() {
        let message =
            format!("{}: this is not a file; name one that `store export` wrote", args.archive.display());
        return Err(Coded::usage(message));
    }
    let store = writer(global, args.wait, || false)?;
    let done = store.import(&args.archive)?;
    let mut text = format!(
        "{}: {} and {} taken in, {} were here already\n",
        args.archive.display(),
        count(done.records as usize, "record"),
        count(done.objects as usize, "object"),
        count(done.present as usize, "record"),
    );
    for key in done.differing.iter().take(TOLD) {
        text += &format!(
            "record {key}: this store's says something else, and stays; `store verify --recompute` tells which is right\n"
        );
    }
    for what in done.refused.iter().take(TOLD) {
        text += &format!("refused: {what}\n");
    }
    let more = done.differing.len().saturating_sub(TOLD) + done.refused.len().saturating_sub(TOLD);
    if more > 0 {
        text += &format!("and {more} more\n");
    }
    print(&printable(&text))?;
    store.close();
    note(store.warnings());
    Ok(if done.refused.is_empty() && done.differing.is_empty() { Exit::Done } else { Exit::Failed })
}

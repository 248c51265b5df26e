//! The commands of `store`, and `store info`.
//! Knows nothing of the files of a store.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::{self, Write};
use std::path::Path;

use anyhow::Result;
use fewbits_store::{Digest, Info, Key, RecordInfo, Store};

use super::archive::{export, import};
use super::collect::collect;
use super::verify::verify;
use super::{note, print};
use crate::cli::{Global, StoreCommand};
use crate::exit::Exit;
use crate::reach::{NewestRun, Reach, newest_runs};
use crate::render::number::bytes;
use crate::render::number::count;
use crate::session::reader;
use crate::ui::eta::duration;
use crate::ui::plain::printable;

/// Runs one of the commands.
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
    text += &by_experiment(&store, &info, global)?;
    print(&printable(&text))?;
    note(store.warnings());
    Ok(Exit::Done)
}

/// Lists the records and objects that each experiment reaches, as of its newest run. Shared ones count for each
/// experiment.
fn by_experiment(store: &Store, info: &Info, global: &Global) -> Result<String> {
    let objects = store.object_bytes()?;
    let mut text = String::new();
    let mut reached: HashMap<Key, RecordInfo> = HashMap::new();
    let newest = newest_runs(store)?;
    for NewestRun { experiment, file, run } in &newest {
        let reach = match Reach::of_run(run, store, global)? {
            Ok(reach) => reach,
            Err(why) => {
                note([why.to_string()]);
                continue;
            }
        };
        let keys: Vec<Key> = reach.keys().into_iter().collect();
        let items: Vec<RecordInfo> = store.items(&keys)?.into_iter().flatten().collect();
        let namesakes = newest.iter().filter(|other| other.experiment == *experiment).count();
        let beside =
            if namesakes > 1 { format!(" ({})", place(file.as_deref(), run)) } else { String::new() };
        writeln!(text, "  experiment {experiment}{beside}: {}", StoredSize::sum(items.iter(), &objects))?;
        reached.extend(items.into_iter().map(|item| (item.key, item)));
    }
    let rest = StoredSize::of_all(info).without(&StoredSize::sum(reached.values(), &objects));
    if rest.records > 0 || rest.objects > 0 {
        writeln!(text, "  of earlier edits: {rest}; `store gc FILE…` would delete them")?;
    }
    Ok(text)
}

/// Returns text that tells experiments of the same name apart: the file, else the run.
fn place(file: Option<&str>, run: &str) -> String {
    let Some(file) = file.map(Path::new) else { return format!("run {run}") };
    let here = std::env::current_dir().ok();
    let below = here.and_then(|here| Some(file.strip_prefix(here).ok()?.to_owned()));
    below.unwrap_or_else(|| file.to_owned()).display().to_string()
}

/// The totals of some records and of the objects that they keep.
struct StoredSize {
    records: u64,
    bytes: u64,
    seconds: f64,
    objects: u64,
    object_bytes: u64,
}

impl StoredSize {
    fn sum<'i>(items: impl Iterator<Item = &'i RecordInfo>, sizes: &BTreeMap<Digest, u64>) -> Self {
        let mut size = Self { records: 0, bytes: 0, seconds: 0.0, objects: 0, object_bytes: 0 };
        let mut objects = HashSet::new();
        for item in items {
            size.records += 1;
            size.bytes += item.bytes;
            size.seconds += item.seconds;
            for digest in item.objects.iter().filter(|digest| objects.insert(**digest)) {
                size.objects += 1;
                size.object_bytes += sizes.get(digest).copied().unwrap_or(0);
            }
        }
        size
    }

    fn of_all(info: &Info) -> Self {
        let ops = info.ops.values();
        Self {
            records: info.records,
            bytes: ops.clone().map(|op| op.bytes).sum(),
            seconds: ops.map(|op| op.seconds).sum(),
            objects: info.objects,
            object_bytes: info.object_bytes,
        }
    }

    /// Subtracts a part. No figure gets negative, even if another process adds records meanwhile.
    fn without(&self, part: &Self) -> Self {
        Self {
            records: self.records.saturating_sub(part.records),
            bytes: self.bytes.saturating_sub(part.bytes),
            seconds: (self.seconds - part.seconds).max(0.0),
            objects: self.objects.saturating_sub(part.objects),
            object_bytes: self.object_bytes.saturating_sub(part.object_bytes),
        }
    }
}

impl fmt::Display for StoredSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {}, {} {}, {} to compute",
            count(self.records as usize, "record"),
            bytes(self.bytes),
            count(self.objects as usize, "object"),
            bytes(self.object_bytes),
            duration(self.seconds)
        )
    }
}

//! `store verify`: checks every record and object, and computes a sample of the results again.
//! Repairs nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use fewbits_engine::graph::TaskId;
use fewbits_engine::plan::{Planner, TaskState};
use fewbits_engine::run::recompute::{Recomputed, recompute};
use fewbits_ops::scale::Percent;
use fewbits_store::{Digest, Key, Store, Verification};

use super::{note, print};
use crate::cli::{Global, Verify};
use crate::exit::{Coded, Exit};
use crate::reach::{NewestRun, Reach, newest_runs};
use crate::render::number::count;
use crate::session::reader;
use crate::ui::plain::printable;

/// Checks the store.
pub fn verify(args: &Verify, global: &Global) -> Result<Exit> {
    let store = Arc::new(reader(global)?);
    let found = store.verify()?;
    print(&told(&found))?;
    let same = match args.recompute {
        Some(share) => sample(share, args, &store, global)?,
        None => true,
    };
    note(store.warnings());
    Ok(if found.is_good() && same { Exit::Done } else { Exit::Failed })
}

fn told(found: &Verification) -> String {
    let mut text = format!(
        "{} and {} are good\n",
        count(found.records as usize, "record"),
        count(found.objects as usize, "object")
    );
    for key in &found.bad_records {
        text += &format!("record {key} is damaged: its task runs again\n");
    }
    for digest in &found.bad_objects {
        text += &format!("object {digest} is damaged: its task runs again when it is needed\n");
    }
    for (key, digest) in &found.missing_objects {
        text += &format!("object {digest} of record {key} is missing: its task runs again\n");
    }
    if found.bad_sources + found.damaged > 0 {
        let places = count((found.bad_sources + found.damaged) as usize, "place");
        text +=
            &format!("the journal is damaged at {places}: the lost results are computed again when needed\n");
    }
    if !found.orphans.is_empty() {
        text += &format!(
            "{} without a record, which only take space; `store gc` deletes them\n",
            count(found.orphans.len(), "object")
        );
    }
    text
}

/// Computes a share of the tasks again. Returns whether none differs from its record or fails.
fn sample(share: Percent, args: &Verify, store: &Arc<Store>, global: &Global) -> Result<bool> {
    let from_clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let seed = args.seed.unwrap_or_else(from_clock);
    let mut reached = vec![];
    for file in &args.files {
        reached.push(Reach::of_file(file, store, global)?);
    }
    if args.files.is_empty() {
        for NewestRun { run, .. } in newest_runs(store)? {
            match Reach::of_run(&run, store, global)? {
                Ok(reach) => reached.push(reach),
                Err(why) => note([why.to_string()]),
            }
        }
    }
    let chosen = choose(&reached, share, seed);
    if chosen.number == 0 {
        return Err(Coded::usage("there is no result to compute once more: run an experiment first"));
    }
    let mut seen = VerdictCounts::default();
    for (reach, tasks) in reached.into_iter().zip(chosen.tasks) {
        let Reach { graph, ops, sources, plan, .. } = reach;
        let planner = Planner::remembering(&graph, &*ops, store, sources);
        recompute((&graph, &ops, store), &planner, plan, &tasks, &mut |task, verdict| {
            seen.take(&graph.name(task), verdict, global.quiet);
        })?;
    }
    let tasks = count(chosen.number, "task");
    let mut told =
        format!("{tasks} computed once more (--seed {seed}): {} came out as recorded\n", seen.same);
    for (why, number) in &seen.unlike {
        told += &format!("{} cannot be compared: {why}\n", count(*number, "task"));
    }
    print(&printable(&told))?;
    Ok(seen.wrong == 0)
}

/// Counts the verdicts so far.
#[derive(Default)]
struct VerdictCounts {
    same: usize,
    wrong: usize,
    unlike: BTreeMap<String, usize>,
}

impl VerdictCounts {
    /// Adds a verdict. A bad one is printed at once, because the whole sample may take hours.
    fn take(&mut self, task: &str, verdict: &Recomputed, quiet: bool) {
        let wrong = match verdict {
            Recomputed::Same => {
                self.same += 1;
                if !quiet {
                    sayln!("{}: as recorded", printable(task));
                }
                return;
            }
            Recomputed::Unlike(why) => return *self.unlike.entry(why.clone()).or_default() += 1,
            Recomputed::Differs(what) => format!("{task} differs: {}\n", what.join("; ")),
            Recomputed::Failed(why) => format!("{task} could not be computed: {why}\n"),
        };
        self.wrong += 1;
        // If standard output is closed, the exit code still reports the difference.
        let _ = print(&printable(&wrong));
    }
}

/// The tasks to compute again, per experiment.
struct Chosen {
    tasks: Vec<Vec<TaskId>>,
    number: usize,
}

/// Selects a share of the results: at least one, and each key once.
fn choose(reached: &[Reach], share: Percent, seed: u64) -> Chosen {
    let mut all: Vec<(Digest, Key, usize, TaskId)> = vec![];
    for (at, reach) in reached.iter().enumerate() {
        for task in reach.graph.tasks() {
            let planned = reach.plan.planned(task);
            if let (TaskState::Cached, Some(key)) = (&planned.state, planned.key) {
                let rank = [&seed.to_le_bytes()[..], key.as_bytes()].concat();
                all.push((Digest::hash(&rank), key, at, task));
            }
        }
    }
    all.sort_unstable_by_key(|(rank, ..)| *rank);
    all.dedup_by_key(|(_, key, ..)| *key);
    let number = if all.is_empty() { 0 } else { share.rank(all.len()) };
    let mut tasks = vec![vec![]; reached.len()];
    for (.., at, task) in &all[..number] {
        tasks[*at].push(*task);
    }
    // In the order of the graph, tasks that read the same model are neighbours.
    for tasks in &mut tasks {
        tasks.sort_unstable();
    }
    Chosen { tasks, number }
}

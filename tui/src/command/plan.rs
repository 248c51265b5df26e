//! `plan`: shows the tasks that would run, and the reasons.
//! Uses the planner of `run`; runs nothing.

use std::collections::BTreeMap;

use anyhow::Result;
use fewbits_engine::plan::{Planner, TaskState};
use fewbits_engine::reason::Reason;
use fewbits_engine::why::Explainer;

use super::{note, print};
use crate::cli::{Global, PlanArgs};
use crate::exit::Exit;
use crate::render::number::count;
use crate::session::{open, reader};
use crate::ui::plain::{change, printable};

/// Shows the plan of a file.
pub fn plan(args: &PlanArgs, global: &Global) -> Result<Exit> {
    let session = open(&args.file.file, global)?;
    let (graph, store) = (&*session.graph, reader(global)?);
    let planner = Planner::new(graph, &*session.ops, &store);
    let plan = planner.checked_plan()?;
    let counts = plan.counts(graph.tasks());
    let mut text = format!(
        "{}: {}: {} cached, {} to run, {} waiting for results that decide whether they run\n",
        printable(&graph.experiment.name),
        count(counts.tasks, "task"),
        counts.cached,
        counts.run,
        counts.waiting
    );
    if counts.cached < counts.tasks {
        let explainer = Explainer::new(graph, &plan, &planner, &*session.ops, &store);
        for (at, node) in graph.experiment.nodes.pairs() {
            let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for task in graph.tasks_of(at).filter(|task| plan.planned(*task).state != TaskState::Cached) {
                groups.entry(describe(&explainer.reason(task)?)).or_default().push(graph.name(task));
            }
            for (reason, tasks) in groups {
                text += &printable(&format!("  {}: {} {reason}\n", node.name, count(tasks.len(), "task")));
                if args.all {
                    text +=
                        &tasks.iter().map(|task| format!("    {}\n", printable(task))).collect::<String>();
                }
            }
        }
    }
    note(graph.warnings.iter().cloned().chain(planner.notes()).chain(store.warnings()));
    print(&text)?;
    Ok(Exit::Done)
}

/// Describes a task's state and its reason in a few words.
#[must_use]
pub fn describe(reason: &Reason) -> String {
    match reason {
        Reason::Cached => "cached".to_owned(),
        Reason::SameAs { task } => format!("the same as {}", node_of(task)),
        Reason::New => "to run: new".to_owned(),
        Reason::Changed { changes, .. } => {
            format!("to run: {}", changes.iter().map(change).collect::<Vec<_>>().join(", "))
        }
        Reason::Unfinished => "to run: the last run left it without a result".to_owned(),
        Reason::Lost => "to run: its kept object is missing".to_owned(),
        Reason::Missing { what } => format!("would fail: {what}"),
        Reason::Waiting { task } => format!("waiting for {}", node_of(task)),
    }
}

fn node_of(task: &str) -> &str {
    task.split('(').next().unwrap_or(task)
}

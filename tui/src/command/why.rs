//! `why`: shows one task's key, state and reason, and the preimage of its key.
//! Runs nothing.

use anyhow::Result;
use fewbits_engine::graph::{TaskGraph, TaskId};
use fewbits_engine::plan::{Plan, Planner};
use fewbits_engine::reason::Reason;
use fewbits_engine::why::Explainer;
use fewbits_ops::StandardOps;

use super::plan::describe;
use super::{note, print};
use crate::cli::{Global, Why};
use crate::exit::{Coded, Exit};
use crate::session::{open, reader};
use crate::ui::plain::{change, printable};

/// The least number of hex digits that name a key.
const SHORTEST_PREFIX: usize = 6;

/// Explains a task.
pub fn why(args: &Why, global: &Global) -> Result<Exit> {
    let session = open(&args.file.file, global)?;
    let (graph, store) = (&*session.graph, reader(global)?);
    let planner = Planner::new(graph, &*session.ops, &store);
    let plan = planner.checked_plan()?;
    let task = find(graph, &plan, &args.task)?;
    let explainer = Explainer::new(graph, &plan, &planner, &*session.ops, &store);
    let reason = explainer.closest_reason(task)?;
    let mut text = format!("task    {}\n", graph.name(task));
    if let Some(key) = plan.planned(task).key {
        text += &format!("key     {key}\n");
    }
    match &reason {
        Reason::Changed { relative, changes } => {
            text += &format!("state   to run: it differs from {relative}\n");
            text +=
                &changes.iter().map(|changed| format!("          {}\n", change(changed))).collect::<String>();
        }
        other => text += &format!("state   {}\n", describe(other)),
    }
    if let Some(preimage) = explainer.preimage(task)? {
        let value: serde_json::Value = serde_json::from_str(&preimage)?;
        text += &format!("made of\n{}\n", serde_json::to_string_pretty(&value)?);
    }
    note(planner.notes().into_iter().chain(store.warnings()));
    print(&printable(&text))?;
    Ok(Exit::Done)
}

/// Returns the task with this key prefix or this name.
pub fn find(graph: &TaskGraph<StandardOps>, plan: &Plan, text: &str) -> Result<TaskId> {
    by_key(graph, plan, text)
        .map_or_else(|| graph.find(text).map_err(|error| Coded::usage(error.to_string())), Ok)
}

/// Returns the first task with this key prefix; `None` if the text is too short or no hex number, or if no key matches.
pub fn by_key(graph: &TaskGraph<StandardOps>, plan: &Plan, text: &str) -> Option<TaskId> {
    let hex = text.len() >= SHORTEST_PREFIX && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let prefix = text.to_lowercase();
    let has_key =
        |task: &TaskId| plan.planned(*task).key.is_some_and(|key| key.to_string().starts_with(&prefix));
    if hex { graph.tasks().find(has_key) } else { None }
}

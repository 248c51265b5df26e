//! `check`: reads a file, reports its faults, counts its tasks.
//! Uses no store.

use anyhow::Result;

use super::{note, print};
use crate::cli::{FileArgs, Global};
use crate::exit::Exit;
use crate::render::number::count;
use crate::session::open;
use crate::ui::plain::printable;

/// Checks a file.
pub fn check(args: &FileArgs, global: &Global) -> Result<Exit> {
    let graph = open(&args.file, global)?.graph;
    let experiment = &graph.experiment;
    let mut text = format!(
        "{}: {} from {}, {}\n",
        printable(&experiment.name),
        count(graph.len(), "task"),
        count(experiment.nodes.len(), "node"),
        count(experiment.tables.len(), "table")
    );
    for (at, node) in experiment.nodes.pairs() {
        let axes = experiment.axis_names(&node.axes);
        let over = if axes.is_empty() { String::new() } else { format!(" over {}", axes.join(", ")) };
        text += &format!("  {}: {}{over}\n", node.name, count(graph.node_tasks[at].points.len(), "task"));
    }
    print(&text)?;
    note(graph.warnings.clone());
    Ok(Exit::Done)
}

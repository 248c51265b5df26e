//! `check`: reads a file, reports its faults, counts its tasks.
//! Uses no store.

use anyhow::Result;
use fewbits_engine::ops::{Ops, SourceContent};

use super::{note, print};
use crate::cli::{FileArgs, Global};
use crate::exit::Exit;
use crate::render::number::count;
use crate::session::{Session, open};
use crate::ui::plain::printable;

/// Checks a file.
pub fn check(args: &FileArgs, global: &Global) -> Result<Exit> {
    let session = open(&args.file, global)?;
    let graph = &session.graph;
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
    note(graph.warnings.iter().cloned().chain(missing(&session)));
    Ok(Exit::Done)
}

/// Returns a sentence for each file that a node reads and that is not there.
fn missing(session: &Session) -> Vec<String> {
    let mut all = vec![];
    let graph = &session.graph;
    for (at, node) in graph.experiment.nodes.pairs() {
        for resolved in &graph.node_tasks[at].resolved_ops {
            for source in session.ops.sources(&resolved.op).into_iter().flatten() {
                let SourceContent::File { path, missing } = source.content else { continue };
                let sentence = format!("node `{}`: {missing}", node.name);
                if !path.exists() && !all.contains(&sentence) {
                    all.push(sentence);
                }
            }
        }
    }
    all
}

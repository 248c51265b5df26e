//! Confusion matrices: the counts of true by given class, a picture per task.
//! Knows nothing of the classes.

use anyhow::Result;
use fewbits_engine::dense::NodeId;
use maud::{Markup, html};

use super::material::Material;
use crate::figure::confusion::ConfusionCounts;
use crate::figure::svg::Figure;
use crate::ui::plain::printable;

/// The most pictures of a node.
const MOST: usize = 6;

/// Returns the pictures of every node that has counts.
pub fn section(material: &Material<'_>) -> Result<Markup> {
    let mut parts = vec![];
    for (at, node) in material.graph().experiment.nodes.pairs() {
        let (figures, left_out) = confusions(material, at)?;
        if !figures.is_empty() {
            parts.push(html! {
                h3 { (printable(&node.name)) @if left_out > 0 { span.dim { ": " (left_out) " more are left out" } } }
                div.panels {
                    @for (name, figure) in &figures { figure { figcaption { (printable(name)) } (figure.on_page()) } }
                }
            });
        }
    }
    Ok(html! { @for part in parts { (part) } })
}

/// Draws the counts of a node's tasks, each with its name, and returns the number of tasks that are left out.
pub fn confusions(material: &Material<'_>, node: NodeId) -> Result<(Vec<(String, Figure)>, usize)> {
    let graph = material.graph();
    let (mut figures, mut left_out) = (vec![], 0);
    for task in graph.tasks_of(node) {
        if figures.len() == MOST {
            left_out += 1;
            continue;
        }
        let Some(record) = material.record(task)? else { continue };
        let Some(counts) = ConfusionCounts::of(&record) else { break };
        let name = graph.name(task);
        let label = format!("Counts of true by given class of {name}");
        let Some(figure) = counts.draw(&label) else { break };
        figures.push((name, figure));
    }
    Ok((figures, left_out))
}

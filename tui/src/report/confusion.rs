//! Confusion matrices: the counts of true by given class, a picture per task.
//! Knows nothing of the classes.

use anyhow::Result;
use fewbits_engine::dense::NodeId;
use fewbits_engine::graph::TaskId;
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
        let shown = match confusions(material, at)? {
            Ok(drawn) if drawn.figures.is_empty() => continue,
            Ok(DrawnConfusions { figures, left_out }) => html! {
                @if left_out > 0 { p.dim { (left_out) " more are left out." } }
                div.panels {
                    @for (name, figure) in &figures { figure { figcaption { (printable(name)) } (figure.on_page()) } }
                }
            },
            Err(why) => html! { p.dim { (why) "." } },
        };
        parts.push(html! { h3 { (printable(&node.name)) } (shown) });
    }
    Ok(html! { @for part in parts { (part) } })
}

/// Holds the pictures of a node's tasks.
#[derive(Default)]
pub struct DrawnConfusions {
    /// The pictures, each with the name of its task.
    pub figures: Vec<(String, Figure)>,
    /// The number of tasks with counts whose pictures are left out.
    pub left_out: usize,
}

/// Draws the counts of a node's tasks, those of the recommended point first. The inner error says why they cannot be drawn.
pub fn confusions(material: &Material<'_>, node: NodeId) -> Result<Result<DrawnConfusions, String>> {
    let mut tasks: Vec<TaskId> = material.graph().tasks_of(node).collect();
    tasks.sort_by_key(|task| !material.is_recommended(*task));
    let mut drawn = DrawnConfusions::default();
    for task in tasks {
        match confusion(material, task)? {
            None => {}
            Some(Err(why)) => return Ok(Err(why)),
            Some(Ok(_)) if drawn.figures.len() == MOST => drawn.left_out += 1,
            Some(Ok(figure)) => drawn.figures.push(figure),
        }
    }
    Ok(Ok(drawn))
}

/// Draws the counts of a task, with its name; `None` if it has none. The inner error says why they cannot be drawn.
pub fn confusion(material: &Material<'_>, task: TaskId) -> Result<Option<Result<(String, Figure), String>>> {
    let Some(record) = material.record(task)? else { return Ok(None) };
    let Some(counts) = ConfusionCounts::of(&record) else { return Ok(None) };
    let name = material.graph().name(task);
    let drawn = counts.draw(&format!("Counts of true by given class of {name}"));
    Ok(Some(drawn.map(|figure| (name, figure))))
}

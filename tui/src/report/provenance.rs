//! How the figures were made and where they come from: methods with their sources, the programs that made the records,
//! digests that others can check, and the experiment itself.

use anyhow::Result;
use fewbits_engine::cite::Citation;
use maud::{Markup, html};

use super::material::Material;
use crate::render::cite;
use crate::ui::plain::printable;

/// Returns what made the results.
pub fn section(material: &Material<'_>) -> Result<Markup> {
    let (session, graph) = (material.session, material.graph());
    let block = Citation::collect(graph, &*session.ops, material.plan, material.store)?;
    let seconds: f64 = graph.tasks().filter_map(|task| material.results.metrics(task)?.get("seconds")).sum();
    let chosen = material.chosen().and_then(|task| Some((task, material.plan.planned(task).key?)));
    Ok(html! {
        h3 { "Method" }
        @for sentence in cite::method(&block) { p { (printable(&sentence)) } }
        ul { @for source in cite::sources(&block) { li.dim { (source) "." } } }
        h3 { "Origin" }
        dl {
            @for (name, value) in cite::provenance(&block) { dt { (printable(&name)) } dd { (printable(&value)) } }
            dt { "computing" } dd { (format!("{seconds:.1}")) " s in all, when each result was made" }
            @if let Some((task, key)) = chosen {
                dt { (material.title()) } dd { (printable(&graph.name(task))) ", key " (key) }
            }
        }
        details {
            summary { "BibTeX" }
            pre { (cite::bibtex(&block)) }
        }
        details {
            summary { "The experiment's file" }
            pre { (lines(&graph.text)) }
        }
    })
}

fn lines(text: &str) -> String {
    text.lines().map(|line| printable(line) + "\n").collect()
}

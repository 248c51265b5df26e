//! The provenance of the figures: methods with their sources, programs, digests, and the experiment's text.
//! Knows nothing of the figures themselves.

use anyhow::Result;
use fewbits_engine::cite::Citation;
use fewbits_engine::spec::table::SECONDS;
use maud::{Markup, html};

use super::material::Material;
use crate::render::cite;
use crate::ui::plain::printable;

/// Returns the methods, the origin of the results, the BibTeX entries and the experiment's text.
pub fn section(material: &Material<'_>) -> Result<Markup> {
    let (session, graph) = (material.session, material.graph());
    let block = Citation::collect(graph, &*session.ops, material.plan, material.store)?;
    let seconds: f64 = graph.tasks().filter_map(|task| material.results.metrics(task)?.get(SECONDS)).sum();
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

//! The HTML page: head, summary and sections.
//! Knows nothing of a section's content.

use anyhow::Result;
use fewbits_engine::ops::Ops as _;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::material::Material;
use super::{confusion, curves, distribution, failures, importance, layers, provenance, tables, wiring};
use crate::render::choice::answers;
use crate::render::number::count;
use crate::ui::plain::printable;

/// The content security policy: the page loads nothing from elsewhere, even if a name in it contains markup.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

/// Returns the page of an experiment.
pub fn page(material: &Material<'_>) -> Result<String> {
    let experiment = &material.graph().experiment;
    let sections: Vec<(&str, &str, Markup)> = [
        ("failures", "Failures", failures::section(material)),
        ("tables", "Tables", tables::section(material)),
        ("importance", "Which axis matters", importance::section(material)),
        ("training", "Training", curves::section(material)?),
        ("confusion", "Confusion", confusion::section(material)?),
        ("layers", "Layer by layer", layers::section(material)?),
        ("weights", "Weights and codes", distribution::section(material)?),
        ("graph", "Computed results", wiring::section(material)),
        ("provenance", "Provenance", provenance::section(material)?),
    ]
    .into_iter()
    .filter(|(_, _, content)| !content.0.is_empty())
    .collect();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="generator" content=(concat!("fewbits ", env!("CARGO_PKG_VERSION")));
                title { (printable(&experiment.name)) }
                style { (PreEscaped(include_str!("report.css"))) }
            }
            body {
                header {
                    h1 { (printable(&experiment.name)) }
                    p.about { (printable(&experiment.about)) }
                    nav { ul { @for (id, title, _) in &sections { li { a href=(format!("#{id}")) { (title) } } } } }
                }
                main {
                    (summary(material))
                    @for (id, title, content) in &sections {
                        section id=(id) { h2 { (title) } (content) }
                    }
                }
                script { (PreEscaped(include_str!("report.js"))) }
            }
        }
    };
    Ok(page.into_string() + "\n")
}

/// Shows the recommendation and the number of tasks without a result.
fn summary(material: &Material<'_>) -> Markup {
    let graph = material.graph();
    let counts = material.plan.counts(graph.tasks());
    let missing = counts.tasks - counts.cached;
    let said = material.choice.as_ref().map(|(table, choice)| answers(choice, table, &graph.experiment));
    let resolved = graph.node_tasks.iter().flat_map(|node| &node.resolved_ops);
    let activations = material.session.ops.activations(&resolved.map(|work| &work.op).collect::<Vec<_>>());
    html! {
        section id="summary" {
            @if let Some(said) = said {
                h2 { "Recommendation" }
                div.answer { @for sentence in said { p { (printable(&sentence)) } } }
            }
            p.dim {
                (count(counts.tasks, "task"))
                @if missing > 0 { ", " (missing) " of them without a result" }
                "; " (activations) "."
            }
        }
    }
}

//! Training curves: one chart per series of a node, one line per task.
//! Knows nothing of the metrics.

use std::collections::BTreeMap;

use anyhow::Result;
use fewbits_engine::dense::NodeId;
use fewbits_engine::spec::node::Node;
use maud::{Markup, html};

use super::material::Material;
use crate::figure::chart::{Chart, ChartSeries, Dot};
use crate::figure::svg::Figure;
use crate::ui::plain::printable;

/// The axis of the series that are drawn.
const EPOCH: &str = "epoch";

/// The most trainings of a node that are drawn: more lines cover each other.
const MOST: usize = 60;

/// Returns the curves of every node that has series along epochs.
pub fn section(material: &Material<'_>) -> Result<Markup> {
    let mut parts = vec![];
    for (at, node) in material.graph().experiment.nodes.pairs() {
        let figures = curves(material, at)?;
        if !figures.is_empty() {
            parts.push(html! {
                h3 { (node.name) (shown(material, at, node)) }
                div.panels { @for figure in &figures { figure { (figure.on_page()) } } }
            });
        }
    }
    Ok(html! { @for part in parts { (part) } })
}

fn shown(material: &Material<'_>, at: NodeId, node: &Node) -> Markup {
    let all = material.graph().tasks_of(at).count();
    let axes = material.graph().experiment.axis_names(&node.axes);
    html! {
        @if all > MOST { span.dim { ": the first " (MOST) " of " (all) } }
        @else if !axes.is_empty() { span.dim { ": one line for each of " (axes.join(" × ")) } }
    }
}

/// Draws one picture per series of a node's records, with one line per task.
pub fn curves(material: &Material<'_>, node: NodeId) -> Result<Vec<Figure>> {
    let mut charts: BTreeMap<String, Vec<ChartSeries>> = BTreeMap::new();
    let graph = material.graph();
    for task in graph.tasks_of(node).take(MOST) {
        let Some(record) = material.record(task)? else { continue };
        let name = printable(&graph.name(task));
        for (curve, series) in record.series.iter().filter(|(_, series)| series.along == EPOCH) {
            let dots = series.values.iter().enumerate().map(|(epoch, value)| Dot {
                x: (epoch + 1) as f64,
                y: *value,
                interval: None,
                tip: format!("{name}\nepoch {}: {value:.4}", epoch + 1),
                name: None,
            });
            let line = ChartSeries {
                name: Some(name.clone()),
                points: dots.collect(),
                is_line: true,
                has_dots: true,
                is_faint: false,
            };
            charts.entry(curve.clone()).or_default().push(line);
        }
    }
    let draw = |(curve, series): (String, Vec<ChartSeries>)| {
        // With many lines, tooltips identify a line better than a legend.
        let many = series.len() > 6;
        let plain = |line: ChartSeries| if many { ChartSeries { name: None, ..line } } else { line };
        Chart {
            x: EPOCH.to_owned(),
            y: curve,
            is_error: false,
            series: series.into_iter().map(plain).collect(),
        }
        .draw(420.0, 280.0)
    };
    Ok(charts.into_iter().map(draw).collect())
}

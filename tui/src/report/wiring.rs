//! The nodes of an experiment and their inputs, as a drawing and as a table.
//! Knows nothing of the results' values.

use fewbits_engine::dense::{DenseMap, NodeId};
use fewbits_engine::spec::node::order;
use fewbits_engine::spec::table::SECONDS;
use maud::{Markup, html};

use super::material::Material;
use crate::figure::svg::{Figure, text};
use crate::ui::plain::printable;

/// The size of a box, and the gaps between boxes, in pixels.
const BOX: (f64, f64) = (150.0, 44.0);
const GAP: (f64, f64) = (60.0, 18.0);

/// Returns the drawing and the table.
pub fn section(material: &Material<'_>) -> Markup {
    let graph = material.graph();
    html! {
        figure { (drawing(material).on_page()) }
        figure {
            div.tools {}
            table.data {
                thead { tr {
                    @for heading in ["node", "what", "reads", "axes"] { th.a scope="col" { (heading) } }
                    @for heading in ["tasks", "with results", "seconds"] { th scope="col" { (heading) } }
                } }
                tbody {
                    @for (at, node) in graph.experiment.nodes.pairs() {
                        @let names = |nodes: &[NodeId]| nodes.iter().map(|&of| graph.experiment.nodes[of].name.clone()).collect::<Vec<_>>();
                        @let axes = graph.experiment.axis_names(&node.axes);
                        @let seconds = graph.tasks_of(at).filter_map(|task| material.results.metrics(task)?.get(SECONDS).copied());
                        @let known = graph.tasks_of(at).filter(|task| material.results.metrics(*task).is_some()).count();
                        tr {
                            td.a { (node.name) }
                            td.a { (node.kind.name) }
                            td.a { (names(&node.reads().collect::<Vec<_>>()).join(", ")) }
                            td.a { (axes.join(", ")) }
                            td { (graph.tasks_of(at).count()) }
                            td { (known) }
                            td { (format!("{:.1}", seconds.sum::<f64>())) }
                        }
                    }
                }
            }
        }
    }
}

fn drawing(material: &Material<'_>) -> Figure {
    let nodes = &material.graph().experiment.nodes;
    let mut depth: DenseMap<NodeId, usize> = vec![0; nodes.len()].into();
    for at in order(nodes) {
        depth[at] = nodes[at].reads().map(|input| depth[input] + 1).max().unwrap_or(0);
    }
    let mut filled = vec![0_usize; nodes.len() + 1];
    let mut places: DenseMap<NodeId, (f64, f64)> = DenseMap::default();
    for &column in &depth {
        places.push((column as f64 * (BOX.0 + GAP.0) + 2.0, filled[column] as f64 * (BOX.1 + GAP.1) + 2.0));
        filled[column] += 1;
    }
    let (columns, lines) =
        (depth.iter().max().map_or(0, |most| most + 1), filled.iter().max().copied().unwrap_or(0));
    let content = html! {
        @for (at, node) in nodes.pairs() {
            @for input in node.reads() {
                @let (from, to) = (places[input], places[at]);
                @let (x1, y1) = (from.0 + BOX.0, from.1 + BOX.1 / 2.0);
                @let (x2, y2) = (to.0, to.1 + BOX.1 / 2.0);
                @let bend = (x2 - x1) / 2.0;
                path d=(format!("M{x1} {y1} C{} {y1} {} {y2} {x2} {y2}", x1 + bend, x2 - bend)) fill="none"
                    stroke="currentColor" stroke-opacity="0.4" {}
            }
        }
        @for (at, node) in nodes.pairs() {
            @let (x, y) = places[at];
            @let tasks = material.graph().tasks_of(at).count();
            rect.box x=(x) y=(y) width=(BOX.0) height=(BOX.1) rx="6" stroke="currentColor" {}
            (text(x + BOX.0 / 2.0, y + 18.0, "middle", &node.name))
            (text(x + BOX.0 / 2.0, y + 35.0, "middle", &format!("{} × {tasks}", node.kind.name)))
        }
    };
    Figure {
        width: columns as f64 * (BOX.0 + GAP.0) - GAP.0 + 4.0,
        height: lines as f64 * (BOX.1 + GAP.1) - GAP.1 + 4.0,
        label: printable(&format!("the nodes of {}", material.graph().experiment.name)),
        content,
    }
}

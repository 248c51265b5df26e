//! The rounding errors of the recommended network, tensor by tensor.
//! Knows nothing of the metrics.

use anyhow::Result;
use maud::{Markup, html};

use super::material::Material;
use crate::render::number::number;
use crate::ui::plain::printable;

/// The axis of the series that are shown.
const TENSOR: &str = "tensor";

/// Returns the errors of the recommended network, a row per tensor.
pub fn section(material: &Material<'_>) -> Result<Markup> {
    let Some(task) = material.chosen() else { return Ok(html! {}) };
    let Some(record) = material.record(task)? else { return Ok(html! {}) };
    let columns: Vec<_> = record.series.iter().filter(|(_, series)| series.along == TENSOR).collect();
    let Some((_, first)) = columns.first() else { return Ok(html! {}) };
    Ok(html! {
        p.dim { "Of " (material.title()) ", " (printable(&material.graph().name(task))) ":" }
        figure {
            div.tools {}
            table.data {
                thead { tr { th.a scope="col" { "tensor" } @for (name, _) in &columns { th scope="col" { (name) } } } }
                tbody {
                    @for (at, tensor) in first.names.iter().enumerate() {
                        tr {
                            td.a { (printable(tensor)) }
                            @for (_, series) in &columns {
                                td { @if let Some(value) = series.values.get(at).filter(|value| !value.is_nan()) { (number(*value)) } }
                            }
                        }
                    }
                }
            }
        }
    })
}

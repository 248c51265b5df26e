//! The rounding errors of the recommended network, layer by layer and tensor by tensor.
//! Knows nothing of the metrics.

use anyhow::Result;
use fewbits_ops::{LAYER, weights};
use fewbits_store::Record;
use maud::{Markup, html};

use super::distribution::bar;
use super::material::Material;
use crate::render::number::number;
use crate::ui::plain::printable;

/// The axis of the series that are shown.
const TENSOR: &str = "tensor";

/// Returns the errors of the recommended network: a row per layer, if the weights were calibrated, and a row per tensor.
pub fn section(material: &Material<'_>) -> Result<Markup> {
    let Some(task) = material.chosen() else { return Ok(html! {}) };
    let Some(record) = material.record(task)? else { return Ok(html! {}) };
    let formats = weights::listed_formats(&material.graph().resolved_op(task).op);
    let tables: Vec<Markup> =
        [LAYER, TENSOR].into_iter().filter_map(|along| table(&record, along, &formats)).collect();
    if tables.is_empty() {
        return Ok(html! {});
    }
    Ok(html! {
        p.dim { "Of " (material.title()) ", " (printable(&material.graph().name(task))) ":" }
        @for table in tables { (table) }
    })
}

/// Returns the series along an axis as columns; `None` if there is none. `formats` has the names of chosen formats.
fn table(record: &Record, along: &str, formats: &[String]) -> Option<Markup> {
    let columns: Vec<_> = record.series.iter().filter(|(_, series)| series.along == along).collect();
    let (_, first) = columns.first()?;
    Some(html! {
        figure {
            div.tools {}
            table.data {
                thead { tr { th.a scope="col" { (along) } @for (name, _) in &columns { th scope="col" { (name) } } } }
                tbody {
                    @for (at, step) in first.names.iter().enumerate() {
                        tr {
                            td.a { (printable(step)) }
                            @for (name, series) in &columns {
                                td { @if let Some(value) = series.values.get(at).filter(|value| !value.is_nan()) { (cell(name, *value, formats)) } }
                            }
                        }
                    }
                }
            }
        }
    })
}

/// Writes a value of a series: the name of a format, the bits of a code with a bar, or a number.
fn cell(series: &str, value: f64, formats: &[String]) -> Markup {
    match (series, formats.get(value as usize)) {
        ("format", Some(format)) => html! { (printable(format)) },
        ("format_bits", _) => html! { (bar(value)) (number(value)) },
        _ => html! { (number(value)) },
    }
}

//! The failures of a report: each failed task with its error, and the number of tasks without a result because of it.

use maud::{Markup, html};

use super::material::Material;
use crate::render::number::count;
use crate::ui::plain::printable;

/// Returns the section; empty without a failure.
pub fn section(material: &Material<'_>) -> Markup {
    let graph = material.graph();
    let failures = &material.failures;
    html! {
        @if !failures.failed.is_empty() {
            p {
                (count(failures.failed.len(), "task")) " failed in the newest run. Another run tries again; "
                "tables say \"failed\" where a result is missing because of it."
            }
            dl {
                @for (task, error) in &failures.failed {
                    dt { (printable(&graph.name(*task))) }
                    dd {
                        (printable(error))
                        @let taken = failures.taken_by(*task);
                        @if taken > 0 { " (" (count(taken, "more task")) " without a result because of it)" }
                    }
                }
            }
        }
    }
}

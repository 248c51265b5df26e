//! What each tensor of the recommended network takes and loses, histograms of its weights, and the share of each code.
//! Trains nothing again.

use std::sync::Arc;

use anyhow::Result;
use fewbits_engine::graph::{TaskGraph, TaskId};
use fewbits_engine::run::rebuild::{RebuildError, Rebuilder};
use fewbits_ops::quantize::{Codes, Encoded};
use fewbits_ops::{Artifact, StandardOps, weights};
use maud::{Markup, html};

use super::material::Material;
use crate::figure::COLORS;
use crate::figure::axis::FigureAxis;
use crate::figure::svg::px;
use crate::figure::svg::{Figure, text};
use crate::render::number::number;
use crate::ui::plain::printable;

/// The number of bars of a histogram of weights.
const BINS: usize = 61;

/// The most codes that get a bar each.
const MOST_CODES: usize = 256;

/// The size of a histogram, and the margins left and right of its bars and below them, in pixels.
const SIZE: (f64, f64) = (360.0, 200.0);
const ROOM: (f64, f64) = (8.0, 34.0);

/// The height of the line above a histogram that has its name, in pixels.
const NAME: f64 = 18.0;

/// Returns the histograms of every quantized tensor of the recommended network.
pub fn section(material: &Material<'_>) -> Result<Markup> {
    let Some(task) = material.chosen() else { return Ok(html! {}) };
    let graph = material.graph();
    // The pictures also need the network before rounding, even where the one after it is kept.
    if std::iter::once(task).chain(graph.inputs(task).first().copied()).any(|task| is_costly(graph, task)) {
        return Ok(
            html! { p.dim { "The network before or after rounding is not kept (`keep: false`), and would have to be trained or calibrated again." } },
        );
    }
    let tensors = match tensors(material, task) {
        Ok(tensors) => tensors,
        Err(RebuildError::Store(error)) => return Err(error.into()),
        Err(error) => return Ok(html! { p.dim { (printable(&error.to_string())) } }),
    };
    Ok(html! {
        p.dim {
            "Of " (material.title()) ", " (printable(&graph.name(task)))
            ": what each tensor takes and loses, the weights as trained and as rounded, and the share of weights that has each code."
        }
        (overview(&tensors))
        @for (trained, rounded) in &tensors {
            @if let (Some(trained), Some(codes)) = (trained, &rounded.codes) {
                h3 { (printable(&rounded.name)) span.dim { " " (shape(&rounded.shape)) ", " (codes.bits) " bits" } }
                div.panels {
                    figure { (spread(&trained.weights, &rounded.weights).on_page()) }
                    @if let Some(figure) = usage(codes) { figure { (figure.on_page()) } }
                }
            }
        }
    })
}

/// Whether the network would have to be trained or calibrated again, which a report does not do.
fn is_costly(graph: &TaskGraph<StandardOps>, task: TaskId) -> bool {
    let mut behind = Some(task);
    while let Some(task) = behind {
        if graph.resolved_op(task).is_kept {
            return !graph.keeps(task);
        }
        behind = graph.inputs(task).first().copied();
    }
    false
}

/// A tensor before rounding, `None` for a bias that a calibration added, and after.
type Pair = (Option<Encoded>, Encoded);

/// Rebuilds a network. Returns its tensors as trained and as rounded.
fn tensors(material: &Material<'_>, task: TaskId) -> Result<Vec<Pair>, RebuildError> {
    let (session, graph) = (material.session, material.graph());
    let failed = |error| RebuildError::Op { task: graph.name(task), error };
    let op = &graph.resolved_op(task).op;
    let inputs = graph.inputs(task);
    let reads = inputs.iter().take(weights::inputs_of_codes(op));
    let rebuilder = Rebuilder::new((&session.graph, &session.ops, material.store), material.plan.clone());
    let reads: Vec<Arc<Artifact>> =
        reads.map(|input| rebuilder.artifact(*input)).collect::<Result<_, _>>()?;
    let Some(model) = reads.first() else { return Ok(vec![]) };
    let made = rebuilder.artifact(task)?;
    let trained = weights::plain(model).map_err(failed)?;
    let rounded = weights::encoded(op, &reads, &made).map_err(failed)?;
    let before = |name: &str| trained.iter().find(|tensor| tensor.name == name).cloned();
    Ok(rounded.into_iter().map(|tensor| (before(&tensor.name), tensor)).collect())
}

/// Returns a table of the tensors: format, size, and share of the network's bytes and of the squared error of weights.
fn overview(tensors: &[Pair]) -> Markup {
    let bytes = |tensor: &Encoded| tensor.bytes() as f64;
    // A bias is no weight: the correction of a bias is no error.
    let error = |(trained, rounded): &Pair| -> f64 {
        let (Some(trained), Some(_)) = (trained, &rounded.codes) else { return 0.0 };
        let pairs = trained.weights.iter().zip(&rounded.weights);
        pairs.map(|(old, new)| (f64::from(*old) - f64::from(*new)).powi(2)).sum()
    };
    let all_bytes: f64 = tensors.iter().map(|(_, rounded)| bytes(rounded)).sum();
    let errors: Vec<f64> = tensors.iter().map(error).collect();
    let all_error: f64 = errors.iter().sum();
    let share = |part: f64, all: f64| {
        if all > 0.0 && all.is_finite() { format!("{:.1} %", 100.0 * part / all) } else { String::new() }
    };
    html! {
        figure {
            div.tools {}
            table.data {
                thead { tr {
                    th.a scope="col" { "tensor" }
                    th.a scope="col" { "format" }
                    @for name in ["numbers", "bits each", "bytes", "of all bytes", "of the squared error"] {
                        th scope="col" { (name) }
                    }
                } }
                tbody {
                    @for (pair, error) in tensors.iter().zip(&errors) {
                        @let (name, count, bytes) = (&pair.1.name, pair.1.weights.len(), bytes(&pair.1));
                        tr {
                            td.a { (printable(name)) }
                            td.a { (pair.1.codes.as_ref().map_or_else(|| "F32".to_owned(), |codes| codes.quantization.format.to_string())) }
                            td { (count) }
                            td { (bar(8.0 * bytes / count.max(1) as f64)) (number(8.0 * bytes / count.max(1) as f64)) }
                            td { (number(bytes)) }
                            td { (share(bytes, all_bytes)) }
                            td { @if pair.1.codes.is_some() { (share(*error, all_error)) } }
                        }
                    }
                }
            }
        }
    }
}

/// Draws the bits of a number, up to those of binary32.
pub(super) fn bar(bits: f64) -> Markup {
    let width = format!("{:.0}", 2.0 * bits.min(32.0));
    html! { svg width="66" height="8" aria-hidden="true" { rect width=(width) height="8" fill="currentColor" opacity="0.4" {} } " " }
}

fn shape(dims: &[usize]) -> String {
    dims.iter().map(ToString::to_string).collect::<Vec<_>>().join(" × ")
}

/// Draws two histograms: the weights as trained above, as rounded below.
fn spread(trained: &[f32], rounded: &[f32]) -> Figure {
    // Bit flips can make weights infinite or NaN; they have no place on the axis.
    let finite = trained.iter().chain(rounded).filter(|weight| weight.is_finite());
    let reach = finite.map(|weight| f64::from(weight.abs())).fold(0.0, f64::max);
    let reach = if reach > 0.0 { reach } else { 1.0 };
    let count = |weights: &[f32]| {
        let mut counts = vec![0_usize; BINS];
        for weight in weights.iter().filter(|weight| weight.is_finite()) {
            let share = (f64::from(*weight) + reach) / (2.0 * reach);
            counts[((share * BINS as f64) as usize).min(BINS - 1)] += 1;
        }
        counts
    };
    let (before, after) = (count(trained), count(rounded));
    // Rounded weights have few different values, so each histogram is scaled to its own highest bar.
    let bars = |counts: &[usize], low: f64, high: f64| {
        let most = counts.iter().copied().max().unwrap_or(1).max(1) as f64;
        let wide = (SIZE.0 - 2.0 * ROOM.0) / BINS as f64;
        let bar = |(at, count): (usize, &usize)| {
            let x = ROOM.0 + at as f64 * wide;
            let height = *count as f64 / most * (high - low);
            (x, high - height, wide, height)
        };
        counts.iter().enumerate().filter(|(_, count)| **count > 0).map(bar).collect::<Vec<_>>()
    };
    let bottom = SIZE.1 - ROOM.1;
    let middle = bottom / 2.0;
    let axis = FigureAxis::fit([-reach, reach].into_iter(), false, 5);
    let content = html! {
        @for (counts, low, high, color, name) in
            [(&before, 0.0, middle, COLORS[0], "as trained"), (&after, middle, bottom, COLORS[1], "as rounded")] {
            g fill=(color) { @for (x, y, wide, height) in bars(counts, low + NAME, high) {
                rect x=(px(x)) y=(px(y)) width=(px(wide)) height=(px(height)) {}
            } }
            (text(ROOM.0, low + NAME - 5.0, "start", name))
        }
        line x1=(px(ROOM.0)) x2=(px(SIZE.0 - ROOM.0)) y1=(px(bottom)) y2=(px(bottom)) stroke="currentColor" {}
        @for (tick, label) in axis.ticks.iter().filter(|(tick, _)| tick.abs() <= reach) {
            (text(ROOM.0 + (tick + reach) / (2.0 * reach) * (SIZE.0 - 2.0 * ROOM.0), bottom + 16.0, "middle", label))
        }
        (text(SIZE.0 / 2.0, bottom + 31.0, "middle", "weight"))
    };
    Figure { width: SIZE.0, height: SIZE.1, label: "weights before and after rounding".to_owned(), content }
}

/// Draws the share of weights with each code, sorted by the codes' values. Returns `None` if there are too many codes.
fn usage(codes: &Codes) -> Option<Figure> {
    let kinds = 1_usize.checked_shl(codes.bits).filter(|kinds| *kinds <= MOST_CODES)?;
    let mut counts = vec![0_usize; kinds];
    for code in &codes.codes {
        *counts.get_mut(*code as usize)? += 1;
    }
    // If the format has no codebook, codes are sorted by their own number.
    let value = |code: usize| codes.codebook.get(code).copied().unwrap_or(code as f64);
    let mut order: Vec<usize> = (0..kinds).filter(|&code| !value(code).is_nan()).collect();
    order.sort_by(|&a, &b| value(a).total_cmp(&value(b)));
    let all = codes.codes.len().max(1) as f64;
    let most = counts.iter().copied().max().unwrap_or(1).max(1) as f64;
    let (wide, bottom) = ((SIZE.0 - 2.0 * ROOM.0) / order.len().max(1) as f64, SIZE.1 - ROOM.1);
    // At most nine labels fit below the bars.
    let every = order.len().div_ceil(9).max(1);
    let content = html! {
        g fill=(COLORS[2]) {
            @for (at, &code) in order.iter().enumerate() {
                @let height = counts[code] as f64 / most * (bottom - 8.0);
                rect.dot x=(px(ROOM.0 + at as f64 * wide + 0.5)) y=(px(bottom - height)) width=(px((wide - 1.0).max(0.5))) height=(px(height.max(0.5))) {
                    title { "code " (code) " = " (number(value(code))) "\n" (format!("{:.2} %", 100.0 * counts[code] as f64 / all)) }
                }
            }
        }
        line x1=(px(ROOM.0)) x2=(px(SIZE.0 - ROOM.0)) y1=(px(bottom)) y2=(px(bottom)) stroke="currentColor" {}
        @for (at, &code) in order.iter().enumerate().filter(|(at, _)| at % every == 0) {
            (text(ROOM.0 + (at as f64 + 0.5) * wide, bottom + 16.0, "middle", &short(value(code))))
        }
        (text(SIZE.0 / 2.0, bottom + 31.0, "middle", "number of the code, without its scale"))
    };
    Some(Figure { width: SIZE.0, height: SIZE.1, label: "how often each code is used".to_owned(), content })
}

/// Writes a number in few characters. Keeps the sign of zero, because float formats have two zeros.
fn short(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-3 {
        return format!("{value:.0e}");
    }
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_codes_are_short() {
        let check = |value, text: &str| assert_eq!(short(value), text);
        check(-0.0, "-0");
        check(0.0, "0");
        check(10.0, "10");
        check(-1.5, "-1.5");
        check(0.007_812_5, "0.008");
        check(2.0_f64.powi(-20), "1e-6");
    }
}

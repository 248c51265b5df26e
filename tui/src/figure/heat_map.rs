//! Heat maps: the grid of a pivot as coloured cells.
//! Knows nothing of the colours' scale; `shade.rs` has it.

use fewbits_engine::table::sheet::{Cell, Sheet};
use maud::{Markup, html};

use super::shade::{colors, step};
use super::svg::px;
use super::svg::{Figure, text};
use crate::render::table::cell_text;
use crate::ui::plain::printable;

/// The height of a line in pixels.
const LINE: f64 = 22.0;

/// Draws a grid; its colours cover its own values.
#[must_use]
pub fn draw(sheet: &Sheet, label: &str) -> Figure {
    let (range, most) = (sheet.range().unwrap_or_default(), sheet.most_replicates());
    let texts: Vec<Vec<String>> = sheet
        .rows
        .iter()
        .map(|row| row.iter().map(|cell| printable(&cell_text(cell, most))).collect())
        .collect();
    let heads: Vec<Vec<&str>> = sheet.headings.iter().map(|heading| heading.split(", ").collect()).collect();
    let lines = heads.iter().map(Vec::len).max().unwrap_or(1);
    let wide = |text: &str| 14.0 + 6.8 * text.chars().count() as f64;
    let widths: Vec<f64> = (0..heads.len())
        .map(|at| {
            let cells = texts.iter().map(|row| row[at].as_str());
            heads[at].iter().copied().chain(cells).map(wide).fold(0.0, f64::max)
        })
        .collect();
    let lefts: Vec<f64> =
        widths.iter().scan(0.0, |left, width| Some(std::mem::replace(left, *left + width))).collect();
    let top = lines as f64 * 16.0 + 8.0;
    let content = html! {
        @for ((head, left), width) in heads.iter().zip(&lefts).zip(&widths) {
            @for (line, part) in head.iter().enumerate() {
                (text(left + width / 2.0, 16.0 * (line + 1) as f64, "middle", part))
            }
        }
        @for (row, (cells, words)) in sheet.rows.iter().zip(&texts).enumerate() {
            @for (at, (cell, word)) in cells.iter().zip(words).enumerate() {
                (square(cell, word, (lefts[at], top + row as f64 * LINE), widths[at], range))
            }
        }
    };
    let height = top + sheet.rows.len() as f64 * LINE + 4.0;
    Figure { width: widths.iter().sum::<f64>() + 4.0, height, label: label.to_owned(), content }
}

fn square(cell: &Cell, word: &str, (left, top): (f64, f64), width: f64, range: (f64, f64)) -> Markup {
    let Cell::Value(value) = cell else { return text(left + width / 2.0, top + 15.0, "middle", word) };
    let (ground, ink) = colors(step(value.mean, range));
    html! {
        rect x=(px(left)) y=(px(top)) width=(px(width - 1.0)) height=(px(LINE - 1.0)) fill=(ground) {}
        text x=(px(left + width / 2.0)) y=(px(top + 15.0)) text-anchor="middle" fill=(ink) { (word) }
    }
}

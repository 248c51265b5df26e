//! The tables of a report: sortable lists, pivots as heat maps, fronts with their figure.
//! Knows nothing of the statistics.

use std::collections::BTreeMap;

use anyhow::Result;
use fewbits_engine::spec::table::{Table, TableKind};
use fewbits_engine::table::front::{front, means};
use fewbits_engine::table::made::TableSheets;
use fewbits_engine::table::points::{TablePoint, TablePoints};
use fewbits_engine::table::sheet::{Cell, Sheet};
use maud::{Markup, html};

use super::material::Material;
use crate::figure::chart::{Chart, ChartSeries, Dot};
use crate::figure::heat_map::range;
use crate::figure::picture::Picture;
use crate::figure::shade;
use crate::render::choice::answer;
use crate::render::number::estimate;
use crate::render::table::cell_text;
use crate::ui::plain::printable;

/// A table with more rows may be split between printed pages. A figure with more points has no intervals.
const LONG: usize = 40;

/// The size of a figure in pixels.
const SIZE: (f64, f64) = (720.0, 380.0);

/// Returns all tables of the file.
pub fn section(material: &Material<'_>) -> Result<Markup> {
    let mut parts = vec![];
    for (table, made) in &material.tables {
        parts.push(one(material, table, made)?);
    }
    Ok(html! {
        @for part in parts { (part) }
        @for (table, error) in &material.failed {
            h3 id=(format!("table-{}", table.name)) { (table.name) }
            p { "This table cannot be made: " (printable(&error.to_string())) }
        }
    })
}

fn one(material: &Material<'_>, table: &Table, made: &TableSheets) -> Result<Markup> {
    let experiment = &material.graph().experiment;
    let picture = match &table.kind {
        TableKind::Pareto { .. } | TableKind::Choose(_) => Some(trade_off(material, table, made)?),
        TableKind::Table { .. } | TableKind::Pivot { .. } | TableKind::Contrast { .. } => None,
    };
    let is_map = matches!(table.kind, TableKind::Pivot { .. });
    let colors = is_map.then(|| range(&made.sheets));
    let rows: usize = made.sheets.iter().map(|sheet| sheet.rows.len()).sum();
    Ok(html! {
        h3 id=(format!("table-{}", table.name)) { (table.name) }
        p.dim { (printable(&made.caption)) }
        @if made.missing() > 0 { p { (made.missing()) " results are not there yet." } }
        @if let Some(choice) = &made.choice {
            div.answer { @for sentence in answer(choice, table, experiment) { p { (printable(&sentence)) } } }
        }
        @if let Some(picture) = picture { figure { (picture.on_page()) } }
        @for sheet in &made.sheets {
            figure.long[rows > LONG] {
                @if !sheet.title.is_empty() { figcaption { (printable(&sheet.title)) } }
                div.tools {}
                div.scroll { (grid(sheet, colors)) }
            }
        }
    })
}

fn grid(sheet: &Sheet, colors: Option<(f64, f64)>) -> Markup {
    let most = sheet.most_replicates();
    html! {
        table.data {
            thead { tr {
                @for (at, heading) in sheet.headings.iter().enumerate() {
                    th scope="col" class=[(at < sheet.axes).then_some("a")] { (printable(&heading.replace(", ", " · "))) }
                }
            } }
            tbody { @for row in &sheet.rows { tr { @for cell in row { (data(cell, most, colors)) } } } }
        }
    }
}

fn data(cell: &Cell, most: usize, colors: Option<(f64, f64)>) -> Markup {
    let text = printable(&cell_text(cell, most));
    match (cell, colors) {
        (Cell::Level { .. }, _) => html! { td.a { (text) } },
        (Cell::Value(value), Some(range)) => {
            let (ground, ink) = shade::colors(shade::step(value.mean, range));
            html! { td style=(format!("background:{ground};color:{ink}")) { (text) } }
        }
        (Cell::Absent | Cell::Missing | Cell::Value(_), _) => html! { td { (text) } },
    }
}

/// Draws all points of a table of a size against a gain, and marks the front and the chosen point.
pub fn trade_off(material: &Material<'_>, table: &Table, made: &TableSheets) -> Result<Picture> {
    let groups = material.groups(table)?;
    let best = front(&groups.points);
    let on_front: Vec<Dot> = best.iter().filter_map(|&at| dot(material, &groups, at)).collect();
    let others = (0..groups.points.len()).filter(|at| !best.contains(at));
    let mut series = vec![
        ChartSeries {
            name: None,
            points: thinned(others.filter_map(|at| dot(material, &groups, at))),
            is_line: false,
            has_dots: true,
        },
        ChartSeries {
            name: Some("nothing beats these in both".to_owned()),
            points: on_front,
            is_line: true,
            has_dots: true,
        },
    ];
    if let Some(choice) = &made.choice {
        let chosen = choice.chosen.map(|at| &choice.candidates[at].levels);
        let place = chosen.and_then(|levels| groups.points.iter().position(|point| point.levels == *levels));
        let points: Vec<Dot> = place.and_then(|at| dot(material, &groups, at)).into_iter().collect();
        series.push(ChartSeries { name: Some("chosen".to_owned()), points, is_line: false, has_dots: true });
    }
    let chart = Chart { x: groups.headings[0].clone(), y: groups.headings[1].clone(), series };
    Ok(chart.draw(SIZE.0, SIZE.1))
}

fn dot(material: &Material<'_>, groups: &TablePoints, at: usize) -> Option<Dot> {
    let point = &groups.points[at];
    let (x, y) = means(point)?;
    let interval = point.values[1].and_then(|value| value.interval);
    Some(Dot {
        x,
        y,
        interval: interval.filter(|_| groups.points.len() <= LONG),
        tip: tip(material, groups, point),
    })
}

fn tip(material: &Material<'_>, groups: &TablePoints, point: &TablePoint) -> String {
    let axes = &material.graph().experiment.axes;
    let levels = groups.axes.iter().zip(&point.levels);
    let levels =
        levels.map(|(&axis, &level)| format!("{}={}", axes[axis].name, axes[axis].levels[level].label));
    let values = groups.headings.iter().zip(&point.values);
    let values = values.filter_map(|(heading, value)| Some(format!("{heading} {}", estimate(&(*value)?))));
    let levels: Vec<String> = levels.collect();
    let lines: Vec<String> = std::iter::once(levels.join(" ")).chain(values).collect();
    lines.iter().map(|line| printable(line)).collect::<Vec<_>>().join("\n")
}

/// Keeps one dot in each square of two by two pixels, and adds the number of the others to its tooltip.
fn thinned(dots: impl Iterator<Item = Dot>) -> Vec<Dot> {
    let dots: Vec<Dot> = dots.collect();
    let ends = |of: fn(&Dot) -> f64| {
        dots.iter()
            .map(of)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
    };
    let (across, down) = (ends(|dot| dot.x), ends(|dot| dot.y));
    let cell = |value: f64, (low, high): (f64, f64), pixels: f64| {
        if high > low { ((value - low) / (high - low) * pixels) as i64 } else { 0 }
    };
    let mut kept: BTreeMap<(i64, i64), (Dot, usize)> = BTreeMap::new();
    for dot in dots {
        let place = (cell(dot.x, across, SIZE.0 / 2.0), cell(dot.y, down, SIZE.1 / 2.0));
        kept.entry(place).and_modify(|(_, more)| *more += 1).or_insert((dot, 0));
    }
    let told = |(mut dot, more): (Dot, usize)| {
        if more > 0 {
            dot.tip += &format!("\n({more} more here)");
        }
        dot
    };
    kept.into_values().map(told).collect()
}

//! The figures of tables: grids as heat maps, fronts and answers as a trade-off, lists as intervals.
//! Knows nothing of the statistics.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
use fewbits_engine::spec::experiment::Experiment;
use fewbits_engine::spec::table::Table;
use fewbits_engine::table::front::{front, means};
use fewbits_engine::table::layout::Arrangement;
use fewbits_engine::table::points::{TablePoint, TablePoints};
use fewbits_engine::table::sheet::Sheet;
use fewbits_engine::table::table_sheets::TableSheets;

use super::chart::{Chart, ChartSeries, Dot};
use super::svg::{Figure, stack};
use super::{forest, heat_map};
use crate::render::number::estimate;
use crate::ui::plain::printable;

/// A figure with more points has no intervals.
const MANY: usize = 40;

/// The size of a figure in pixels.
const SIZE: (f64, f64) = (720.0, 380.0);

/// Draws a table; the error says why it cannot be drawn.
pub fn draw(experiment: &Experiment, table: &Table, made: &TableSheets) -> Result<Figure> {
    let rows: usize = made.sheets.iter().map(|sheet| sheet.rows.len()).sum();
    if rows == 0 {
        return Err(anyhow!("there are no results to draw yet"));
    }
    match made.arrangement {
        Arrangement::Front | Arrangement::Answer => Ok(trade_off(experiment, made)),
        Arrangement::Grids => {
            let label = table.values().first().map_or("", |value| value.text.as_str());
            let map = |sheet: &Sheet| (printable(&sheet.title), heat_map::draw(sheet, label));
            Ok(stack(&made.sheets.iter().map(map).collect::<Vec<_>>()))
        }
        Arrangement::List if rows > forest::MOST_LINES => Err(anyhow!(
            "{rows} rows are too many for a figure of at most {}; leave some out with `where`",
            forest::MOST_LINES
        )),
        Arrangement::List => {
            let sheet = &made.sheets[0];
            let columns = sheet.axes..sheet.headings.len();
            let each = columns.map(|column| (String::new(), forest::draw(sheet, column)));
            Ok(stack(&each.collect::<Vec<_>>()))
        }
    }
}

/// Draws all points of a table of a size against a gain, and marks the front and the chosen point.
fn trade_off(experiment: &Experiment, made: &TableSheets) -> Figure {
    let points = &made.points;
    let best = front(&points.points);
    let on_front: Vec<Dot> = best.iter().filter_map(|&at| dot(experiment, points, at)).collect();
    let others = (0..points.points.len()).filter(|at| !best.contains(at));
    let mut series = vec![
        ChartSeries {
            name: None,
            points: thinned(others.filter_map(|at| dot(experiment, points, at))),
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
        let place = chosen.and_then(|levels| points.points.iter().position(|point| point.levels == *levels));
        let points: Vec<Dot> = place.and_then(|at| dot(experiment, points, at)).into_iter().collect();
        series.push(ChartSeries { name: Some("chosen".to_owned()), points, is_line: false, has_dots: true });
    }
    let chart = Chart { x: points.headings[0].clone(), y: points.headings[1].clone(), series };
    chart.draw(SIZE.0, SIZE.1)
}

fn dot(experiment: &Experiment, points: &TablePoints, at: usize) -> Option<Dot> {
    let point = &points.points[at];
    let (x, y) = means(point)?;
    let interval = point.values[1].and_then(|value| value.interval);
    Some(Dot {
        x,
        y,
        interval: interval.filter(|_| points.points.len() <= MANY),
        tip: tip(experiment, points, point),
    })
}

fn tip(experiment: &Experiment, points: &TablePoints, point: &TablePoint) -> String {
    let levels =
        experiment.labels(&points.axes, &point.levels).map(|(axis, label)| format!("{axis}={label}"));
    let values = points.headings.iter().zip(&point.values);
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

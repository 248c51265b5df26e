//! The figures of tables: grids as heat maps, fronts and answers as a trade-off, lists as intervals.
//! Knows nothing of the statistics.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, anyhow};
use fewbits_engine::ops::MetricRole;
use fewbits_engine::spec::experiment::Experiment;
use fewbits_engine::spec::node::with_role;
use fewbits_engine::spec::table::{Table, TableKind};
use fewbits_engine::table::answer::Answer;
use fewbits_engine::table::front::{front, means};
use fewbits_engine::table::layout::Arrangement;
use fewbits_engine::table::points::{TablePoint, TablePoints};
use fewbits_engine::table::sheet::Sheet;
use fewbits_engine::table::table_sheets::TableSheets;

use super::chart::{AxisScale, Chart, ChartAxis, ChartSeries, Dot, SeriesMarks};
use super::options::FigureOptions;
use super::svg::{Figure, stack};
use super::{forest, heat_map};
use crate::exit::Coded;
use crate::render::number::estimate;
use crate::ui::plain::printable;

/// In a figure with more points, only those on the front have intervals.
const MANY: usize = 40;

/// The size of a figure in pixels.
const SIZE: (f64, f64) = (720.0, 380.0);

/// Draws a table; the error says why it cannot be drawn.
pub fn draw(
    experiment: &Experiment,
    table: &Table,
    made: &TableSheets,
    options: &FigureOptions,
) -> Result<Figure> {
    let rows: usize = made.sheets.iter().map(|sheet| sheet.rows.len()).sum();
    if rows == 0 && !made.points.points.is_empty() && made.missing() == 0 {
        return Err(anyhow!("no point has both values as numbers, so there is nothing to draw"));
    }
    if rows == 0 {
        return Err(anyhow!("there are no results to draw yet"));
    }
    if options.are_for_curves() {
        return Err(Coded::usage("`--smooth` and `--by` are for curves: name a node of trained networks"));
    }
    let is_chart = matches!(made.arrangement, Arrangement::Front | Arrangement::Answer);
    if !is_chart && options.are_for_charts() {
        return Err(Coded::usage(
            "this figure is as large as its rows and columns: `--width`, `--height` and `--log` are for charts",
        ));
    }
    match made.arrangement {
        Arrangement::Front | Arrangement::Answer => Ok(trade_offs(experiment, table, made, options)),
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

/// Draws a figure for each group of a table, under the levels of the group.
fn trade_offs(experiment: &Experiment, table: &Table, made: &TableSheets, options: &FigureOptions) -> Figure {
    let draw = |members: Vec<usize>| {
        let group = made.points.group(members[0]).to_vec();
        let axes = &made.points.axes[..made.points.group_axes];
        let labels = experiment.labels(axes, &group).map(|(axis, label)| format!("{axis}={label}"));
        let title = printable(&labels.collect::<Vec<_>>().join(", "));
        let points = members.iter().map(|&at| made.points.points[at].clone()).collect();
        let points = TablePoints { points, ..made.points.clone() };
        let answers: Vec<&Answer> = made.answers.iter().filter(|answer| answer.group == group).collect();
        (title, trade_off(experiment, table, &points, &answers, options))
    };
    if made.points.group_axes == 0 {
        let answers: Vec<&Answer> = made.answers.iter().collect();
        return trade_off(experiment, table, &made.points, &answers, options);
    }
    // A group without results has no chart.
    let known: Vec<usize> =
        made.points.all().into_iter().filter(|&at| means(&made.points.points[at]).is_some()).collect();
    stack(&made.points.by_group(&known).into_iter().map(draw).collect::<Vec<_>>())
}

/// Draws all points of a table of a size against a gain, and marks the front and the chosen point. A gain that is an
/// accuracy is drawn as an error on a logarithmic axis, because accuracies near 1 differ little on a linear one.
fn trade_off(
    experiment: &Experiment,
    table: &Table,
    points: &TablePoints,
    answers: &[&Answer],
    options: &FigureOptions,
) -> Figure {
    let best = front(&points.points, points.same_cost);
    let scene = TradeOff { experiment, points, is_error: gain_is_accuracy(experiment, table), best: &best };
    let mut series = vec![ChartSeries {
        name: None,
        points: best.iter().filter_map(|&at| scene.dot(at)).collect(),
        marks: SeriesMarks::Line,
    }];
    series.extend(scene.groups());
    if !answers.is_empty() {
        let chosen = answers.iter().filter_map(|answer| Some(&answer.candidates[answer.chosen?].levels));
        let places =
            chosen.filter_map(|levels| points.points.iter().position(|point| point.levels == *levels));
        // The dot beneath has the name of the point.
        let dots = places.filter_map(|at| scene.dot(at)).map(|dot| Dot { name: None, ..dot });
        let name = Some("chosen".to_owned());
        series.push(ChartSeries { name, points: dots.collect(), marks: SeriesMarks::Dots });
    }
    let gain = &points.headings[1];
    let y = if scene.is_error {
        ChartAxis { label: format!("1 − {gain}, logarithmic"), scale: AxisScale::Error }
    } else {
        ChartAxis { label: gain.clone(), scale: AxisScale::Linear }
    };
    let cost = &points.headings[0];
    let x = if options.is_logarithmic {
        ChartAxis { label: format!("{cost}, logarithmic"), scale: AxisScale::Logarithmic }
    } else {
        ChartAxis { label: cost.clone(), scale: AxisScale::Linear }
    };
    let chart = Chart { x, y, series };
    let (width, height) = options.size(SIZE);
    chart.draw(width, height)
}

/// Returns whether the second value of a table is the accuracy of a network, and nothing else.
#[must_use]
pub fn gain_is_accuracy(experiment: &Experiment, table: &Table) -> bool {
    let gain = match &table.kind {
        TableKind::Pareto { maximize, .. } => maximize,
        TableKind::Choose(choose) => &choose.select.value,
        TableKind::Table { .. }
        | TableKind::Pivot { .. }
        | TableKind::Contrast { .. }
        | TableKind::Importance { .. } => return false,
    };
    let is_accuracy = with_role(gain, &experiment.nodes, MetricRole::Accuracy).next().is_some();
    gain.plain().is_some() && is_accuracy
}

/// The points of a trade-off and what their dots need.
struct TradeOff<'t> {
    experiment: &'t Experiment,
    points: &'t TablePoints,
    is_error: bool,
    /// The points on the front.
    best: &'t [usize],
}

impl TradeOff<'_> {
    /// Returns two series for each level of the axis that gives the colours: faint dots of points that are not on the
    /// front, then those of the front.
    fn groups(&self) -> Vec<ChartSeries> {
        let Some(place) = self.color_axis() else {
            return self.pair("on the front".to_owned(), |_| true).into();
        };
        let axis = &self.experiment.axes[self.points.axes[place]];
        let levels = axis.levels.iter().enumerate();
        let pairs = levels.map(|(level, of)| {
            self.pair(format!("{}={}", axis.name, of.label), move |point| point.levels[place] == level)
        });
        // A level without a point has no place in the legend.
        let pairs = pairs.filter(|pair| pair.iter().any(|series| !series.points.is_empty()));
        pairs.flatten().filter(|series| series.name.is_some() || !series.points.is_empty()).collect()
    }

    fn pair(&self, name: String, is_in: impl Fn(&TablePoint) -> bool) -> [ChartSeries; 2] {
        let all = || (0..self.points.points.len()).filter(|&at| is_in(&self.points.points[at]));
        let (on_front, others): (Vec<usize>, Vec<usize>) = all().partition(|at| self.best.contains(at));
        let dots = |list: Vec<usize>| list.into_iter().filter_map(|at| self.dot(at)).collect::<Vec<_>>();
        let series = |name, points, marks| ChartSeries { name, points, marks };
        [
            series(None, thinned(dots(others).into_iter()), SeriesMarks::FaintDots),
            series(Some(name), dots(on_front), SeriesMarks::Dots),
        ]
    }

    /// Returns the place of the first axis within a group of which the points have two to six levels.
    fn color_axis(&self) -> Option<usize> {
        let few = |place: &usize| {
            let levels: BTreeSet<usize> =
                self.points.points.iter().map(|point| point.levels[*place]).collect();
            (2..=6).contains(&levels.len())
        };
        (self.points.group_axes..self.points.axes.len()).find(few)
    }

    fn dot(&self, at: usize) -> Option<Dot> {
        let point = &self.points.points[at];
        let (x, gain) = means(point)?;
        let is_on_front = self.best.contains(&at);
        let place = |gain: f64| if self.is_error { (1.0 - gain).max(self.least_error()) } else { gain };
        let interval = point.values[1].and_then(|value| value.interval);
        let interval = interval.filter(|_| is_on_front || self.points.points.len() <= MANY);
        Some(Dot {
            x,
            y: place(gain),
            interval: interval.map(|(low, high)| (place(low), place(high))),
            tip: tip(self.experiment, self.points, point),
            name: is_on_front.then(|| self.name(point)),
        })
    }

    /// Returns half of the smallest error above zero: the place of a network without an error.
    fn least_error(&self) -> f64 {
        let errors = self.points.points.iter().filter_map(means).map(|(_, gain)| 1.0 - gain);
        let least = errors.filter(|error| *error > 1e-9).fold(f64::INFINITY, f64::min);
        if least.is_finite() { least / 2.0 } else { 1e-4 }
    }

    /// Returns the levels that distinguish a point from others of the front.
    fn name(&self, point: &TablePoint) -> String {
        let differs = |place: &usize| {
            let mut levels = self.best.iter().map(|&at| self.points.points[at].levels[*place]);
            let first = levels.next();
            levels.any(|level| Some(level) != first)
        };
        let all: Vec<(&str, &str)> = self.experiment.labels(&self.points.axes, &point.levels).collect();
        let places: Vec<usize> = (0..all.len()).filter(differs).collect();
        let words: Vec<String> = match places.as_slice() {
            [one] => vec![all[*one].1.to_owned()],
            several => several.iter().map(|&place| format!("{}={}", all[place].0, all[place].1)).collect(),
        };
        printable(&words.join(" "))
    }
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

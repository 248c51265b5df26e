//! Training curves: one chart per series of a node, with a line for each training, or means of several.
//! Knows nothing of the metrics.

use std::collections::BTreeMap;

use anyhow::Result;
use fewbits_engine::dense::{AxisId, NodeId};
use fewbits_engine::spec::experiment::Experiment;
use fewbits_engine::spec::node::Node;
use maud::{Markup, html};

use super::material::Material;
use crate::figure::chart::{AxisScale, Chart, ChartAxis, ChartSeries, Dot, SeriesMarks};
use crate::figure::options::FigureOptions;
use crate::figure::svg::Figure;
use crate::ui::plain::printable;

/// The axis of the series that are drawn.
const EPOCH: &str = "epoch";

/// The most trainings of a node whose curves are read.
const MOST: usize = 600;

/// The most lines of a chart: more of them cannot be told apart.
const LINES: usize = 6;

/// Returns the curves of every node that has series along epochs.
pub fn section(material: &Material<'_>) -> Result<Markup> {
    let mut parts = vec![];
    for (at, node) in material.graph().experiment.nodes.pairs() {
        let figures = curves(material, at, &FigureOptions::default())?;
        if !figures.is_empty() {
            let trainings = material.graph().tasks_of(at).count();
            let grouping = Grouping::choose(&material.graph().experiment, node, trainings, None);
            parts.push(html! {
                h3 { (node.name) span.dim { (grouping.words(&material.graph().experiment)) } }
                div.panels { @for figure in &figures { figure { (figure.on_page()) } } }
            });
        }
    }
    Ok(html! { @for part in parts { (part) } })
}

/// The lines of a node's charts: one for each combination of these axes.
struct Grouping {
    axes: Vec<AxisId>,
    /// Whether a line is one training, and not the mean of several.
    is_each: bool,
    /// Whether trainings are left out.
    is_cut: bool,
}

impl Grouping {
    /// Chooses the axes of the lines: all axes for few trainings; else those that are not the axis of seeds, if their
    /// combinations are few; else the first of those with few levels. `axes`, where given, are those that a person
    /// asks for.
    fn choose(experiment: &Experiment, node: &Node, trainings: usize, axes: Option<&[AxisId]>) -> Self {
        let is_cut = trainings > MOST;
        if let Some(axes) = axes {
            return Self { axes: axes.to_vec(), is_each: false, is_cut };
        }
        if trainings <= LINES {
            return Self { axes: node.axes.clone(), is_each: true, is_cut };
        }
        let seed = node.kind.seed.and_then(|field| node.value.field(field)?.axis().map(str::to_owned));
        let seed = seed.and_then(|name| experiment.axis(&name));
        let replicates = experiment.tables.iter().filter_map(|table| table.replicate).chain(seed);
        let replicates: Vec<AxisId> = replicates.collect();
        let levels = |axis: &AxisId| experiment.axes[*axis].levels.len();
        let axes: Vec<AxisId> = node.axes.iter().copied().filter(|axis| !replicates.contains(axis)).collect();
        let combinations = axes.iter().map(levels).fold(1, usize::saturating_mul);
        let axes = if combinations <= LINES {
            axes
        } else {
            axes.into_iter().find(|axis| levels(axis) <= LINES).into_iter().collect()
        };
        Self { axes, is_each: false, is_cut }
    }

    fn words(&self, experiment: &Experiment) -> String {
        let names = experiment.axis_names(&self.axes).join(" × ");
        let cut = if self.is_cut { format!(", the first {MOST} trainings") } else { String::new() };
        match (self.is_each, names.is_empty()) {
            (true, true) => String::new(),
            (true, false) => format!(": one line for each of {names}"),
            (false, true) => format!(": the mean of all trainings, from the least to the largest value{cut}"),
            (false, false) => {
                format!(": the mean for each of {names}, from the least to the largest value{cut}")
            }
        }
    }
}

/// The values of one line: for each epoch, those of its trainings.
type Epochs = Vec<Vec<f64>>;

/// Draws one figure per series of a node's records, with a line for each of a few trainings, or the mean and the range
/// of several.
pub fn curves(material: &Material<'_>, node: NodeId, options: &FigureOptions) -> Result<Vec<Figure>> {
    let graph = material.graph();
    let experiment = &graph.experiment;
    let trainings = graph.tasks_of(node).count();
    let grouping =
        Grouping::choose(experiment, &experiment.nodes[node], trainings, options.group_by.as_deref());
    let mut charts: BTreeMap<String, BTreeMap<Vec<usize>, Epochs>> = BTreeMap::new();
    for task in graph.tasks_of(node).take(MOST) {
        let Some(record) = material.record(task)? else { continue };
        let (_, point) = graph.place(task);
        let points = &graph.node_tasks[node].points;
        let group: Vec<usize> =
            grouping.axes.iter().map(|&axis| points.level(point, axis).unwrap_or_default()).collect();
        for (curve, series) in record.series.iter().filter(|(_, series)| series.along == EPOCH) {
            let epochs = charts.entry(curve.clone()).or_default().entry(group.clone()).or_default();
            epochs.resize(epochs.len().max(series.values.len()), vec![]);
            for (values, value) in epochs.iter_mut().zip(&series.values) {
                values.push(*value);
            }
        }
    }
    let lines = |(levels, epochs): (Vec<usize>, Epochs)| {
        let pairs = experiment.labels(&grouping.axes, &levels).map(|(axis, label)| format!("{axis}={label}"));
        let name = printable(&pairs.collect::<Vec<_>>().join(" "));
        let name = if name.is_empty() { "mean".to_owned() } else { name };
        let dots: Vec<Dot> =
            epochs.iter().enumerate().filter_map(|(at, values)| dot(&name, at, values)).collect();
        let marks = if grouping.is_each { SeriesMarks::Curve } else { SeriesMarks::CurveInBand };
        if options.smoothing == 1 {
            return vec![ChartSeries { points: dots, name: Some(name), marks }];
        }
        let points = smooth(&dots, options.smoothing);
        let marks = if grouping.is_each { SeriesMarks::Line } else { SeriesMarks::LineInBand };
        let bare = dots.into_iter().map(|dot| Dot { interval: None, ..dot }).collect();
        let exact = ChartSeries { points: bare, name: None, marks: SeriesMarks::FaintDots };
        vec![exact, ChartSeries { points, name: Some(name), marks }]
    };
    let draw = |(curve, groups): (String, BTreeMap<Vec<usize>, Epochs>)| {
        let series = groups.into_iter().flat_map(lines).collect();
        let scale = if options.is_logarithmic { AxisScale::Logarithmic } else { AxisScale::Linear };
        let x = ChartAxis { label: EPOCH.to_owned(), scale: AxisScale::Whole };
        let (width, height) = options.size((420.0, 280.0));
        let label = match options.smoothing {
            1 => curve,
            epochs => format!("{curve}, mean of {epochs} epochs"),
        };
        Chart { x, y: ChartAxis { label, scale }, series }.draw(width, height)
    };
    Ok(charts.into_iter().map(draw).collect())
}

/// Returns the points of a curve, each as the mean of `epochs` points around it; at the ends there are fewer.
fn smooth(dots: &[Dot], epochs: usize) -> Vec<Dot> {
    let reach = (epochs / 2) as f64;
    let averaged = |center: &Dot| {
        let near: Vec<&Dot> = dots.iter().filter(|dot| (dot.x - center.x).abs() <= reach).collect();
        let mean =
            |value: fn(&Dot) -> f64| near.iter().map(|dot| value(dot)).sum::<f64>() / near.len() as f64;
        let end = |dot: &Dot, pick: fn((f64, f64)) -> f64| dot.interval.map_or(dot.y, pick);
        Dot {
            x: center.x,
            y: mean(|dot| dot.y),
            interval: center.interval.map(|_| {
                let sum = |pick: fn((f64, f64)) -> f64| near.iter().map(|dot| end(dot, pick)).sum::<f64>();
                (sum(|ends| ends.0) / near.len() as f64, sum(|ends| ends.1) / near.len() as f64)
            }),
            tip: String::new(),
            name: None,
        }
    };
    dots.iter().map(averaged).collect()
}

/// Returns the mean of an epoch's finite values, with the range of several; `None` without one.
fn dot(name: &str, at: usize, values: &[f64]) -> Option<Dot> {
    let finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    let mean = finite.iter().sum::<f64>() / finite.len() as f64;
    let (low, high) =
        finite.iter().fold((mean, mean), |(low, high), value| (low.min(*value), high.max(*value)));
    let of =
        if finite.len() > 1 { format!(" ({low:.4}–{high:.4}, n={})", finite.len()) } else { String::new() };
    mean.is_finite().then(|| Dot {
        x: (at + 1) as f64,
        y: mean,
        interval: (finite.len() > 1).then_some((low, high)),
        tip: format!("{name}\nepoch {}: {mean:.4}{of}", at + 1),
        name: None,
    })
}

//! The training view: loss and accuracy by epoch, of the marked trainings or of the one under the cursor.
//! Does not know how curves are recorded.

use fewbits_engine::graph::TaskId;
use fewbits_engine::ops::MetricRole;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

use super::log_words::{last_loss, progress};
use super::runs::when;
use super::task::field;
use super::{KeyHints, task};
use crate::dashboard::app::App;
use crate::dashboard::chart::{Curve, PlotArea};
use crate::dashboard::filter::Filter;
use crate::dashboard::keys::Action;
use crate::dashboard::paint::{heading, item_at, left, line, list, put, put_all, top};
use crate::dashboard::run_curves::RunCurves;
use crate::dashboard::run_model::RunModel;
use crate::dashboard::task_status::TaskStatus;
use crate::dashboard::view_name::View;
use crate::figure::axis::FigureAxis;

/// The most useful keys of the view.
pub const HINTS: KeyHints =
    &[("↑↓", "move"), ("Space", "mark"), ("y", "log axis"), ("/", "filter"), ("Enter", "the task")];

/// The most curves at once, because more cannot be told apart.
pub const MOST_CURVES: usize = 6;
/// The charts: the heading, the metric drawn as a line, and the metric drawn as dots.
const CHARTS: [(&str, MetricRole, MetricRole); 2] = [
    ("loss", MetricRole::TrainLoss, MetricRole::ValidationLoss),
    ("accuracy", MetricRole::TrainAccuracy, MetricRole::ValidationAccuracy),
];

/// Returns the listed trainings.
fn trainings(app: &App) -> Vec<TaskId> {
    let Some(run) = &app.run else { return vec![] };
    let graph = &run.opened.graph;
    let nodes =
        graph.experiment.nodes.pairs().filter(|(_, node)| node.kind.metric(MetricRole::TrainLoss).is_some());
    let tasks = nodes.flat_map(|(node, _)| graph.tasks_of(node));
    tasks
        .filter(|task| {
            app.training_view.filter.is_empty()
                || app.training_view.filter.matches(|| graph.name(*task), |name| field(run, *task, name))
        })
        .collect()
}

/// Returns the trainings whose curves are shown.
#[must_use]
pub fn picked(app: &App) -> Vec<TaskId> {
    if !app.training_view.marked.is_empty() {
        return app.training_view.marked.iter().copied().take(MOST_CURVES).collect();
    }
    let all = trainings(app);
    all.get(app.training_view.cursor.within(all.len())).copied().into_iter().collect()
}

/// Carries out an action; returns a status text.
pub fn act(app: &mut App, action: Action) -> Option<String> {
    let page = app.page();
    let all = trainings(app);
    let graph = std::sync::Arc::clone(&app.run.as_ref()?.opened.graph);
    let state = &mut app.training_view;
    let selected = all.get(state.cursor.within(all.len())).copied();
    let name = |task: Option<TaskId>| task.map_or("there is no training".to_owned(), |task| graph.name(task));
    Some(match action {
        Action::Go(motion) => {
            state.cursor.go(motion, all.len(), page);
            name(all.get(state.cursor.at).copied())
        }
        Action::Mark => match selected {
            Some(task) if state.marked.remove(&task) => format!("unmarked {}", name(selected)),
            Some(_) if state.marked.len() >= MOST_CURVES => {
                format!("{MOST_CURVES} curves are as many as can be told apart")
            }
            Some(task) => {
                state.marked.insert(task);
                format!("marked {}", name(selected))
            }
            None => name(None),
        },
        Action::LogAxis => {
            state.log = !state.log;
            if state.log {
                "the loss on a logarithmic axis".to_owned()
            } else {
                "the loss on a linear axis".to_owned()
            }
        }
        Action::Back if !state.marked.is_empty() => {
            state.marked.clear();
            "no training marked: the one under the cursor is shown".to_owned()
        }
        Action::Back => {
            state.filter = Filter::default();
            "no filter".to_owned()
        }
        Action::Open => {
            let said = name(selected);
            if let Some(task) = selected {
                task::select(app, task);
                app.open_view(View::Task);
            }
            said
        }
        _ => return None,
    })
}

/// Selects the training at a position.
pub fn click(app: &mut App, area: Rect, at: Position) -> Option<String> {
    let all = trainings(app);
    let inside = top(list_areas(app, app.run.as_ref()?, areas(area).0).0, 1).1;
    let item = item_at(inside, app.training_view.cursor, all.len(), at.y).filter(|_| inside.contains(at))?;
    app.training_view.cursor.at = item;
    Some(app.run.as_ref()?.opened.graph.name(all[item]))
}

/// Returns the training under the cursor as named values.
#[must_use]
pub fn row(app: &App) -> Option<Vec<(String, String)>> {
    let all = trainings(app);
    Some(task::row_of(app.run.as_ref()?, *all.get(app.training_view.cursor.within(all.len()))?))
}

/// Divides the view into the list and the charts.
fn areas(area: Rect) -> (Rect, Rect) {
    if area.width >= 90 {
        left(area, (area.width / 3).clamp(30, 60))
    } else {
        top(area, (area.height / 3).clamp(2, 8))
    }
}

/// A training whose curves are drawn.
struct DrawnTraining<'a> {
    task: TaskId,
    /// The past run that its curves are from; `None` for the shown run.
    other: Option<&'a RunCurves>,
}

impl DrawnTraining<'_> {
    fn curve(&self, run: &RunModel, metric: &str) -> Vec<(f64, f64)> {
        match self.other {
            None => run.curve(self.task, metric),
            Some(other) => other.curve(&run.opened.graph.sorted_name(self.task), metric),
        }
    }
}

/// Returns the trainings whose curves are drawn: those of the shown run, then their namesakes in the marked runs.
fn drawn<'a>(app: &'a App, run: &RunModel) -> Vec<DrawnTraining<'a>> {
    let picked = picked(app);
    let own = picked.iter().map(|&task| DrawnTraining { task, other: None });
    let namesakes = picked.iter().flat_map(|&task| {
        let name = run.opened.graph.sorted_name(task);
        let with_it = app.other_curves.iter().filter(move |other| other.has(&name));
        with_it.map(move |other| DrawnTraining { task, other: Some(other) })
    });
    own.chain(namesakes).take(MOST_CURVES).collect()
}

/// Draws the view.
pub fn draw(app: &App, area: Rect, buf: &mut Buffer) {
    let Some(run) = &app.run else { return };
    let (listed, charts) = areas(area);
    let drawn = drawn(app, run);
    let (listed, others) = list_areas(app, run, listed);
    draw_list(app, run, listed, buf);
    if others.height > 0 {
        let inside = heading(buf, others, "from other runs", false, app.theme);
        put_all(buf, inside, other_names(app, run, &drawn, others.width));
    }
    let side_by_side = charts.width >= 120;
    let (first, second) = match (side_by_side, charts.height >= 16) {
        (true, _) => left(charts, charts.width / 2),
        (false, true) => top(charts, charts.height / 2),
        (false, false) => (charts, Rect::default()),
    };
    for (chart, area) in CHARTS.into_iter().zip([first, second]) {
        draw_chart(app, run, &drawn, chart, area, buf);
    }
}

/// Divides the area of the list into the list and the names of the curves of other runs below it.
fn list_areas(app: &App, run: &RunModel, area: Rect) -> (Rect, Rect) {
    let names = other_names(app, run, &drawn(app, run), area.width).len() as u16;
    let height = if names == 0 { 0 } else { (names + 1).min(area.height / 2) };
    top(area, area.height - height)
}

/// Returns a line for each drawn curve of another run.
fn other_names(app: &App, run: &RunModel, drawn: &[DrawnTraining<'_>], width: u16) -> Vec<Line<'static>> {
    let theme = app.theme;
    let name = |(n, training): (usize, &DrawnTraining<'_>)| {
        let other = training.other?;
        let mark = Span::styled(theme.pick("━ ", "* "), theme.curve(n));
        let room = usize::from(width).saturating_sub(when(&other.id).len() + 5);
        let task = run.short_name(training.task, room, theme);
        Some(line([mark, Span::raw(format!("{}  {task}", when(&other.id)))]))
    };
    let mut lines: Vec<Line<'static>> = drawn.iter().enumerate().filter_map(name).collect();
    if lines.is_empty() && !app.other_curves.is_empty() {
        lines.push(Line::from("the marked runs lack this training").style(theme.dim()));
    }
    lines
}

fn draw_list(app: &App, run: &RunModel, area: Rect, buf: &mut Buffer) {
    let theme = app.theme;
    let all = trainings(app);
    let filter = &app.training_view.filter.text;
    let title = if filter.is_empty() {
        format!("trainings: {}, with their last loss", all.len())
    } else {
        format!("trainings: {} with {filter}", all.len())
    };
    let inside = heading(buf, area, &title, true, theme);
    let picked = picked(app);
    list(buf, inside, app.training_view.cursor, all.len(), Some(theme.cursor()), |at| {
        let task = all[at];
        let status = run.task(task).status;
        let order = picked.iter().position(|other| *other == task);
        let mark = match order {
            Some(n) => Span::styled(theme.pick("━ ", "* "), theme.curve(n)),
            None => Span::raw("  "),
        };
        let running = status == TaskStatus::Running;
        // A finished training shows only its final loss.
        let progress = if running {
            progress(run, task)
        } else {
            last_loss(run, task).map_or(String::new(), |loss| format!("{loss:.4}"))
        };
        let room = usize::from(inside.width).saturating_sub(progress.chars().count() + 5);
        line([
            mark,
            Span::styled(format!("{} ", theme.glyph(status)), theme.status(status)),
            Span::raw(run.short_name(task, room, theme)),
            Span::styled(format!(" {progress}"), theme.dim()),
        ])
    });
}

fn draw_chart(
    app: &App,
    run: &RunModel,
    drawn: &[DrawnTraining<'_>],
    (title, train, validation): (&str, MetricRole, MetricRole),
    area: Rect,
    buf: &mut Buffer,
) {
    let theme = app.theme;
    let log = app.training_view.log && train == MetricRole::TrainLoss;
    let metric = |task: TaskId, role| run.opened.graph.kind(task).metric(role).unwrap_or_default();
    let curve = |n: usize, training: &DrawnTraining<'_>, role, dotted: bool| Curve {
        points: training.curve(run, metric(training.task, role)),
        style: theme.curve(n),
        dotted,
    };
    let of = |role: MetricRole, dotted: bool| {
        let curves = drawn.iter().enumerate().map(|(n, training)| curve(n, training, role, dotted));
        curves.filter(|curve| !curve.points.is_empty()).collect::<Vec<_>>()
    };
    let (mut curves, dots) = (of(train, false), of(validation, true));
    let legend = if dots.is_empty() { "line: training" } else { "line: training, dots: validation" };
    curves.extend(dots);
    let scale = if log { ", logarithmic" } else { "" };
    let inside = heading(buf, area, &format!("{title} by epoch{scale}   {legend}"), false, theme);
    let values = |of: fn(&(f64, f64)) -> f64| curves.iter().flat_map(|curve| &curve.points).map(of);
    if curves.is_empty() {
        let is_failed = |training: &DrawnTraining<'_>| run.task(training.task).status == TaskStatus::Failed;
        let text = if !drawn.is_empty() && drawn.iter().all(is_failed) {
            "  no epoch: the training failed before the end of the first one"
        } else {
            "  no epoch yet: curves come with the first one"
        };
        put(buf, inside.x, inside.y, inside.width, Line::from(text).style(theme.dim()));
        return;
    }
    // An epoch is a whole number, so there is at most one tick per epoch.
    let last = values(|point| point.0).fold(2.0, f64::max);
    let x =
        FigureAxis::fit([1.0, last].into_iter(), false, (last as usize).min(usize::from(inside.width) / 8));
    let y = FigureAxis::fit(values(|point| point.1), log, usize::from(inside.height) / 3 + 1);
    if let Some(plot) = PlotArea::frame(inside, x, y, theme, buf) {
        plot.draw(&curves, theme, buf);
    }
}

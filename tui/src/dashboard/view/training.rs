//! The training view: loss and accuracy by epoch, of the marked trainings or of the one under the cursor.
//! Does not know how curves are recorded.

use fewbits_engine::graph::TaskId;
use fewbits_engine::ops::MetricRole;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

use super::log_words::{last_loss, progress};
use super::task::field;
use super::{KeyHints, task};
use crate::dashboard::app::App;
use crate::dashboard::chart::{Curve, PlotArea};
use crate::dashboard::filter::Filter;
use crate::dashboard::keys::Action;
use crate::dashboard::paint::{heading, item_at, left, line, list, put, top};
use crate::dashboard::run_model::RunModel;
use crate::dashboard::task_status::TaskStatus;
use crate::dashboard::view_name::View;
use crate::figure::axis::FigureAxis;

/// The most useful keys of the view.
pub const HINTS: KeyHints =
    &[("↑↓", "move"), ("Space", "mark"), ("y", "log axis"), ("/", "filter"), ("Enter", "the task")];

/// The most curves at once, because more cannot be told apart.
const MOST: usize = 6;
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
        return app.training_view.marked.iter().copied().take(MOST).collect();
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
            Some(_) if state.marked.len() >= MOST => {
                format!("{MOST} curves are as many as can be told apart")
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
    let inside = top(areas(area).0, 1).1;
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

/// Draws the view.
pub fn draw(app: &App, area: Rect, buf: &mut Buffer) {
    let Some(run) = &app.run else { return };
    let (listed, charts) = areas(area);
    draw_list(app, run, listed, buf);
    let picked = picked(app);
    let side_by_side = charts.width >= 120;
    let (first, second) = match (side_by_side, charts.height >= 16) {
        (true, _) => left(charts, charts.width / 2),
        (false, true) => top(charts, charts.height / 2),
        (false, false) => (charts, Rect::default()),
    };
    for (chart, area) in CHARTS.into_iter().zip([first, second]) {
        draw_chart(app, run, &picked, chart, area, buf);
    }
}

fn draw_list(app: &App, run: &RunModel, area: Rect, buf: &mut Buffer) {
    let theme = app.theme;
    let all = trainings(app);
    let filter = &app.training_view.filter.text;
    let title = if filter.is_empty() {
        format!("trainings: {}", all.len())
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
    picked: &[TaskId],
    (title, train, validation): (&str, MetricRole, MetricRole),
    area: Rect,
    buf: &mut Buffer,
) {
    let theme = app.theme;
    let log = app.training_view.log && train == MetricRole::TrainLoss;
    let metric = |task: TaskId, role| run.opened.graph.kind(task).metric(role).unwrap_or_default();
    let curve = |n: usize, task: TaskId, role, dotted: bool| Curve {
        points: run.curve(task, metric(task, role)),
        style: theme.curve(n),
        dotted,
    };
    let of = |role: MetricRole, dotted: bool| {
        let curves = picked.iter().enumerate().map(|(n, task)| curve(n, *task, role, dotted));
        curves.filter(|curve| !curve.points.is_empty()).collect::<Vec<_>>()
    };
    let (mut curves, dots) = (of(train, false), of(validation, true));
    let legend = if dots.is_empty() { "line: training" } else { "line: training, dots: validation" };
    curves.extend(dots);
    let scale = if log { ", logarithmic" } else { "" };
    let inside = heading(buf, area, &format!("{title} by epoch{scale}   {legend}"), false, theme);
    let values = |of: fn(&(f64, f64)) -> f64| curves.iter().flat_map(|curve| &curve.points).map(of);
    if curves.is_empty() {
        let text = "  no epoch yet: curves come with the first one";
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

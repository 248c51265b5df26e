//! The task view: a list of all tasks, and the details of the selected one.
//! Does not know how records are read.

use std::borrow::Cow;

use fewbits_engine::graph::TaskId;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

use super::KeyHints;
use super::detail::{DetailLine, details, key};
use crate::dashboard::app::App;
use crate::dashboard::areas::areas as screen_areas;
use crate::dashboard::cursor::Cursor;
use crate::dashboard::filter::Filter;
use crate::dashboard::keys::Action;
use crate::dashboard::paint::{heading, item_at, left, line, list, pad, put_all, top, wrap};
use crate::dashboard::run_model::RunModel;
use crate::dashboard::theme::Theme;
use crate::dashboard::view_state::TaskSort;
use crate::ui::eta::duration;
use crate::ui::plain::printable;

/// The most useful keys of the view.
pub const HINTS: KeyHints =
    &[("↑↓", "move"), ("←→", "panes"), ("/", "filter"), ("s S", "sort"), ("c", "copy")];

/// Returns a named value of a task for filters: an axis, `node`, `op`, `state`, `seconds`, or a metric.
#[must_use]
pub fn field<'s>(run: &'s RunModel, task: TaskId, name: &str) -> Option<Cow<'s, str>> {
    let graph = &run.opened.graph;
    if let Some((_, label)) = graph.point(task).find(|(axis, _)| *axis == name) {
        return Some(Cow::from(label));
    }
    let node = &graph.experiment.nodes[graph.node(task)];
    match name {
        "node" => Some(Cow::from(node.name.as_str())),
        "op" => Some(Cow::from(node.kind.name)),
        "state" => Some(Cow::from(run.task(task).status.word())),
        "seconds" => run.task(task).seconds.map(|seconds| Cow::from(seconds.to_string())),
        metric => run.metrics(task)?.get(metric).map(|value| Cow::from(value.to_string())),
    }
}

/// Sets the filter of the list.
pub fn filter_to(app: &mut App, text: &str) {
    app.task_view.filter = Filter::parse(text);
    app.task_view.cursor = Cursor::default();
    refresh(app);
}

/// Selects a task. If the filter hides the task, the filter is cleared.
pub fn select(app: &mut App, task: TaskId) {
    refresh(app);
    if !app.task_view.shown.contains(&task) {
        filter_to(app, "");
    }
    app.task_view.cursor.at = app.task_view.shown.iter().position(|other| *other == task).unwrap_or(0);
    app.task_view.scrolled = 0;
}

/// Returns the task under the cursor.
#[must_use]
pub fn selected(app: &App) -> Option<TaskId> {
    app.task_view.shown.get(app.task_view.cursor.within(app.task_view.shown.len())).copied()
}

/// Returns whether the run has changed since the list was made.
#[must_use]
pub fn is_old(app: &App) -> bool {
    app.run.as_ref().is_some_and(|run| app.task_view.made_at.is_some_and(|made| made != run.version))
}

/// Makes the list again if its settings or its data changed.
pub fn refresh(app: &mut App) {
    let Some(run) = &app.run else { return };
    let state = &mut app.task_view;
    let graph = &run.opened.graph;
    let axis = |name: &str| {
        name == "node" || name == "op" || graph.experiment.axes.iter().any(|axis| axis.name == name)
    };
    let living = state.sort != TaskSort::File || !state.filter.names().all(axis);
    // A list that depends on the run is made once a second, because sorting thousands of tasks at every event takes too
    // long.
    let going = run.is_going();
    let moment = match living {
        true if going => app.now as u64,
        // After the end of the run, the list changes only when records are read.
        true => run.version,
        false => 0,
    };
    let made_for = (state.filter.text.clone(), state.sort, state.reverse, going && living, moment);
    state.made_at = living.then_some(state.made_at.unwrap_or(run.version));
    if state.made_for.as_ref() == Some(&made_for) {
        return;
    }
    let kept = state.shown.get(state.cursor.at).copied();
    let mut shown: Vec<TaskId> = graph
        .tasks()
        .filter(|task| {
            state.filter.is_empty()
                || state.filter.matches(|| graph.name(*task), |name| field(run, *task, name))
        })
        .collect();
    match state.sort {
        TaskSort::File => {}
        TaskSort::State => shown.sort_by_key(|task| run.task(*task).status),
        TaskSort::Seconds => shown.sort_by(|a, b| {
            let seconds = |task: &TaskId| run.task(*task).seconds.unwrap_or(-1.0);
            seconds(b).total_cmp(&seconds(a))
        }),
    }
    if state.reverse {
        shown.reverse();
    }
    // The cursor stays on its task.
    if let Some(at) = kept.and_then(|kept| shown.iter().position(|task| *task == kept)) {
        state.cursor.at = at;
    }
    state.shown = shown;
    state.made_for = Some(made_for);
    state.made_at = living.then_some(run.version);
}

/// Carries out an action; returns a status text.
pub fn act(app: &mut App, action: Action) -> Option<String> {
    let page = app.page();
    app.run.as_ref()?;
    match action {
        Action::Go(motion) if app.task_view.reading => {
            let area = top(areas(screen_areas(app.size, app.noticed()).body).1, 1).1;
            let most = lines(app, area.width).len().saturating_sub(usize::from(area.height));
            let mut cursor = Cursor { at: app.task_view.scrolled };
            cursor.go(motion, most + 1, page);
            app.task_view.scrolled = cursor.at;
            return Some("details".to_owned());
        }
        Action::Go(motion) => {
            let len = app.task_view.shown.len();
            app.task_view.cursor.go(motion, len, page);
            app.task_view.scrolled = 0;
        }
        Action::Left | Action::Right => {
            app.task_view.reading = !app.task_view.reading;
            return Some(if app.task_view.reading {
                "the details scroll".to_owned()
            } else {
                "the list moves".to_owned()
            });
        }
        Action::Open => return open_input(app),
        Action::Sort => {
            app.task_view.sort = app.task_view.sort.next();
            return Some(format!("sorted by {}", app.task_view.sort.words()));
        }
        Action::Reverse => {
            app.task_view.reverse = !app.task_view.reverse;
            return Some("sorted the other way round".to_owned());
        }
        Action::Back => {
            app.task_view.reading = false;
            if let Some(said) = app.go_back() {
                return Some(said);
            }
            filter_to(app, "");
            return Some("no filter".to_owned());
        }
        _ => return None,
    }
    Some(selected(app).map_or("no task".to_owned(), |task| name(app, task)))
}

/// Selects the first input of the selected task.
fn open_input(app: &mut App) -> Option<String> {
    let task = selected(app)?;
    let input = app.run.as_ref()?.opened.graph.inputs(task).first().copied();
    let Some(input) = input else { return Some(format!("{} reads no other task", name(app, task))) };
    select(app, input);
    Some(format!("{}, which {} reads", name(app, input), name(app, task)))
}

fn name(app: &App, task: TaskId) -> String {
    app.run.as_ref().map_or(String::new(), |run| run.opened.graph.name(task))
}

/// Selects the task at a position, or focuses the details.
pub fn click(app: &mut App, area: Rect, at: Position) -> Option<String> {
    let (listed, details) = areas(area);
    if details.contains(at) {
        app.task_view.reading = true;
        return Some("the details scroll".to_owned());
    }
    let inside = top(listed, 1).1;
    let item = item_at(inside, app.task_view.cursor, app.task_view.shown.len(), at.y)
        .filter(|_| inside.contains(at))?;
    app.task_view.cursor.at = item;
    app.task_view.reading = false;
    app.task_view.scrolled = 0;
    Some(name(app, app.task_view.shown[item]))
}

/// Returns the task under the cursor as named values.
#[must_use]
pub fn row(app: &App) -> Option<Vec<(String, String)>> {
    Some(row_of(app.run.as_ref()?, selected(app)?))
}

/// Returns a task as named values: its name, status, key and metrics.
#[must_use]
pub fn row_of(run: &RunModel, task: TaskId) -> Vec<(String, String)> {
    let pair = |name: &str, value: String| (name.to_owned(), value);
    let mut row = vec![
        pair("task", run.opened.graph.name(task)),
        pair("state", run.task(task).status.word().to_owned()),
    ];
    row.extend(key(run, task).map(|key| pair("key", key)));
    let metrics = run.metrics(task).into_iter().flatten();
    row.extend(metrics.map(|(name, value)| pair(name, value.to_string())));
    row
}

/// Divides the view into the list and the details.
fn areas(area: Rect) -> (Rect, Rect) {
    if area.width >= 80 {
        left(area, (area.width / 2).clamp(30, 64))
    } else {
        top(area, (area.height / 3).max(2))
    }
}

/// Draws the view.
pub fn draw(app: &App, area: Rect, buf: &mut Buffer) {
    let Some(run) = &app.run else { return };
    let (listed, detail) = areas(area);
    draw_list(app, run, listed, buf);
    let Some(task) = selected(app) else { return };
    let name = run.short_name(task, usize::from(detail.width.saturating_sub(2)), app.theme);
    let inside = heading(buf, detail, &name, app.task_view.reading, app.theme);
    let lines = lines(app, inside.width);
    let most = lines.len().saturating_sub(usize::from(inside.height));
    put_all(buf, inside, lines.into_iter().skip(app.task_view.scrolled.min(most)));
}

/// Returns the details of the selected task, in lines of at most `width` characters.
fn lines(app: &App, width: u16) -> Vec<Line<'static>> {
    let Some((run, task)) = app.run.as_ref().zip(selected(app)) else { return vec![] };
    let wrapped = details(run, task, app.now, app.theme).into_iter().flat_map(|line| match line {
        DetailLine::Cells(cells) => vec![clipped(cells, usize::from(width), app.theme)],
        DetailLine::Text(style, text) => {
            let lines = wrap(&printable(&text), usize::from(width)).into_iter();
            lines.map(|line| Line::from(line).style(style)).collect()
        }
    });
    wrapped.collect()
}

/// Returns a line, with a mark at its end if it is wider than `width`.
fn clipped(line: Line<'static>, width: usize, theme: Theme) -> Line<'static> {
    if line.width() <= width {
        return line;
    }
    let mut room = width.saturating_sub(1);
    let mut spans: Vec<Span<'static>> = vec![];
    for span in line.spans {
        if span.width() > room {
            let start: String = span.content.chars().take(room).collect();
            spans.push(Span::styled(start, span.style));
            break;
        }
        room -= span.width();
        spans.push(span);
    }
    spans.push(Span::styled(theme.pick("…", "~"), theme.dim()));
    Line::from(spans)
}

fn draw_list(app: &App, run: &RunModel, area: Rect, buf: &mut Buffer) {
    let theme = app.theme;
    let state = &app.task_view;
    let (shown, all) = (state.shown.len(), run.tasks.len());
    let mut title = if shown == all { format!("{all} tasks") } else { format!("{shown} of {all} tasks") };
    if !state.filter.is_empty() {
        title += &format!(" with {}", state.filter.text);
    }
    if state.sort != TaskSort::File || state.reverse {
        title += &format!(", by {}{}", state.sort.words(), if state.reverse { " reversed" } else { "" });
    }
    let inside = heading(buf, area, &printable(&title), !state.reading, theme);
    list(buf, inside, state.cursor, shown, Some(theme.cursor()), |at| {
        let task = state.shown[at];
        let status = run.task(task).status;
        let seconds = run.task(task).seconds.filter(|_| inside.width >= 50).map_or(String::new(), duration);
        let room = usize::from(inside.width).saturating_sub(13 + seconds.len());
        line([
            Span::styled(format!("{} {:<8}", theme.glyph(status), status.word()), theme.status(status)),
            Span::raw(pad(&run.short_name(task, room, theme), room + 1, false)),
            Span::styled(seconds, theme.dim()),
        ])
    });
}

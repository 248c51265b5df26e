//! The run view: progress, the nodes as a tree, the running tasks, and a log that scrolls with new entries.
//! Knows nothing of the store.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

use super::log_words::{name, progress, words};
use super::tree::{TreeRow, branches, tree};
use super::{KeyHints, STATUSES, task};
use crate::dashboard::app::App;
use crate::dashboard::cursor::{Cursor, Motion};
use crate::dashboard::keys::Action;
use crate::dashboard::log::{LogEntry, LogEvent};
use crate::dashboard::paint::{heading, item_at, left, line, list, pad, put, shorten, top};
use crate::dashboard::run_model::RunModel;
use crate::dashboard::task_status::{StatusCounts, TaskStatus};
use crate::dashboard::theme::Theme;
use crate::dashboard::view_name::View;
use crate::dashboard::view_state::Pane;
use crate::render::number::count;
use crate::ui::eta::duration;
use crate::ui::plain::printable;

/// The most useful keys of the view.
pub const HINTS: KeyHints = &[("Tab", "views"), ("←→", "panes"), ("↑↓", "move"), ("Enter", "its tasks")];

/// Carries out an action; returns a status text.
pub fn act(app: &mut App, action: Action) -> Option<String> {
    let page = app.page();
    let run = app.run.as_ref()?;
    let state = &mut app.run_view;
    match action {
        Action::Left | Action::Right => {
            let at = Pane::ALL.iter().position(|pane| *pane == state.pane).unwrap_or(0);
            let step = if action == Action::Left { 2 } else { 1 };
            state.pane = Pane::ALL[(at + step) % 3];
            Some(state.pane.title().to_owned())
        }
        Action::Go(motion) => Some(match state.pane {
            Pane::Nodes => {
                state.nodes.go(motion, run.nodes.len(), page);
                let row = tree(run).into_iter().nth(state.nodes.at);
                row.map_or(String::new(), |row| {
                    format!("node {}", run.opened.graph.experiment.nodes[row.node].name)
                })
            }
            Pane::Running => {
                state.job.go(motion, run.jobs.count(), page);
                match run.jobs.task(state.job.at) {
                    Some(task) => name(run, task),
                    None if run.jobs.running() == 0 => "nothing runs".to_owned(),
                    None => "this job is idle".to_owned(),
                }
            }
            Pane::Log => {
                let len = run.log.len();
                let mut cursor = state.log.unwrap_or(Cursor { at: len.saturating_sub(1) });
                cursor.go(motion, len, page);
                state.log = (motion != Motion::Last && cursor.at + 1 < len).then_some(cursor);
                if state.log.is_some() {
                    "the log waits; G follows it".to_owned()
                } else {
                    "the log follows".to_owned()
                }
            }
        }),
        Action::Open => open(app),
        Action::Back => {
            state.log = None;
            Some("the log follows".to_owned())
        }
        _ => None,
    }
}

fn open(app: &mut App) -> Option<String> {
    let run = app.run.as_ref()?;
    let selected = match app.run_view.pane {
        Pane::Nodes => {
            let row = tree(run).into_iter().nth(app.run_view.nodes.at)?;
            let node = run.opened.graph.experiment.nodes[row.node].name.clone();
            task::filter_to(app, &format!("node={node}"));
            app.open_view(View::Task);
            return Some(format!("tasks of {node}"));
        }
        Pane::Running => run.jobs.task(app.run_view.job.within(run.jobs.count())),
        Pane::Log => entry(app).and_then(|entry| entry.task),
    };
    let Some(id) = selected else { return Some("no task there".to_owned()) };
    let name = name(run, id);
    task::select(app, id);
    app.open_view(View::Task);
    Some(name)
}

fn entry(app: &App) -> Option<&LogEntry> {
    let run = app.run.as_ref()?;
    let at = app.run_view.log.map_or(run.log.len().saturating_sub(1), |cursor| cursor.within(run.log.len()));
    run.log.get(at)
}

/// Selects the item at a position.
pub fn click(app: &mut App, area: Rect, at: Position) -> Option<String> {
    let panes = panes(app.run.as_ref()?, area, app.run_view.pane);
    let (pane, area) = panes.into_iter().find(|(_, area)| area.contains(at))?;
    app.run_view.pane = pane;
    let list = top(area, 1).1;
    let run = app.run.as_ref()?;
    match pane {
        Pane::Nodes => {
            app.run_view.nodes.at = item_at(list, app.run_view.nodes, run.nodes.len(), at.y)?;
        }
        Pane::Running => {
            app.run_view.job.at = item_at(list, app.run_view.job, run.jobs.count(), at.y)?;
        }
        Pane::Log => {
            let cursor = app.run_view.log.unwrap_or(Cursor { at: run.log.len().saturating_sub(1) });
            app.run_view.log = Some(Cursor { at: item_at(list, cursor, run.log.len(), at.y)? });
        }
    }
    Some(format!("selected in {}", pane.title()))
}

/// Returns the item under the cursor as named values.
#[must_use]
pub fn row(app: &App) -> Option<Vec<(String, String)>> {
    let run = app.run.as_ref()?;
    match app.run_view.pane {
        Pane::Nodes => {
            let row = tree(run).into_iter().nth(app.run_view.nodes.at)?;
            let StatusCounts { tasks, done, cached, running, saving, failed, skipped } = run.nodes[row.node];
            let counts = [
                ("tasks", tasks),
                ("done", done),
                ("cached", cached),
                ("running", running),
                ("saving", saving),
                ("failed", failed),
                ("skipped", skipped),
            ];
            let node = run.opened.graph.experiment.nodes[row.node].name.clone();
            let counts = counts.map(|(name, count)| (name.to_owned(), count.to_string()));
            Some([("node".to_owned(), node)].into_iter().chain(counts).collect())
        }
        Pane::Running => {
            let task = run.jobs.task(app.run_view.job.within(run.jobs.count()))?;
            Some(vec![("task".to_owned(), name(run, task))])
        }
        Pane::Log => Some(vec![("log".to_owned(), words(run, entry(app)?))]),
    }
}

/// Draws the view.
pub fn draw(app: &App, area: Rect, buf: &mut Buffer) {
    let Some(run) = &app.run else {
        put(buf, area.x, area.y, area.width, Line::from("planning").style(app.theme.dim()));
        return;
    };
    draw_progress(app, run, top(area, 3).0, buf);
    for (pane, area) in panes(run, area, app.run_view.pane) {
        let inside = heading(buf, area, &title(run, pane), app.run_view.pane == pane, app.theme);
        match pane {
            Pane::Nodes => draw_nodes(app, run, inside, buf),
            Pane::Running => draw_running(app, run, inside, buf),
            Pane::Log => draw_log(app, run, inside, buf),
        }
    }
}

fn title(run: &RunModel, pane: Pane) -> String {
    match pane {
        Pane::Nodes => "nodes".to_owned(),
        // Run logs of older versions lack the end of jobs or the number of jobs.
        Pane::Running if !run.workers.is_empty() => {
            let jobs = run.workers.iter().map(|(_, jobs)| jobs).sum();
            let workers = count(run.workers.len(), "worker");
            format!("running: {} of {} on {workers}", run.jobs.running(), count(jobs, "job"))
        }
        Pane::Running => match (run.jobs.running(), run.opened.header.jobs) {
            (running, jobs @ 1..) if running <= jobs && run.is_going() => {
                format!("running: {running} of {jobs} jobs")
            }
            (running, _) => format!("running: {running}"),
        },
        Pane::Log => "log".to_owned(),
    }
}

/// Divides the area below the progress. A low area shows only the focused pane.
fn panes(run: &RunModel, area: Rect, focus: Pane) -> Vec<(Pane, Rect)> {
    let area = top(area, 3).1;
    if area.height < 9 {
        return vec![(focus, area)];
    }
    let nodes = run.nodes.len() as u16 + 1;
    let jobs = run.opened.header.jobs + run.workers.iter().map(|(_, jobs)| jobs).sum::<usize>();
    let running = jobs.clamp(1, 8) as u16 + 1;
    if area.width >= 110 {
        let height = nodes.max(running).min(area.height.saturating_sub(5));
        let (upper, log) = top(area, height);
        let (nodes, running) = left(upper, area.width * 3 / 5);
        return vec![(Pane::Nodes, nodes), (Pane::Running, running), (Pane::Log, log)];
    }
    let running = running.min(area.height / 3);
    let (upper, rest) = top(area, nodes.min(area.height.saturating_sub(running + 3)));
    let (middle, log) = top(rest, running);
    vec![(Pane::Nodes, upper), (Pane::Running, middle), (Pane::Log, log)]
}

fn draw_progress(app: &App, run: &RunModel, area: Rect, buf: &mut Buffer) {
    let (theme, total) = (app.theme, run.total());
    let percent = format!(" {:.0} % ", 100.0 * total.share());
    let (on, off) = theme.bar(total.share(), usize::from(area.width).saturating_sub(percent.len()));
    let bar = line([Span::styled(on, theme.good()), Span::styled(off, theme.dim()), Span::raw(percent)]);
    let counts = counts(total, theme, area.width);
    let left = match run.eta.remaining() {
        Some(remaining) if run.is_going() => remaining.to_string(),
        None if run.is_going() => "no estimate yet".to_owned(),
        _ => String::new(),
    };
    let taken = duration(run.elapsed(app.now));
    let times = if run.is_going() { format!("{taken} so far  {left}") } else { format!("took {taken}") };
    let times = format!("{}  {times}", count(total.tasks, "task"));
    let lines = [bar, Line::from(counts), Line::from(times.trim_end().to_owned())];
    crate::dashboard::paint::put_all(buf, area, lines);
}

/// Returns the counts of tasks by status. On a narrow screen, counts of zero are left out. A zero count of results
/// being saved is always left out, because such results are rare and brief.
fn counts(total: StatusCounts, theme: Theme, width: u16) -> Vec<Span<'static>> {
    let span = |status: TaskStatus| {
        let count = total.count(status);
        let style = if count > 0 { theme.status(status) } else { theme.dim() };
        let text = format!("{} {count} {}  ", theme.glyph(status), status.word());
        (count > 0 || (status != TaskStatus::Saving && width >= 80)).then(|| Span::styled(text, style))
    };
    STATUSES.into_iter().filter_map(span).collect()
}

fn draw_nodes(app: &App, run: &RunModel, area: Rect, buf: &mut Buffer) {
    let theme = app.theme;
    let rows = tree(run);
    let wide = area.width >= 64;
    let style = (app.run_view.pane == Pane::Nodes).then(|| theme.cursor());
    list(buf, area, app.run_view.nodes, rows.len(), style, |at| {
        let TreeRow { node, open } = &rows[at];
        let spec = &run.opened.graph.experiment.nodes[*node];
        let status_counts = run.nodes[*node];
        let status = status_counts.status();
        let name = format!("{}{}", branches(open, theme.ascii), spec.name);
        let width = if wide { 20 } else { 16 };
        let (on, off) = theme.bar(status_counts.share(), if wide { 14 } else { 8 });
        let kind = if wide { format!("{:<9}", spec.kind.name) } else { String::new() };
        line([
            Span::raw(pad(&shorten(&name, width, theme), width + 1, false)),
            Span::styled(kind, theme.dim()),
            Span::raw(format!(
                "{:>11} ",
                format!("{}/{}", status_counts.done + status_counts.cached, status_counts.tasks)
            )),
            Span::styled(on, theme.status(status)),
            Span::styled(off, theme.dim()),
            Span::styled(
                format!(" {} {}", theme.glyph(status), state_words(status_counts)),
                theme.status(status),
            ),
        ])
    });
}

fn state_words(status_counts: StatusCounts) -> String {
    match status_counts.status() {
        TaskStatus::Failed => format!("{} failed", status_counts.failed),
        TaskStatus::Running => format!("{} running", status_counts.running),
        TaskStatus::Saving => format!("{} saving", status_counts.saving),
        status => status.word().to_owned(),
    }
}

fn draw_running(app: &App, run: &RunModel, area: Rect, buf: &mut Buffer) {
    let theme = app.theme;
    if !run.is_going() || run.jobs.count() == 0 {
        return put(buf, area.x, area.y, area.width, Line::from("  nothing").style(theme.dim()));
    }
    let style = (app.run_view.pane == Pane::Running).then(|| theme.cursor());
    list(buf, area, app.run_view.job, run.jobs.count(), style, |at| {
        let Some(task) = run.jobs.task(at) else { return Line::from("  idle").style(theme.dim()) };
        let on = run.task(task).detail.as_ref().and_then(|detail| detail.on.as_deref());
        let on = on.map_or(String::new(), |on| format!("{}  ", printable(on)));
        let progress = format!("{on}{}", progress(run, task));
        let since = run.task(task).started.map_or(0.0, |start| run.elapsed(app.now) - start);
        let since = format!(" {:>8} ", duration(since.max(0.0)));
        let room = usize::from(area.width).saturating_sub(progress.chars().count() + since.len() + 3);
        line([
            Span::styled(format!("{} ", theme.glyph(TaskStatus::Running)), theme.status(TaskStatus::Running)),
            Span::raw(run.short_name(task, room, theme)),
            Span::styled(since, theme.dim()),
            Span::raw(progress),
        ])
    });
}

fn draw_log(app: &App, run: &RunModel, area: Rect, buf: &mut Buffer) {
    let theme = app.theme;
    let len = run.log.len();
    let (cursor, style) = match app.run_view.log {
        Some(cursor) => (cursor, Some(theme.cursor())),
        None => (Cursor { at: len.saturating_sub(1) }, None),
    };
    let style = style.filter(|_| app.run_view.pane == Pane::Log);
    list(buf, area, cursor, len, style, |at| {
        let entry = &run.log[at];
        let style = match &entry.what {
            LogEvent::Failed | LogEvent::Skips(_) => theme.bad(),
            LogEvent::Note(_, true) => theme.notice(),
            LogEvent::Started | LogEvent::Postponed(_) | LogEvent::Reused | LogEvent::Rebuilt(_) => {
                theme.dim()
            }
            LogEvent::Done | LogEvent::Note(_, false) => ratatui::style::Style::new(),
        };
        line([
            Span::styled(format!("{:>9}  ", duration(entry.at)), theme.dim()),
            Span::styled(printable(&words(run, entry)).replace('\n', " "), style),
        ])
    });
}

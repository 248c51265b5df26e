//! The view of past runs, from which a run is replayed, or pinned for comparison with the shown run.
//! Does not know how runs are read.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

use super::KeyHints;
use super::training::MOST_CURVES;
use crate::dashboard::app::App;
use crate::dashboard::filter::Filter;
use crate::dashboard::keys::Action;
use crate::dashboard::messages::{PastRun, Request};
use crate::dashboard::paint::{heading, item_at, line, list, put, put_all, top, wrap};
use crate::dashboard::run_curves::RunCurves;
use crate::dashboard::task_status::TaskStatus;
use crate::dashboard::view_name::View;
use crate::ui::plain::{printable, sentence};

/// The most useful keys of the view.
pub const HINTS: KeyHints =
    &[("↑↓", "move"), ("Enter", "replay"), ("p", "compare with"), ("Space", "curves"), ("/", "filter")];

fn listed(app: &App) -> Vec<&PastRun> {
    let matches = |past: &&PastRun| {
        let value = |name: &str| match name {
            "experiment" => Some(Cow::from(past.experiment.as_str())),
            "id" => Some(Cow::from(past.id.as_str())),
            _ => None,
        };
        app.runs_view.filter.matches(|| format!("{} {} {}", past.id, past.experiment, ended(past)), value)
    };
    app.past.iter().flatten().filter(matches).collect()
}

fn selected(app: &App) -> Option<&PastRun> {
    let listed = listed(app);
    listed.get(app.runs_view.cursor.within(listed.len())).copied()
}

fn ended(past: &PastRun) -> String {
    match &past.summary {
        Some(summary) => sentence(summary),
        None if past.going => "going on".to_owned(),
        None => "not finished".to_owned(),
    }
}

/// Replaces the list of runs; the cursor stays on its run.
pub fn renew(app: &mut App, past: Vec<PastRun>) {
    let kept = selected(app).map(|past| past.id.clone());
    app.past = Some(past);
    let place = kept.and_then(|id| listed(app).iter().position(|past| past.id == id));
    if let Some(at) = place {
        app.runs_view.cursor.at = at;
    }
}

/// Carries out an action; returns a status text.
pub fn act(app: &mut App, action: Action) -> Option<String> {
    let (len, page) = (listed(app).len(), app.page());
    match action {
        Action::Go(motion) => {
            app.runs_view.cursor.go(motion, len, page);
            Some(
                selected(app).map_or("no runs yet".to_owned(), |past| {
                    format!("run {} of {}", past.id, past.experiment)
                }),
            )
        }
        Action::Open => {
            let Some(id) = selected(app).map(|past| past.id.clone()) else {
                return Some("no runs yet".to_owned());
            };
            let said = format!("opening run {id}");
            app.ask(Request::Open(id));
            app.open_view(View::Run);
            Some(said)
        }
        Action::Pin => {
            let Some(id) = selected(app).map(|past| past.id.clone()) else {
                return Some("no runs yet".to_owned());
            };
            if app.baseline.take().is_some_and(|baseline| baseline.id == id) {
                return Some("no baseline".to_owned());
            }
            if app.run.as_ref().is_some_and(|run| run.opened.id == id) {
                return Some(
                    "this run is the one that is shown: choose another to compare it with".to_owned(),
                );
            }
            let said = format!("comparing with run {id}");
            app.ask(Request::Baseline(id));
            Some(said)
        }
        Action::Mark => Some(mark(app)),
        Action::Back => {
            app.other_curves.clear();
            app.runs_view.filter = Filter::default();
            app.baseline = None;
            Some("no filter, no baseline, no curves of other runs".to_owned())
        }
        _ => None,
    }
}

/// Asks for the curves of the run under the cursor, or removes them.
fn mark(app: &mut App) -> String {
    let Some(id) = selected(app).map(|past| past.id.clone()) else { return "no runs yet".to_owned() };
    if let Some(at) = app.other_curves.iter().position(|curves| curves.id == id) {
        app.other_curves.remove(at);
        return format!("no curves of run {id}");
    }
    if app.run.as_ref().is_some_and(|run| run.opened.id == id) {
        return "this run is the one that is shown: choose another to draw its curves".to_owned();
    }
    if app.other_curves.len() + 1 >= MOST_CURVES {
        return format!("{MOST_CURVES} curves are as many as can be told apart");
    }
    let said = format!("reading the curves of run {id}");
    app.ask(Request::Curves(id));
    said
}

/// Takes over the curves of a past run.
pub fn add_curves(app: &mut App, curves: RunCurves) {
    if app.other_curves.iter().all(|other| other.id != curves.id) {
        app.say(format!("the training view has the curves of run {}", curves.id));
        app.other_curves.push(curves);
    }
}

/// Selects the run at a position.
pub fn click(app: &mut App, area: Rect, at: Position) -> Option<String> {
    let item = item_at(top(areas(app, area).0, 1).1, app.runs_view.cursor, listed(app).len(), at.y)?;
    app.runs_view.cursor.at = item;
    selected(app).map(|past| format!("run {} of {}", past.id, past.experiment))
}

/// Returns the run under the cursor as named values.
#[must_use]
pub fn row(app: &App) -> Option<Vec<(String, String)>> {
    let past = selected(app)?;
    Some(vec![
        ("run".to_owned(), past.id.clone()),
        ("experiment".to_owned(), past.experiment.clone()),
        ("end".to_owned(), ended(past)),
    ])
}

/// Divides the view into the list and, if there is one, the comparison.
fn areas(app: &App, area: Rect) -> (Rect, Rect) {
    if app.baseline.is_some() { top(area, area.height / 2) } else { (area, Rect::default()) }
}

/// Draws the view.
pub fn draw(app: &App, area: Rect, buf: &mut Buffer) {
    let theme = app.theme;
    let (upper, lower) = areas(app, area);
    let listed = listed(app);
    let title = if app.runs_view.filter.is_empty() {
        format!("runs: {}, newest first", listed.len())
    } else {
        format!("runs: {} with {}", listed.len(), app.runs_view.filter.text)
    };
    let inside = heading(buf, upper, &title, true, theme);
    if app.past.is_none() {
        put(buf, inside.x, inside.y, inside.width, Line::from("reading").style(theme.dim()));
    }
    let here = app.run.as_ref().map(|run| run.opened.id.as_str());
    let has_curves = |past: &PastRun| app.other_curves.iter().any(|curves| curves.id == past.id);
    list(buf, inside, app.runs_view.cursor, listed.len(), Some(theme.cursor()), |at| {
        let past = listed[at];
        let status = status(past);
        let shown = if here == Some(past.id.as_str()) { theme.pick("► ", "> ") } else { "  " };
        let baseline = app.baseline.as_ref().is_some_and(|baseline| baseline.id == past.id);
        line([
            Span::styled(shown, theme.strong()),
            Span::styled(format!("{} ", theme.glyph(status)), theme.status(status)),
            Span::raw(format!("{}  ", when(&past.id))),
            Span::styled(format!("{:<16}  ", printable(&past.experiment)), theme.strong()),
            Span::raw(printable(&ended(past))),
            Span::styled(if baseline { "  baseline" } else { "" }, theme.notice()),
            Span::styled(if has_curves(past) { "  curves" } else { "" }, theme.notice()),
        ])
    });
    draw_comparison(app, lower, buf);
}

fn status(past: &PastRun) -> TaskStatus {
    match past.summary {
        None if past.going => TaskStatus::Running,
        None => TaskStatus::Skipped,
        Some(summary) if summary.failed > 0 => TaskStatus::Failed,
        Some(summary) if summary.skipped > 0 => TaskStatus::Skipped,
        Some(summary) if summary.ran == 0 => TaskStatus::Cached,
        Some(_) => TaskStatus::Done,
    }
}

/// Returns the time in a run's id in a readable form, or the id itself if it has no time.
#[must_use]
pub fn when(id: &str) -> String {
    let digits =
        |from: usize, to: usize| id.get(from..to).filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    let parts = [(0, 4), (4, 6), (6, 8), (9, 11), (11, 13), (13, 15)].map(|(from, to)| digits(from, to));
    match parts {
        [Some(year), Some(month), Some(day), Some(hour), Some(minute), Some(second)] => {
            format!("{year}-{month}-{day} {hour}:{minute}:{second} UTC")
        }
        _ => id.to_owned(),
    }
}

fn draw_comparison(app: &App, area: Rect, buf: &mut Buffer) {
    let (Some(baseline), Some(run)) = (&app.baseline, &app.run) else { return };
    let theme = app.theme;
    let title = format!("run {} against run {}", run.opened.id, baseline.id);
    let inside = heading(buf, area, &title, false, theme);
    let mut lines = vec![format!(
        "{} tasks of the same name, {} of them made of something else; {} only here, {} only there",
        baseline.shared, baseline.other, baseline.only_here, baseline.only_there
    )];
    if baseline.changes.is_empty() {
        lines.push("tasks of the same name have the same parameters and inputs".to_owned());
    }
    lines.extend(baseline.changes.iter().map(|(change, tasks)| format!("  {change}   in {tasks} tasks")));
    lines.push("the view of tables shows the differences in their values".to_owned());
    let wrapped = lines.iter().flat_map(|text| wrap(&printable(text), usize::from(inside.width)));
    put_all(buf, inside, wrapped.map(Line::from));
}

#[cfg(test)]
mod tests {
    use super::when;

    #[test]
    fn an_id_tells_when() {
        assert_eq!(when("20261124-034332-123"), "2026-11-24 03:43:32 UTC");
        assert_eq!(when("run-1"), "run-1");
    }
}

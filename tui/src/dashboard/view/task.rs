//! Tasks: all of them as a list, and everything about the one under the cursor.

use std::borrow::Cow;

use fewbits_engine::graph::TaskId;
use fewbits_engine::why::Reason;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

use super::Hints;
use crate::command::plan::describe;
use crate::dashboard::app::App;
use crate::dashboard::cursor::Cursor;
use crate::dashboard::filter::Filter;
use crate::dashboard::keys::Action;
use crate::dashboard::paint::{heading, item_at, left, line, list, put_all, top, wrap};
use crate::dashboard::study::{Status, Study};
use crate::render::number::number;
use crate::ui::eta::duration;
use crate::ui::plain::{change, printable};

/// The keys that matter most here.
pub const HINTS: Hints = &[
    ("↑↓", "move"),
    ("←→", "panes"),
    ("/", "filter"),
    ("s S", "sort"),
    ("c", "copy"),
    ("?", "keys"),
    ("q", "leave"),
];

/// What is remembered of the view.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Which tasks are listed.
    pub filter: Filter,
    sort: Sort,
    reverse: bool,
    cursor: Cursor,
    /// Whether the details have the focus, and how far they are scrolled.
    reading: bool,
    scrolled: usize,
    shown: Vec<TaskId>,
    /// What the list was made for; it is made again when this changes.
    made_for: Option<(String, Sort, bool, u64)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sort {
    #[default]
    File,
    State,
    Seconds,
}

impl Sort {
    fn next(self) -> Self {
        match self {
            Self::File => Self::State,
            Self::State => Self::Seconds,
            Self::Seconds => Self::File,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::File => "the order of the file",
            Self::State => "state",
            Self::Seconds => "seconds",
        }
    }
}

/// Returns a named value of a task, as filters see it: an axis, `node`, `op`, `state`, `seconds`, or a metric.
#[must_use]
pub fn field<'s>(study: &'s Study, task: TaskId, name: &str) -> Option<Cow<'s, str>> {
    let graph = &study.opened.graph;
    if let Some((_, label)) = graph.point(task).find(|(axis, _)| *axis == name) {
        return Some(Cow::from(label));
    }
    let node = &graph.experiment.nodes[graph.node(task)];
    match name {
        "node" => Some(Cow::from(node.name.as_str())),
        "op" => Some(Cow::from(node.kind.name)),
        "state" => Some(Cow::from(study.task(task).status.word())),
        "seconds" => study.task(task).seconds.map(|seconds| Cow::from(seconds.to_string())),
        metric => study.metrics(task)?.get(metric).map(|value| Cow::from(value.to_string())),
    }
}

/// Lists the tasks that a filter leaves.
pub fn filter_to(app: &mut App, text: &str) {
    app.task.filter = Filter::read(text);
    app.task.cursor = Cursor::default();
    refresh(app);
}

/// Selects a task; if the filter hides it, the filter is dropped.
pub fn select(app: &mut App, task: TaskId) {
    refresh(app);
    if !app.task.shown.contains(&task) {
        filter_to(app, "");
    }
    app.task.cursor.at = app.task.shown.iter().position(|other| *other == task).unwrap_or(0);
    app.task.scrolled = 0;
}

/// Returns the task under the cursor.
#[must_use]
pub fn selected(app: &App) -> Option<TaskId> {
    app.task.shown.get(app.task.cursor.within(app.task.shown.len())).copied()
}

/// Makes the list again if something it depends on changed.
pub fn refresh(app: &mut App) {
    let Some(study) = &app.study else { return };
    let state = &mut app.task;
    let graph = &study.opened.graph;
    let axis = |name: &str| {
        name == "node" || name == "op" || graph.experiment.axes.iter().any(|axis| axis.name == name)
    };
    let living = state.sort != Sort::File || !state.filter.names().all(axis);
    // What changes as the run goes on is looked at once a second: thousands of tasks are not sorted at every event.
    let second = if living && study.version > 0 { (app.now as u64).saturating_add(1) } else { 0 };
    let made_for = (state.filter.text.clone(), state.sort, state.reverse, second);
    if state.made_for.as_ref() == Some(&made_for) {
        return;
    }
    let kept = state.shown.get(state.cursor.at).copied();
    let mut shown: Vec<TaskId> = graph
        .tasks()
        .filter(|task| {
            state.filter.is_empty()
                || state.filter.matches(|| graph.name(*task), |name| field(study, *task, name))
        })
        .collect();
    match state.sort {
        Sort::File => {}
        Sort::State => shown.sort_by_key(|task| study.task(*task).status),
        Sort::Seconds => shown.sort_by(|a, b| {
            let seconds = |task: &TaskId| study.task(*task).seconds.unwrap_or(-1.0);
            seconds(b).total_cmp(&seconds(a))
        }),
    }
    if state.reverse {
        shown.reverse();
    }
    // The cursor stays at its task.
    if let Some(at) = kept.and_then(|kept| shown.iter().position(|task| *task == kept)) {
        state.cursor.at = at;
    }
    state.shown = shown;
    state.made_for = Some(made_for);
}

/// Does what a key asks for.
pub fn act(app: &mut App, action: Action) -> Option<String> {
    let page = app.page();
    app.study.as_ref()?;
    match action {
        Action::Go(motion) if app.task.reading => {
            let most = details(app).len();
            let mut cursor = Cursor { at: app.task.scrolled };
            cursor.go(motion, most, page);
            app.task.scrolled = cursor.at;
            return Some("details".to_owned());
        }
        Action::Go(motion) => {
            let len = app.task.shown.len();
            app.task.cursor.go(motion, len, page);
            app.task.scrolled = 0;
        }
        Action::Left | Action::Right => {
            app.task.reading = !app.task.reading;
            return Some(if app.task.reading {
                "the details scroll".to_owned()
            } else {
                "the list moves".to_owned()
            });
        }
        Action::Open => return open_input(app),
        Action::Sort => {
            app.task.sort = app.task.sort.next();
            return Some(format!("sorted by {}", app.task.sort.words()));
        }
        Action::Reverse => {
            app.task.reverse = !app.task.reverse;
            return Some("sorted the other way round".to_owned());
        }
        Action::Back => {
            app.task.reading = false;
            filter_to(app, "");
            return Some("no filter".to_owned());
        }
        _ => return None,
    }
    Some(selected(app).map_or("no task".to_owned(), |task| name(app, task)))
}

/// Goes to the first input of the task: what it was made from.
fn open_input(app: &mut App) -> Option<String> {
    let task = selected(app)?;
    let input = app.study.as_ref()?.opened.graph.inputs(task).first().copied();
    let Some(input) = input else { return Some(format!("{} reads no other task", name(app, task))) };
    select(app, input);
    Some(format!("{}, which {} reads", name(app, input), name(app, task)))
}

fn name(app: &App, task: TaskId) -> String {
    app.study.as_ref().map_or(String::new(), |study| study.opened.graph.name(task))
}

/// Selects what is at a place.
pub fn click(app: &mut App, area: Rect, at: Position) -> Option<String> {
    let (listed, details) = areas(area);
    if details.contains(at) {
        app.task.reading = true;
        return Some("the details scroll".to_owned());
    }
    let inside = top(listed, 1).1;
    let item =
        item_at(inside, app.task.cursor, app.task.shown.len(), at.y).filter(|_| inside.contains(at))?;
    app.task.cursor.at = item;
    app.task.reading = false;
    app.task.scrolled = 0;
    Some(name(app, app.task.shown[item]))
}

/// Returns the task under the cursor as named values.
#[must_use]
pub fn row(app: &App) -> Option<Vec<(String, String)>> {
    Some(row_of(app.study.as_ref()?, selected(app)?))
}

/// Returns a task as named values.
#[must_use]
pub fn row_of(study: &Study, task: TaskId) -> Vec<(String, String)> {
    let pair = |name: &str, value: String| (name.to_owned(), value);
    let mut row = vec![
        pair("task", study.opened.graph.name(task)),
        pair("state", study.task(task).status.word().to_owned()),
    ];
    row.extend(key(study, task).map(|key| pair("key", key)));
    let metrics = study.metrics(task).into_iter().flatten();
    row.extend(metrics.map(|(name, value)| pair(name, value.to_string())));
    row
}

fn key(study: &Study, task: TaskId) -> Option<String> {
    let told =
        study.task(task).detail.as_ref().map(|detail| detail.key.clone()).filter(|key| !key.is_empty());
    let kept = || {
        let record = study.record(task)?.as_ref()?;
        Some(fewbits_store::Key::derive(&record.preimage).to_string())
    };
    told.or_else(kept)
}

/// Divides the view: the list, and the details.
fn areas(area: Rect) -> (Rect, Rect) {
    if area.width >= 80 {
        left(area, (area.width / 2).clamp(30, 64))
    } else {
        top(area, (area.height / 3).max(2))
    }
}

/// Draws the view.
pub fn draw(app: &App, area: Rect, buf: &mut Buffer) {
    let Some(study) = &app.study else { return };
    let (listed, detail) = areas(area);
    draw_list(app, study, listed, buf);
    let Some(task) = selected(app) else { return };
    let inside =
        heading(buf, detail, &printable(&study.opened.graph.name(task)), app.task.reading, app.theme);
    let lines = details(app);
    let wrapped = lines.into_iter().flat_map(|(style, text)| {
        wrap(&printable(&text), usize::from(inside.width))
            .into_iter()
            .map(move |line| Line::from(line).style(style))
    });
    let wrapped: Vec<Line<'_>> = wrapped.collect();
    let most = wrapped.len().saturating_sub(usize::from(inside.height));
    put_all(buf, inside, wrapped.into_iter().skip(app.task.scrolled.min(most)));
}

fn draw_list(app: &App, study: &Study, area: Rect, buf: &mut Buffer) {
    let theme = app.theme;
    let state = &app.task;
    let (shown, all) = (state.shown.len(), study.tasks.len());
    let mut title = if shown == all { format!("{all} tasks") } else { format!("{shown} of {all} tasks") };
    if !state.filter.is_empty() {
        title += &format!(" with {}", state.filter.text);
    }
    if state.sort != Sort::File || state.reverse {
        title += &format!(", by {}{}", state.sort.words(), if state.reverse { " reversed" } else { "" });
    }
    let inside = heading(buf, area, &printable(&title), !state.reading, theme);
    list(buf, inside, state.cursor, shown, Some(theme.cursor()), |at| {
        let task = state.shown[at];
        let status = study.task(task).status;
        let seconds = study.task(task).seconds.filter(|_| inside.width >= 50).map_or(String::new(), duration);
        let room = usize::from(inside.width).saturating_sub(13 + seconds.len());
        line([
            Span::styled(format!("{} {:<8}", theme.glyph(status), status.word()), theme.status(status)),
            Span::raw(format!("{:<room$} ", study.short_name(task, room, theme))),
            Span::styled(seconds, theme.dim()),
        ])
    });
}

type Styled = (ratatui::style::Style, String);

/// Returns everything about the task under the cursor, as lines.
fn details(app: &App) -> Vec<Styled> {
    let (Some(study), Some(task)) = (&app.study, selected(app)) else { return vec![] };
    let theme = app.theme;
    let known = study.task(task);
    let plain = ratatui::style::Style::new();
    let mut lines = vec![(
        theme.status(known.status),
        format!("{} {}", theme.glyph(known.status), state(study, task, app.now)),
    )];
    lines.extend(why(study, task).into_iter().map(|text| (plain, text)));
    if let Some(error) = known.detail.as_ref().and_then(|detail| detail.error.clone()) {
        lines.push((theme.bad(), format!("error: {error}")));
    }
    let section = |title: &str| (theme.strong(), title.to_owned());
    if let Some(metrics) = study.metrics(task) {
        lines.push(section("metrics"));
        lines.extend(metrics.iter().map(|(name, value)| (plain, format!("  {name:<24} {}", number(*value)))));
    }
    lines.push(section("parameters"));
    lines.extend(parameters(study, task).into_iter().map(|text| (plain, text)));
    lines.push(section("inputs"));
    lines.extend(inputs(study, task).into_iter().map(|text| (plain, text)));
    lines.push(section("made of"));
    if let Some(key) = key(study, task) {
        lines.push((plain, format!("  key {key}")));
    }
    lines.extend(made_of(study, task).into_iter().map(|text| (plain, text)));
    let log: Vec<Styled> = study
        .log
        .iter()
        .filter(|entry| entry.task == Some(task))
        .map(|entry| (plain, format!("  {} {}", duration(entry.at), super::run::words(study, entry))))
        .collect();
    if !log.is_empty() {
        lines.push(section("log"));
        lines.extend(log);
    }
    lines
}

fn state(study: &Study, task: TaskId, now: f64) -> String {
    let known = study.task(task);
    let detail = known.detail.as_deref();
    match known.status {
        Status::Done => {
            let seconds = known.seconds.map_or(String::new(), |seconds| format!(" in {}", duration(seconds)));
            let since =
                known.started.map_or(String::new(), |at| format!(", started {} into the run", duration(at)));
            format!("done{seconds}{since}")
        }
        Status::Running => {
            let since = known.started.map_or(0.0, |start| study.elapsed(now) - start);
            format!("running for {}  {}", duration(since.max(0.0)), super::run::progress(study, task))
        }
        Status::Cached => match detail.and_then(|detail| detail.same_as) {
            Some(other) => format!("cached: the same as {}", study.opened.graph.name(other)),
            None => "cached: its result was in the store".to_owned(),
        },
        Status::Skipped => match detail.and_then(|detail| detail.because.clone()) {
            Some(because) => format!("skipped: {because} failed"),
            None => "left: the run ended before it".to_owned(),
        },
        Status::Waiting => {
            let waits = |input: &TaskId| !matches!(study.task(*input).status, Status::Done | Status::Cached);
            match study.opened.graph.inputs(task).into_iter().find(waits) {
                Some(input) => format!("waiting for {}", study.opened.graph.name(input)),
                None => "waiting for its turn".to_owned(),
            }
        }
        Status::Failed => "failed".to_owned(),
    }
}

/// Says why a task ran, or was reused.
fn why(study: &Study, task: TaskId) -> Vec<String> {
    let known = study.task(task);
    match known.detail.as_ref().and_then(|detail| detail.reason.as_ref()) {
        Some(Reason::Changed { relative, changes }) => {
            let head = format!("it ran because it differs from {relative}:");
            [head].into_iter().chain(changes.iter().map(|changed| format!("  {}", change(changed)))).collect()
        }
        Some(Reason::New) => vec!["it ran because it is new: no earlier run had it".to_owned()],
        Some(Reason::Unfinished) => vec!["it ran because the last run left it without a result".to_owned()],
        Some(Reason::Lost) => vec!["it ran because its kept result was lost".to_owned()],
        Some(other) => vec![describe(other)],
        None if known.status == Status::Cached => {
            vec!["it was reused: nothing that it is made of has changed".to_owned()]
        }
        None => vec![],
    }
}

fn parameters(study: &Study, task: TaskId) -> Vec<String> {
    let work = study.opened.graph.work(task);
    let point: Vec<String> =
        study.opened.graph.point(task).map(|(axis, label)| format!("{axis}={label}")).collect();
    let mut lines = vec![];
    if !point.is_empty() {
        lines.push(format!("  at {}", point.join(", ")));
    }
    lines.push(format!("  {} version {}", work.identity.op, work.identity.version));
    if let serde_json::Value::Object(params) = &work.identity.params {
        lines.extend(params.iter().map(|(name, value)| format!("  {name}: {value}")));
    }
    lines
}

fn inputs(study: &Study, task: TaskId) -> Vec<String> {
    let inputs = study.opened.graph.inputs(task);
    if inputs.is_empty() {
        return vec!["  none".to_owned()];
    }
    let line = |input: &TaskId| {
        format!("  {}  {}", study.opened.graph.name(*input), study.task(*input).status.word())
    };
    inputs.iter().map(line).collect()
}

/// Returns what the record tells: digests that were read, and what made the numbers.
fn made_of(study: &Study, task: TaskId) -> Vec<String> {
    let record = match study.record(task) {
        Some(Some(record)) => record,
        Some(None) => return vec!["  the store has no record of it any more".to_owned()],
        None => return vec![],
    };
    let preimage: serde_json::Value = serde_json::from_str(&record.preimage).unwrap_or_default();
    let digests = preimage.get("inputs").and_then(serde_json::Value::as_object).into_iter().flatten();
    let digest =
        |value: &serde_json::Value| value.as_str().unwrap_or_default().chars().take(12).collect::<String>();
    let mut lines: Vec<String> = digests.map(|(name, value)| format!("  {name} {}", digest(value))).collect();
    lines.extend(record.parts.iter().map(|(name, part)| format!("  gave {name} {}", part.short())));
    lines.push(format!("  computed in {}", duration(record.seconds)));
    lines.extend(record.provenance.iter().map(|(name, value)| format!("  {name}: {value}")));
    lines
}

//! The whole screen: tabs, the view, the overlay, a status line and key hints.
//! A pure function of the state.

use fewbits_engine::event::Summary;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};

use super::app::App;
use super::areas::areas;
use super::keys::{TABLE, keys_of};
use super::overlay::Overlay;
use super::paint::{cut, line, put, put_all, shorten, width};
use super::run_model::{RunModel, RunProgress};
use super::view_name::{ALL, View};
use crate::ui::plain::printable;

/// Draws the screen.
pub fn draw(app: &App, buf: &mut Buffer) {
    let areas = areas((buf.area.width, buf.area.height), app.noticed());
    draw_tabs(app, areas.tabs, buf);
    app.view.draw(app, areas.body, buf);
    match &app.overlay {
        Overlay::None | Overlay::Prompt(..) => {}
        Overlay::Help(scrolled) => draw_help(app, *scrolled, areas.body, buf),
        Overlay::Quit => draw_quit(app, areas.body, buf),
    }
    draw_notice(app, areas.notice, buf);
    draw_status(app, areas.status, buf);
    draw_hints(app, areas.hints, buf);
    if app.theme.ascii {
        keep_to_ascii(buf);
    }
}

/// Replaces characters outside ASCII, which come from texts of the experiment file and from shared wording.
fn keep_to_ascii(buf: &mut Buffer) {
    for cell in &mut buf.content {
        let plain = match cell.symbol() {
            symbol if symbol.is_ascii() => continue,
            "→" => ">",
            "±" | "…" => "~",
            "–" => "-",
            "×" => "x",
            "█" => "#",
            "▌" => "|",
            _ => "?",
        };
        cell.set_symbol(plain);
    }
}

/// Returns the view whose tab is at a position.
#[must_use]
pub fn tab_at(app: &App, at: Position) -> Option<View> {
    let tabs = areas(app.size, 0).tabs;
    if at.y != tabs.y {
        return None;
    }
    let mut end = 0;
    ALL.into_iter().find(|view| {
        end += tab(*view, tabs.width).chars().count() as u16;
        at.x < end
    })
}

fn tab(view: View, width: u16) -> String {
    match width {
        0..56 => format!(" {} ", view.number()),
        56..72 => format!(" {} {} ", view.number(), view.title().chars().take(4).collect::<String>()),
        _ => format!(" {} {} ", view.number(), view.title()),
    }
}

fn draw_tabs(app: &App, area: Rect, buf: &mut Buffer) {
    let spans = ALL.map(|view| {
        let style = if view == app.view { app.theme.cursor() } else { app.theme.dim() };
        Span::styled(tab(view, area.width), style)
    });
    let tabs = line(spans);
    let used = tabs.width() as u16;
    put(buf, area.x, area.y, area.width, tabs);
    if let Some(run) = &app.run {
        let room = usize::from(area.width.saturating_sub(used + 2));
        let text = shorten(&printable(&title(app, run)), room, app.theme);
        let width = Line::from(text.as_str()).width() as u16;
        put(
            buf,
            area.right().saturating_sub(width),
            area.y,
            width,
            Line::from(text).style(app.theme.strong()),
        );
    }
}

fn title(app: &App, run: &RunModel) -> String {
    let name = &run.opened.header.experiment;
    let total = run.total();
    match run.progress {
        RunProgress::Planning => format!("{name}: planning"),
        RunProgress::Going => format!("{name}: {:.0} %", 100.0 * total.share()),
        RunProgress::Draining => format!("{name}: ending after {} running", total.running),
        RunProgress::Interrupted => format!("{name}: stopping"),
        RunProgress::Ended(Summary { skipped: 0, failed: 0, .. }) => {
            format!("{name}: {} done", app.theme.pick("✓", "+"))
        }
        RunProgress::Ended(Summary { failed: 0, .. }) => format!("{name}: interrupted"),
        RunProgress::Ended(Summary { failed, .. }) => {
            format!("{name}: {} {failed} failed", app.theme.pick("✗", "x"))
        }
        RunProgress::Gone => format!("{name}: not finished"),
    }
}

/// Draws the notice, and below it how the shown version stands to the file. Where the notice is cut, its last line says so.
fn draw_notice(app: &App, area: Rect, buf: &mut Buffer) {
    let width = usize::from(area.width);
    let standing = app.standing.as_ref().filter(|_| area.height > 0);
    let (notice, height) = (&app.notice, usize::from(area.height) - usize::from(standing.is_some()));
    let style = if notice.is_bad { app.theme.bad() } else { app.theme.notice() };
    let more = notice.lines.len() > height;
    let shown = if more { height.saturating_sub(1) } else { height };
    let lines = notice.lines.iter().take(shown).enumerate().map(|(at, text)| {
        let style = if at == 0 { style } else { ratatui::style::Style::new() };
        Line::from(cut(&printable(text), width, app.theme)).style(style)
    });
    let left = format!("  and {} more lines", notice.lines.len() - shown.min(notice.lines.len()));
    let left = more.then(|| Line::from(left).style(app.theme.dim()));
    let standing = standing.map(|text| Line::from(cut(text, width, app.theme)).style(app.theme.notice()));
    put_all(buf, area, lines.chain(left).chain(standing));
}

fn draw_status(app: &App, area: Rect, buf: &mut Buffer) {
    let line = match &app.overlay {
        Overlay::Prompt(line, _) => {
            let (before, after) = line.parts();
            let parts = [printable(before), "_".to_owned(), printable(after)].map(Span::from);
            [Span::styled("filter: ", app.theme.strong())].into_iter().chain(parts).collect::<Line<'_>>()
        }
        _ => {
            let (text, bad) = &app.status;
            let style = if *bad { app.theme.bad() } else { ratatui::style::Style::new() };
            Line::from(cut(&printable(text), usize::from(area.width), app.theme)).style(style)
        }
    };
    put(buf, area.x, area.y, area.width, line);
}

fn draw_hints(app: &App, area: Rect, buf: &mut Buffer) {
    let (mut spans, mut used) = (vec![], 0);
    // The keys that work in every view come first; the last ones are left out where the line is full.
    let versions: &[_] =
        if app.follows_file { &[("u", "version before"), ("B", "differences")] } else { &[] };
    for (keys, words) in [("?", "keys"), ("q", "leave")].iter().chain(versions).chain(app.view.hints()) {
        let keys = if app.theme.ascii {
            keys.replace("↑↓←→", "arrows").replace("↑↓", "up down").replace("←→", "left right")
        } else {
            (*keys).to_owned()
        };
        used += width(&keys) + width(words) + 1;
        if used > usize::from(area.width) {
            break;
        }
        used += 2;
        spans.push(Span::styled(format!("{keys} "), app.theme.strong()));
        spans.push(Span::styled(format!("{words}  "), app.theme.dim()));
    }
    put(buf, area.x, area.y, area.width, Line::from(spans));
}

/// Clears a box in the middle of an area and draws its border and title; returns the area inside.
fn open_box(app: &App, area: Rect, width: u16, height: u16, title: &str, buf: &mut Buffer) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    let frame =
        Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    Clear.render(frame, buf);
    let set = if app.theme.ascii { ASCII_BORDER } else { ratatui::symbols::border::ROUNDED };
    let block = ratatui::widgets::Block::bordered()
        .border_set(set)
        .border_style(app.theme.strong())
        .title(Line::from(format!(" {title} ")).style(app.theme.strong()));
    let inside = block.inner(frame);
    block.render(frame, buf);
    inside
}

const ASCII_BORDER: ratatui::symbols::border::Set<'static> = ratatui::symbols::border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

fn draw_help(app: &App, scrolled: usize, area: Rect, buf: &mut Buffer) {
    let height = TABLE.len() as u16 + 4;
    let title = if area.height < height { "Keys: down shows more" } else { "Keys" };
    let inside = open_box(app, area, 80, height, title, buf);
    let keys = TABLE.iter().map(|binding| {
        line([
            Span::styled(format!(" {:<16}", binding.keys.join(" ")), app.theme.strong()),
            Span::raw(binding.words),
        ])
    });
    let states = "states: ".to_owned()
        + &super::view::STATUSES
            .map(|status| format!("{} {}", app.theme.glyph(status), status.word()))
            .join("  ");
    let mouse = Line::from(" Mouse: click a tab, a row, or a heading to sort; the wheel scrolls")
        .style(app.theme.dim());
    let lines = keys.chain([mouse, Line::from(format!(" {states}")).style(app.theme.dim())]);
    let most = (TABLE.len() + 2).saturating_sub(usize::from(inside.height));
    put_all(buf, inside, lines.skip(scrolled.min(most)));
}

fn draw_quit(app: &App, area: Rect, buf: &mut Buffer) {
    let height = if app.on_workers { 9 } else { 8 };
    let inside = open_box(app, area, 66, height, "The run goes on", buf);
    let own = app.run.as_ref().filter(|run| app.own.as_ref() == Some(&run.opened.id));
    let left = own.and_then(|run| run.eta.remaining());
    let left = left.map_or(String::new(), |remaining| format!(", {remaining}"));
    let running = own.map_or(String::new(), |run| format!(" {} running{left}", run.jobs.running()));
    let choice = |key: &'static str, words: &'static str| {
        line([Span::styled(format!(" {key:<5}"), app.theme.strong()), Span::raw(words)])
    };
    let mut lines = vec![Line::from(running), choice("a", "stop after the running tasks")];
    if app.on_workers {
        lines.extend([
            choice("g", "leave: the workers go on, `fewbits run` comes back"),
            choice("n", "stop now: ends the workers, keeps finished results"),
            choice("d", "go on in the background"),
        ]);
    } else {
        lines.extend([
            choice("n", "stop now: drops running tasks, keeps finished results"),
            choice("d", "go on in the background: running tasks start again"),
        ]);
    }
    lines.extend([
        choice("l", "keep running here, as lines"),
        choice(keys_of(super::keys::Action::Back), "go on as before"),
    ]);
    put_all(buf, inside, lines);
}

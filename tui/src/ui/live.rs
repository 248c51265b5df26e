//! A run on a terminal: a few lines that follow it, with what fails or warns left above them.
//! State is a fold over events; the drawing is a function of the state.

use std::collections::BTreeMap;
use std::io::{Stderr, stderr};
use std::time::{Duration, Instant};

use fewbits_engine::event::{Event, Summary};
use ratatui::backend::CrosstermBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Widget};
use ratatui::{Terminal, TerminalOptions, Viewport};

use super::eta::{Eta, duration};
use super::plain::{printable, sentence};

/// Running tasks shown at once; more are counted.
const SHOWN: usize = 4;
const HEIGHT: u16 = SHOWN as u16 + 2;
/// Frames are at least this far apart.
const FRAME: Duration = Duration::from_millis(33);

/// A live view on standard error.
pub struct Live {
    terminal: Terminal<CrosstermBackend<Stderr>>,
    state: State,
    drawn: Option<Instant>,
}

/// What is shown.
struct State {
    experiment: String,
    done: usize,
    cached: usize,
    failed: usize,
    total: usize,
    running: BTreeMap<String, Option<(u64, u64)>>,
    eta: Eta,
}

impl Live {
    /// Opens the view; an error where the terminal cannot be drawn on.
    pub fn open(jobs: usize) -> std::io::Result<Self> {
        let options = TerminalOptions { viewport: Viewport::Inline(HEIGHT) };
        let terminal = Terminal::with_options(CrosstermBackend::new(stderr()), options)?;
        let size = terminal.size()?;
        if size.width == 0 || size.height == 0 {
            return Err(std::io::Error::other("the terminal has no size"));
        }
        Ok(Self { terminal, state: State::new(jobs), drawn: None })
    }

    /// Shows an event.
    pub fn update(&mut self, event: &Event) {
        self.state.update(event);
        match event {
            Event::Failed { task, error } => self.leave(&format!("{task} failed: {error}"), Color::Red),
            Event::Warned { message } => self.leave(&format!("warning: {message}"), Color::Yellow),
            Event::Interrupted => {
                self.leave("interrupted: dropping what is in flight, keeping what is done", Color::Yellow);
            }
            Event::Finished(summary) => self.close(summary),
            _ => {
                let now = Instant::now();
                if self.drawn.is_none_or(|drawn| now.duration_since(drawn) >= FRAME) {
                    self.drawn = Some(now);
                    self.draw();
                }
            }
        }
    }

    // What cannot be drawn must not end the run, so errors of the terminal are dropped.

    fn draw(&mut self) {
        let lines = self.state.lines();
        let _ = self.terminal.draw(|frame| frame.render_widget(Paragraph::new(lines), frame.area()));
    }

    fn leave(&mut self, text: &str, color: Color) {
        let width = usize::from(self.terminal.size().map_or(80, |size| size.width)).max(1);
        let text = printable(text);
        let height = text.chars().count().div_ceil(width).max(1) as u16;
        let paragraph = Paragraph::new(text).wrap(ratatui::widgets::Wrap { trim: false }).fg(color);
        let draw = |buffer: &mut Buffer| paragraph.render(Rect { height, ..buffer.area }, buffer);
        let _ = self.terminal.insert_before(height, draw);
        self.draw();
    }

    fn close(&mut self, summary: &Summary) {
        let _ = self.terminal.clear();
        let _ = self.terminal.show_cursor();
        // The cursor is left where the last task's line ended.
        eprintln!("\r{}: {}", self.state.experiment, sentence(summary));
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.terminal.show_cursor();
    }
}

impl State {
    fn new(jobs: usize) -> Self {
        Self {
            experiment: String::new(),
            done: 0,
            cached: 0,
            failed: 0,
            total: 0,
            running: BTreeMap::new(),
            eta: Eta::new(jobs),
        }
    }

    fn update(&mut self, event: &Event) {
        self.eta.update(event);
        match event {
            Event::Planned { experiment, counts, .. } => {
                self.experiment = printable(experiment);
                (self.total, self.cached) = (counts.tasks, counts.cached);
                self.done = counts.cached;
            }
            Event::Started { task, .. } => drop(self.running.insert(task.clone(), None)),
            Event::Progressed { task, done, total, .. } => {
                self.running.insert(task.clone(), Some((*done, *total)));
            }
            Event::Completed { task, .. } => self.end(task),
            Event::Reused { task, .. } => {
                self.cached += 1;
                self.end(task);
            }
            Event::Failed { task, .. } | Event::Skipped { task, .. } => {
                self.failed += 1;
                self.end(task);
            }
            Event::Rebuilt { .. } | Event::Warned { .. } | Event::Interrupted | Event::Finished(_) => {}
        }
    }

    fn end(&mut self, task: &str) {
        self.done += 1;
        self.running.remove(task);
    }

    fn lines(&self) -> Vec<Line<'_>> {
        let mut head = vec![
            Span::from(self.experiment.as_str()).bold(),
            Span::from(format!(
                "  {}/{} done, {} cached",
                self.done.min(self.total),
                self.total,
                self.cached
            )),
        ];
        if self.failed > 0 {
            head.push(Span::styled(
                format!(", {} failed or skipped", self.failed),
                Style::new().fg(Color::Red),
            ));
        }
        if let Some(seconds) = self.eta.seconds() {
            head.push(Span::from(format!(", {} left", duration(seconds))).dim());
        }
        let mut lines = vec![Line::from(head), bar(self.done, self.total)];
        for (task, progress) in self.running.iter().take(SHOWN) {
            let steps = progress.map_or(String::new(), |(done, total)| format!("  {done}/{total}"));
            lines.push(Line::from(vec![
                Span::from("  "),
                Span::from(printable(task)),
                Span::from(steps).dim(),
            ]));
        }
        if let Some(more) = self.running.len().checked_sub(SHOWN + 1).map(|more| more + 1) {
            lines.pop();
            lines.push(Line::from(format!("  and {} more", more + 1)).dim());
        }
        lines
    }
}

fn bar(done: usize, total: usize) -> Line<'static> {
    const WIDTH: usize = 40;
    let full = (done * WIDTH).checked_div(total).unwrap_or(0);
    Line::from(vec![
        Span::from("█".repeat(full)).fg(Color::Green),
        Span::from("░".repeat(WIDTH - full)).dim(),
    ])
}

#[cfg(test)]
mod tests {
    use fewbits_engine::plan::Counts;
    use fewbits_engine::why::Reason;

    use super::*;

    fn text(state: &State) -> Vec<String> {
        state.lines().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_view_follows_the_events() {
        let mut state = State::new(2);
        let counts = Counts { tasks: 10, cached: 4, run: 6, waiting: 0 };
        state.update(&Event::Planned {
            experiment: "study".to_owned(),
            counts,
            nodes: vec![("net".to_owned(), counts)],
        });
        for task in ["net(seed=0)", "net(seed=1)"] {
            let (task, key, reason) = (task.to_owned(), String::new(), Reason::New);
            state.update(&Event::Started { task, key, reason });
        }
        let (done, total, metrics) = (2, 5, BTreeMap::new());
        state.update(&Event::Progressed { task: "net(seed=1)".to_owned(), done, total, metrics });
        assert_eq!(
            text(&state),
            [
                "study  4/10 done, 4 cached",
                "████████████████░░░░░░░░░░░░░░░░░░░░░░░░",
                "  net(seed=0)",
                "  net(seed=1)  2/5"
            ]
        );
        let (task, key, metrics) = ("net(seed=1)".to_owned(), String::new(), BTreeMap::new());
        state.update(&Event::Completed { task, key, metrics, seconds: 4.0 });
        assert_eq!(text(&state)[0], "study  5/10 done, 4 cached, 10 s left");
        assert_eq!(text(&state).len(), 3);
    }
}

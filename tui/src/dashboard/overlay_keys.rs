//! The keys of an open overlay, which receives all keys except interrupt, suspend and redraw.
//! Does not draw.

use fewbits_engine::run::halt::Halt;
use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::app::App;
use super::cursor::Cursor;
use super::filter::Filter;
use super::keys::{Action, TABLE, keys_of};
use super::line_editor::LineEditor;
use super::messages::{Leave, Request};
use super::overlay::Overlay;
use crate::ui::plain::LEFT;

impl App {
    pub(super) fn help_key(&mut self, asked: Option<Action>, scrolled: usize) {
        let most = TABLE.len();
        match asked {
            Some(Action::Back | Action::Help | Action::Quit | Action::Open) => self.say("keys closed"),
            Some(Action::Go(motion)) => {
                let mut cursor = Cursor { at: scrolled };
                cursor.go(motion, most, self.page());
                self.overlay = Overlay::Help(cursor.at);
                self.say("the keys");
            }
            _ => {
                self.overlay = Overlay::Help(scrolled);
                self.say(format!("{} closes the keys", keys_of(Action::Back)));
            }
        }
    }

    pub(super) fn quit_key(&mut self, key: KeyEvent) {
        match key.code {
            KeyCode::Char('a') => {
                self.halt(Halt::AfterRunning);
                self.say("stopping after the running tasks");
            }
            KeyCode::Char('n') => {
                self.halt(Halt::Now);
                self.say("stopping now: running tasks are dropped, finished results are kept");
            }
            KeyCode::Char('g') if self.on_workers => {
                self.halt(Halt::Leave);
                self.say(LEFT);
            }
            KeyCode::Char('d') => {
                self.leave = Some(Leave::Detach);
                // The process in the background takes over what the workers have in hand.
                self.halt(if self.on_workers { Halt::Leave } else { Halt::Now });
                self.say("handing the run to a process in the background");
            }
            KeyCode::Char('l') => {
                self.ask(Request::Leave(Leave::Lines));
                self.say("going on with lines");
            }
            KeyCode::Esc | KeyCode::Char('q') => self.say("the run goes on"),
            _ => {
                self.overlay = Overlay::Quit;
                let keys = if self.on_workers { "a, g, n, d, l" } else { "a, n, d, l" };
                self.say(format!("press {keys}, or Esc to go on"));
            }
        }
    }

    pub(super) fn prompt(&mut self) -> String {
        let Some(filter) = self.view.filter(self) else {
            return "there is nothing to filter in this view".to_owned();
        };
        let before = filter.clone();
        // A further term begins behind a space.
        let space = if before.is_empty() { "" } else { " " };
        self.overlay = Overlay::Prompt(LineEditor::new(format!("{}{space}", before.text)), before);
        "type a filter: e=3 rounding=stochastic; Enter keeps it, Ctrl-U empties it, Esc drops it".to_owned()
    }

    pub(super) fn prompt_key(&mut self, key: KeyEvent, mut line: LineEditor, before: Filter) {
        let done = match key.code {
            KeyCode::Enter => {
                let words = if line.text().trim().is_empty() {
                    "no filter".to_owned()
                } else {
                    format!("filter: {}", line.text().trim())
                };
                self.say(words);
                true
            }
            KeyCode::Esc => {
                line = LineEditor::new(before.text.clone());
                self.say("filter as before");
                true
            }
            _ => {
                line.key(key);
                false
            }
        };
        if let Some(filter) = self.view.filter(self) {
            *filter = Filter::parse(line.text());
        }
        if !done {
            self.overlay = Overlay::Prompt(line, before);
            self.say("Enter keeps the filter, Esc drops it");
        }
    }
}

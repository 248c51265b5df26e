//! The updates of the dashboard's state: messages, keys and the mouse.
//! Does no input or output: it returns requests, which the loader and the driver carry out.

use fewbits_engine::event::Summary;
use fewbits_engine::run::halt::Halt;
use ratatui::crossterm::event::{KeyEvent, KeyEventKind, MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Position;

use super::app::App;
use super::areas::areas;
use super::cursor::Motion;
use super::keys::{Action, action, keys_of};
use super::messages::{Leave, Notice, Request, Update, VersionRequest};
use super::overlay::Overlay;
use super::run_model::RunModel;
use super::screen;
use super::task_status::TaskStatus;
use super::view::{runs, task};
use super::view_name::View;
use super::view_state::{ParetoState, TablesState, TaskViewState};

impl App {
    /// Applies an update that arrived at `now`, in seconds of Unix time, and returns the requests that follow from it.
    pub fn update(&mut self, now: f64, update: Update) -> Vec<Request> {
        self.now = now;
        match update {
            Update::Key(key) => self.key(key),
            Update::Mouse(mouse) => self.mouse(mouse),
            Update::Size(columns, rows) => self.size = (columns, rows),
            Update::Opened(opened) => self.open(RunModel::new(*opened)),
            Update::Happened(lines) => {
                if let Some(run) = &mut self.run {
                    for line in &lines {
                        run.update(line);
                    }
                    let is_newest = self.newest.as_ref() == Some(&run.opened.id);
                    if self.follows_file && is_newest {
                        for line in &lines {
                            self.follow(&line.event);
                        }
                    }
                }
            }
            Update::Gone => {
                if let Some(run) = &mut self.run {
                    run.gone();
                    self.status = (
                        "the run did not finish: its process is gone; run the experiment again to go on"
                            .to_owned(),
                        true,
                    );
                }
            }
            Update::Own(run) => {
                self.own = Some(run.clone());
                self.newest = Some(run.clone());
                self.ask(Request::Open(run));
            }
            Update::Ended(summary) => self.ended(summary),
            Update::Table(wanted, made) => {
                self.tables.insert(wanted, made);
                self.seek_point();
            }
            Update::Record(task, record, tensors) => {
                // The record may be dropped from memory later; then it is requested again.
                self.asked.remove(&task);
                if let Some(run) = &mut self.run {
                    run.remember(task, record, tensors);
                }
            }
            Update::Runs(past) => runs::renew(self, past),
            Update::Baseline(baseline) => {
                if baseline.shared == 0 {
                    self.say(format!(
                        "run {} has no task of the same name: nothing can be compared",
                        baseline.id
                    ));
                } else {
                    self.say(format!("compared with run {}: tables show the differences", baseline.id));
                    (self.baseline, self.pin) = (Some(*baseline), None);
                }
            }
            Update::Curves(curves) => runs::add_curves(self, *curves),
            Update::Notice(notice) => self.notice = notice,
            Update::Standing(standing) => self.standing = standing,
            Update::Close => self.ask(Request::Leave(Leave::Over)),
            Update::Trouble(text) => self.status = (text, true),
        }
        if self.view == View::Task {
            task::refresh(self);
        }
        self.want();
        std::mem::take(&mut self.requests)
    }

    /// Returns whether the frame changes with the clock alone.
    #[must_use]
    pub fn ticks(&self) -> bool {
        let is_marked = self.view == View::Tables && self.marks_changes();
        let Some(run) = self.run.as_ref().filter(|run| run.ticks() || is_marked) else { return false };
        match self.view {
            View::Run => true,
            View::Task => {
                let is_running = |task| run.task(task).status == TaskStatus::Running;
                task::selected(self).is_some_and(is_running) || task::is_old(self)
            }
            View::Training | View::Pareto | View::Runs => false,
            View::Tables => self.marks_changes(),
        }
    }

    fn open(&mut self, run: RunModel) {
        let follows = run.opened.header.follows.as_ref();
        if let Some(before) = self.run.take_if(|before| follows == Some(&before.opened.id)) {
            return self.open_version(&before, run);
        }
        let (id, experiment) = (&run.opened.id, &run.opened.header.experiment);
        self.say(format!("run {id} of {experiment}; {} shows the keys", keys_of(Action::Help)));
        self.run = Some(run);
        self.values_before = None;
        self.tables.clear();
        self.asked.clear();
        self.table = None;
        (self.pin, self.baseline) = (None, None);
        self.other_curves.clear();
        self.training_view.marked.clear();
        self.tables_view = TablesState::default();
        self.pareto_view = ParetoState::default();
        self.task_view = TaskViewState::default();
    }

    fn ended(&mut self, summary: Summary) {
        if let Some(run) = self.run.as_mut().filter(|run| self.own.as_ref() == Some(&run.opened.id)) {
            run.ended(summary);
        }
        if self.overlay == Overlay::Quit {
            self.overlay = Overlay::None;
        }
        let stopped = self.halted > Halt::No;
        self.own = None;
        match self.leave {
            Some(leave) => self.ask(Request::Leave(leave)),
            // The end of a version is told when its run log tells it.
            None if self.follows_file && !stopped => {}
            None if self.touched && !stopped => {
                self.say(format!("the run is over; {} leaves", keys_of(Action::Quit)));
            }
            None => self.ask(Request::Leave(Leave::Over)),
        }
    }

    fn key(&mut self, key: KeyEvent) {
        if key.kind == KeyEventKind::Release {
            return;
        }
        self.touched = true;
        let asked = action(key);
        if let Some(action @ (Action::Interrupt | Action::Suspend | Action::Redraw)) = asked {
            return self.act(action);
        }
        match std::mem::take(&mut self.overlay) {
            Overlay::None => match asked {
                Some(action) => self.act(action),
                None => {
                    let name = super::keys::name(key).unwrap_or_else(|| "this key".to_owned());
                    self.say(format!("{name} does nothing; {} shows the keys", keys_of(Action::Help)));
                }
            },
            Overlay::Help(scrolled) => self.help_key(asked, scrolled),
            Overlay::Quit => self.quit_key(key),
            Overlay::Prompt(line, before) => self.prompt_key(key, line, before),
        }
    }

    fn act(&mut self, action: Action) {
        let said = match action {
            Action::NextView => self.turn(self.view.next()),
            Action::PreviousView => self.turn(self.view.previous()),
            Action::Show(view) => self.turn(view),
            Action::Help => {
                self.overlay = Overlay::Help(0);
                format!("the keys; {} closes them", keys_of(Action::Back))
            }
            Action::Quit => self.quit(),
            Action::Filter => self.prompt(),
            Action::Copy => self.copy(),
            Action::Back if !self.notice.lines.is_empty() => {
                self.notice = Notice::default();
                "the notice is closed".to_owned()
            }
            Action::Newest | Action::Before | Action::PinBefore => self.version(action),
            Action::Interrupt => self.interrupt(),
            Action::Suspend => {
                self.ask(Request::Suspend);
                "back again".to_owned()
            }
            Action::Redraw => {
                self.ask(Request::Redraw);
                "drawn anew".to_owned()
            }
            other => self.view.act(self, other).unwrap_or_else(|| {
                format!(
                    "{} does nothing in this view; {} shows the keys",
                    keys_of(other),
                    keys_of(Action::Help)
                )
            }),
        };
        self.say(said);
    }

    /// Asks for another version of the experiment, or pins the version before.
    fn version(&mut self, action: Action) -> String {
        if !self.follows_file {
            return "this run does not follow its file; run --watch does".to_owned();
        }
        if action == Action::PinBefore {
            let before = self.run.as_ref().and_then(|run| run.opened.header.follows.clone());
            let Some(before) = before else { return "there is no version before".to_owned() };
            self.ask(Request::Baseline(before));
            return "reading the version before".to_owned();
        }
        let is_before = action == Action::Before;
        self.ask(Request::Version(if is_before { VersionRequest::Before } else { VersionRequest::Newest }));
        String::new()
    }

    fn turn(&mut self, view: View) -> String {
        self.show(view);
        format!("{}: {}", view.title(), view.about())
    }

    fn quit(&mut self) -> String {
        if self.is_own_going() {
            self.overlay = Overlay::Quit;
            return "how shall the run go on?".to_owned();
        }
        self.ask(Request::Leave(Leave::Over));
        "leaving".to_owned()
    }

    fn interrupt(&mut self) -> String {
        if !self.is_own_going() && self.leave.is_none() {
            self.ask(Request::Leave(Leave::Over));
            return "leaving".to_owned();
        }
        if self.on_workers && self.halted < Halt::Leave && self.overlay != Overlay::Quit {
            self.overlay = Overlay::Quit;
            return "how shall the run go on? Ctrl-C again ends the workers".to_owned();
        }
        if self.halted == Halt::Now {
            self.ask(Request::Abort);
            return "at once".to_owned();
        }
        self.halt(Halt::Now);
        "stopping: running tasks are dropped, finished results are kept; Ctrl-C again ends at once".to_owned()
    }

    pub(super) fn halt(&mut self, halt: Halt) {
        self.halted = self.halted.max(halt);
        self.ask(Request::Halt(halt));
    }

    fn copy(&mut self) -> String {
        let Some(row) = self.view.row(self) else { return "there is no row to copy".to_owned() };
        let text: Vec<String> = row.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let text = text.join("\t");
        self.ask(Request::Copy(text.clone()));
        format!("copied {}", text.replace('\t', " "))
    }

    fn mouse(&mut self, mouse: MouseEvent) {
        if self.overlay != Overlay::None {
            return;
        }
        self.touched = true;
        match mouse.kind {
            MouseEventKind::ScrollUp => self.act(Action::Go(Motion::Up)),
            MouseEventKind::ScrollDown => self.act(Action::Go(Motion::Down)),
            MouseEventKind::Down(MouseButton::Left) => {
                let at = Position { x: mouse.column, y: mouse.row };
                if let Some(view) = screen::tab_at(self, at) {
                    return self.act(Action::Show(view));
                }
                let body = areas(self.size, self.noticed()).body;
                let said = if body.contains(at) { self.view.click(self, body, at) } else { None };
                self.say(said.unwrap_or_else(|| "nothing to select there".to_owned()));
            }
            _ => {}
        }
    }
}

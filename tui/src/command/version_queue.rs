//! The versions of an experiment that `run --watch` follows: which one runs, which one is next, and the messages about them.
//! Runs nothing.

use fewbits_engine::event::Event;
use fewbits_engine::preview::NodePreview;
use fewbits_engine::run::halt::Halt;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;

use crate::dashboard::messages::VersionRequest;
use crate::interrupt::Signals;
use crate::session::Session;
use crate::ui::Viewer;

/// The most versions to go back to.
const MOST_VERSIONS: usize = 20;

/// A message to the loop over versions.
pub enum Message {
    /// Files changed, and the text was read again; else the reason why the last version stays.
    Saved(Result<Box<Saved>, String>),
    /// The user asked for a version.
    Wanted(VersionRequest),
    /// The dashboard was closed.
    Closed,
}

/// A version that was saved.
pub struct Saved {
    pub session: Session,
    /// The preview of the edit, if it needs the user's consent.
    pub proposal: Option<Vec<NodePreview>>,
    /// Whether no other file than the experiment's changed.
    pub is_text_alone: bool,
}

/// The versions, and the messages about them.
pub struct VersionQueue {
    pub view: Viewer,
    pub inbox: UnboundedReceiver<Message>,
    /// Tells a run that there is a newer version.
    pub newer: watch::Sender<u64>,
    /// The versions that ran or will run, oldest first.
    pub versions: Vec<Session>,
    /// The version that runs or ran last.
    pub at: usize,
    /// The version to run next.
    pub next: Option<usize>,
    /// The version that waits for the user's consent.
    pub proposed: Option<Session>,
    /// The version that the user dropped, which the file still has.
    pub dropped: Option<Session>,
    /// The faults of the last saved text, if it was refused.
    pub refused: Option<String>,
    pub signals: Signals,
    pub is_over: bool,
}

impl VersionQueue {
    /// Waits for a version to run, a request to end, or the end of the dashboard.
    pub async fn wait(&mut self, halt: &mut watch::Receiver<Halt>) {
        while self.next.is_none() && !self.is_over {
            tokio::select! {
                Some(message) = self.inbox.recv() => self.receive(message),
                Ok(()) = halt.changed() => {
                    if *halt.borrow_and_update() > Halt::No {
                        return;
                    }
                }
            }
        }
    }

    /// Shows an event. If nobody reads the events, the run ends as by Ctrl-C.
    pub fn show(&mut self, event: &Event) {
        self.view.update(event);
        if self.view.is_unread() {
            self.is_over = true;
            self.signals.ask_unread();
        }
    }

    pub fn receive(&mut self, message: Message) {
        self.answer(message);
        self.view.stand(self.standing());
    }

    /// Says how the shown version stands to the file, as long as it is not what the file says.
    fn standing(&self) -> Option<String> {
        let (at, count) = (self.next.unwrap_or(self.at) + 1, self.versions.len());
        if self.proposed.is_some() {
            Some("an edit of the file waits: r runs it, u drops it".to_owned())
        } else if self.refused.is_some() {
            Some("the file has faults, and the last version stays: r shows the faults".to_owned())
        } else if self.dropped.is_some() {
            Some("the file keeps the edit that was dropped: r runs it".to_owned())
        } else {
            (at < count)
                .then(|| format!("version {at} of {count}, not what the file says: r runs the newest"))
        }
    }

    /// Says that the tables at the end are of another version than the file, if they are.
    pub fn unlike(&self) -> Option<String> {
        let (at, count) = (self.at + 1, self.versions.len());
        let what = if self.refused.is_some() {
            "the file has faults".to_owned()
        } else if self.proposed.is_some() || self.dropped.is_some() {
            "the file has an edit that did not run".to_owned()
        } else if at < count {
            format!("the file has version {count}")
        } else {
            return None;
        };
        Some(format!("these are the results of version {at}; {what}"))
    }

    fn answer(&mut self, message: Message) {
        // The version that runs next, or runs.
        let at = self.next.unwrap_or(self.at);
        match message {
            Message::Saved(Err(message)) => {
                (self.proposed, self.dropped, self.refused) = (None, None, Some(message.clone()));
                self.show(&Event::Refused { message });
            }
            Message::Saved(Ok(saved)) => self.saved(*saved, at),
            Message::Wanted(VersionRequest::Newest) => {
                let waiting = self.proposed.take().or_else(|| self.dropped.take());
                match (waiting, self.refused.clone()) {
                    (Some(session), _) => self.add(session, at),
                    (None, Some(message)) => self.show(&Event::Refused { message }),
                    (None, None) if at + 1 < self.versions.len() => self.run_next(self.versions.len() - 1),
                    (None, None) => self.view.notify(vec!["this is the newest version".to_owned()]),
                }
            }
            Message::Wanted(VersionRequest::Before) => match (self.proposed.take(), at.checked_sub(1)) {
                (Some(session), _) => {
                    self.dropped = Some(session);
                    self.view.notify(vec!["the edit is dropped".to_owned()]);
                }
                (None, Some(before)) => self.run_next(before),
                (None, None) => self.view.notify(vec!["there is no version before".to_owned()]),
            },
            Message::Closed => {
                if !self.view.closed() {
                    self.is_over = true;
                    // A version may have begun while the dashboard closed.
                    self.signals.ask_unread();
                }
            }
        }
    }

    /// Runs a saved version, or proposes it.
    fn saved(&mut self, saved: Saved, at: usize) {
        let Saved { session, proposal, is_text_alone } = saved;
        let was_noticed =
            self.proposed.take().is_some() | self.dropped.take().is_some() | self.refused.take().is_some();
        if is_text_alone && session.graph.text == self.versions[at].graph.text {
            // The text is as it was: saved without a change, or a change was taken back.
            if was_noticed {
                self.view.notify(vec!["the file says again what is shown".to_owned()]);
            }
            return;
        }
        match proposal {
            Some(nodes) => {
                self.proposed = Some(session);
                self.show(&Event::Proposed { nodes });
            }
            None => self.add(session, at),
        }
    }

    /// Adds a version behind the one that runs, or runs next, and runs it. Newer ones are forgotten, as in an editor's
    /// history.
    fn add(&mut self, session: Session, behind: usize) {
        self.versions.truncate(self.at.max(behind) + 1);
        self.versions.push(session);
        if self.versions.len() > MOST_VERSIONS && self.at > 0 {
            self.versions.remove(0);
            self.at -= 1;
        }
        self.run_next(self.versions.len() - 1);
    }

    /// Lets a version take over from the running one.
    fn run_next(&mut self, next: usize) {
        self.next = Some(next);
        self.newer.send_modify(|version| *version += 1);
    }
}

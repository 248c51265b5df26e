//! Keys and the mouse: waits for them beside the mailbox, and reads what has come.
//! Knows nothing of what a key does.

use std::fs::File;
use std::io::{self, IsTerminal, stdin};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use ratatui::crossterm::event::{self, Event as Input, MouseEventKind};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::messages::Update;
use super::terminal::renew_readiness;

/// The pause after input that crossterm leaves unread; without it, `poll` would return at once again and again.
const PAUSE: Duration = Duration::from_millis(33);

/// The terminal that keys come from. `poll` and crossterm must use the same file, or the wait would miss keys.
pub struct Keyboard {
    /// None means standard input.
    file: Option<File>,
}

/// What ended a wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Woken {
    /// Input is there.
    pub by_input: bool,
    /// The other file is ready to be read.
    pub by_other: bool,
}

impl Keyboard {
    /// Opens the keyboard; an error where the process has no terminal.
    pub fn open() -> io::Result<Self> {
        let file = if stdin().is_terminal() { None } else { Some(File::open("/dev/tty")?) };
        Ok(Self { file })
    }

    /// Waits for input or another file, or until `most` has passed; an error once the terminal is gone, which crossterm
    /// would wait on for ever.
    pub fn wait(&self, other: &impl AsFd, most: Option<Duration>) -> io::Result<Woken> {
        let mut watched = [PollFd::new(self, PollFlags::IN), PollFd::new(other, PollFlags::IN)];
        let most = most
            .map(|most| Timespec { tv_sec: most.as_secs() as i64, tv_nsec: i64::from(most.subsec_nanos()) });
        match poll(&mut watched, most.as_ref()) {
            Err(Errno::INTR) => return Ok(Woken::default()),
            other => other?,
        };
        let [input, other] = watched.map(|file| file.revents());
        if input.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
            return Err(io::Error::other("the terminal is gone"));
        }
        Ok(Woken { by_input: !input.is_empty(), by_other: !other.is_empty() })
    }

    /// Reads pending keys and mouse events, at most `most`. Call this after every wait: if a size change and a key are pending
    /// together, crossterm loses the key unless it has handled the size change before.
    pub fn read_pending(&self, woken: Woken, most: usize) -> io::Result<Vec<Update>> {
        let mut news = vec![];
        if !take_all(&mut news, most)? && woken.by_input {
            // crossterm waits for a change of the terminal's readiness. It reads 1 KiB per change, and leaves a key that came
            // together with a change of size: both stay unread until it sees another change.
            renew_readiness(self)?;
            if !take_all(&mut news, most)? {
                std::thread::sleep(PAUSE);
            }
        }
        Ok(news)
    }
}

impl AsFd for Keyboard {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // Standard input is open as long as the process lives.
        self.file.as_ref().map_or(rustix::stdio::stdin(), AsFd::as_fd)
    }
}

/// Reads inputs until none is left or `most` of them were news; returns whether there were any.
fn take_all(news: &mut Vec<Update>, most: usize) -> io::Result<bool> {
    let mut any = false;
    while news.len() < most && event::poll(Duration::ZERO)? {
        any = true;
        news.extend(told(&event::read()?));
    }
    Ok(any)
}

/// Returns what an input means. The size is none: it is read from the terminal itself, because crossterm may hear of a
/// change later than the signal wakes us.
fn told(input: &Input) -> Option<Update> {
    match input {
        Input::Key(key) => Some(Update::Key(*key)),
        Input::Mouse(mouse) => match mouse.kind {
            MouseEventKind::Down(_) | MouseEventKind::ScrollUp | MouseEventKind::ScrollDown => {
                Some(Update::Mouse(*mouse))
            }
            // That the mouse moves over the window means nothing.
            MouseEventKind::Up(_)
            | MouseEventKind::Drag(_)
            | MouseEventKind::Moved
            | MouseEventKind::ScrollLeft
            | MouseEventKind::ScrollRight => None,
        },
        Input::Resize(..) | Input::FocusGained | Input::FocusLost | Input::Paste(_) => None,
    }
}

//! The keyboard and the mouse: waits for input and for the mailbox at the same time, and reads pending input.
//! Does not know the action of a key.

use std::fs::File;
use std::io::{self, IsTerminal, stdin};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use ratatui::crossterm::event::{self, Event as Input, MouseEventKind};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::messages::Update;
use super::terminal::renew_readiness;

/// The pause after input that crossterm leaves unread. Without it, `poll` would return at once in a loop.
const PAUSE: Duration = Duration::from_millis(33);

/// The terminal that input comes from. `poll` and crossterm must use the same file, or the wait would miss keys.
pub struct Keyboard {
    /// `None` means standard input.
    file: Option<File>,
}

/// The causes that ended a wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Woken {
    /// Input is pending.
    pub by_input: bool,
    /// The other file is readable.
    pub by_other: bool,
}

impl Keyboard {
    /// Opens the keyboard. Returns an error if the process has no terminal.
    pub fn open() -> io::Result<Self> {
        let file = if stdin().is_terminal() { None } else { Some(File::open("/dev/tty")?) };
        Ok(Self { file })
    }

    /// Waits for input or for another file, at most for `most`. Returns an error if the terminal is gone, because
    /// crossterm would then block for ever.
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

    /// Reads at most `most` pending keys and mouse events. Call this after every wait: if a resize and a key are
    /// pending together, crossterm loses the key unless it has handled the resize before.
    pub fn read_pending(&self, woken: Woken, most: usize) -> io::Result<Vec<Update>> {
        let mut update = vec![];
        if !take_all(&mut update, most)? && woken.by_input {
            // crossterm waits for a change of the terminal's readiness (edge-triggered). It reads 1 KiB per change, and
            // it leaves a key that came together with a resize. Both stay unread until the next change.
            renew_readiness(self)?;
            if !take_all(&mut update, most)? {
                std::thread::sleep(PAUSE);
            }
        }
        Ok(update)
    }
}

impl AsFd for Keyboard {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // Standard input is open as long as the process lives.
        self.file.as_ref().map_or(rustix::stdio::stdin(), AsFd::as_fd)
    }
}

/// Reads input until none is left or `most` updates are collected; returns whether there was any input.
fn take_all(update: &mut Vec<Update>, most: usize) -> io::Result<bool> {
    let mut any = false;
    while update.len() < most && event::poll(Duration::ZERO)? {
        any = true;
        update.extend(told(&event::read()?));
    }
    Ok(any)
}

/// Returns the update that an input event causes. A resize causes none: the driver reads the size from the terminal,
/// because crossterm may report a resize later than the signal wakes the driver.
fn told(input: &Input) -> Option<Update> {
    match input {
        Input::Key(key) => Some(Update::Key(*key)),
        Input::Mouse(mouse) => match mouse.kind {
            MouseEventKind::Down(_) | MouseEventKind::ScrollUp | MouseEventKind::ScrollDown => {
                Some(Update::Mouse(*mouse))
            }
            // Mouse movement without a click has no meaning here.
            MouseEventKind::Up(_)
            | MouseEventKind::Drag(_)
            | MouseEventKind::Moved
            | MouseEventKind::ScrollLeft
            | MouseEventKind::ScrollRight => None,
        },
        Input::Resize(..) | Input::FocusGained | Input::FocusLost | Input::Paste(_) => None,
    }
}

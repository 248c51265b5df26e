//! The terminal while the dashboard has it: taken, given back whatever happens, and taken again.
//! Knows nothing of what is drawn.

use std::io::{self, BufWriter, Stderr, Write, stderr};
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use crossterm::clipboard::CopyToClipboard;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{DisableMouseCapture, EnableMouseCapture};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use ratatui::layout::Rect;
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

/// Whether the terminal is taken; locked while something is written to it. A signal or a panic must be able to give it
/// back from any thread, so this is the one state that all threads share.
static TAKEN: Mutex<bool> = Mutex::new(false);
/// How long giving back waits for a frame that is being written.
const PATIENCE: Duration = Duration::from_millis(300);

/// The terminal, taken.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stderr>>>,
}

impl Screen {
    /// Takes the terminal on standard error; an error where it cannot be drawn on.
    pub fn take() -> io::Result<Self> {
        let backend = CrosstermBackend::new(BufWriter::with_capacity(1 << 16, stderr()));
        let terminal = Terminal::new(backend)?;
        let size = terminal.size()?;
        if size.width == 0 || size.height == 0 {
            return Err(io::Error::other("the terminal has no size"));
        }
        let mut screen = Self { terminal };
        screen.retake()?;
        Ok(screen)
    }

    /// Takes the terminal again after it was given back, and forgets what was on it.
    pub fn retake(&mut self) -> io::Result<()> {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        *taken = true;
        enable_raw_mode()?;
        execute!(stderr(), EnterAlternateScreen, EnableMouseCapture, Hide)?;
        // `clear` would ask the terminal where its cursor is, which not all of them answer.
        let size = self.terminal.size()?;
        self.terminal.resize(Rect::new(0, 0, size.width, size.height))
    }

    /// Returns columns and rows.
    pub fn size(&self) -> io::Result<(u16, u16)> {
        self.terminal.size().map(|size| (size.width, size.height))
    }

    /// Draws a frame; an error once the terminal was given back from elsewhere.
    pub fn draw(&mut self, paint: impl FnOnce(&mut Buffer)) -> io::Result<()> {
        self.terminal.autoresize()?;
        // Painted before anything is locked: a panic in a view must be able to give the terminal back.
        let mut frame = Buffer::empty(self.terminal.get_frame().area());
        paint(&mut frame);
        let taken = held()?;
        ratatui::crossterm::queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate)?;
        self.terminal.draw(|screen| {
            let buffer = screen.buffer_mut();
            // Where the size changed meanwhile, this frame is of the past: the news of the size brings another.
            if buffer.area == frame.area {
                std::mem::swap(buffer, &mut frame);
            }
        })?;
        execute!(self.terminal.backend_mut(), EndSynchronizedUpdate)?;
        drop(taken);
        Ok(())
    }

    /// Puts a text on the clipboard, where the terminal lets programs do that (OSC 52).
    pub fn copy(text: &str) -> io::Result<()> {
        let taken = held()?;
        execute!(stderr(), CopyToClipboard::to_clipboard_from(text))?;
        drop(taken);
        Ok(())
    }
}

/// Sets the modes that a terminal has once more: then waits for a change of its readiness end, if there is input.
/// The lock keeps the modes from being given back between reading and setting them.
pub fn renew_readiness(terminal: &impl AsFd) -> io::Result<()> {
    let taken = held()?;
    tcsetattr(terminal, OptionalActions::Now, &tcgetattr(terminal)?)?;
    drop(taken);
    Ok(())
}

/// Holds the terminal; an error if it is not taken.
fn held() -> io::Result<MutexGuard<'static, bool>> {
    let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    if *taken { Ok(taken) } else { Err(io::Error::other("the terminal was given back")) }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back as it was; does nothing if it is not taken. Safe to call from anywhere, more than once.
pub fn give_back() {
    let start = Instant::now();
    let mut taken = loop {
        match TAKEN.try_lock() {
            Ok(taken) => break Some(taken),
            Err(TryLockError::Poisoned(taken)) => break Some(taken.into_inner()),
            // A terminal that takes no more bytes blocks who writes to it; what can be done without, is done.
            Err(TryLockError::WouldBlock) if start.elapsed() > PATIENCE => break None,
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    if taken.as_ref().is_some_and(|taken| !**taken) {
        return;
    }
    let mut out = stderr();
    let _ = execute!(out, EndSynchronizedUpdate, DisableMouseCapture, LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
    let _ = out.flush();
    if let Some(taken) = &mut taken {
        **taken = false;
    }
}

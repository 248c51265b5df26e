//! The terminal while the dashboard uses it: taken, given back in every case, and taken again.
//! Knows nothing of the frames that it shows.

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

/// Whether the terminal is taken; locked during writes to the terminal. A signal or a panic must be able to give the
/// terminal back from any thread, so this is the only state that all threads share.
static TAKEN: Mutex<bool> = Mutex::new(false);
/// The longest time that giving back waits for a frame that is being written.
const PATIENCE: Duration = Duration::from_millis(300);

/// The terminal, taken by the dashboard.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stderr>>>,
}

impl Screen {
    /// Takes the terminal on standard error. Returns an error if it cannot be drawn on.
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

    /// Takes the terminal again after it was given back, and redraws it from an empty screen.
    pub fn retake(&mut self) -> io::Result<()> {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        *taken = true;
        enable_raw_mode()?;
        execute!(stderr(), EnterAlternateScreen, EnableMouseCapture, Hide)?;
        // `clear` would query the cursor position, and some terminals do not answer that.
        let size = self.terminal.size()?;
        self.terminal.resize(Rect::new(0, 0, size.width, size.height))
    }

    /// Returns the size in columns and rows.
    pub fn size(&self) -> io::Result<(u16, u16)> {
        self.terminal.size().map(|size| (size.width, size.height))
    }

    /// Draws a frame. Returns an error if the terminal was given back.
    pub fn draw(&mut self, paint: impl FnOnce(&mut Buffer)) -> io::Result<()> {
        self.terminal.autoresize()?;
        // The frame is painted before the lock is taken, so that a panic in a view can give the terminal back.
        let mut frame = Buffer::empty(self.terminal.get_frame().area());
        paint(&mut frame);
        let taken = held()?;
        ratatui::crossterm::queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate)?;
        self.terminal.draw(|screen| {
            let buffer = screen.buffer_mut();
            // If the terminal was resized meanwhile, this frame is out of date. The resize causes another frame.
            if buffer.area == frame.area {
                std::mem::swap(buffer, &mut frame);
            }
        })?;
        execute!(self.terminal.backend_mut(), EndSynchronizedUpdate)?;
        drop(taken);
        Ok(())
    }

    /// Puts a text on the clipboard with OSC 52, if the terminal supports it.
    pub fn copy(text: &str) -> io::Result<()> {
        let taken = held()?;
        execute!(stderr(), CopyToClipboard::to_clipboard_from(text))?;
        drop(taken);
        Ok(())
    }
}

/// Sets the terminal's current modes again. With pending input, this reports the terminal as ready once more, which
/// ends an edge-triggered wait. The lock keeps the modes from being restored between reading and setting them.
pub fn renew_readiness(terminal: &impl AsFd) -> io::Result<()> {
    let taken = held()?;
    tcsetattr(terminal, OptionalActions::Now, &tcgetattr(terminal)?)?;
    drop(taken);
    Ok(())
}

/// Locks the terminal. Returns an error if it is not taken.
fn held() -> io::Result<MutexGuard<'static, bool>> {
    let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    if *taken { Ok(taken) } else { Err(io::Error::other("the terminal was given back")) }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Returns whether the dashboard has the terminal. A terminal that is being drawn counts as taken.
pub fn is_taken() -> bool {
    match TAKEN.try_lock() {
        Ok(taken) => *taken,
        Err(TryLockError::Poisoned(taken)) => *taken.into_inner(),
        Err(TryLockError::WouldBlock) => true,
    }
}

/// Restores the terminal; does nothing if it is not taken. It can be called from any thread, more than once.
pub fn give_back() {
    let start = Instant::now();
    let mut taken = loop {
        match TAKEN.try_lock() {
            Ok(taken) => break Some(taken),
            Err(TryLockError::Poisoned(taken)) => break Some(taken.into_inner()),
            // A terminal that accepts no more bytes blocks the thread that holds the lock. Then the terminal is
            // restored without the lock.
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

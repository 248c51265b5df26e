//! The terminal while the dashboard has it: taken, given back whatever happens, and taken again.
//! Knows nothing of what is drawn.

use std::io::{self, BufWriter, Stderr, Write, stderr};
use std::sync::atomic::{AtomicBool, Ordering};

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

/// Whether the terminal is taken. A signal or a panic must be able to give it back from any thread, so this is the
/// one state that all threads share.
static TAKEN: AtomicBool = AtomicBool::new(false);

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
        TAKEN.store(true, Ordering::SeqCst);
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

    /// Draws a frame.
    pub fn draw(&mut self, paint: impl FnOnce(&mut Buffer)) -> io::Result<()> {
        let out = self.terminal.backend_mut();
        ratatui::crossterm::queue!(out, BeginSynchronizedUpdate)?;
        self.terminal.draw(|frame| paint(frame.buffer_mut()))?;
        execute!(self.terminal.backend_mut(), EndSynchronizedUpdate)
    }

    /// Puts a text on the clipboard, where the terminal lets programs do that (OSC 52).
    pub fn copy(text: &str) -> io::Result<()> {
        execute!(stderr(), CopyToClipboard::to_clipboard_from(text))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back as it was; does nothing if it is not taken. Safe to call from anywhere, more than once.
pub fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let mut out = stderr();
        let _ = execute!(out, EndSynchronizedUpdate, DisableMouseCapture, LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
        let _ = out.flush();
    }
}

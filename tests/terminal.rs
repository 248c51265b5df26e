//! A shell on a pseudo-terminal, and the screen that a user would see.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use pty_process::blocking::{Command, Pty, open};
use rustix::termios::{LocalModes, tcgetattr};
use vt100::{Callbacks, MouseProtocolMode, Parser, Screen};

use crate::fixture::Bench;

/// The longest wait for any event, on a machine that is busy with other work.
const PATIENCE: Duration = Duration::from_mins(1);
/// The prompt of the shell.
const PROMPT: &str = "ready$ ";

/// A shell on a terminal.
pub struct Terminal {
    pty: Arc<Pty>,
    screen: Arc<Mutex<Parser<Clipboard>>>,
    shell: std::process::Child,
    /// The number of exit codes requested so far, which tells their outputs apart.
    asked: AtomicUsize,
}

/// The texts that programs put on the clipboard, as base64.
#[derive(Default)]
pub struct Clipboard {
    copied: Vec<String>,
}

impl Callbacks for Clipboard {
    fn copy_to_clipboard(&mut self, _: &mut Screen, _: &[u8], data: &[u8]) {
        self.copied.push(String::from_utf8_lossy(data).into_owned());
    }
}

fn cells(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).expect("a size")
}

impl Terminal {
    /// Opens a terminal of this size, with a shell in the folder of a bench.
    pub fn open(bench: &Bench, columns: u16, rows: u16) -> Self {
        let (pty, pts) = open().expect("a pseudo-terminal");
        pty.resize(pty_process::Size::new(rows, columns)).expect("a size");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let shell = Command::new("sh")
            .arg("-i")
            .current_dir(bench.path("."))
            .env_clear()
            .env("PATH", path)
            .env("HOME", bench.path("."))
            .env("TERM", "xterm-256color")
            .env("PS1", PROMPT)
            .env("FEWBITS_STORE", bench.path("store"))
            .env("FEWBITS", env!("CARGO_BIN_EXE_fewbits"))
            .spawn(pts)
            .expect("a shell");
        let pty = Arc::new(pty);
        let parser = Parser::new_with_callbacks(cells(rows), cells(columns), 2000, Clipboard::default());
        let screen = Arc::new(Mutex::new(parser));
        let (from, to) = (Arc::clone(&pty), Arc::clone(&screen));
        thread::spawn(move || {
            let mut bytes = vec![0; 65536];
            while let Ok(count @ 1..) = (&*from).read(&mut bytes) {
                to.lock().expect("the screen").process(&bytes[..count]);
            }
        });
        let terminal = Self { pty, screen, shell, asked: AtomicUsize::new(0) };
        terminal.wait_for("a prompt", |text| text.contains(PROMPT));
        terminal
    }

    /// Types keys.
    pub fn send(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).expect("the terminal");
    }

    /// Types a shell command, in which `fewbits` stands for the binary.
    pub fn run(&self, command: &str) {
        let command = command.replace("fewbits", "$FEWBITS");
        self.send(&format!("{command}\r"));
        // From here on, a prompt at the end of the screen means that the command has ended.
        let echoed = format!("{PROMPT}{command}");
        self.wait_for("the command", |text| text.contains(&echoed) || self.with(Screen::alternate_screen));
    }

    /// Clears the screen.
    pub fn clear(&self) {
        self.send("clear\r");
        self.wait_for("nothing", |text| text.trim() == PROMPT.trim());
    }

    /// Types keys and waits until a text appears.
    pub fn press(&self, key: &str, seen: &str) -> String {
        self.send(key);
        self.wait_for(seen, |text| text.contains(seen))
    }

    /// Returns the text on the screen.
    pub fn text(&self) -> String {
        self.with(Screen::contents)
    }

    /// Returns the scrollback and the text on the screen.
    pub fn scrollback(&self) -> String {
        let mut parser = self.screen.lock().expect("the screen");
        let screen = parser.screen_mut();
        let (rows, length) = (usize::from(screen.size().0.get()), screen.scrollback_len());
        let mut text = String::new();
        for back in (0..=length).rev().step_by(rows) {
            screen.set_scrollback(back);
            text += &screen.contents();
            text.push('\n');
        }
        screen.set_scrollback(0);
        text + &screen.contents()
    }

    /// Waits until the text on the screen satisfies a condition; returns the text.
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let text = self.text();
            if wanted(&text) {
                return text;
            }
            assert!(start.elapsed() < PATIENCE, "waited for {what:?}:\n{text}");
            thread::sleep(Duration::from_millis(15));
        }
    }

    /// Waits until a dashboard is on the terminal.
    pub fn wait_for_dashboard(&self) {
        let start = Instant::now();
        while !self.with(Screen::alternate_screen) {
            assert!(start.elapsed() < PATIENCE, "no dashboard:\n{}", self.text());
            thread::sleep(Duration::from_millis(15));
        }
        self.wait_for("the tabs", |text| text.contains(" 1 Run ") || text.contains(" 1 "));
    }

    /// Waits until the shell has the terminal back with its modes restored; returns the exit code of the command.
    pub fn wait_for_shell(&self) -> i32 {
        let start = Instant::now();
        while self.with(Screen::alternate_screen) || !self.text().trim_end().ends_with(PROMPT.trim_end()) {
            assert!(start.elapsed() < PATIENCE, "the terminal was not given back:\n{}", self.text());
            thread::sleep(Duration::from_millis(15));
        }
        assert!(!self.with(Screen::hide_cursor), "the cursor is hidden");
        assert_eq!(self.with(Screen::mouse_protocol_mode), MouseProtocolMode::None);
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        let modes = "$(stty -a | tr ' ' '\\n' | grep -cx -e icanon -e echo -e isig)";
        self.send(&format!("echo code{asked}=$? modes={modes} end\r"));
        let answer = format!("code{asked}=");
        // The typed command is echoed too, with `$?` in place of the number, possibly on the same line as the output.
        let find = |text: &str| {
            let mut rests = text.match_indices(&answer).map(|(at, _)| text[at + answer.len()..].to_owned());
            rests.find(|rest| rest.starts_with(|c: char| c.is_ascii_digit()) && rest.contains("end"))
        };
        let text = self.wait_for("the code", |text| find(text).is_some());
        let words = find(&text).unwrap_or_default();
        assert!(words.contains("modes=3 end"), "the terminal is raw:\n{text}");
        let code = words.split(' ').next().and_then(|code| code.parse().ok());
        code.unwrap_or_else(|| panic!("no code:\n{text}"))
    }

    /// Returns whether the terminal is in raw mode.
    pub fn is_raw(&self) -> bool {
        let modes = tcgetattr(&*self.pty).expect("the terminal's modes").local_modes;
        !modes.contains(LocalModes::ICANON)
    }

    /// Closes the terminal, as if its window was closed or its connection was lost.
    pub fn close(&mut self) {
        self.shell.kill().expect("the shell");
        self.shell.wait().expect("the shell");
    }

    /// Resizes the terminal.
    pub fn resize(&self, columns: u16, rows: u16) {
        self.screen.lock().expect("the screen").set_size(cells(rows), cells(columns));
        self.pty.resize(pty_process::Size::new(rows, columns)).expect("a size");
    }

    /// Returns the process that the shell runs in the foreground.
    #[cfg(target_os = "linux")]
    pub fn front(&self) -> u32 {
        let shell = self.shell.id().to_string();
        let is_child = |process: &u32| {
            let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
            // The name in parentheses may contain spaces; the parent is the second field after it.
            stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)) == Some(&shell)
        };
        let names = std::fs::read_dir("/proc").expect("/proc").flatten().map(|entry| entry.file_name());
        let mut processes = names.filter_map(|name| name.to_str()?.parse().ok());
        processes.find(is_child).expect("a process")
    }

    /// Returns the texts that were put on the clipboard, as base64.
    pub fn copied(&self) -> Vec<String> {
        self.screen.lock().expect("the screen").callbacks().copied.clone()
    }

    /// Calls a function with the screen.
    pub fn with<T>(&self, look: impl Fn(&Screen) -> T) -> T {
        look(self.screen.lock().expect("the screen").screen())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

//! The driver: a thread that applies updates to the state, draws it, and carries out requests.
//! No other thread touches the terminal while the dashboard is open. It wakes for updates, and once a second while the
//! view shows elapsed time. After the run has ended it sleeps until a key is pressed. It does not read the store.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant, SystemTime};

use fewbits_engine::event::Summary;
use fewbits_engine::run::halt::Halt;
use fewbits_ops::StandardOps;
use fewbits_store::Store;
use rustix::process::{Signal, kill_current_process_group};

use super::app::App;
use super::keyboard::Keyboard;
use super::loader::Loader;
use super::mail::{Mail, Mailbox, mailbox};
use super::messages::{Leave, Notice, Request, Update, VersionRequest};
use super::screen;
use super::terminal::{Screen, give_back};
use super::theme::Theme;
use crate::exit::Exit;
use crate::interrupt::Signals;

/// The least time between two frames, for at most 30 frames a second.
const FRAME: Duration = Duration::from_millis(33);
/// The wait before a frame that no key caused, as a multiple of the time of the last frame. So drawing takes at most a
/// hundredth of the time.
const REST: u32 = 100;
/// The time between two frames while the view shows elapsed time.
const TICK: Duration = Duration::from_secs(1);
/// The longest wait for the stop signal of a suspension to arrive.
const STOP: Duration = Duration::from_millis(200);
/// The longest wait for the dashboard to close after a signal asked the process to end.
const CLOSING: Duration = Duration::from_secs(2);
/// The most updates applied between two frames.
const BATCH: usize = 1000;

/// Receives a request for a version, or `None` when the dashboard ends. It is called on the dashboard's thread.
pub type VersionListener = Box<dyn Fn(Option<VersionRequest>) + Send + Sync>;

/// The inputs of a dashboard.
pub struct DashboardSetup {
    /// The store that holds the results.
    pub store: Arc<Store>,
    /// The ops of the runs shown.
    pub ops: Arc<StandardOps>,
    /// Colours and glyphs.
    pub theme: Theme,
    /// The signals, and the means to stop the run of this process.
    pub signals: Signals,
    /// The speed of a replay, as a multiple of the run's own speed; `None` shows a finished run without a replay.
    pub speed: Option<f64>,
    /// Receives requests for versions, and the end of the dashboard, if the run follows its file.
    pub versions: Option<VersionListener>,
    /// Whether the tasks run on workers.
    pub on_workers: bool,
    /// Whether the first key causes a panic, for tests.
    pub panics: bool,
}

/// An open dashboard.
pub struct Dashboard {
    mail: Mail<Update>,
    ui_thread: JoinHandle<io::Result<Leave>>,
    loader: JoinHandle<()>,
    signals: Signals,
    ended: Arc<AtomicBool>,
}

/// A guard that reports the end of the driver's thread, even by a panic, and wakes the thread that waits for it.
struct EndGuard {
    ended: Arc<AtomicBool>,
    waiter: Thread,
    versions: Arc<Option<VersionListener>>,
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        self.waiter.unpark();
        if let Some(versions) = &*self.versions {
            versions(None);
        }
    }
}

impl Dashboard {
    /// Takes the terminal and shows a run; `own` marks the run of this process. The thread that calls this function
    /// must also be the one that calls [`Dashboard::wait`].
    pub fn open(setup: DashboardSetup, run: &str, own: bool) -> io::Result<Self> {
        let keyboard = Keyboard::open()?;
        let screen = Screen::take()?;
        let (mail, mailbox) = mailbox()?;
        let (asks, desk) = channel();
        let loader =
            Loader::new(Arc::clone(&setup.store), Arc::clone(&setup.ops), setup.speed, desk, mail.clone());
        let loader = thread::Builder::new().name("loader".to_owned()).spawn(move || loader.work())?;
        let own = own.then(|| run.to_owned());
        let mut app = App::new(setup.theme, screen.size()?, own);
        app.follows_file = setup.versions.is_some();
        app.on_workers = setup.on_workers;
        app.newest.clone_from(&app.own);
        let versions = Arc::new(setup.versions);
        // The loader lives until the driver drops its end of the channel.
        let _ = asks.send(Request::Open(run.to_owned()));
        let (panics, signals) = (setup.panics, setup.signals.clone());
        let copies = setup.store.root().join("copied.tsv");
        let ended = Arc::new(AtomicBool::new(false));
        let end_guard = EndGuard {
            ended: Arc::clone(&ended),
            waiter: thread::current(),
            versions: Arc::clone(&versions),
        };
        let signals_of_ui = setup.signals;
        let ui_thread = UiThread {
            keyboard,
            screen,
            app,
            mailbox,
            asks,
            signals: signals_of_ui,
            versions,
            copies,
            panics,
        };
        let (bell, waiter) = (mail.bell(), thread::current());
        signals.on_signal(move || {
            bell.ring();
            waiter.unpark();
        });
        let fly = move || {
            let _landing = end_guard;
            ui_thread.run()
        };
        let ui_thread = thread::Builder::new().name("dashboard".to_owned()).spawn(fly)?;
        Ok(Self { mail, ui_thread, loader, signals, ended })
    }

    /// Shows another run of this process.
    pub fn follow(&self, run: &str) {
        self.mail.send(Update::Own(run.to_owned()));
    }

    /// Shows a notice about an edit.
    pub fn notice(&self, notice: Notice) {
        self.mail.send(Update::Notice(notice));
    }

    /// Shows how the shown version stands to the file, as long as it is not what the file says.
    pub fn stand(&self, standing: Option<String>) {
        self.mail.send(Update::Standing(standing));
    }

    /// Reports that the run of this process ended.
    pub fn ended(&self, summary: Summary) {
        self.mail.send(Update::Ended(summary));
    }

    /// Closes the dashboard.
    pub fn close(self) {
        self.mail.send(Update::Close);
        let _ = self.wait();
    }

    /// Returns whether the dashboard was closed or failed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Waits until the dashboard is closed; `None` if it failed. After that, both threads have released the store,
    /// unless the driver hangs after a signal.
    #[must_use]
    pub fn wait(self) -> Option<Leave> {
        let mut deadline = None;
        while !self.is_closed() {
            if !self.signals.came() {
                thread::park();
                continue;
            }
            // A driver that writes to a terminal that is gone may hang.
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + CLOSING);
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            thread::park_timeout(left);
        }
        let left = self.ui_thread.join().ok().and_then(Result::ok);
        // The driver held the only sender of requests, so the loader ends.
        let _ = self.loader.join();
        left
    }
}

struct UiThread {
    keyboard: Keyboard,
    screen: Screen,
    app: App,
    mailbox: Mailbox<Update>,
    asks: Sender<Request>,
    signals: Signals,
    versions: Arc<Option<VersionListener>>,
    /// The file that collects copied rows.
    copies: PathBuf,
    panics: bool,
}

/// The times that decide when the next frame is due.
struct FrameClock {
    drawn: Instant,
    took: Duration,
    /// Whether the state changed since the last frame, and whether a key caused the change.
    dirty: bool,
    pressed: bool,
}

impl FrameClock {
    fn wait(&self) -> Duration {
        let rest = if self.pressed { FRAME } else { FRAME.max(self.took * REST) };
        rest.saturating_sub(self.drawn.elapsed())
    }

    fn is_due(&self) -> bool {
        self.dirty && self.wait().is_zero()
    }

    /// Returns the time until the next frame if no update comes; `None` if no frame is due without an update.
    fn patience(&self, ticks: bool) -> Option<Duration> {
        match (self.dirty, ticks) {
            (true, _) => Some(self.wait()),
            (false, true) => Some(TICK.saturating_sub(self.drawn.elapsed())),
            (false, false) => None,
        }
    }
}

impl UiThread {
    fn run(mut self) -> io::Result<Leave> {
        let mut pace = FrameClock { drawn: Instant::now(), took: Duration::ZERO, dirty: true, pressed: true };
        self.draw(&mut pace)?;
        // Whether the last batch was full, so that more updates may be pending.
        let mut more = false;
        loop {
            let patience = if more { Some(Duration::ZERO) } else { pace.patience(self.app.ticks()) };
            let update = self.take(patience, &mut pace)?;
            more = update.len() >= BATCH;
            pace.dirty |= !update.is_empty() || (self.app.ticks() && pace.drawn.elapsed() >= TICK);
            for update in update {
                let over = matches!(update, Update::Ended(_));
                if let Some(leave) = self.take_in(update)? {
                    return Ok(leave);
                }
                if over && self.signals.asked() > Halt::No {
                    return Ok(Leave::Over);
                }
            }
            if self.signals.continued() {
                self.screen.retake()?;
                pace.dirty = true;
            }
            if self.app.own.is_none() && self.signals.asked() > Halt::No {
                return Ok(Leave::Over);
            }
            if pace.is_due() {
                self.draw(&mut pace)?;
            }
        }
    }

    fn draw(&mut self, pace: &mut FrameClock) -> io::Result<()> {
        let start = Instant::now();
        self.app.now = now();
        let app = &self.app;
        self.screen.draw(|buffer| screen::draw(app, buffer))?;
        *pace = FrameClock { drawn: Instant::now(), took: start.elapsed(), dirty: false, pressed: false };
        Ok(())
    }

    /// Waits for updates, at most for `patience`. All pending updates are returned together, so that a series of
    /// resizes makes one frame.
    fn take(&mut self, patience: Option<Duration>, pace: &mut FrameClock) -> io::Result<Vec<Update>> {
        let woken = self.keyboard.wait(&self.mailbox, patience)?;
        let mut update = self.keyboard.read_pending(woken, BATCH)?;
        pace.pressed |= !update.is_empty();
        assert!(!(self.panics && pace.pressed), "asked for by a test");
        let size = self.screen.size()?;
        if size != self.app.size {
            pace.pressed = true;
            update.push(Update::Size(size.0, size.1));
        }
        update.extend(self.mailbox.take(woken.by_other, BATCH));
        Ok(update)
    }

    /// Applies an update and carries out the requests that follow; returns how the dashboard closes, if it does.
    fn take_in(&mut self, update: Update) -> io::Result<Option<Leave>> {
        for ask in self.app.update(now(), update) {
            match ask {
                Request::Leave(leave) => return Ok(Some(leave)),
                Request::Halt(halt) => self.signals.ask(halt),
                Request::Version(wanted) => {
                    if let Some(versions) = &*self.versions {
                        versions(Some(wanted));
                    }
                }
                Request::Abort => {
                    give_back();
                    std::process::exit(Exit::Interrupted as i32);
                }
                Request::Suspend => self.suspend()?,
                Request::Redraw => self.screen.retake()?,
                Request::Copy(text) => self.copy(&text)?,
                other => {
                    let _ = self.asks.send(other);
                }
            }
        }
        Ok(None)
    }

    /// Suspends the process as a shell expects for Ctrl-Z, and takes the terminal again when the shell continues the
    /// process.
    fn suspend(&mut self) -> io::Result<()> {
        give_back();
        kill_current_process_group(Signal::TSTP)?;
        // The stop may come a moment later. In an orphaned process group, which no shell would continue, it does not
        // come at all.
        let start = Instant::now();
        while !self.signals.continued() && start.elapsed() < STOP {
            thread::sleep(Duration::from_millis(5));
        }
        self.screen.retake()
    }

    fn copy(&mut self, text: &str) -> io::Result<()> {
        Screen::copy(text)?;
        let file = File::options().create(true).append(true).open(&self.copies);
        let written = file.and_then(|mut file| writeln!(file, "{text}"));
        let said = match written {
            Ok(()) => {
                format!("written to {} and sent to the terminal's clipboard: {text}", self.copies.display())
            }
            Err(error) => format!("sent to the terminal's clipboard; {}: {error}", self.copies.display()),
        };
        self.app.say(said.replace('\t', " "));
        Ok(())
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |now| now.as_secs_f64())
}

//! The pilot: a thread that gives news to the state, draws it, and does what the state asks for.
//! It alone touches the terminal while the dashboard is open. It wakes for news, and once a second while the view shows
//! elapsed time. After the run has ended it sleeps until a key is pressed.

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
use super::messages::{Leave, Request, Update};
use super::screen;
use super::terminal::{Screen, give_back};
use super::theme::Theme;
use crate::exit::Exit;
use crate::interrupt::Signals;

/// Frames are at least this far apart: 30 a second.
const FRAME: Duration = Duration::from_millis(33);
/// A frame that no key asked for waits this many times what the last one took: drawing costs at most a hundredth.
const REST: u32 = 100;
/// Times that are shown move once a second.
const TICK: Duration = Duration::from_secs(1);
/// How long a stop that was asked for may take to come.
const STOP: Duration = Duration::from_millis(200);
/// How long a dashboard may take to close once a signal asked the process to end.
const CLOSING: Duration = Duration::from_secs(2);
/// News taken in between two frames.
const BATCH: usize = 1000;

/// What a dashboard is opened with.
pub struct DashboardSetup {
    /// Where results are.
    pub store: Arc<Store>,
    /// The ops of the runs shown.
    pub ops: Arc<StandardOps>,
    /// How things look.
    pub theme: Theme,
    /// Signals, and the way to ask the run of this process to end.
    pub signals: Signals,
    /// How many times faster than it was a finished run is replayed.
    pub speed: Option<f64>,
    /// Whether the first key makes it panic, for tests.
    pub panics: bool,
}

/// An open dashboard.
pub struct Dashboard {
    mail: Mail<Update>,
    pilot: JoinHandle<io::Result<Leave>>,
    clerk: JoinHandle<()>,
    signals: Signals,
    landed: Arc<AtomicBool>,
}

/// Says that the pilot's thread ends, in whatever way, and wakes the thread that waits for it.
struct Landing {
    landed: Arc<AtomicBool>,
    waiter: Thread,
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.landed.store(true, Ordering::SeqCst);
        self.waiter.unpark();
    }
}

impl Dashboard {
    /// Takes the terminal and shows a run; `own` says that it is the run of this process. The thread that opens a dashboard
    /// is the one that waits for its end.
    pub fn open(setup: DashboardSetup, run: &str, own: bool) -> io::Result<Self> {
        let keyboard = Keyboard::open()?;
        let screen = Screen::take()?;
        let (mail, mailbox) = mailbox()?;
        let (asks, desk) = channel();
        let clerk =
            Loader::new(Arc::clone(&setup.store), Arc::clone(&setup.ops), setup.speed, desk, mail.clone());
        let clerk = thread::Builder::new().name("clerk".to_owned()).spawn(move || clerk.work())?;
        let own = own.then(|| run.to_owned());
        let app = App::new(setup.theme, screen.size()?, own);
        // The clerk lives until the pilot drops its end of the channel.
        let _ = asks.send(Request::Open(run.to_owned()));
        let (panics, signals) = (setup.panics, setup.signals.clone());
        let copies = setup.store.root().join("copied.tsv");
        let pilot = Pilot { keyboard, screen, app, mailbox, asks, signals: setup.signals, copies, panics };
        let landed = Arc::new(AtomicBool::new(false));
        let landing = Landing { landed: Arc::clone(&landed), waiter: thread::current() };
        let (bell, waiter) = (mail.bell(), thread::current());
        signals.on_signal(move || {
            bell.ring();
            waiter.unpark();
        });
        let fly = move || {
            let _landing = landing;
            pilot.fly()
        };
        let pilot = thread::Builder::new().name("dashboard".to_owned()).spawn(fly)?;
        Ok(Self { mail, pilot, clerk, signals, landed })
    }

    /// Shows another run of this process.
    pub fn follow(&self, run: &str) {
        self.mail.send(Update::Own(run.to_owned()));
    }

    /// Says that the run of this process ended.
    pub fn ended(&self, summary: Summary) {
        self.mail.send(Update::Ended(summary));
    }

    /// Closes it.
    pub fn close(self) {
        self.mail.send(Update::Close);
        let _ = self.wait();
    }

    /// Returns whether it was left, or broke.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.landed.load(Ordering::SeqCst)
    }

    /// Waits until it is left; none if it broke. Nobody holds the store for it any more then.
    #[must_use]
    pub fn wait(self) -> Option<Leave> {
        let mut deadline = None;
        while !self.is_closed() {
            if !self.signals.came() {
                thread::park();
                continue;
            }
            // A pilot that writes to a terminal that is gone may hang.
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + CLOSING);
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            thread::park_timeout(left);
        }
        let left = self.pilot.join().ok().and_then(Result::ok);
        // Without the pilot nobody asks the clerk any more, so it ends.
        let _ = self.clerk.join();
        left
    }
}

struct Pilot {
    keyboard: Keyboard,
    screen: Screen,
    app: App,
    mailbox: Mailbox<Update>,
    asks: Sender<Request>,
    signals: Signals,
    /// Where copied rows are collected.
    copies: PathBuf,
    panics: bool,
}

/// When the next frame is due.
struct FrameClock {
    drawn: Instant,
    took: Duration,
    /// Whether something changed; whether a key did it.
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

    /// Returns how long there is nothing to draw if nothing happens; none means for ever.
    fn patience(&self, ticks: bool) -> Option<Duration> {
        match (self.dirty, ticks) {
            (true, _) => Some(self.wait()),
            (false, true) => Some(TICK.saturating_sub(self.drawn.elapsed())),
            (false, false) => None,
        }
    }
}

impl Pilot {
    fn fly(mut self) -> io::Result<Leave> {
        let mut pace = FrameClock { drawn: Instant::now(), took: Duration::ZERO, dirty: true, pressed: true };
        self.draw(&mut pace)?;
        // Whether there is more than was taken the last time.
        let mut more = false;
        loop {
            let patience = if more { Some(Duration::ZERO) } else { pace.patience(self.app.ticks()) };
            let news = self.take(patience, &mut pace)?;
            more = news.len() >= BATCH;
            pace.dirty |= !news.is_empty() || (self.app.ticks() && pace.drawn.elapsed() >= TICK);
            for news in news {
                let over = matches!(news, Update::Ended(_));
                if let Some(leave) = self.take_in(news)? {
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

    /// Waits for news, at most so long; what has come by then is taken together, so that a storm of sizes makes one frame.
    fn take(&mut self, patience: Option<Duration>, pace: &mut FrameClock) -> io::Result<Vec<Update>> {
        let woken = self.keyboard.wait(&self.mailbox, patience)?;
        let mut news = self.keyboard.read_pending(woken, BATCH)?;
        pace.pressed |= !news.is_empty();
        assert!(!(self.panics && pace.pressed), "asked for by a test");
        let size = self.screen.size()?;
        if size != self.app.size {
            pace.pressed = true;
            news.push(Update::Size(size.0, size.1));
        }
        news.extend(self.mailbox.take(woken.by_other, BATCH));
        Ok(news)
    }

    /// Gives news to the state and does what it asks for; returns how the dashboard is left, if it is.
    fn take_in(&mut self, news: Update) -> io::Result<Option<Leave>> {
        for ask in self.app.update(now(), news) {
            match ask {
                Request::Leave(leave) => return Ok(Some(leave)),
                Request::Halt(halt) => self.signals.ask(halt),
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

    /// Stops the process as the shell expects it of Ctrl-Z; goes on when the shell brings it back.
    fn suspend(&mut self) -> io::Result<()> {
        give_back();
        kill_current_process_group(Signal::TSTP)?;
        // The stop may come a moment later; where nobody would continue the process, it does not come at all.
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
            Ok(()) => format!("copied to the clipboard and {}: {text}", self.copies.display()),
            Err(error) => format!("copied to the clipboard; {}: {error}", self.copies.display()),
        };
        self.app.say(said.replace('\t', " "));
        Ok(())
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |now| now.as_secs_f64())
}

//! The pilot: a thread that gives news to the state, draws it, and does what the state asks for.
//! It alone touches the terminal while the dashboard is open.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use fewbits_engine::event::Summary;
use fewbits_engine::run::halt::Halt;
use fewbits_ops::StandardOps;
use fewbits_store::Store;
use ratatui::crossterm::event::{self, Event as Input, MouseEventKind};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Signal, kill_current_process_group};

use super::app::App;
use super::clerk::Clerk;
use super::news::{Ask, Leave, News};
use super::screen;
use super::terminal::{Screen, give_back};
use super::theme::Theme;
use crate::exit::Exit;
use crate::interrupt::Signals;

/// Frames are at least this far apart: 30 a second.
const FRAME: Duration = Duration::from_millis(33);
/// A frame that no key asked for waits this many times what the last one took: drawing costs at most a hundredth.
const REST: u32 = 100;
/// How long to wait for a key before looking for other news.
const PATIENCE: Duration = Duration::from_millis(50);
/// Times that are shown move once a second.
const TICK: Duration = Duration::from_secs(1);
/// How long a stop that was asked for may take to come.
const STOP: Duration = Duration::from_millis(200);
/// How long a dashboard may take to close once the process is to end.
const CLOSING: Duration = Duration::from_secs(2);
/// News taken in between two frames.
const BATCH: usize = 1000;

/// What a dashboard is opened with.
pub struct Setup {
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
    news: Sender<News>,
    pilot: JoinHandle<io::Result<Leave>>,
    clerk: JoinHandle<()>,
    signals: Signals,
}

impl Dashboard {
    /// Takes the terminal and shows a run; `own` says that it is the run of this process.
    pub fn open(setup: Setup, run: &str, own: bool) -> io::Result<Self> {
        let screen = Screen::take()?;
        let (news, inbox) = channel();
        let (asks, desk) = channel();
        let clerk =
            Clerk::new(Arc::clone(&setup.store), Arc::clone(&setup.ops), setup.speed, desk, news.clone());
        let clerk = thread::Builder::new().name("clerk".to_owned()).spawn(move || clerk.work())?;
        let own = own.then(|| run.to_owned());
        let app = App::new(setup.theme, screen.size()?, own);
        // The clerk lives until the pilot drops its end of the channel.
        let _ = asks.send(Ask::Open(run.to_owned()));
        let (panics, signals) = (setup.panics, setup.signals.clone());
        let copies = setup.store.root().join("copied.tsv");
        let pilot = Pilot { screen, app, inbox, asks, signals: setup.signals, copies, panics };
        let pilot = thread::Builder::new().name("dashboard".to_owned()).spawn(move || pilot.fly())?;
        Ok(Self { news, pilot, clerk, signals })
    }

    /// Shows another run of this process.
    pub fn follow(&self, run: &str) {
        let _ = self.news.send(News::Own(run.to_owned()));
    }

    /// Says that the run of this process ended.
    pub fn ended(&self, summary: Summary) {
        let _ = self.news.send(News::Ended(summary));
    }

    /// Closes it.
    pub fn close(self) {
        let _ = self.news.send(News::Close);
        let _ = self.wait();
    }

    /// Returns whether it was left, or broke.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.pilot.is_finished()
    }

    /// Waits until it is left; none if it broke. Nobody holds the store for it any more then.
    #[must_use]
    pub fn wait(self) -> Option<Leave> {
        let start = Instant::now();
        while !self.pilot.is_finished() {
            // Whoever sits at a terminal that is gone leaves nothing.
            if self.signals.came() && start.elapsed() > CLOSING {
                return None;
            }
            thread::sleep(Duration::from_millis(5));
        }
        let left = self.pilot.join().ok().and_then(Result::ok);
        // Without the pilot nobody asks the clerk any more, so it ends.
        let _ = self.clerk.join();
        left
    }
}

struct Pilot {
    screen: Screen,
    app: App,
    inbox: Receiver<News>,
    asks: Sender<Ask>,
    signals: Signals,
    /// Where copied rows are collected.
    copies: PathBuf,
    panics: bool,
}

/// When the next frame is due.
struct Pace {
    drawn: Instant,
    took: Duration,
    /// Whether something changed; whether a key did it.
    dirty: bool,
    pressed: bool,
}

impl Pace {
    fn wait(&self) -> Duration {
        let rest = if self.pressed { FRAME } else { FRAME.max(self.took * REST) };
        rest.saturating_sub(self.drawn.elapsed())
    }

    fn is_due(&self) -> bool {
        self.dirty && self.wait().is_zero()
    }
}

impl Pilot {
    fn fly(mut self) -> io::Result<Leave> {
        let mut pace = Pace { drawn: Instant::now(), took: Duration::ZERO, dirty: true, pressed: true };
        self.draw(&mut pace)?;
        loop {
            let wait = if pace.dirty { pace.wait().min(PATIENCE) } else { PATIENCE };
            let mut news = Self::inputs(wait)?;
            pace.pressed |= !news.is_empty();
            assert!(!(self.panics && pace.pressed), "asked for by a test");
            news.extend(self.inbox.try_iter().take(BATCH));
            pace.dirty |= !news.is_empty() || pace.drawn.elapsed() >= TICK;
            for news in news {
                let over = matches!(news, News::Ended(_));
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

    fn draw(&mut self, pace: &mut Pace) -> io::Result<()> {
        let start = Instant::now();
        self.app.now = now();
        let app = &self.app;
        self.screen.draw(|buffer| screen::draw(app, buffer))?;
        *pace = Pace { drawn: Instant::now(), took: start.elapsed(), dirty: false, pressed: false };
        Ok(())
    }

    /// Waits for keys, the mouse, or another size; what has come by then is taken together, so that a storm of sizes
    /// makes one frame.
    fn inputs(wait: Duration) -> io::Result<Vec<News>> {
        wait_for_key(wait)?;
        let mut news = vec![];
        while news.len() < BATCH && event::poll(Duration::ZERO)? {
            match event::read()? {
                Input::Key(key) => news.push(News::Key(key)),
                Input::Mouse(mouse) => match mouse.kind {
                    MouseEventKind::Down(_) | MouseEventKind::ScrollUp | MouseEventKind::ScrollDown => {
                        news.push(News::Mouse(mouse));
                    }
                    // That the mouse moves over the window means nothing.
                    _ => {}
                },
                Input::Resize(columns, rows) => news.push(News::Size(columns, rows)),
                Input::FocusGained | Input::FocusLost | Input::Paste(_) => {}
            }
        }
        Ok(news)
    }

    /// Gives news to the state and does what it asks for; returns how the dashboard is left, if it is.
    fn take_in(&mut self, news: News) -> io::Result<Option<Leave>> {
        for ask in self.app.update(now(), news) {
            match ask {
                Ask::Leave(leave) => return Ok(Some(leave)),
                Ask::Halt(halt) => self.signals.ask(halt),
                Ask::Abort => {
                    give_back();
                    std::process::exit(Exit::Interrupted as i32);
                }
                Ask::Suspend => self.suspend()?,
                Ask::Redraw => self.screen.retake()?,
                Ask::Copy(text) => self.copy(&text)?,
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

/// Waits until there is something to read from the terminal; an error once it is gone, which crossterm would wait on
/// for ever.
fn wait_for_key(wait: Duration) -> io::Result<()> {
    let input = io::stdin();
    let mut watched = [PollFd::new(&input, PollFlags::IN)];
    let wait = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: i64::from(wait.subsec_nanos()) };
    match poll(&mut watched, Some(&wait)) {
        Err(Errno::INTR) => return Ok(()),
        other => other?,
    };
    if watched[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
        return Err(io::Error::other("the terminal is gone"));
    }
    Ok(())
}

fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |now| now.as_secs_f64())
}

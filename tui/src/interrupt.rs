//! Signals: the first one to end is passed to the run, the second ends the process at once.
//! Its own thread receives them and calls the listener, so they arrive while other threads are busy.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use fewbits_engine::run::halt::Halt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::dashboard::terminal::{give_back, is_taken};
use crate::exit::Exit;

/// Holds the requests to end, from signals and from the dashboard.
#[derive(Clone)]
pub struct Signals {
    halt: Arc<watch::Sender<Halt>>,
    continued: Arc<AtomicBool>,
    came: Arc<AtomicBool>,
    /// Whether the first Ctrl-C asks what to do, because the tasks run on workers that can go on.
    asks_first: Arc<AtomicBool>,
    /// Whether the question waits for its answer.
    is_asking: Arc<AtomicBool>,
    listener: Arc<Mutex<Option<Listener>>>,
}

/// Wakes a thread that waits for events.
type Listener = Box<dyn Fn() + Send>;

/// The receivers of the signals.
struct SignalReceivers {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    resume: Signal,
    resize: Signal,
}

impl Signals {
    /// Starts the thread that receives signals.
    pub fn listen() -> Result<Self> {
        let signals = Self {
            halt: Arc::new(watch::channel(Halt::No).0),
            continued: Arc::default(),
            came: Arc::default(),
            asks_first: Arc::default(),
            is_asking: Arc::default(),
            listener: Arc::default(),
        };
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().context("no async runtime")?;
        // The receivers are registered before the thread starts, so that no signal is missed.
        let heard = runtime.block_on(async { SignalReceivers::register() })?;
        let told = signals.clone();
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || runtime.block_on(told.pass_on(heard)))
            .context("signals cannot be received")?;
        Ok(signals)
    }

    /// Lets the first Ctrl-C on a terminal ask whether the workers go on. Other signals then leave the tasks to the workers.
    pub fn ask_first(&self) {
        self.asks_first.store(true, Ordering::SeqCst);
    }

    /// Whether a question to the user waits for its answer, which lines of progress would push away.
    #[must_use]
    pub fn is_asking(&self) -> bool {
        self.is_asking.load(Ordering::SeqCst)
    }

    /// Returns a receiver of requests to end.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<Halt> {
        let mut asked = self.halt.subscribe();
        // A request made before this call counts too.
        asked.mark_changed();
        asked
    }

    /// Whether a signal asked the process to end; a key in the dashboard does not count.
    #[must_use]
    pub fn came(&self) -> bool {
        self.came.load(Ordering::SeqCst)
    }

    /// Returns the strongest request so far.
    #[must_use]
    pub fn asked(&self) -> Halt {
        *self.halt.borrow()
    }

    /// Asks the run to end because nobody looks at it any more: workers go on, threads of this process do not.
    pub fn ask_unread(&self) {
        let is_on_workers = self.asks_first.load(Ordering::SeqCst);
        self.ask(if is_on_workers { Halt::Leave } else { Halt::Now });
    }

    /// Asks the run to end. A weaker request does not replace a stronger one.
    pub fn ask(&self, halt: Halt) {
        self.halt.send_modify(|asked| *asked = halt.max(*asked));
    }

    /// Whether the process was continued (SIGCONT) since the last call.
    #[must_use]
    pub fn continued(&self) -> bool {
        self.continued.swap(false, Ordering::SeqCst)
    }

    /// Calls `listener` after every signal, changes of the terminal's size included. The call is on the thread of the
    /// signals. A new listener replaces the last one.
    pub fn on_signal(&self, listener: impl Fn() + Send + 'static) {
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(listener));
    }

    fn tell(&self) {
        if let Some(listener) = &*self.listener.lock().unwrap_or_else(PoisonError::into_inner) {
            listener();
        }
    }

    async fn pass_on(self, mut heard: SignalReceivers) {
        let mut before = false;
        loop {
            let mut may_ask = false;
            tokio::select! {
                _ = heard.interrupt.recv() => may_ask = true,
                _ = heard.terminate.recv() => (),
                _ = heard.hangup.recv() => (),
                _ = heard.resume.recv() => {
                    self.continued.store(true, Ordering::SeqCst);
                    self.tell();
                    continue;
                }
                _ = heard.resize.recv() => {
                    self.tell();
                    continue;
                }
            }
            if before && self.came() {
                give_back();
                std::process::exit(Exit::Interrupted as i32);
            }
            before = true;
            self.came.store(true, Ordering::SeqCst);
            if !self.asks_first.load(Ordering::SeqCst) {
                self.ask(Halt::Now);
            } else if may_ask && std::io::stdin().is_terminal() && !is_taken() {
                let signals = self.clone();
                signals.is_asking.store(true, Ordering::SeqCst);
                thread::spawn(move || {
                    signals.question();
                    signals.is_asking.store(false, Ordering::SeqCst);
                });
            } else {
                self.ask(Halt::Leave);
            }
            self.tell();
        }
    }

    /// Asks on the terminal whether the workers go on.
    fn question(&self) {
        sayln!(
            "\ng  lets the workers go on with what they have; `fewbits run` comes back to it\n\
             c  cancels: ends the workers; finished results are kept\n\
             Enter g or c, or nothing to go on as before; Ctrl-C again leaves at once, and the workers go on"
        );
        let mut line = String::new();
        while std::io::stdin().read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
            match line.trim() {
                "g" => return self.answered(Halt::Leave),
                "c" => return self.answered(Halt::Now),
                "" => {
                    self.came.store(false, Ordering::SeqCst);
                    sayln!("the run goes on");
                    return;
                }
                _ => sayln!("enter g, c or nothing"),
            }
            line.clear();
        }
        self.answered(Halt::Leave);
    }

    fn answered(&self, halt: Halt) {
        self.ask(halt);
        self.tell();
    }
}

impl SignalReceivers {
    fn register() -> Result<Self> {
        let on = |kind| signal(kind).context("signals cannot be received");
        Ok(Self {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
            hangup: on(SignalKind::hangup())?,
            resize: on(SignalKind::window_change())?,
            resume: on(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?,
        })
    }
}

//! The executor of a cluster: hands jobs to the dispatcher's thread.
//! Knows no worker.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fewbits_store::{Claim, Exchange, Store, StoreError};

use super::dispatcher::{Command, Dispatcher};
use super::recruiter::Recruiter;
use crate::ops::Ops;
use crate::run::executor::{Assignment, Executor, StartedExecutor};
use crate::run::runner::OnReport;

/// The time that the dispatcher gets to tell the workers of the end.
const END: Duration = Duration::from_secs(30);

/// The settings of a cluster.
#[derive(Clone, Debug)]
pub struct ClusterSettings {
    /// The build of this program, which every worker must have: see [`super::message::Hello::build`].
    pub build: BTreeMap<String, String>,
    /// The time without a sign of life after which a worker's jobs go to others.
    pub silence: Duration,
}

/// Does jobs on the workers of an exchange.
pub struct ClusterExecutor<O: Ops> {
    commands: Option<mpsc::Sender<Command<O>>>,
    capacity: Arc<AtomicUsize>,
    has_left: Arc<AtomicBool>,
    dispatcher: Option<JoinHandle<()>>,
    is_wanted: bool,
    _claim: Claim,
}

impl<O: Ops> ClusterExecutor<O> {
    /// Becomes the coordinator of an exchange and takes over what an earlier one left there: results go into the store, the jobs
    /// that workers have in hand are returned. Fails with [`StoreError::Claimed`] if there is a coordinator.
    pub fn start(
        exchange: Arc<Exchange>,
        store: Arc<Store>,
        recruiter: Box<dyn Recruiter>,
        settings: ClusterSettings,
        report: OnReport<O::Artifact>,
    ) -> Result<StartedExecutor<O>, StoreError> {
        let claim = exchange.claim()?;
        let (capacity, has_left) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let links = (Arc::clone(&capacity), Arc::clone(&has_left));
        let root = exchange.root().to_owned();
        let (dispatcher, found) = Dispatcher::take_over(exchange, store, recruiter, settings, report, links)?;
        let (commands, queue) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("dispatcher".to_owned())
            .spawn(move || dispatcher.serve(&queue))
            .map_err(|cause| StoreError::Io { what: "start a thread for", path: root, cause })?;
        let (commands, dispatcher) = (Some(commands), Some(thread));
        Ok((
            Box::new(Self { commands, capacity, has_left, dispatcher, is_wanted: false, _claim: claim }),
            found,
        ))
    }

    fn tell(&self, command: Command<O>) {
        if let Some(commands) = &self.commands {
            // The dispatcher lives as long as the sender.
            let _ = commands.send(command);
        }
    }
}

impl<O: Ops> Executor<O> for ClusterExecutor<O> {
    fn capacity(&self) -> usize {
        if self.has_left.load(Ordering::Relaxed) { usize::MAX } else { self.capacity.load(Ordering::Relaxed) }
    }

    fn begin(&mut self) {
        self.is_wanted = false;
    }

    fn want(&mut self) {
        if !std::mem::replace(&mut self.is_wanted, true) {
            self.tell(Command::Want);
        }
    }

    fn assign(&mut self, assignment: Assignment<O>) -> bool {
        self.tell(Command::Assign(Box::new(assignment)));
        false
    }

    fn drain(&mut self) {
        self.tell(Command::Drain);
    }

    fn leave(&mut self) {
        self.has_left.store(true, Ordering::Relaxed);
    }

    fn settle(&mut self) {
        self.tell(Command::Settle);
    }
}

impl<O: Ops> Drop for ClusterExecutor<O> {
    fn drop(&mut self) {
        self.commands = None;
        let Some(dispatcher) = self.dispatcher.take() else { return };
        // A file system that hangs must not hold up the end of the process for ever.
        let start = Instant::now();
        while !dispatcher.is_finished() && start.elapsed() < END {
            std::thread::sleep(Duration::from_millis(5));
        }
        if dispatcher.is_finished() {
            let _ = dispatcher.join();
        }
    }
}

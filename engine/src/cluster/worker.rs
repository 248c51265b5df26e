//! The worker: a process on another machine that does the jobs of a coordinator, in the order in which they come.
//! It chooses nothing, and touches neither journal nor index. Knows no terminal.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use fewbits_store::exchange::mailbox::fits;
use fewbits_store::{Exchange, MailReader, MailWriter, SourceMemory, StoreError};

use super::beats::Beats;
use super::graph_memory::{GraphMemory, job_of};
use super::job_files::JobFiles;
use super::message::{Hello, JobOrder, Order, Reply, Undone};
use super::worker_memory::{MemoryKey, WorkerMemory, inputs_of};
use crate::context::Context;
use crate::graph::TaskId;
use crate::job_store::JobStore;
use crate::ops::{OpError, Ops};
use crate::run::executor::{Assignment, Executor, Outcome};
use crate::run::job::{JobError, JobResult, JobRunner};
use crate::run::threads::Threads;

/// The shortest and the longest pause between two looks for orders. The pause doubles while nothing happens.
const PAUSES: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(250)];
/// The time between two attempts to write replies to an exchange that fails.
const BETWEEN_TRIES: Duration = Duration::from_secs(1);
/// The time after which a mailbox that cannot be read is given up.
const UNREADABLE: Duration = Duration::from_secs(30);

/// The settings of a worker.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// What the worker says of itself.
    pub hello: Hello,
    /// The number of threads that all jobs share.
    pub threads: usize,
    /// The time between two signs of life.
    pub beat: Duration,
    /// The time without an order or a sign of the coordinator after which the worker ends; `None` if it waits for ever.
    pub idle: Option<Duration>,
}

/// The end of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerEnd {
    /// The coordinator told it to end.
    Told,
    /// The coordinator refused it. Contains the reason.
    Refused(String),
    /// It ended by itself. Contains the reason, as a clause.
    Left(String),
}

/// A message of a job's thread.
enum JobMessage<A> {
    Ended(u64, Outcome<A>),
    Reply(Reply),
}

/// Serves an exchange until the coordinator or `stops` ends it. `stops` returns the reason to end, as a clause. `tell` receives
/// sentences for the worker's log.
pub fn serve<O: Ops>(
    exchange: &Arc<Exchange>,
    ops: &Arc<O>,
    settings: &WorkerSettings,
    stops: &dyn Fn() -> Option<String>,
    tell: &mut dyn FnMut(&str),
) -> Result<WorkerEnd, StoreError> {
    let mut replies = exchange.enlist(&settings.hello.place)?;
    let worker = replies.worker().to_owned();
    replies.append(&[Reply::Hello(settings.hello.clone())], true)?;
    tell(&format!("{worker}: waits for jobs in {}", exchange.root().display()));
    let replies = Arc::new(Mutex::new(replies));
    let beats = Beats::start(Arc::clone(&replies), settings.beat);
    let (messages, inbox) = mpsc::channel();
    let ended = Mutex::new(messages.clone());
    let done = move |number, outcome| {
        let _ = ended.lock().unwrap_or_else(PoisonError::into_inner).send(JobMessage::Ended(number, outcome));
    };
    let threads = Threads::start(settings.hello.jobs as usize, done).map_err(|cause| StoreError::Io {
        what: "start threads for",
        path: exchange.root().to_owned(),
        cause,
    })?;
    let orders = MailReader::new(&exchange.jobs(&worker));
    let mut serving = Serving {
        exchange,
        ops,
        settings,
        orders,
        replies,
        threads,
        messages,
        graphs: GraphMemory::default(),
        memory: WorkerMemory::default(),
        sources: Arc::default(),
        waiting: VecDeque::new(),
        running: HashMap::new(),
        outbox: vec![],
        unsent: vec![],
        tell,
    };
    let end = serving.work(&inbox, stops);
    // What ended a moment ago is told too.
    for message in inbox.try_iter() {
        serving.receive(message);
    }
    let _ = serving.flush();
    for job in serving.running.values() {
        job.cancelled.store(true, Ordering::Relaxed);
    }
    beats.end();
    // The coordinator then need not wait until the worker counts as silent.
    if let Ok(end) = &end {
        let because = if let WorkerEnd::Left(because) = end { because } else { "the run ended it" };
        let _ = serving.lock().append(&[Reply::Left(because.to_owned())], true);
    }
    end
}

/// A job that a thread does.
struct RunningJob {
    cancelled: Arc<AtomicBool>,
    /// The artifact that it makes.
    makes: MemoryKey,
    /// The artifacts that it reads.
    reads: Vec<MemoryKey>,
}

/// A worker that serves.
struct Serving<'w, O: Ops> {
    exchange: &'w Arc<Exchange>,
    ops: &'w Arc<O>,
    settings: &'w WorkerSettings,
    orders: MailReader,
    replies: Arc<Mutex<MailWriter>>,
    threads: Threads<O>,
    messages: mpsc::Sender<JobMessage<O::Artifact>>,
    graphs: GraphMemory<O>,
    memory: WorkerMemory<O>,
    sources: Arc<SourceMemory>,
    waiting: VecDeque<Box<JobOrder>>,
    /// The running jobs by number.
    running: HashMap<u64, RunningJob>,
    /// The replies that are not written yet.
    outbox: Vec<Reply>,
    /// The results whose objects are not written yet, by number.
    unsent: Vec<(u64, JobResult<O::Artifact>)>,
    tell: &'w mut dyn FnMut(&str),
}

impl<O: Ops> Serving<'_, O> {
    fn work(
        &mut self,
        inbox: &mpsc::Receiver<JobMessage<O::Artifact>>,
        stops: &dyn Fn() -> Option<String>,
    ) -> Result<WorkerEnd, StoreError> {
        let (mut pause, mut ordered) = (PAUSES[0], Instant::now());
        let mut readable = Instant::now();
        loop {
            let first = inbox.recv_timeout(pause).ok();
            let mut is_busy = first.is_some();
            for message in first.into_iter().chain(inbox.try_iter()) {
                self.receive(message);
            }
            if let Some(because) = stops() {
                return Ok(WorkerEnd::Left(because));
            }
            match self.orders.read::<Order>() {
                Ok(orders) => {
                    if !orders.is_empty() {
                        (ordered, is_busy) = (Instant::now(), true);
                    }
                    if !self.orders.is_damaged() {
                        readable = Instant::now();
                    }
                    for order in orders {
                        if let Some(end) = self.obey(order) {
                            return Ok(end);
                        }
                    }
                }
                Err(error) if readable.elapsed() > UNREADABLE => return Err(error),
                Err(_) => {}
            }
            if readable.elapsed() > UNREADABLE {
                return Ok(WorkerEnd::Left("its file of jobs is damaged".to_owned()));
            }
            self.start_jobs();
            if !self.flush()? {
                std::thread::sleep(BETWEEN_TRIES);
            }
            let has_work = !self.running.is_empty() || !self.waiting.is_empty() || !self.unsent.is_empty();
            if self.settings.idle.is_some_and(|idle| !has_work && ordered.elapsed() > idle) {
                return Ok(WorkerEnd::Left("no coordinator gave a sign of life".to_owned()));
            }
            pause = if is_busy { PAUSES[0] } else { (pause * 2).min(PAUSES[1]) };
        }
    }

    fn obey(&mut self, order: Option<Order>) -> Option<WorkerEnd> {
        match order {
            Some(Order::Do(order)) => self.waiting.push_back(order),
            Some(Order::Cancel(number)) => {
                let before = self.waiting.len();
                self.waiting.retain(|order| order.number != number);
                if self.waiting.len() < before {
                    self.outbox.push(Reply::Undone { number, why: Undone::Cancelled });
                }
                if let Some(job) = self.running.get(&number) {
                    job.cancelled.store(true, Ordering::Relaxed);
                }
            }
            Some(Order::Refuse(why)) => return Some(WorkerEnd::Refused(why)),
            Some(Order::End) => return Some(WorkerEnd::Told),
            Some(Order::Beat | Order::Settled(_)) | None => {}
        }
        None
    }

    fn receive(&mut self, message: JobMessage<O::Artifact>) {
        match message {
            JobMessage::Reply(reply) => self.outbox.push(reply),
            JobMessage::Ended(number, outcome) => {
                let Some(RunningJob { makes, reads, .. }) = self.running.remove(&number) else { return };
                let artifact = outcome.as_ref().ok().and_then(|result| result.artifact.as_ref());
                let others = self.running.values().flat_map(|job| &job.reads).map(|read| read.key).collect();
                self.memory.end((makes, artifact), &reads, &others);
                match outcome {
                    Ok(result) => self.unsent.push((number, result)),
                    Err(error) => self.fail(number, error),
                }
            }
        }
    }

    fn fail(&mut self, number: u64, error: JobError) {
        let why = match error {
            JobError::Op(OpError::Cancelled) => Undone::Cancelled,
            JobError::Lost { key, .. } => Undone::Lost(key),
            JobError::Differs { task, key } => Undone::Differs { task, key },
            JobError::Store(error) => Undone::Unreadable(error.to_string()),
            JobError::Op(_) | JobError::Changed(_) => {
                (self.tell)(&format!("job {number} failed: {error}"));
                Undone::Failed(error.to_string())
            }
        };
        self.outbox.push(Reply::Undone { number, why });
    }

    /// Starts waiting jobs up to the number of jobs at once.
    fn start_jobs(&mut self) {
        while self.running.len() < self.threads.capacity() {
            let Some(order) = self.waiting.pop_front() else { return };
            let number = order.number;
            if let Err(error) = self.start(&order) {
                self.fail(number, error);
            }
        }
    }

    fn start(&mut self, order: &JobOrder) -> Result<(), JobError> {
        let graph = self.graphs.graph(&order.experiment, self.exchange, &**self.ops)?;
        let files = JobFiles::new(Arc::clone(self.exchange), Arc::clone(&self.sources), &order.inputs);
        let files: Arc<dyn JobStore> = Arc::new(files);
        let job = job_of(order, &graph, &**self.ops, &*files)?;
        (self.tell)(&format!("job {}: {}", order.number, graph.name(job.task)));
        let reads = inputs_of(&graph, &job);
        let (number, messages) = (order.number, self.messages.clone());
        let rebuilt = Mutex::new(messages.clone());
        let runner = Arc::new(JobRunner {
            graph,
            ops: Arc::clone(self.ops),
            store: Arc::clone(&files),
            artifacts: self.memory.artifacts(),
            rebuilt: Box::new(move |task: TaskId, seconds| {
                let reply = Reply::Rebuilt { number, task: task.index() as u32, seconds };
                send(&rebuilt, reply);
            }),
        });
        let messages = Mutex::new(messages);
        let report = move |done, total, metrics| {
            send(&messages, Reply::Progressed { number, done, total, metrics });
        };
        let cancelled = Arc::new(AtomicBool::new(false));
        let context = Context::new(Arc::clone(&cancelled), Box::new(report), Some((files, job.key)));
        let quiet = Context::new(Arc::clone(&cancelled), Box::new(|_, _, _| ()), None);
        let beside = (self.running.len() + 1 + self.waiting.len()).clamp(1, self.threads.capacity());
        let width = (self.settings.threads / beside).max(1);
        let makes = MemoryKey { key: job.key, is_source: job.inputs.is_empty() };
        self.running.insert(number, RunningJob { cancelled, makes, reads });
        self.outbox.push(Reply::Began(number));
        self.threads.assign(Assignment { number, job, runner, width, context, quiet });
        Ok(())
    }

    /// Writes objects and replies. Returns whether the exchange took them. Fails if the worker's folder is gone.
    fn flush(&mut self) -> Result<bool, StoreError> {
        while let Some((number, result)) = self.unsent.pop() {
            if let Err(error) =
                result.objects.iter().try_for_each(|bytes| self.exchange.put_object(bytes).map(drop))
            {
                (self.tell)(&format!("job {number}: {error}; tries again"));
                self.unsent.push((number, result));
                break;
            }
            self.outbox.push(Reply::Done { number, record: Box::new(result.record) });
        }
        if !self.outbox.is_empty() {
            let is_result = |reply: &Reply| matches!(reply, Reply::Done { .. } | Reply::Undone { .. });
            let sync = self.outbox.iter().any(is_result);
            let appended = self.lock().append(&self.outbox, sync);
            match appended {
                Ok(()) => self.outbox.clear(),
                Err(StoreError::LongMessage { .. }) => {
                    self.outbox.iter_mut().for_each(shorten);
                    return Ok(false);
                }
                // The worker was given up: its folder is gone, or in the hands of another process.
                Err(error) if error.is_not_found() || matches!(error, StoreError::Claimed { .. }) => {
                    return Err(error);
                }
                Err(error) => {
                    (self.tell)(&format!("{error}; tries again"));
                    return Ok(false);
                }
            }
        }
        Ok(self.unsent.is_empty())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, MailWriter> {
        self.replies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Turns a result that is too long for a message into a failure.
fn shorten(reply: &mut Reply) {
    if let Reply::Done { number, record } = reply
        && !fits(&**record)
    {
        let message = "its result is longer than a message may be; it has too many numbers".to_owned();
        *reply = Reply::Undone { number: *number, why: Undone::Failed(message) };
    }
}

fn send<A>(messages: &Mutex<mpsc::Sender<JobMessage<A>>>, reply: Reply) {
    let _ = messages.lock().unwrap_or_else(PoisonError::into_inner).send(JobMessage::Reply(reply));
}

//! `doctor`: checks what a run on workers needs of a site, and says what to do where something is missing.
//! Runs no task.

use std::fmt::Display;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use fewbits_engine::cluster::message::{Hello, JobOrder, Order, Reply};
use fewbits_engine::cluster::recruiter::{Outlook, Recruiter};
use fewbits_engine::run::halt::Halt;
use fewbits_store::{Digest, Exchange, MailReader, MailWriter};

use super::print;
use crate::cli::{DoctorArgs, Global};
use crate::cluster::array::{SlurmArray, WorkerCommand};
use crate::cluster::{build, folder, slurm};
use crate::exit::{Coded, Exit};
use crate::interrupt::Signals;
use crate::render::number::count;
use crate::session::store_dir;

/// The folder of the check, in the folder that a run would use.
const FOLDER: &str = "doctor";
const PAUSE: Duration = Duration::from_millis(10);

/// Checks a site; the exit code is 1 if something is missing.
pub fn doctor(args: &DoctorArgs, global: &Global) -> Result<Exit> {
    if !args.cluster.slurm {
        return Err(Coded::usage("name what to check: `fewbits doctor --slurm`"));
    }
    match check(args, global) {
        Ok(()) => {
            print("everything that a run with --slurm needs is here\n")?;
            Ok(Exit::Done)
        }
        Err(Missing { what, advice }) => {
            print(&format!("missing: {what}\n  {advice}\n"))?;
            Ok(Exit::Failed)
        }
    }
}

/// Something that a run would lack, and what to do about it.
struct Missing {
    what: String,
    advice: String,
}

fn missing(what: &dyn Display, advice: &str) -> Missing {
    Missing { what: what.to_string(), advice: advice.to_owned() }
}

fn found(line: &str) -> Result<(), Missing> {
    print(&format!("found: {line}\n")).map_err(|error| missing(&error, "see the message"))
}

fn check(args: &DoctorArgs, global: &Global) -> Result<(), Missing> {
    for program in ["sbatch", "squeue", "scancel"] {
        let advice = "start fewbits on a machine that submits jobs, or load the site's module for Slurm";
        let version =
            slurm::output(program, &["--version".to_owned()]).map_err(|error| missing(&error, advice))?;
        found(&format!("{program}, {}", version.trim()))?;
    }
    let advice = "ask the site whether its controller works; `scontrol ping` shows its state";
    slurm::output("squeue", &["--noheader".to_owned(), "--me".to_owned()])
        .map_err(|error| missing(&error, advice))?;
    found("a controller that answers")?;
    let folder =
        folder(&args.cluster, global).map_err(|error| missing(&error, "name a folder with --workers-in"))?;
    let advice =
        "name a folder of your own on a file system that all nodes share, with --workers-in or --store";
    if args.cluster.workers_in.is_none()
        && let Ok(store) = store_dir(global)
    {
        std::fs::create_dir_all(&store)
            .map_err(|error| missing(&format!("{}: {error}", store.display()), advice))?;
    }
    let outer = Exchange::open(&folder).map_err(|error| missing(&error, advice))?;
    found(&format!("{}, a folder of your own", outer.root().display()))?;
    // A run in the same folder goes on undisturbed.
    let exchange = Exchange::open(&outer.root().join(FOLDER)).map_err(|error| missing(&error, advice))?;
    let _claim = exchange.claim().map_err(|error| missing(&error, "wait for the other check to end"))?;
    // An earlier check may have left files.
    for worker in exchange.workers().unwrap_or_default() {
        let _ = exchange.dismiss(&worker);
    }
    let _ = std::fs::remove_file(exchange.root().join("array"));
    let worker = WorkerCommand::new(exchange.root(), Path::new("."), global, Some(1));
    let mut one = args.cluster.clone();
    one.workers = 1;
    let array = worker.and_then(|worker| SlurmArray::new(exchange.root(), &one, worker));
    let mut array = array.map_err(|error| missing(&format!("{error:#}"), "mend the command"))?;
    let seen = meet(&exchange, &mut array, args.patience);
    array.dismiss(&[]);
    let _ = std::fs::remove_dir_all(exchange.root());
    seen
}

/// Submits one worker, waits for it, and exchanges a message with it.
fn meet(exchange: &Exchange, array: &mut SlurmArray, patience: Duration) -> Result<(), Missing> {
    let signals = Signals::listen().map_err(|error| missing(&error, "see the message"))?;
    let advice = "what follows `--` goes to sbatch: a site may ask for --partition, --account or --time";
    let note = array.start().map_err(|error| missing(&error, advice))?;
    found(&note)?;
    let start = Instant::now();
    let io = |error| missing(&error, "make the folder readable and writable on this machine");
    let (name, hello, mut replies) = loop {
        if let Some(found) = greeted(exchange).map_err(io)? {
            break found;
        }
        let outlook = array.outlook(&[], &[]);
        if let Outlook::Nobody(sentence) = outlook {
            let advice = "the log says why; often the program or the folder is not on a file system that the node shares";
            return Err(missing(&sentence, advice));
        }
        if signals.asked() > Halt::No || start.elapsed() > patience {
            let queue = slurm::squeue(array.id()).unwrap_or_default();
            let reason = queue.first().map_or("Slurm has ended its job".to_owned(), |member| {
                format!("Slurm says {} because of {}", member.state, member.reason)
            });
            let what = format!("no worker came within {} s: {reason}", start.elapsed().as_secs());
            let advice = "wait longer with --patience, or choose a partition with free nodes; if `squeue` shows the job as \
                          running or ended, its log in the folder's log/ says more: the program and the folder must be on \
                          a file system that the node shares";
            return Err(missing(&what, advice));
        }
        std::thread::sleep(PAUSE);
    };
    found(&format!(
        "a worker on {} after {:.1} s, with {} at once; the folder is shared and writable there",
        hello.place,
        start.elapsed().as_secs_f64(),
        count(hello.jobs as usize, "task")
    ))?;
    exchange_message(exchange, (&name, &hello, &mut replies), &signals, patience)
}

/// Compares the build of a worker, and exchanges a message with it.
fn exchange_message(
    exchange: &Exchange,
    (name, hello, replies): (&str, &Hello, &mut MailReader),
    signals: &Signals,
    patience: Duration,
) -> Result<(), Missing> {
    let io = |error| missing(&error, "make the folder readable and writable on this machine");
    let ours = build().map_err(|error| missing(&error, "see the message"))?;
    if hello.build != ours {
        let advice = "start the same program file on all machines, from a file system that they share";
        return Err(missing(&format!("the same build on {}", hello.place), advice));
    }
    found("the same build there")?;
    let orders = MailReader::new(&exchange.jobs(name));
    let mut orders = MailWriter::resume(&orders).map_err(io)?;
    let sent = Instant::now();
    let order = JobOrder {
        number: 0,
        experiment: Digest::hash(b"no experiment"),
        task: 0,
        preimage: String::new(),
        keep: false,
        inputs: vec![],
    };
    orders.append(&[Order::Do(Box::new(order))], true).map_err(io)?;
    while !replies
        .read::<Reply>()
        .map_err(io)?
        .iter()
        .any(|reply| matches!(reply, Some(Reply::Undone { .. })))
    {
        if signals.asked() > Halt::No || sent.elapsed() > patience {
            let advice = "the file system shows changes of other machines late or never; use another one";
            return Err(missing(&"an answer of the worker", advice));
        }
        std::thread::sleep(PAUSE);
    }
    found(&format!("a message goes there and back in {:.2} s", sent.elapsed().as_secs_f64()))?;
    orders.append(&[Order::End], true).map_err(io)
}

/// Returns the first worker that has said what it is: its name, its first message, and the reader of the following ones.
fn greeted(exchange: &Exchange) -> Result<Option<(String, Hello, MailReader)>, fewbits_store::StoreError> {
    for name in exchange.workers()? {
        let mut replies = MailReader::new(&exchange.results(&name));
        if let Some(first) = replies.read::<Reply>()?.into_iter().next() {
            let hello = if let Some(Reply::Hello(hello)) = first { hello } else { Hello::default() };
            return Ok(Some((name, hello, replies)));
        }
    }
    Ok(None)
}

//! `worker`: a process that does the tasks of runs in a shared folder, started by Slurm or by hand.
//! Knows no task.

use std::sync::Arc;

use anyhow::Result;
use fewbits_engine::cluster::message::Hello;
use fewbits_engine::cluster::worker::{WorkerEnd, WorkerSettings, serve};
use fewbits_engine::run::halt::Halt;
use fewbits_ops::StandardOps;
use fewbits_store::Exchange;

use crate::cli::{Global, WorkerArgs};
use crate::cluster::build;
use crate::exit::{Coded, Exit};
use crate::interrupt::Signals;
use crate::session::{data_dir, panics_in, threads, variable};
use crate::ui::plain::printable;

/// The time between two signs of life.
const BEAT: std::time::Duration = std::time::Duration::from_secs(2);

/// Serves a folder until the run or a signal ends the worker.
pub fn worker(args: &WorkerArgs, global: &Global) -> Result<Exit> {
    let signals = Signals::listen()?;
    if !args.dir.exists() {
        let dir = args.dir.display();
        sayln!(
            "{dir}: no run has used this folder yet; `fewbits run FILE --workers-in {dir}` will find this worker"
        );
    }
    let exchange = Arc::new(Exchange::open(&args.dir)?);
    let base = args.base.clone().unwrap_or_else(|| ".".into());
    let ops = Arc::new(StandardOps::new(data_dir(global), base).panicking_in(panics_in()));
    let threads = cores();
    let jobs = args.jobs.map_or(threads, usize::from);
    let hello = Hello { place: place(), jobs: jobs as u32, build: build()?, member: member() };
    let settings = WorkerSettings { hello, threads, beat: BEAT, idle: args.idle };
    let stops = || {
        (signals.asked() > Halt::No).then(|| "a signal told it to end, as at the end of its time".to_owned())
    };
    let ended = serve(&exchange, &ops, &settings, &stops, &mut |line| sayln!("{}", printable(line)))?;
    match ended {
        WorkerEnd::Told => sayln!("the run has ended"),
        WorkerEnd::Left(because) => sayln!("ended: {because}"),
        WorkerEnd::Refused(why) => {
            return Err(Coded::usage(format!(
                "{}: the run gives this worker no jobs: {why}",
                args.dir.display()
            )));
        }
    }
    Ok(Exit::Done)
}

/// Returns the number of cores that the worker may use: of its Slurm job, else of the machine.
fn cores() -> usize {
    let given = variable("SLURM_CPUS_ON_NODE").and_then(|cores| cores.parse().ok());
    given.filter(|cores| *cores > 0).unwrap_or_else(threads)
}

/// Returns the name of the worker's place: Slurm's name of the node, else the host's with the process id.
fn place() -> String {
    // Several workers may be started by hand on one machine.
    let host = || {
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        format!("{name}-{}", std::process::id())
    };
    variable("SLURMD_NODENAME").unwrap_or_else(host)
}

/// Returns the id of the worker's job array and its index there.
fn member() -> Option<(String, u32)> {
    let index = variable("SLURM_ARRAY_TASK_ID")?.parse().ok()?;
    Some((variable("SLURM_ARRAY_JOB_ID")?, index))
}

//! Runs on workers: the exchange of a run, what brings its workers, and the build that they must have.
//! Knows neither tasks nor messages.

pub mod array;
pub mod slurm;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use fewbits_engine::cluster::executor::{ClusterExecutor, ClusterSettings};
use fewbits_engine::cluster::recruiter::{Outlook, Recruiter};
use fewbits_engine::graph::base_of;
use fewbits_engine::run::runner::Runner;
use fewbits_ops::StandardOps;
use fewbits_store::{Digest, Exchange, Store};

use self::array::{SlurmArray, WorkerCommand};
use crate::cli::{ClusterArgs, Global};
use crate::session::store_dir;

/// The folder of the exchange in the store's folder, unless the user names another one.
const FOLDER: &str = "cluster";

/// Returns the build of this program: a worker of another build is refused.
pub fn build() -> Result<BTreeMap<String, String>> {
    let mut build = fewbits_ops::build();
    let program = std::env::current_exe().context("this program cannot be found again")?;
    let file = File::open(&program).and_then(Digest::of_reader);
    let digest = file.with_context(|| format!("{} cannot be read", program.display()))?;
    build.insert("program".to_owned(), digest.short());
    Ok(build)
}

/// Returns the folder of the exchange.
pub fn folder(args: &ClusterArgs, global: &Global) -> Result<PathBuf> {
    match &args.workers_in {
        Some(folder) => Ok(folder.clone()),
        None => Ok(store_dir(global)?.join(FOLDER)),
    }
}

/// Lets a runner give its tasks to workers. `file` is the experiment's file, `jobs` the number of tasks at once per worker.
pub fn on_workers(
    runner: Runner<StandardOps>,
    args: &ClusterArgs,
    global: &Global,
    (store, file, jobs): (&Arc<Store>, &Path, Option<u16>),
) -> Result<Runner<StandardOps>> {
    let exchange = Arc::new(Exchange::open(&folder(args, global)?)?);
    let worker = WorkerCommand::new(exchange.root(), base_of(file), global, jobs)?;
    let recruiter: Box<dyn Recruiter> = if args.slurm {
        Box::new(SlurmArray::new(exchange.root(), args, worker)?)
    } else {
        Box::new(ByHand { worker })
    };
    let settings = ClusterSettings { build: build()?, silence: args.silence };
    let store = Arc::clone(store);
    Ok(runner.with_executor(|report| ClusterExecutor::start(exchange, store, recruiter, settings, report))?)
}

/// Workers that the user starts.
struct ByHand {
    worker: WorkerCommand,
}

impl Recruiter for ByHand {
    fn recruit(&mut self) -> Result<String, String> {
        Ok(format!("waiting for workers; start each with `{}`", self.worker))
    }

    fn outlook(&mut self, _present: &[(String, u32)], _ended: &[(String, u32)]) -> Outlook {
        Outlook::Unchanged
    }

    fn dismiss(&mut self, _ended: &[(String, u32)]) {}

    fn ends_workers(&self) -> bool {
        false
    }
}

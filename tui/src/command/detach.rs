//! Detaching: a run continues in another process, so that its terminal can be closed.
//! Running tasks start again there from their last checkpoint; finished tasks are in the store.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use fewbits_store::Store;

use crate::cli::{Global, RunArgs};
use crate::exit::Exit;
use crate::session::{Session, parse, store_dir};

/// The file for the output of the detached process, in the store's folder.
const LOG: &str = "detached.log";
/// The time limit for the start of the detached process, and the interval of the checks.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);

/// Starts the process that continues the run. It gets the experiment's text on standard input, because the file may
/// have been edited since.
pub fn hand_over(args: &RunArgs, global: &Global, text: &str) -> Result<Exit> {
    let store = store_dir(global)?;
    let log = store.join(LOG);
    let output = File::create(&log).with_context(|| format!("{} cannot be written", log.display()))?;
    let mut command = Command::new(std::env::current_exe().context("this program cannot be found again")?);
    command.arg("run").arg(&args.file.file).args(["--detached", "--wait", "--ui", "plain"]);
    command.arg("--store").arg(&store).arg("--max-tasks").arg(global.max_tasks.to_string());
    if let Some(dir) = &global.data_dir {
        command.arg("--data-dir").arg(dir);
    }
    if let Some(jobs) = args.jobs {
        command.args(["--jobs", &jobs.to_string()]);
    }
    if args.fail_fast {
        command.arg("--fail-fast");
    }
    if args.cluster.slurm {
        command.args(["--slurm", "--workers", &args.cluster.workers.to_string()]);
    }
    if let Some(folder) = &args.cluster.workers_in {
        command.arg("--workers-in").arg(folder);
    }
    if args.cluster.is_given() {
        command.args(["--silence", &format!("{}ms", args.cluster.silence.as_millis())]);
    }
    if !args.cluster.sbatch.is_empty() {
        command.arg("--").args(&args.cluster.sbatch);
    }
    command.stdin(Stdio::piped()).stdout(output.try_clone()?).stderr(output);
    // In its own process group, the child does not receive the signals that the terminal sends to the foreground.
    command.process_group(0);
    let reader = Store::open_reader(&store)?;
    let before = reader.runs()?.last().cloned();
    let mut child = command.spawn().context("the run cannot go on in the background")?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(text.as_bytes())?;
    }
    let start = Instant::now();
    // The child has taken the store's lock once its run log exists.
    while reader.runs()?.last() == before.as_ref() && start.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait()? {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            bail!("the run cannot go on in the background ({status}): {}", said.trim());
        }
        std::thread::sleep(POLL);
    }
    let stops = if args.cluster.is_given() { "ends it and leaves the workers" } else { "stops it" };
    let id = child.id();
    sayln!("the run goes on as process {id}: `fewbits watch` shows it, `kill {id}` {stops}");
    Ok(Exit::Done)
}

/// Takes over a run: reads the experiment from standard input.
pub fn take_over(args: &RunArgs, global: &Global) -> Result<Session> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("the experiment cannot be read")?;
    parse(&text, &args.file.file, global)
}

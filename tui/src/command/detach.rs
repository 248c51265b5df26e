//! A run that goes on without its terminal: the process that had it ends, another takes over what is not done.
//! What was running starts again there, from its last checkpoint; everything done is in the store.

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

/// Where the other process says what goes wrong.
const LOG: &str = "detached.log";
/// How long it may take to start, and how often it is looked for.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);

/// Starts the process that goes on. The experiment's text goes along: the file may have been edited since.
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
    command.stdin(Stdio::piped()).stdout(output.try_clone()?).stderr(output);
    // A group of its own: what the terminal sends to the one in front does not reach it.
    command.process_group(0);
    let reader = Store::open_reader(&store)?;
    let before = reader.runs()?.last().cloned();
    let mut child = command.spawn().context("the run cannot go on in the background")?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(text.as_bytes())?;
    }
    let start = Instant::now();
    // It has the store once its run has a journal.
    while reader.runs()?.last() == before.as_ref() && start.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait()? {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            bail!("the run cannot go on in the background ({status}): {}", said.trim());
        }
        std::thread::sleep(POLL);
    }
    sayln!(
        "the run goes on as process {}: `fewbits watch` shows it, `kill {}` stops it",
        child.id(),
        child.id()
    );
    Ok(Exit::Done)
}

/// Takes over: reads the experiment from standard input.
pub fn take_over(args: &RunArgs, global: &Global) -> Result<Session> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("the experiment cannot be read")?;
    parse(&text, &args.file.file, global)
}

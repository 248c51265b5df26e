//! The job array of a run: submitted once, found again by a later run, asked about at most once a minute.
//! Knows nothing of tasks.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use fewbits_engine::cluster::recruiter::{Outlook, Recruiter};
use fewbits_store::Digest;
use serde::{Deserialize, Serialize};

use super::slurm::{self, Queued};
use crate::cli::{ClusterArgs, Global};
use crate::exit::Coded;
use crate::session::{data_dir, variable};

/// The time between two questions to Slurm's queue, and the time after which the first one is asked.
const BETWEEN_QUESTIONS: Duration = Duration::from_mins(1);
/// The time without a sign of the run after which a worker of an array ends, so that it occupies no node.
const IDLE: &str = "10min";
/// The script of the array: the worker takes the place of the shell, so that Slurm's signals reach it.
const SCRIPT: &str = "#!/bin/sh\nexec \"$@\"\n";
/// The signal before the end of a worker's time, and the seconds before it.
const WARNING: &str = "B:TERM@60";
/// The most bytes of the note about the array.
const MOST_BYTES: u64 = 4096;

/// The command that starts a worker.
#[derive(Clone, Debug)]
pub struct WorkerCommand {
    words: Vec<String>,
}

impl WorkerCommand {
    /// Makes the command for workers of the exchange in `folder`. Relative paths of the experiment start from `base`.
    pub fn new(folder: &Path, base: &Path, global: &Global, jobs: Option<u16>) -> Result<Self> {
        let text = |path: PathBuf| {
            let absolute = std::path::absolute(&path).unwrap_or(path);
            absolute.into_os_string().into_string().map_err(|path| {
                Coded::usage(format!("{}: the name of this folder is not UTF-8; rename it", path.display()))
            })
        };
        let program = std::env::current_exe().context("this program cannot be found again")?;
        let mut words = vec![text(program)?, "worker".to_owned(), text(folder.to_owned())?];
        words.extend(["--base".to_owned(), text(base.to_owned())?]);
        words.extend(["--data-dir".to_owned(), text(data_dir(global))?]);
        if let Some(jobs) = jobs {
            words.extend(["--jobs".to_owned(), jobs.to_string()]);
        }
        Ok(Self { words })
    }
}

impl fmt::Display for WorkerCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain =
            |word: &str| word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./=+".contains(&byte));
        for (at, word) in self.words.iter().enumerate() {
            let space = if at == 0 { "" } else { " " };
            if is_plain(word) {
                write!(f, "{space}{word}")?;
            } else {
                write!(f, "{space}'{}'", word.replace('\'', r"'\''"))?;
            }
        }
        Ok(())
    }
}

/// The note in the exchange about the array.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct ArrayNote {
    /// The name of the jobs.
    name: String,
    /// The id; `None` while it is being submitted.
    id: Option<String>,
    /// The number of members.
    workers: u32,
}

/// Brings the workers of a run as one job array.
pub struct SlurmArray {
    folder: PathBuf,
    note: ArrayNote,
    sbatch: Vec<String>,
    worker: WorkerCommand,
    /// The time of the last question, or of the submission.
    asked: Instant,
    answer: Option<Receiver<Result<Vec<Queued>, String>>>,
    /// What the queue last said of the members.
    queue: Option<Vec<Queued>>,
    /// The reason why the queue could not be read.
    trouble: Option<String>,
}

impl SlurmArray {
    /// Makes the array of the exchange in `folder`; nothing is submitted yet.
    pub fn new(folder: &Path, args: &ClusterArgs, worker: WorkerCommand) -> Result<Self> {
        for arg in &args.sbatch {
            let name = arg.split('=').next().unwrap_or(arg);
            let is_ours = matches!(name, "--array" | "--wrap" | "--parsable" | "--job-name");
            if is_ours || arg.starts_with("-a") || arg.starts_with("-J") {
                return Err(Coded::usage(format!(
                    "{name}: fewbits gives this option to sbatch itself; --workers says how many workers the array has"
                )));
            }
        }
        let name = format!("fewbits-{}", &Digest::hash(folder.as_os_str().as_encoded_bytes()).short()[..8]);
        let note = ArrayNote { name, id: None, workers: args.workers };
        let (folder, sbatch) = (folder.to_owned(), args.sbatch.clone());
        Ok(Self {
            folder,
            note,
            sbatch,
            worker,
            asked: Instant::now(),
            answer: None,
            queue: None,
            trouble: None,
        })
    }

    /// Returns the file of the note.
    fn path(&self) -> PathBuf {
        self.folder.join("array")
    }

    fn read(&self) -> Option<ArrayNote> {
        let path = self.path();
        let is_small =
            fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file() && meta.len() <= MOST_BYTES);
        let note: ArrayNote = serde_json::from_slice(&fs::read(path).ok().filter(|_| is_small)?).ok()?;
        (note.id.as_deref().is_none_or(slurm::is_id) && (1..=10_000).contains(&note.workers)).then_some(note)
    }

    fn write(&self) -> Result<(), String> {
        let path = self.path();
        let written = serde_json::to_vec(&self.note).map_err(std::io::Error::from);
        // A torn note would lead to a second array.
        let unfinished = self.folder.join("tmp/array");
        let written = written.and_then(|bytes| fs::write(&unfinished, bytes));
        let written = written.and_then(|()| fs::rename(&unfinished, &path));
        written.map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Finds the array that an earlier run submitted and that is still in the queue.
    fn find(&mut self) -> Result<bool, String> {
        let Some(note) = self.read() else { return Ok(false) };
        let id = match note.id {
            Some(id) => Some(id),
            // The earlier run ended between the submission and its note.
            None => slurm::named(&self.note.name)?.into_iter().next(),
        };
        let Some(id) = id else { return Ok(false) };
        self.asked = Instant::now();
        if slurm::squeue(&id)?.is_empty() {
            return Ok(false);
        }
        (self.note.id, self.note.workers) = (Some(id), note.workers);
        self.write()?;
        Ok(true)
    }

    fn submit(&mut self) -> Result<(), String> {
        let script = self.folder.join("worker.sh");
        fs::write(&script, SCRIPT).map_err(|error| format!("{}: {error}", script.display()))?;
        self.write()?;
        let log = self.folder.join("log/%A-%a.log");
        let mut args: Vec<String> = vec![
            "--parsable".to_owned(),
            format!("--array=0-{}", self.note.workers - 1),
            format!("--job-name={}", self.note.name),
            format!("--output={}", log.display()),
            format!("--signal={WARNING}"),
            "--open-mode=append".to_owned(),
        ];
        args.extend(self.sbatch.iter().cloned());
        args.push(script.display().to_string());
        args.extend(self.worker.words.iter().cloned());
        args.extend(["--idle".to_owned(), IDLE.to_owned()]);
        self.note.id = Some(slurm::sbatch(&args)?);
        self.asked = Instant::now();
        self.write()
    }

    /// Finds the array of an earlier run, or submits one. Returns a sentence about it.
    pub fn start(&mut self) -> Result<String, String> {
        let wanted = self.note.workers;
        if self.find().map_err(|error| format!("Slurm's queue cannot be read: {error}"))? {
            let (id, workers) = (self.id(), self.note.workers);
            let more = if wanted == workers { "" } else { ", and not as many as --workers says" };
            return Ok(format!(
                "Slurm array {id} goes on: workers 0 to {}{more}; arguments for sbatch count for the next array",
                workers - 1
            ));
        }
        self.submit()?;
        Ok(format!("Slurm array {} is submitted: workers 0 to {}", self.id(), self.note.workers - 1))
    }

    /// Returns the id of the array; empty before it is submitted.
    pub fn id(&self) -> &str {
        self.note.id.as_deref().unwrap_or_default()
    }

    /// Takes the answer of the queue, or asks it if the last question was long ago.
    fn ask(&mut self) {
        let Some(id) = self.note.id.clone() else { return };
        match self.answer.as_ref().map(Receiver::try_recv) {
            Some(Ok(Ok(queue))) => (self.queue, self.answer) = (Some(queue), None),
            // A controller that does not answer now may do so in a minute.
            Some(Ok(Err(error))) => (self.trouble, self.answer) = (Some(error), None),
            Some(Err(TryRecvError::Disconnected)) => self.answer = None,
            None if self.asked.elapsed() >= between_questions() => {
                let (answer, answered) = channel();
                self.asked = Instant::now();
                self.answer = Some(answered);
                std::thread::spawn(move || drop(answer.send(slurm::squeue(&id))));
            }
            Some(Err(TryRecvError::Empty)) | None => {}
        }
    }

    fn members(&self, known: &[(String, u32)]) -> Vec<u32> {
        known.iter().filter(|(id, _)| self.note.id.as_ref() == Some(id)).map(|(_, index)| *index).collect()
    }
}

impl Recruiter for SlurmArray {
    fn recruit(&mut self) -> Result<String, String> {
        self.start().map_err(|error| format!("no workers: {error}; `fewbits doctor --slurm` checks the site"))
    }

    fn outlook(&mut self, present: &[(String, u32)], ended: &[(String, u32)]) -> Outlook {
        let (present, ended) = (self.members(present), self.members(ended));
        // A worker that ended comes back only if Slurm has put it into the queue again, after a preemption.
        let is_missing =
            |index: &u32| !present.contains(index) && (present.is_empty() || !ended.contains(index));
        let missing: Vec<u32> = (0..self.note.workers).filter(is_missing).collect();
        if missing.is_empty() {
            return Outlook::Unchanged;
        }
        self.ask();
        if let Some(error) = self.trouble.take() {
            return Outlook::Waiting(format!("Slurm's queue cannot be read: {error}"));
        }
        let Some(queue) = self.queue.take() else { return Outlook::Unchanged };
        let id = self.note.id.clone().unwrap_or_default();
        let waiting: Vec<&Queued> = queue.iter().filter(|member| missing.contains(&member.index)).collect();
        if waiting.is_empty() && present.is_empty() {
            let words = if ended.is_empty() { " before they came" } else { "" };
            let log = self.folder.join("log");
            return Outlook::Nobody(format!(
                "all workers of Slurm array {id} have ended{words}; run again to go on with another array, and see {}",
                log.display()
            ));
        }
        let pending: Vec<&Queued> = waiting.into_iter().filter(|member| member.state == "PENDING").collect();
        if pending.is_empty() {
            return Outlook::Unchanged;
        }
        // Slurm gives the reason `None` before its scheduler has looked at a job.
        let mut reasons: Vec<&str> = pending.iter().map(|member| member.reason.as_str()).collect();
        reasons.retain(|reason| *reason != "None");
        reasons.sort_unstable();
        reasons.dedup();
        let colon = if reasons.is_empty() { "" } else { ": " };
        let (count, reasons) = (pending.len(), reasons.join(", "));
        Outlook::Waiting(format!(
            "Slurm array {id}: {count} of its workers wait in the queue{colon}{reasons}"
        ))
    }

    fn dismiss(&mut self, ended: &[(String, u32)]) {
        let ended = self.members(ended);
        let is_over = (0..self.note.workers).all(|index| ended.contains(&index));
        let id = self.note.id.clone().or_else(|| self.read().and_then(|note| note.id));
        if let Some(id) = id.filter(|_| !is_over)
            && let Err(error) = slurm::scancel(&id)
        {
            // The note stays, so that a later run finds the array.
            sayln!("warning: Slurm array {id} may still have workers: {error}; end them with `scancel {id}`");
            return;
        }
        let _ = fs::remove_file(self.path());
    }

    fn ends_workers(&self) -> bool {
        true
    }
}

/// Returns the time between two questions (`FEWBITS_SQUEUE_SECONDS` in debug builds, for tests).
fn between_questions() -> Duration {
    let tested = variable("FEWBITS_SQUEUE_SECONDS").filter(|_| cfg!(debug_assertions));
    tested.and_then(|seconds| seconds.parse().ok()).map_or(BETWEEN_QUESTIONS, Duration::from_secs)
}

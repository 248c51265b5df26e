//! Slurm's commands: sbatch, squeue and scancel, each started without a shell and with a time limit.
//! Knows no worker.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The time limit of a command: a busy controller answers within seconds.
const LIMIT: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(20);
/// The most bytes of output that are read.
const MOST_BYTES: u64 = 1 << 20;

/// The state of one member of an array in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    /// The member's index.
    pub index: u32,
    /// Slurm's name of the state: `PENDING`, `RUNNING`.
    pub state: String,
    /// The reason of a member that waits: `Resources`, `Priority`.
    pub reason: String,
}

/// Submits a script with arguments; returns the id of the job.
pub fn sbatch(args: &[String]) -> Result<String, String> {
    let said = output("sbatch", args)?;
    // With several clusters the name of the cluster follows.
    let id = said.trim().split(';').next().unwrap_or_default().to_owned();
    if is_id(&id) {
        Ok(id)
    } else {
        Err(format!("sbatch answered {:?} instead of the id of a job", said.trim()))
    }
}

/// Lists the members of an array that are in the queue; none if Slurm has forgotten the array.
pub fn squeue(array: &str) -> Result<Vec<Queued>, String> {
    let args = ["--noheader", "--array", "--jobs", array, "--format", "%i|%T|%r"];
    match output("squeue", &args.map(str::to_owned)) {
        Ok(said) => Ok(said.lines().filter_map(queued).collect()),
        Err(error) if error.contains("Invalid job id") => Ok(vec![]),
        Err(error) => Err(error),
    }
}

/// Returns the ids of the user's jobs with a name.
pub fn named(name: &str) -> Result<Vec<String>, String> {
    let args = ["--noheader", "--me", "--name", name, "--format", "%A"];
    let said = output("squeue", &args.map(str::to_owned))?;
    Ok(said.lines().map(|line| line.trim().to_owned()).filter(|id| is_id(id)).collect())
}

/// Cancels a job.
pub fn scancel(job: &str) -> Result<(), String> {
    output("scancel", &["--quiet".to_owned(), job.to_owned()]).map(drop)
}

/// Whether a text is the id of a job.
pub fn is_id(text: &str) -> bool {
    (1..20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Reads a line of squeue: `12_3|PENDING|Resources`.
fn queued(line: &str) -> Option<Queued> {
    let mut fields = line.trim().splitn(3, '|');
    let (id, state, reason) = (fields.next()?, fields.next()?, fields.next()?);
    let index = id.split_once('_')?.1.parse().ok()?;
    Some(Queued { index, state: state.to_owned(), reason: reason.to_owned() })
}

/// Runs a command and returns what it writes to standard output. The error is one sentence.
pub fn output(program: &str, args: &[String]) -> Result<String, String> {
    let started = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => return Err(format!("{program} cannot be started ({error}); is Slurm installed here?")),
    };
    let (said, complained) = (reader(child.stdout.take()), reader(child.stderr.take()));
    let start = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if start.elapsed() < LIMIT => std::thread::sleep(PAUSE),
            Ok(None) => {
                let _ = child.kill().and_then(|()| child.wait());
                return Err(format!("{program} did not answer within {} s", LIMIT.as_secs()));
            }
            Err(error) => return Err(format!("{program}: {error}")),
        }
    };
    let [said, complained] = [said, complained].map(|thread| thread.join().unwrap_or_default());
    if status.success() {
        return Ok(said);
    }
    let why = complained.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no message");
    Err(if why.starts_with(program) { why.to_owned() } else { format!("{program}: {why}") })
}

fn reader(stream: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = vec![];
        if let Some(stream) = stream {
            let _ = stream.take(MOST_BYTES).read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_squeue_are_members_and_others_are_nothing() {
        let member = |index, state: &str, reason: &str| {
            Some(Queued { index, state: state.to_owned(), reason: reason.to_owned() })
        };
        assert_eq!(queued("12_3|PENDING|Resources"), member(3, "PENDING", "Resources"));
        assert_eq!(queued(" 12_0|RUNNING|None\n"), member(0, "RUNNING", "None"));
        assert_eq!(queued("12_1|PENDING|(a|b)"), member(1, "PENDING", "(a|b)"));
        for line in ["", "12|RUNNING|None", "12_[0-3]|PENDING|x", "12_1", "slurm_load_jobs error"] {
            assert_eq!(queued(line), None, "{line}");
        }
    }

    #[test]
    fn a_command_gives_its_output_or_the_reason() {
        assert_eq!(
            output("echo", &["a b".to_owned(), "$HOME; `id`".to_owned()]).unwrap(),
            "a b $HOME; `id`\n"
        );
        let error = output("no-such-command-of-slurm", &[]).unwrap_err();
        assert!(error.contains("is Slurm installed here?"), "{error}");
        let error = output("ls", &["/no/such/folder".to_owned()]).unwrap_err();
        assert!(error.starts_with("ls: ") && error.contains("/no/such/folder"), "{error}");
    }

    #[test]
    fn an_id_has_digits_only() {
        assert!(is_id("12") && !is_id("") && !is_id("12_3") && !is_id("-1") && !is_id("1;rm"));
    }
}

//! Runs on a real Slurm cluster on this machine's loopback. `FEWBITS_SLURM` names the script that starts one; without it, and
//! without Slurm, the tests say so and pass. `FEWBITS_TORTURE=long` kills at 30 moments instead of three.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::fixture::{Bench, TINY, Told, end, wait_for};
use crate::workers::{Process, assert_whole, results_digest, sweep};

/// The nodes of the cluster.
const NODES: usize = 3;

/// A Slurm cluster, which ends with the test. There is one at a time, because its ports are fixed.
struct Slurm {
    dir: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Slurm {
    /// Starts a cluster; `None` if that is not possible here.
    fn start() -> Option<Self> {
        static ALONE: Mutex<()> = Mutex::new(());
        let Some(script) = std::env::var_os("FEWBITS_SLURM") else {
            println!("not tried: FEWBITS_SLURM does not name a script that starts a cluster");
            return None;
        };
        if Command::new("slurmctld").arg("-V").stdout(Stdio::null()).status().is_err() {
            println!("not tried: Slurm is not installed (Debian: slurm-wlm, munge)");
            return None;
        }
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = tempfile::tempdir().expect("a folder");
        // The daemons outlive the script, so their output must not be a pipe that the test reads to its end.
        let log = fs::File::create(dir.path().join("start.log")).expect("a file");
        let started = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(script))
            .arg(dir.path())
            .arg(NODES.to_string())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file"))
            .stderr(log)
            .status()
            .expect("the script");
        let said = fs::read_to_string(dir.path().join("start.log")).unwrap_or_default();
        assert!(started.success(), "{said}");
        Some(Self { dir, _alone: alone })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Returns a command of Slurm with its configuration.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("SLURM_CONF", self.path("slurm.conf"));
        command
    }

    /// Returns the command that runs `x.ron` of a bench on the cluster, with squeue and sbatch counted.
    fn run(&self, bench: &Bench) -> Command {
        let folder = bench.path("bin");
        fs::create_dir_all(&folder).expect("a folder");
        for program in ["squeue", "sbatch"] {
            let counted = folder.join(program);
            let script = format!(
                "#!/bin/sh\necho >> {}\nexec /usr/bin/{program} \"$@\"\n",
                bench.path(&format!("{program}.count")).display()
            );
            fs::write(&counted, script).expect("a script");
            fs::set_permissions(&counted, fs::Permissions::from_mode(0o755)).expect("permissions");
        }
        let path = std::env::var("PATH").expect("a path");
        let mut command =
            bench.command(["run", "x.ron", "--ui", "json", "--slurm", "--workers", "3", "--silence", "3s"]);
        command
            .env("SLURM_CONF", self.path("slurm.conf"))
            .env("PATH", format!("{}:{path}", folder.display()));
        command
    }

    /// Kills a node: its daemon and the workers on it. Returns the number of workers.
    fn kill_node(&self, bench: &Bench, node: usize) -> usize {
        let _ = Command::new(self.path("kill-node")).arg(node.to_string()).status();
        let on_node = workers(bench).into_iter().filter(|(_, place)| *place == format!("n{node}"));
        on_node.filter(|(pid, _)| kill_process(*pid, Signal::KILL).is_ok()).count()
    }

    fn start_node(&self, node: usize) {
        let _ = Command::new(self.path("start-node")).arg(node.to_string()).status();
        let _ =
            self.command("scontrol").args(["update", &format!("nodename=n{node}"), "state=resume"]).output();
    }

    fn queue(&self) -> String {
        let listed = self.command("squeue").args(["--noheader", "--array"]).output().expect("squeue");
        String::from_utf8(listed.stdout).expect("text")
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        let _ = self.command("scancel").args(["--user", "root"]).status();
        let _ = Command::new(self.path("stop")).status();
        // The ports are free when the controller has ended.
        let start = Instant::now();
        let runs = |name: &str| {
            let found = Command::new("pgrep").args(["-x", name]).stdout(Stdio::null()).status();
            found.is_ok_and(|status| status.success())
        };
        while start.elapsed() < Duration::from_secs(10) && (runs("slurmctld") || runs("slurmd")) {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Returns the workers of a bench's run that live: their processes, and their nodes.
fn workers(bench: &Bench) -> Vec<(Pid, String)> {
    let mine = bench.path("store/cluster").canonicalize().unwrap_or_default().display().to_string();
    let mut found = vec![];
    for path in crate::fixture::files(Path::new("/proc")) {
        let read =
            |name: &str| fs::read(path.join(name)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let Ok(words) = read("cmdline") else { continue };
        if !words.contains("\0worker\0") || !words.contains(&mine) {
            continue;
        }
        let pid = path.file_name().and_then(|name| name.to_str()?.parse().ok()).and_then(Pid::from_raw);
        let node = read("environ").unwrap_or_default();
        let node = node.split('\0').find_map(|line| line.strip_prefix("SLURMD_NODENAME=").map(str::to_owned));
        found.extend(pid.zip(node));
    }
    found
}

fn count(bench: &Bench, program: &str) -> usize {
    fs::read_to_string(bench.path(&format!("{program}.count"))).unwrap_or_default().lines().count()
}

#[test]
fn a_sweep_on_three_nodes_is_a_run_in_one_process() {
    let Some(slurm) = Slurm::start() else { return };
    let (bench, local) = (sweep(), sweep());
    let counts = local.run_well().counts();
    let start = Instant::now();
    let told = Told::from(end(&mut slurm.run(&bench)));
    assert_eq!((told.code, told.counts()), (Some(0), counts), "{}", told.stderr);
    assert!(counts[0] >= 1000, "{counts:?}");
    assert_eq!(told.of("worker_joined").len(), NODES, "{told:?}");
    assert_whole(&bench, &local);
    assert_eq!(count(&bench, "sbatch"), 1);
    assert!(
        count(&bench, "squeue") as u64 <= 1 + start.elapsed().as_secs() / 60,
        "at most one question a minute"
    );
    let told = Told::from(end(&mut slurm.run(&bench)));
    assert_eq!((told.code, told.count("ran"), count(&bench, "sbatch")), (Some(0), 0, 1), "{told:?}");
    // The array ends with the run, and nothing of it stays but the folders.
    let start = Instant::now();
    while !slurm.queue().is_empty() && start.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(slurm.queue(), "");
    assert!(crate::fixture::files(&bench.path("store/cluster/workers")).is_empty());
    assert!(crate::fixture::files(&bench.path("store/cluster/objects")).is_empty());
}

/// A generator of moments and victims (Knuth's, MMIX), so that a failure can be repeated with its seed.
struct Moments(u64);

impl Moments {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

#[test]
fn kills_of_workers_nodes_and_the_run_lose_double_and_change_nothing() {
    let Some(slurm) = Slurm::start() else { return };
    let is_long = std::env::var("FEWBITS_TORTURE").is_ok_and(|value| value == "long");
    let kills = if is_long { 30 } else { 3 };
    let (bench, local) = (sweep(), sweep());
    for bench in [&bench, &local] {
        if is_long {
            bench.edit("Range(0, 15)", "Range(0, 63)");
        }
        bench.edit("epochs: 1", "epochs: 40");
    }
    local.run_well();
    let seed = std::process::id().into();
    println!("seed {seed}");
    let mut moments = Moments(seed);
    let start = || {
        let log = fs::File::options().create(true).append(true).open(bench.path("run.log")).expect("a log");
        slurm
            .run(&bench)
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .map(Process)
            .expect("the binary")
    };
    let mut run = start();
    let (mut killed, mut victims) = (0, 0);
    while killed < kills {
        std::thread::sleep(Duration::from_millis(300 + moments.below(1500)));
        match run.0.try_wait().expect("a state") {
            // All tasks are done before the last kill.
            Some(status) if status.success() => break,
            // All workers were killed: the next run submits another array.
            Some(_) => run = start(),
            None => {}
        }
        // In CI, each kind of victim once.
        let victim = if is_long { moments.below(3) } else { killed };
        killed += 1;
        match victim {
            0 => {
                let workers = workers(&bench);
                if let Some((pid, _)) = workers.get(moments.below(workers.len().max(1) as u64) as usize) {
                    victims += usize::from(kill_process(*pid, Signal::KILL).is_ok());
                }
            }
            1 => {
                let node = 1 + moments.below(NODES as u64) as usize;
                victims += slurm.kill_node(&bench, node);
                std::thread::sleep(Duration::from_millis(200));
                slurm.start_node(node);
            }
            _ => {
                victims += usize::from(run.0.kill().and_then(|()| run.0.wait()).is_ok());
                run = start();
            }
        }
    }
    println!("{killed} kills of {victims} processes");
    assert!(victims > 1, "the kills must hit something");
    let begun = Instant::now();
    loop {
        match run.0.try_wait().expect("a state") {
            Some(status) if status.success() => break,
            Some(_) => run = start(),
            None => std::thread::sleep(Duration::from_millis(50)),
        }
        let log = || fs::read_to_string(bench.path("run.log")).unwrap_or_default();
        assert!(begun.elapsed() < Duration::from_mins(10), "the run does not end: {}", log());
    }
    let log = fs::read_to_string(bench.path("run.log")).expect("a log");
    assert!(!log.contains("computed different results"), "{log}");
    assert_eq!(results_digest(&bench), results_digest(&local));
    assert_whole(&bench, &local);
}

#[test]
fn an_array_that_waits_is_told_and_one_that_is_refused_too() {
    let Some(slurm) = Slurm::start() else { return };
    let bench = Bench::with(TINY);
    let waits = |bench: &Bench| {
        let mut command = slurm.run(bench);
        command.args(["--", "--begin=now+1hour"]).env("FEWBITS_SQUEUE_SECONDS", "2").stdout(Stdio::piped());
        command.spawn().expect("the binary")
    };
    let mut first = waits(&bench);
    let mut reason = String::new();
    wait_for(&mut first, |event| {
        reason = event["message"].as_str().unwrap_or_default().to_owned();
        reason.contains("3 of its workers wait in the queue: BeginTime")
    });
    crate::workers::signal(&first, "KILL");
    first.wait().expect("an end");
    // Another run finds the array, and submits no second one.
    let mut second = waits(&bench);
    wait_for(&mut second, |event| event["message"].as_str().unwrap_or_default().contains("goes on"));
    assert_eq!(count(&bench, "sbatch"), 1);
    interrupt(&mut second);
    assert_eq!(slurm.queue().lines().count(), 3, "a run that leaves does not cancel the array");
    // A run with nothing to do ends the array that an earlier one left.
    bench.run_well();
    let third = Told::from(end(&mut slurm.run(&bench)));
    assert_eq!((third.code, slurm.queue().as_str()), (Some(0), ""), "{third:?}");
    // Slurm's own words say why it refuses.
    let refused = Bench::with(TINY);
    let told = Told::from(end(slurm.run(&refused).args(["--", "--partition=nowhere"])));
    assert_eq!(told.code, Some(1), "{told:?}");
    let message = told.of("warned")[0]["message"].as_str().expect("a message");
    assert!(message.contains("invalid partition") && message.contains("doctor --slurm"), "{message}");
    let own = refused.fewbits(["run", "x.ron", "--slurm", "--", "--array=1-2"]);
    assert!(own.code == Some(2) && own.stderr.contains("--workers says how many"), "{own:?}");
}

fn interrupt(child: &mut Child) {
    crate::workers::signal(child, "INT");
    assert_eq!(child.wait().expect("an end").code(), Some(130));
}

#[test]
fn the_doctor_finds_what_a_run_needs() {
    let Some(slurm) = Slurm::start() else { return };
    let bench = Bench::new();
    let doctor = |arguments: &[&str]| {
        let mut command = bench.command(["doctor", "--slurm"]);
        end(command.args(arguments).env("SLURM_CONF", slurm.path("slurm.conf")))
    };
    let well = doctor(&[]);
    assert_eq!(well.code, Some(0), "{well:?}");
    for words in
        ["found: sbatch", "a worker on n", "the same build there", "a message goes there and back in"]
    {
        assert!(well.stdout.contains(words), "{words}: {well:?}");
    }
    let waits = doctor(&["--patience", "1s", "--", "--begin=now+1hour"]);
    assert_eq!(waits.code, Some(1), "{waits:?}");
    assert!(waits.stdout.contains("missing: no worker came within 1 s"), "{waits:?}");
    assert_eq!(slurm.queue(), "", "the doctor leaves nothing in the queue");
    let without = end(bench.command(["doctor", "--slurm"]).env("PATH", bench.path("")));
    assert_eq!(without.code, Some(1));
    assert!(
        without.stdout.contains("sbatch cannot be started")
            && without.stdout.contains("load the site's module"),
        "{without:?}"
    );
}

//! The options of runs on workers, and the commands for workers.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{folder, time};

/// The options of `run` and `doctor` for workers.
#[derive(Args, Clone, Debug)]
pub struct ClusterArgs {
    /// Run the tasks on workers that a Slurm job array brings; what follows `--` goes to sbatch
    #[arg(long)]
    pub slurm: bool,
    /// The number of workers in the array
    #[arg(long, value_name = "N", default_value_t = 8, requires = "slurm", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub workers: u32,
    /// The folder that workers share with the run; without --slurm, start them with `fewbits worker DIR` [default with --slurm: cluster/ in the store]
    #[arg(long, value_name = "DIR", value_parser = folder())]
    pub workers_in: Option<PathBuf>,
    /// The time without a sign of life after which a worker's tasks go to others
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = silence)]
    pub silence: Duration,
    /// Arguments for sbatch, such as --partition=main --time=4:00:00
    #[arg(last = true, value_name = "SBATCH", requires = "slurm", allow_hyphen_values = true)]
    pub sbatch: Vec<String>,
}

/// Reads a time of silence. Workers give a sign of life every two seconds.
fn silence(text: &str) -> Result<Duration, String> {
    let limit = time(text)?;
    if limit < Duration::from_secs(3) {
        return Err("3s at least, because workers give a sign of life every two seconds".to_owned());
    }
    Ok(limit)
}

impl ClusterArgs {
    /// Whether the tasks run on workers.
    pub fn is_given(&self) -> bool {
        self.slurm || self.workers_in.is_some()
    }
}

#[derive(Args, Debug)]
pub struct WorkerArgs {
    /// The folder that the worker shares with the run
    #[arg(value_name = "DIR", value_parser = folder())]
    pub dir: PathBuf,
    /// Tasks at once [default: one per core, or per core of the Slurm job]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// The folder that relative paths in the experiment start from [default: this folder]
    #[arg(long, value_name = "FOLDER", value_parser = folder())]
    pub base: Option<PathBuf>,
    /// End after this time without a sign of the run [default: never]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub idle: Option<Duration>,
}

#[derive(Args, Debug)]
pub struct DoctorArgs {
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// The time to wait for a worker
    #[arg(long, value_name = "TIME", default_value = "2min", value_parser = time)]
    pub patience: Duration,
}

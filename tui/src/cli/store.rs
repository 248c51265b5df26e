//! What the commands of `store` are asked.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Show what is kept and how much room it takes, by op and by experiment
    #[command(after_help = "Examples:\n  fewbits store info\n  fewbits store info --store other/.fewbits")]
    Info,
    /// Read every record and object, and report what is damaged
    #[command(
        after_help = "Exit code 1 if anything is damaged or differs. Relative paths of a past run's files start from this folder.\n\nExamples:\n  fewbits store verify\n  fewbits store verify --recompute 1%\n  fewbits store verify --recompute 5% study.ron"
    )]
    Verify(Verify),
    /// Delete what no experiment named here and no pinned run reaches
    #[command(
        after_help = "Without --delete, shows what would be deleted and what computing it again would take.\n\nExamples:\n  fewbits store gc study.ron other.ron\n  fewbits store gc study.ron --delete"
    )]
    Gc(Gc),
    /// Write results to a file that another store can import
    #[command(
        after_help = "Examples:\n  fewbits store export -o results.tar\n  fewbits store export study.ron -o study.tar"
    )]
    Export(Export),
    /// Take in the results of a file that `store export` wrote; its wholeness is checked, its author is trusted
    #[command(after_help = "Example:\n  fewbits store import results.tar")]
    Import(Import),
}

#[derive(Args, Debug)]
pub struct Verify {
    /// Do this share of the tasks once more and compare, such as 1%
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub recompute: Option<f64>,
    /// Which tasks are done once more; another number takes others [default: from the clock]
    #[arg(long, value_name = "S", requires = "recompute")]
    pub seed: Option<u64>,
    /// Experiments whose tasks are done once more [default: those of the newest runs]
    #[arg(value_name = "FILE", requires = "recompute")]
    pub files: Vec<PathBuf>,
}

#[derive(Args, Debug)]
pub struct Gc {
    /// The experiments to keep
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Delete, instead of showing what would be deleted
    #[arg(long)]
    pub delete: bool,
    /// Delete though experiments named have tasks without a result, and with it what depends on those
    #[arg(long)]
    pub unfinished: bool,
    /// Wait while another process writes to the store, instead of giving up
    #[arg(long)]
    pub wait: bool,
}

#[derive(Args, Debug)]
pub struct Export {
    /// The experiments whose results are written [default: all there is]
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The file to write
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
}

#[derive(Args, Debug)]
pub struct Import {
    /// The file to read
    #[arg(value_name = "ARCHIVE")]
    pub archive: PathBuf,
    /// Wait while another process writes to the store, instead of giving up
    #[arg(long)]
    pub wait: bool,
}

/// Reads a share, `1%` or `0.01`.
fn share(text: &str) -> Result<f64, String> {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let share = text.strip_suffix('%').map_or_else(|| number(text), |text| number(text).map(|n| n / 100.0));
    let share = share.filter(|share| *share > 0.0 && *share <= 1.0);
    share.ok_or_else(|| "a share above 0% and up to 100%, such as 1% or 0.01".to_owned())
}

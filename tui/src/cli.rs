//! The command line: what can be asked, in the words of `--help`.
//! Knows nothing of how it is done.

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

/// How few bits per weight does a trained network need, in which number format, and what does each bit buy?
#[derive(Debug, Parser)]
#[command(name = "fewbits", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command takes.
#[derive(Args, Debug)]
pub struct Global {
    /// Where results are kept [default: the nearest .fewbits/ in or above this folder, else a new one here]
    #[arg(long, global = true, value_name = "DIR", env = "FEWBITS_STORE", value_parser = folder())]
    pub store: Option<PathBuf>,
    /// Where datasets are [default: the user's cache]
    #[arg(long, global = true, value_name = "DIR", env = "FEWBITS_DATA_DIR", value_parser = folder())]
    pub data_dir: Option<PathBuf>,
    /// How progress is shown
    #[arg(long, global = true, value_enum, default_value_t = Ui::Auto)]
    pub ui: Ui,
    /// Whether output is coloured
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
    /// Keep to ASCII in the dashboard
    #[arg(long, global = true)]
    pub ascii: bool,
    /// Show results and errors only
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// The most tasks an experiment may have
    #[arg(long, global = true, value_name = "N", default_value_t = fewbits_engine::graph::MOST_TASKS)]
    pub max_tasks: usize,
}

fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse::<f64>().ok().filter(|speed| speed.is_finite() && *speed > 0.0);
    speed.ok_or_else(|| "a number above 0, such as 10 or 0.5".to_owned())
}

/// Reads a share, `1%` or `0.01`.
fn share(text: &str) -> Result<f64, String> {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let share = text.strip_suffix('%').map_or_else(|| number(text), |text| number(text).map(|n| n / 100.0));
    let share = share.filter(|share| *share > 0.0 && *share <= 1.0);
    share.ok_or_else(|| "a share above 0% and up to 100%, such as 1% or 0.01".to_owned())
}

/// Reads a folder; an empty one is taken as none given, as a variable set to nothing means.
fn folder() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Ui {
    /// The dashboard on a terminal, plain lines elsewhere
    Auto,
    /// The dashboard
    Tui,
    /// A line per event
    Plain,
    /// One JSON event per line on standard output
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run what is not known yet, then show the tables
    #[command(
        after_help = "Examples:\n  fewbits run experiments/quickstart.ron\n  fewbits run study.ron --jobs 1 --ui json"
    )]
    Run(Run),
    /// Show what would run, and why
    #[command(after_help = "Example:\n  fewbits plan study.ron")]
    Plan(Plan),
    /// Check a file and count its tasks
    #[command(after_help = "Example:\n  fewbits check study.ron")]
    Check(File),
    /// Explain a task: its key, and which field made it run
    #[command(
        after_help = "Examples:\n  fewbits why study.ron 'net(seed=0)'\n  fewbits why study.ron 3f9a12"
    )]
    Why(Why),
    /// Show a table of a file, or all of them
    #[command(
        after_help = "Examples:\n  fewbits table study.ron\n  fewbits table study.ron tradeoff --format csv\n  fewbits table study.ron --format json   (every axis and metric, one object per point)"
    )]
    Table(Table),
    /// Watch a run that goes on in another process, or replay one that ended
    #[command(
        after_help = "Examples:\n  fewbits watch                    (the newest run)\n  fewbits watch 20261124-0915      (the run whose id begins so; `fewbits runs` lists them)\n  fewbits watch --speed 10         (replay ten times as fast as it was)"
    )]
    Watch(Watch),
    /// List past runs, or pin one so that `store gc` keeps what it reached
    #[command(after_help = "Examples:\n  fewbits runs\n  fewbits runs --pin 20261124-0915")]
    Runs(Runs),
    /// List every code of a number format with its value, and the values on a line
    #[command(
        after_help = "Examples:\n  fewbits values 'Float(e: 3, m: 0)'\n  fewbits values 'Posit(n: 6, es: 1)'\n  fewbits values E4M3"
    )]
    Values(Values),
    /// Round numbers from standard input to a number format, one a line
    #[command(
        after_help = "Each line is a value, or a value and the random number that Stochastic rounds it by: decimal, below 2^N of --random-bits; other roundings ignore it. NaN stays NaN where the format has none.\n\nExamples:\n  echo 0.3 | fewbits round E2M1\n  echo '0.3 200' | fewbits round E2M1 --rounding Stochastic --random-bits 8\n  echo 3e99999a | fewbits round float8_e4m3fn --bits"
    )]
    Round(Round),
    /// Look at the store, clean it, or carry results to another one
    #[command(subcommand)]
    Store(StoreCommand),
    /// List or fetch datasets
    #[command(subcommand)]
    Data(DataCommand),
    /// Print a completion script for a shell
    #[command(
        after_help = "Example:\n  fewbits completions bash > ~/.local/share/bash-completion/completions/fewbits"
    )]
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Args, Debug)]
pub struct File {
    /// The experiment file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

#[derive(Args, Debug)]
pub struct Run {
    #[command(flatten)]
    pub file: File,
    /// Tasks at once [default: one per core]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Stop at the first failure
    #[arg(long)]
    pub fail_fast: bool,
    /// Wait while another process writes to the store, instead of giving up
    #[arg(long)]
    pub wait: bool,
    /// Go on with a run that was detached from its terminal
    #[arg(long, hide = true)]
    pub detached: bool,
}

#[derive(Args, Debug)]
pub struct Watch {
    /// The run, or the beginning of its id [default: the newest]
    pub run: Option<String>,
    /// Replay as many times as fast as it was, instead of showing its end at once
    #[arg(long, value_name = "N", value_parser = speed)]
    pub speed: Option<f64>,
}

#[derive(Args, Debug)]
pub struct Values {
    /// The format, as in an experiment: 'Float(e: 3, m: 0)', 'Int(4)', E4M3
    pub format: String,
}

#[derive(Args, Debug)]
pub struct Round {
    /// The format, as in an experiment: 'Float(e: 3, m: 0)', 'Int(4)', E4M3; its numbers, without a scale
    pub format: String,
    #[arg(
        long,
        value_name = "R",
        default_value = "Nearest",
        help = "Nearest, NearestAway, TowardZero or Stochastic"
    )]
    pub rounding: String,
    /// Seed of the random numbers that are not given
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub seed: u64,
    /// Name of the tensor whose draws are taken, element by element
    #[arg(long, value_name = "NAME", default_value = "")]
    pub tensor: String,
    /// Bits of a random number, 1 to 32
    #[arg(long, value_name = "N", default_value_t = 32)]
    pub random_bits: u32,
    /// Values are read and written as binary32 bit patterns in hex
    #[arg(long)]
    pub bits: bool,
}

#[derive(Args, Debug)]
pub struct Plan {
    #[command(flatten)]
    pub file: File,
    /// Name every task that would run
    #[arg(long)]
    pub all: bool,
}

#[derive(Args, Debug)]
pub struct Why {
    #[command(flatten)]
    pub file: File,
    /// The task: `small(e=3,m=0)`, any part of it that means one task, or six or more hex digits of its key
    pub task: String,
}

#[derive(Args, Debug)]
pub struct Table {
    #[command(flatten)]
    pub file: File,
    /// The table
    pub name: Option<String>,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// Markdown
    Md,
    /// Comma-separated values
    Csv,
    /// An array of flat objects
    Json,
}

#[derive(Args, Debug)]
pub struct Runs {
    /// Keep what this run reached; the beginning of its id is enough
    #[arg(long, value_name = "RUN", conflicts_with = "unpin")]
    pub pin: Option<String>,
    /// Undo `--pin`
    #[arg(long, value_name = "RUN")]
    pub unpin: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Show what is kept and how much room it takes, by op and by experiment
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

#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Show which datasets are there
    List,
    /// Download a dataset: mnist, fashion-mnist or cifar10
    #[command(after_help = "Example:\n  fewbits data fetch mnist")]
    Fetch {
        /// The dataset
        name: String,
        /// Take the files from here instead of the published addresses
        #[arg(long, value_name = "URL")]
        mirror: Option<String>,
    },
}

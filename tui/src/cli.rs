//! The command line: its commands and options, with the words of `--help`.
//! Knows nothing of the work behind them.

mod cluster;
mod compare;
mod results;
mod store;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::template;
pub use cluster::{ClusterArgs, DoctorArgs, WorkerArgs};
pub use compare::{CiteArgs, DiffArgs, Form};
pub use results::{
    ChooseArgs, ExportArgs, ExportForm, FigureFormat, OutputFormat, PlotArgs, ReportArgs, TableArgs, Weights,
};
pub use store::{Export, Gc, Import, StoreCommand, Verify};

/// How few bits per weight does a trained network need, in which number format, and what does each bit buy?
#[derive(Debug, Parser)]
#[command(
    name = "fewbits",
    version,
    max_term_width = 100,
    after_help = "Examples:\n  fewbits new study.ron     (an experiment to start from)\n  fewbits run study.ron     (runs it and shows its tables)\n  fewbits plan study.ron    (after an edit: what would run, and why)"
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command takes.
#[derive(Args, Clone, Debug)]
pub struct Global {
    /// The store's folder [default: the nearest .fewbits/ in or above this folder, else a new one here]
    #[arg(long, global = true, value_name = "DIR", env = "FEWBITS_STORE", value_parser = folder())]
    pub store: Option<PathBuf>,
    /// The folder of the datasets [default: the user's cache]
    #[arg(long, global = true, value_name = "DIR", env = "FEWBITS_DATA_DIR", value_parser = folder())]
    pub data_dir: Option<PathBuf>,
    /// The display of progress
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

fn time(text: &str) -> Result<Duration, String> {
    let time = text.parse::<jiff::SignedDuration>().ok().and_then(|time| Duration::try_from(time).ok());
    time.ok_or_else(|| "a time, such as 90s, 10min or 2h".to_owned())
}

fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse::<f64>().ok().filter(|speed| speed.is_finite() && *speed > 0.0);
    speed.ok_or_else(|| "a number above 0, such as 10 or 0.5".to_owned())
}

/// Reads a folder. An empty text means no folder, like a variable set to nothing.
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
    /// Run the tasks that have no result yet, then show the tables
    #[command(
        after_help = "Examples:\n  fewbits run experiments/quickstart.ron\n  fewbits run study.ron --watch         (save the file: the edit runs)\n  fewbits run study.ron --jobs 1 --ui json\n  fewbits run study.ron --slurm --workers 16 -- --partition=main --time=4:00:00   (on a cluster)"
    )]
    Run(RunArgs),
    /// Do tasks of runs on this machine
    #[command(
        after_help = "`run --slurm` starts workers by itself; by hand they serve `run --workers-in DIR`. docs/cluster.md says more.\n\nExample:\n  fewbits worker shared/exchange"
    )]
    Worker(WorkerArgs),
    /// Check a site for runs with --slurm, and say what is missing
    #[command(
        after_help = "Submits one worker as a job and exchanges a message with it. Exit code 1 if something is missing.\n\nExample:\n  fewbits doctor --slurm -- --partition=main"
    )]
    Doctor(DoctorArgs),
    /// Show the tasks that would run, and the reasons
    #[command(after_help = "Example:\n  fewbits plan study.ron")]
    Plan(PlanArgs),
    /// Check a file and count its tasks
    #[command(after_help = "Example:\n  fewbits check study.ron")]
    Check(FileArgs),
    /// Lay out files: spaces, line breaks and trailing commas; comments and values stay
    #[command(
        after_help = "Examples:\n  fewbits fmt study.ron\n  fewbits fmt --check study.ron   (exit code 1 if it is not laid out)"
    )]
    Fmt(FmtArgs),
    /// Serve an editor: faults, completion and explanations while you write (Language Server Protocol)
    #[command(
        after_help = "Editors start it; docs/editors.md says how.\n\nExample:\n  fewbits lsp   (an editor starts it)"
    )]
    Lsp {
        /// Speak on standard input and output, as always; some editors give this option
        #[arg(long)]
        stdio: bool,
    },
    /// Explain a task: its key, and the field that made it run
    #[command(
        after_help = "Examples:\n  fewbits why study.ron 'net(seed=0)'\n  fewbits why study.ron 3f9a12"
    )]
    Why(Why),
    /// Show a table of a file, or all of them
    #[command(
        after_help = "Examples:\n  fewbits table study.ron\n  fewbits table study.ron tradeoff --format csv\n  fewbits table study.ron --format json   (every axis and metric, one object per point)\n  fewbits table study.ron --format parquet -o study.parquet"
    )]
    Table(TableArgs),
    /// Recommend a point: the smallest network that loses little, with the confidence of that
    #[command(
        after_help = "Answers the question of the file's first `Choose` table. Without such a table, the question is the smallest quantized network that loses at most a point of accuracy, with 95 % confidence. Exit code 1 if nothing fits.\n\nExamples:\n  fewbits choose study.ron\n  fewbits choose study.ron --max-drop 0.5pp --max-bits 4\n  fewbits choose study.ron --max-bytes 48KiB"
    )]
    Choose(ChooseArgs),
    /// Write a report: one HTML file with every table, figures, the recommendation and the provenance
    #[command(
        after_help = "The file needs nothing else: no network, and no script to be read or printed.\n\nExample:\n  fewbits report study.ron -o study.html"
    )]
    Report(ReportArgs),
    /// Write one figure: a table, the curves of a trained network, or the counts of a Confusion
    #[command(
        after_help = "A Pareto or Choose table becomes points with their front, a Pivot a heat map, other tables values with intervals.\n\nExamples:\n  fewbits plot study.ron pareto -o pareto.svg\n  fewbits plot study.ron tradeoff -o tradeoff.png\n  fewbits plot study.ron net -o training.svg"
    )]
    Plot(PlotArgs),
    /// Write the weights of a task's model, and the codes that stand for them, to an .npz
    #[command(
        after_help = "NumPy opens the file: TENSOR/weight, and TENSOR/codes, /scales, /zero_points and /codebook of quantized ones; docs/exports.md says how they belong together.\n\nExamples:\n  fewbits weights study.ron 'net(seed=0)' -o net.npz\n  fewbits weights study.ron 'small(seed=0,e=3)' -o small.npz"
    )]
    Weights(Weights),
    /// Write the network of a task for use elsewhere
    #[command(
        after_help = "A packed network has exactly the bytes that the metric `bytes` counts; docs/packed.md defines the file, and an Import reads it. An ONNX file has the quantized weights as binary32; with --typed in ONNX's types, where it has some. A folder of C has a test with 16 images and their logits to the last bit; docs/c.md says how to use it on a microcontroller. A network with `activations` becomes C without floating point, and an ONNX file of quantize-dequantize pairs.\n\nExamples:\n  fewbits export study.ron 'small(seed=0,e=3)' --to packed -o small.safetensors\n  fewbits export study.ron 'small(seed=0,e=3)' --to onnx -o small.onnx\n  fewbits export study.ron 'small(seed=0,e=3)' --to onnx --typed -o small.onnx\n  fewbits export study.ron 'small(seed=0,e=3)' --to c -o small-c"
    )]
    Export(ExportArgs),
    /// Compare two runs, two experiments, or two points of one: parameters, tasks, and metrics with their noise
    Diff(DiffArgs),
    /// Show the facts that a paper needs about an experiment: methods with their sources, versions, digests, BibTeX
    Cite(CiteArgs),
    /// Watch a run of another process, or replay one that ended
    #[command(
        after_help = "Examples:\n  fewbits watch                    (the newest run)\n  fewbits watch 20261124-0915      (the run whose id begins so; `fewbits runs` lists them)\n  fewbits watch --speed 10         (replay ten times as fast as it was)"
    )]
    Watch(WatchArgs),
    /// List past runs, or pin one so that `store gc` keeps its results
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
    #[command(subcommand, after_help = "Examples:\n  fewbits store info\n  fewbits store verify")]
    Store(StoreCommand),
    /// List or fetch datasets
    #[command(subcommand, after_help = "Examples:\n  fewbits data list\n  fewbits data fetch mnist")]
    Data(DataCommand),
    /// Write an experiment to start from
    #[command(
        after_help = "A file that is there is never overwritten.\n\nExamples:\n  fewbits new study.ron\n  fewbits new study.ron --template formats\n  fewbits new --list"
    )]
    New(New),
    /// Show the language of experiments: fields, values, defaults
    #[command(
        after_help = "The list comes from the code that reads experiments. A value without a name is that of the first field; `Axis(\"x\")` may stand for any value in a node except the name of another node.\n\nExamples:\n  fewbits schema                   (everything)\n  fewbits schema Train             (a kind of node, or any other name with its fields)\n  fewbits schema format            (all formats)\n  fewbits schema rounding          (a field, wherever it is)\n  fewbits schema --format json"
    )]
    Schema(SchemaArgs),
    /// Print a completion script for a shell; the script asks this program for names of tasks, tables and runs
    #[command(
        after_help = "Examples:\n  fewbits completions bash > ~/.local/share/bash-completion/completions/fewbits\n  fewbits completions zsh > ~/.zfunc/_fewbits\n  fewbits completions fish > ~/.config/fish/completions/fewbits.fish"
    )]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page, or write those of all commands to a folder
    #[command(after_help = "Examples:\n  fewbits man > fewbits.1\n  fewbits man ~/.local/share/man/man1")]
    Man {
        /// The folder of the pages, one page per command; created if needed
        #[arg(value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

#[derive(Args, Debug)]
pub struct FileArgs {
    /// The experiment file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

#[derive(Args, Debug)]
pub struct FmtArgs {
    /// The experiment files
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Change nothing; exit with 1 if a file is not laid out
    #[arg(long)]
    pub check: bool,
}

#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct RunArgs {
    #[command(flatten)]
    pub file: FileArgs,
    /// Tasks at once [default: one per core]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Stop at the first failure
    #[arg(long)]
    pub fail_fast: bool,
    /// Wait while another process writes to the store, instead of giving up
    #[arg(long)]
    pub wait: bool,
    /// Follow the file: each saved version runs, and what it still wants goes on
    #[arg(long)]
    pub watch: bool,
    /// Before an edit runs, wait for a key of the dashboard; with a time, such as 10min, only where it may take longer
    #[arg(long, value_name = "TIME", requires = "watch", num_args = 0..=1, require_equals = true, default_missing_value = "0s", value_parser = time)]
    pub ask: Option<Duration>,
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Take over a run that was detached from its terminal
    #[arg(long, hide = true)]
    pub detached: bool,
}

#[derive(Args, Debug)]
pub struct WatchArgs {
    /// The run, or the beginning of its id [default: the newest]
    pub run: Option<String>,
    /// Replay at N times the speed of the run, instead of showing its end at once
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
    /// Seed of the random numbers that the input does not give
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub seed: u64,
    /// Name of the tensor that the draws belong to, element by element
    #[arg(long, value_name = "NAME", default_value = "")]
    pub tensor: String,
    /// Bits of a random number, 1 to 32
    #[arg(long, value_name = "N", default_value_t = 32)]
    pub random_bits: u32,
    /// Read and write values as binary32 bit patterns in hex
    #[arg(long)]
    pub bits: bool,
}

#[derive(Args, Debug)]
pub struct PlanArgs {
    #[command(flatten)]
    pub file: FileArgs,
    /// Name every task that would run
    #[arg(long)]
    pub all: bool,
}

#[derive(Args, Debug)]
pub struct Why {
    #[command(flatten)]
    pub file: FileArgs,
    /// The task: `small(e=3,m=0)`, any part of it that means one task, or six or more hex digits of its key
    pub task: String,
}

#[derive(Args, Debug)]
pub struct New {
    /// The file to write
    #[arg(value_name = "FILE", required_unless_present = "list")]
    pub file: Option<PathBuf>,
    /// The template of the experiment
    #[arg(long, value_name = "NAME", default_value = template::FIRST, value_parser = template::names())]
    pub template: String,
    /// List the templates, instead of writing one
    #[arg(long, conflicts_with = "file")]
    pub list: bool,
}

#[derive(Args, Debug)]
pub struct SchemaArgs {
    /// A choice (format, model, op), one of its names (Float, Train) or a field [default: all]
    pub name: Option<String>,
    /// The output format
    #[arg(long, value_enum, default_value_t = SchemaFormat::Text)]
    pub format: SchemaFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SchemaFormat {
    /// For people
    Text,
    /// One object
    Json,
}

#[derive(Args, Debug)]
pub struct Runs {
    /// Keep the results of this run; the beginning of its id is enough
    #[arg(long, value_name = "RUN", conflicts_with = "unpin")]
    pub pin: Option<String>,
    /// Undo `--pin`
    #[arg(long, value_name = "RUN")]
    pub unpin: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Show the datasets, and whether each is present
    #[command(after_help = "Examples:\n  fewbits data list\n  fewbits data list --data-dir /data")]
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

#[cfg(test)]
mod examples;

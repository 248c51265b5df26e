//! The arguments of `table`, `choose`, `report`, `plot` and `weights`.
//! Knows nothing of tables and figures.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::FileArgs;

#[derive(Args, Debug)]
pub struct TableArgs {
    #[command(flatten)]
    pub file: FileArgs,
    /// The table
    pub name: Option<String>,
    /// The output format
    #[arg(long, value_enum, default_value_t = OutputFormat::Text)]
    pub format: OutputFormat,
    /// The file to write; `-` for standard output [default: -]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people
    Text,
    /// Markdown
    Md,
    /// Comma-separated values
    Csv,
    /// An array of flat objects
    Json,
    /// Typed columns; needs -o FILE
    Parquet,
}

#[derive(Args, Debug)]
pub struct ChooseArgs {
    #[command(flatten)]
    pub file: FileArgs,
    /// The greatest accepted drop from the baseline, in points (0.5pp) or as a share (0.005)
    #[arg(long, value_name = "DROP", value_parser = drop)]
    pub max_drop: Option<f64>,
    /// The most bytes of weights: 32768, 48KiB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_bytes: Option<u64>,
    /// The most bits of a code, without its share of scales
    #[arg(long, value_name = "BITS", value_parser = bits)]
    pub max_bits: Option<f64>,
    /// The `Choose` table to answer
    #[arg(long, value_name = "NAME")]
    pub table: Option<String>,
    /// The output format
    #[arg(long, value_enum, default_value_t = OutputFormat::Text)]
    pub format: OutputFormat,
}

#[derive(Args, Debug)]
pub struct ReportArgs {
    #[command(flatten)]
    pub file: FileArgs,
    /// The file to write; `-` for standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
}

#[derive(Args, Debug)]
pub struct PlotArgs {
    #[command(flatten)]
    pub file: FileArgs,
    /// The table, the node of trained networks, or the node or a task of a Confusion
    pub name: String,
    /// The file to write, .svg or .png; `-` for standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
    /// The format; that of the file's ending by default
    #[arg(long, value_enum)]
    pub format: Option<FigureFormat>,
    /// The width of a chart in pixels
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(200..=5000))]
    pub width: Option<u32>,
    /// The height of a chart in pixels
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(150..=5000))]
    pub height: Option<u32>,
    /// Draw sizes, or the values of curves, on a logarithmic axis
    #[arg(long)]
    pub log: bool,
    /// Average curves over this odd number of epochs, and draw the values themselves as faint dots
    #[arg(long, value_name = "EPOCHS", default_value_t = 1, value_parser = odd)]
    pub smooth: usize,
    /// Draw curves as a mean and a range for each value of this axis; may be repeated
    #[arg(long, value_name = "AXIS")]
    pub by: Vec<String>,
    /// A title above the figure
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
}

/// The formats of figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FigureFormat {
    Svg,
    Png,
}

#[derive(Args, Debug)]
pub struct Weights {
    #[command(flatten)]
    pub file: FileArgs,
    /// The task of a network, named as for `why`
    pub task: String,
    /// The file to write; `-` for standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
}

#[derive(Args, Debug)]
pub struct ExportArgs {
    #[command(flatten)]
    pub file: FileArgs,
    /// The task of a Train, an Import, a Quantize or an Allocate, named as for `why`
    pub task: String,
    /// What to write
    #[arg(long, value_enum)]
    pub to: ExportForm,
    /// The file to write, `-` for standard output; for C a new or empty folder
    #[arg(long, short, value_name = "PATH")]
    pub output: PathBuf,
    /// Write quantized tensors to ONNX in its own types (INT4, INT8, UINT8, FLOAT8), with the nodes that dequantize them
    #[arg(long)]
    pub typed: bool,
    /// The name of the C files and functions [default: the node's name]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

/// The form of an exported network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportForm {
    /// The packed network: codes, scales and formats in a safetensors file
    Packed,
    /// An ONNX file: binary32 weights that give the logits of the quantized network, or quantize-dequantize pairs of a network in integers
    Onnx,
    /// A folder of C99 files, for microcontrollers too, which compute the outputs to the last bit
    C,
}

/// Reads an odd number of epochs.
fn odd(text: &str) -> Result<usize, String> {
    let number = text.parse::<usize>().ok().filter(|number| number % 2 == 1 && *number < 1000);
    number.ok_or_else(|| "write an odd number below 1000, such as 5".to_owned())
}

/// Reads a drop: `0.5pp` in points, `0.005` as a share. Returns a share.
fn drop(text: &str) -> Result<f64, String> {
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|drop| (0.0..=100.0).contains(drop));
    let drop = match text.strip_suffix("pp") {
        Some(points) => number(points).map(|points| points / 100.0),
        // A larger number is probably meant in points.
        None => number(text).filter(|share| *share <= 0.25),
    };
    drop.ok_or_else(|| "a loss in points, such as 0.5pp, or as a share, such as 0.005".to_owned())
}

/// Reads a number of bits: `4`, `1.6`.
fn bits(text: &str) -> Result<f64, String> {
    let bits = text.parse::<f64>().ok().filter(|bits| bits.is_finite() && *bits > 0.0);
    bits.ok_or_else(|| "a number of bits above 0, such as 4".to_owned())
}

/// Reads a number of bytes: `32768`, `48KiB`, `1.5MiB`, `64kB`.
fn size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, f64); 6] =
        [("KiB", 1024.0), ("MiB", 1_048_576.0), ("kB", 1e3), ("KB", 1e3), ("MB", 1e6), ("B", 1.0)];
    let split = UNITS.iter().find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, *scale)));
    let (number, scale) = split.unwrap_or((text, 1.0));
    let bytes = number.trim().parse::<f64>().ok().map(|number| number * scale);
    let bytes = bytes.filter(|bytes| (0.0..1e18).contains(bytes)).map(|bytes| bytes as u64);
    bytes.ok_or_else(|| "a number of bytes, such as 32768 or 48KiB".to_owned())
}

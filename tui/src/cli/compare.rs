//! The arguments of `diff` and `cite`.
//! Knows nothing of the comparison.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::FileArgs;

#[derive(Args, Debug)]
#[command(
    override_usage = "fewbits diff [OPTIONS] <A> <B>\n       fewbits diff [OPTIONS] <A> <POINT> <POINT>",
    after_help = "A and B are files, or runs by the beginning of their ids (`fewbits runs` lists them). A point is a task without its seed, of A.\n\nExamples:\n  fewbits diff study.ron other.ron\n  fewbits diff 20261124-0915 study.ron\n  fewbits diff study.ron 'small(e=3)' 'small(e=2)' --format json"
)]
pub struct DiffArgs {
    /// A file, or a run
    #[arg(value_name = "A")]
    pub from: PathBuf,
    /// The second file or run; or the first of two points of A, such as 'small(e=3,m=0)'
    #[arg(value_name = "B")]
    pub to: PathBuf,
    /// The second point of A
    #[arg(value_name = "POINT")]
    pub second: Option<String>,
    /// The output format
    #[arg(long, value_enum, default_value_t = Form::Text)]
    pub format: Form,
}

#[derive(Args, Debug)]
#[command(
    after_help = "The digest of the results is the same on every machine whose numbers are the same.\n\nExamples:\n  fewbits cite study.ron\n  fewbits cite study.ron --format json"
)]
pub struct CiteArgs {
    #[command(flatten)]
    pub file: FileArgs,
    /// The output format
    #[arg(long, value_enum, default_value_t = Form::Text)]
    pub format: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people
    Text,
    /// One object
    Json,
}

//! The arguments of the commands of `store`.
//! Knows nothing of the store.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use fewbits_ops::scale::Percent;

#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Show the number and size of the results, by op and by experiment
    #[command(after_help = "Examples:\n  fewbits store info\n  fewbits store info --store other/.fewbits")]
    Info,
    /// Read every record and object, and report damage
    #[command(
        after_help = "Exit code 1 if anything is damaged or differs. Relative paths of a past run's files start from this folder.\n\nExamples:\n  fewbits store verify\n  fewbits store verify --recompute 1%\n  fewbits store verify --recompute 5% study.ron"
    )]
    Verify(Verify),
    /// List or delete the results that no experiment named here and no pinned run reaches
    #[command(
        after_help = "Without --delete, lists the results that would be deleted and the time to compute them again.\n\nExamples:\n  fewbits store gc study.ron other.ron\n  fewbits store gc study.ron --delete"
    )]
    Gc(Gc),
    /// Write results to a file that another store can import
    #[command(
        after_help = "Examples:\n  fewbits store export -o results.tar\n  fewbits store export study.ron -o study.tar"
    )]
    Export(Export),
    /// Import the results of a file that `store export` wrote; checksums detect damage, the author is trusted
    #[command(after_help = "Example:\n  fewbits store import results.tar")]
    Import(Import),
}

#[derive(Args, Debug)]
pub struct Verify {
    /// Compute this share of the tasks again and compare, such as 1%
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub recompute: Option<Percent>,
    /// Seed that selects the tasks to compute again [default: from the clock]
    #[arg(long, value_name = "S", requires = "recompute")]
    pub seed: Option<u64>,
    /// Experiments to select tasks from [default: those of the newest runs]
    #[arg(value_name = "FILE", requires = "recompute")]
    pub files: Vec<PathBuf>,
}

#[derive(Args, Debug)]
pub struct Gc {
    /// The experiments to keep
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Delete, instead of only listing the results to delete
    #[arg(long)]
    pub delete: bool,
    /// Delete even if a named experiment has tasks without a result; results that depend on those are deleted too
    #[arg(long)]
    pub unfinished: bool,
    /// Wait while another process writes to the store, instead of giving up
    #[arg(long)]
    pub wait: bool,
}

#[derive(Args, Debug)]
pub struct Export {
    /// The experiments to export [default: every result]
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
fn share(text: &str) -> Result<Percent, String> {
    // The decimal exponent moves the point by two digits exactly; a product by 100 would be rounded.
    let percent = match text.strip_suffix('%') {
        Some(percent) => percent.trim().to_owned(),
        None => format!("{}e2", text.trim()),
    };
    let share = percent.parse().ok().and_then(|percent| Percent::new(percent).ok());
    share.ok_or_else(|| "a share above 0% and up to 100%, such as 1% or 0.01".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values by hand: 7 % of 100, and shares that are rounded up. In binary64, 0.07 · 100 is above 7.
    #[test]
    fn a_share_is_the_decimal_number() {
        let check = |text: &str, of: usize, expected: usize| {
            assert_eq!(share(text).map(|share| share.rank(of)), Ok(expected), "{text} of {of}");
        };
        check("7%", 100, 7);
        check("0.07", 100, 7);
        check("7 %", 101, 8);
        check("0.29", 100, 29);
        check("1%", 1, 1);
        check("1", 13, 13);
        check("100%", 13, 13);
        for bad in ["0", "0%", "1.01", "101%", "-1%", "nan", "inf", "", "%", "few"] {
            assert!(share(bad).is_err(), "{bad}");
        }
    }
}

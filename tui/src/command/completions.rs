//! `completions`: prints a completion script for a shell.
//! The candidates come from `complete.rs`.

use anyhow::Result;
use clap_complete::Shell;

use super::print;
use crate::complete::script;
use crate::exit::Exit;

/// Prints the completion script.
pub fn completions(shell: Shell) -> Result<Exit> {
    print(&script(shell)?)?;
    Ok(Exit::Done)
}

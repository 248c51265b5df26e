//! `completions`: a script for a shell.

use anyhow::Result;
use clap::CommandFactory;
use clap_complete::{Shell, generate};

use super::print;
use crate::cli::Cli;
use crate::exit::Exit;

/// Prints the completion script.
pub fn completions(shell: Shell) -> Result<Exit> {
    let mut script = vec![];
    generate(shell, &mut Cli::command(), "fewbits", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}

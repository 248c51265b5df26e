//! `man`: manual pages, made from the same words as `--help`.
//! Knows nothing of the commands themselves.

use std::path::Path;

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_mangen::{Man, generate_to};

use super::print;
use crate::cli::Cli;
use crate::exit::Exit;

/// Prints the main page, or writes every page to a folder.
pub fn man(dir: Option<&Path>) -> Result<Exit> {
    let Some(dir) = dir else {
        let mut page = vec![];
        Man::new(Cli::command()).render(&mut page)?;
        print(&String::from_utf8_lossy(&page))?;
        return Ok(Exit::Done);
    };
    let pages = std::fs::create_dir_all(dir).and_then(|()| generate_to(Cli::command(), dir));
    pages.with_context(|| format!("the manual pages cannot be written to {}", dir.display()))?;
    Ok(Exit::Done)
}

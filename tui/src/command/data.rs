//! `data list` and `data fetch`.
//! Knows nothing of the content of a dataset, and takes no lock.

use std::io::IsTerminal;
use std::path::Path;

use anyhow::{Result, anyhow};
use fewbits_ops::dataset::fetch::{FetchError, FetchProgress, fetch, list};

use super::print;
use crate::cli::{DataCommand, Global};
use crate::exit::{Coded, Exit};
use crate::render::number::bytes;
use crate::session::data_dir;
use crate::ui::plain::printable;

/// Lists the datasets, or fetches one.
pub fn data(command: &DataCommand, global: &Global) -> Result<Exit> {
    let dir = data_dir(global);
    match command {
        DataCommand::List => {
            let mut text = format!("{}\n", dir.display());
            for dataset in list(&dir) {
                let state = if dataset.present { bytes(dataset.bytes) } else { "not here".to_owned() };
                text += &format!("  {:<14} {state:<10} {}\n", dataset.name, dataset.licence);
            }
            print(&printable(&text))?;
        }
        DataCommand::Fetch { name, mirror } => {
            let mut show = Show { live: std::io::stderr().is_terminal(), quiet: global.quiet, shown: 0 };
            fetch(name, &dir, mirror.as_deref(), &mut |progress| show.update(&progress)).map_err(
                |error| match error {
                    FetchError::Unknown { .. } => Coded::usage(error.to_string()),
                    other => anyhow!("{other}"),
                },
            )?;
            print(&format!("{name} is in {}\n", dir.display()))?;
        }
    }
    Ok(Exit::Done)
}

/// Shows a download: one line per step, and on a terminal the number of bytes received.
struct Show {
    live: bool,
    quiet: bool,
    shown: u64,
}

impl Show {
    fn update(&mut self, progress: &FetchProgress) {
        if self.quiet {
            return;
        }
        let name = |file: &Path| printable(&file.display().to_string());
        match progress {
            FetchProgress::Present { file } => sayln!("{}: already here", name(file)),
            FetchProgress::LeftAlone { file } => {
                sayln!("{}: already here, packed otherwise than published; left alone", name(file));
            }
            FetchProgress::Started { file, url } => {
                self.shown = 0;
                sayln!("{}: from {}", name(file), printable(url));
            }
            FetchProgress::Received { file, received, bytes: total } => {
                // Updates the line at steps of one percent.
                if self.live && (received - self.shown.min(*received)) * 100 >= *total {
                    self.shown = *received;
                    say!("\r{}: {} of {}  ", name(file), bytes(*received), bytes(*total));
                }
            }
            FetchProgress::Failed { url, reason } => sayln!("{}: {}", printable(url), printable(reason)),
            FetchProgress::Done { file } => {
                let start = if self.live { "\r" } else { "" };
                sayln!("{start}{}: done, checksum right        ", name(file));
            }
        }
    }
}

//! The commands, one per file.
//! Knows nothing of the arguments' syntax.

pub mod archive;
pub mod check;
pub mod choose;
pub mod cite;
pub mod collect;
pub mod completions;
pub mod data;
pub mod detach;
pub mod diff;
pub mod doctor;
pub mod export;
pub mod fmt;
pub mod live;
pub mod lsp;
pub mod man;
pub mod new;
pub mod plan;
pub mod report;
pub mod round;
pub mod run;
pub mod runs;
pub mod schema;
pub mod store;
pub mod table;
pub mod values;
pub mod verify;
pub mod version_queue;
pub mod watch;
pub mod weights;
pub mod why;
pub mod worker;

use anyhow::Result;

use crate::output;

/// Writes results to standard output. A reader that has closed it (`| head`) is no error.
pub fn print(text: &str) -> Result<()> {
    output::print_bytes(text.as_bytes())
}

/// Writes warnings to standard error, apart from the results.
pub fn note(messages: impl IntoIterator<Item = String>) {
    for message in messages {
        sayln!("warning: {}", crate::ui::plain::printable(&message));
    }
}

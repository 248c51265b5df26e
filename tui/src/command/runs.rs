//! `runs`: the past runs of a store, newest last.

use anyhow::Result;

use super::print;
use crate::cli::Global;
use crate::dashboard::archive::past;
use crate::exit::Exit;
use crate::session::reader;
use crate::ui::plain::{printable, sentence};

/// Lists runs.
pub fn runs(global: &Global) -> Result<Exit> {
    let store = reader(global)?;
    let mut text = String::new();
    for past in past(&store, usize::MAX)?.into_iter().rev() {
        let end = match &past.summary {
            Some(summary) => sentence(summary),
            None if past.going => "going on".to_owned(),
            None => "not finished".to_owned(),
        };
        text += &printable(&format!("{}  {}  {end}\n", past.id, past.experiment));
    }
    print(if text.is_empty() { "no runs yet\n" } else { &text })?;
    Ok(Exit::Done)
}

//! `runs`: the past runs of a store, newest last.

use anyhow::Result;
use fewbits_engine::event::Event;
use fewbits_engine::why::RunHeader;

use super::print;
use crate::cli::Global;
use crate::exit::Exit;
use crate::session::reader;
use crate::ui::plain::{printable, sentence};

/// Lists runs.
pub fn runs(global: &Global) -> Result<Exit> {
    let store = reader(global)?;
    let mut text = String::new();
    for id in store.runs()? {
        let mut journal = store.open_run(&id)?;
        let header = journal.next_line()?.and_then(|line| serde_json::from_str::<RunHeader>(&line).ok());
        let mut last = None;
        while let Some(line) = journal.next_line()? {
            last = Some(line);
        }
        let ended = last.and_then(|line| serde_json::from_str::<Event>(&line).ok());
        let experiment = header.map_or("?".to_owned(), |header| header.experiment);
        let end = match ended {
            Some(Event::Finished(summary)) => sentence(&summary),
            _ => "not finished".to_owned(),
        };
        text += &printable(&format!("{id}  {experiment}  {end}\n"));
    }
    print(if text.is_empty() { "no runs yet\n" } else { &text })?;
    Ok(Exit::Done)
}

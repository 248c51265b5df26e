//! `runs`: lists the runs of a store, the newest last, and pins them.
//! Knows nothing of their results.

use anyhow::Result;

use super::print;
use super::watch::find;
use crate::cli::{Global, Runs};
use crate::dashboard::past_runs::past;
use crate::exit::{Coded, Exit};
use crate::reach::Reach;
use crate::session::{reader, writer};
use crate::ui::plain::{printable, sentence};

/// Lists the runs, after pinning or unpinning one.
pub fn runs(args: &Runs, global: &Global) -> Result<Exit> {
    if let Some(wanted) = args.pin.as_ref().or(args.unpin.as_ref()) {
        let run = find(&reader(global)?, Some(wanted))?;
        let store = writer(global, false, || false)?;
        if args.pin.is_some() {
            let reach =
                Reach::of_run(&run, &store, global)?.map_err(|error| Coded::usage(error.to_string()))?;
            store.pin_run(&run, &reach.keys().into_iter().collect())?;
        } else {
            store.unpin_run(&run)?;
        }
    }
    let store = reader(global)?;
    let mut text = String::new();
    for past in past(&store, usize::MAX)?.into_iter().rev() {
        let end = match &past.summary {
            Some(summary) => sentence(summary),
            None if past.going => "going on".to_owned(),
            None => "not finished".to_owned(),
        };
        let follows = past.follows.map_or(String::new(), |before| format!("; follows {before}"));
        let pin = if store.is_pinned(&past.id) { "  (pinned)" } else { "" };
        text += &printable(&format!("{}  {}  {end}{follows}{pin}\n", past.id, past.experiment));
    }
    print(if text.is_empty() { "no runs yet\n" } else { &text })?;
    Ok(Exit::Done)
}

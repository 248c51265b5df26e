//! The experiment of a past run, parsed from the header of its run log.
//! Knows nothing of results.

use std::fmt;

use fewbits_engine::graph::TaskGraph;
use fewbits_engine::run_log::RunHeader;
use fewbits_ops::StandardOps;

/// The reason why the experiment of a past run cannot be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// The run log has no header: it was cut off.
    CutOff {
        /// The run's id.
        run: String,
    },
    /// This version finds a fault in the experiment's text.
    Faulty {
        /// The run's id.
        run: String,
        /// The message of the first fault.
        fault: Option<String>,
    },
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CutOff { run } => write!(f, "run {run} has no beginning: it was cut off"),
            Self::Faulty { run, fault } => {
                write!(f, "the experiment of run {run} cannot be read by this version")?;
                fault.as_ref().map_or(Ok(()), |fault| write!(f, ": {fault}"))
            }
        }
    }
}

/// Parses the experiment of a run; `header` is none where the run log has no header.
pub fn parse(
    run: &str,
    header: Option<RunHeader>,
    ops: &StandardOps,
) -> Result<(RunHeader, TaskGraph<StandardOps>), Unreadable> {
    let run = || run.to_owned();
    let header = header.ok_or_else(|| Unreadable::CutOff { run: run() })?;
    match TaskGraph::parse(&header.text, ops, usize::MAX) {
        Ok(graph) => Ok((header, graph)),
        Err(faults) => {
            let fault = faults.into_iter().next().map(|fault| fault.message);
            Err(Unreadable::Faulty { run: run(), fault })
        }
    }
}

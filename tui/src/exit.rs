//! Exit codes, and errors that carry one.
//! Knows nothing of the commands.

use std::fmt;
use std::process::ExitCode;

use fewbits_engine::run::coordinator::RunError;
use fewbits_engine::run::rebuild::RebuildError;
use fewbits_store::StoreError;

/// The exit codes of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The command succeeded.
    Done = 0,
    /// A task or a table failed, damage was found, or no point fits.
    Failed = 1,
    /// The file or the usage is wrong.
    Usage = 2,
    /// The store is in use by another process.
    InUse = 3,
    /// The store is newer than this program, or cannot be read or written.
    Store = 4,
    /// Interrupted.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error with an exit code.
#[derive(Debug)]
pub struct Coded {
    /// The exit code.
    pub exit: Exit,
    /// The message for the user.
    pub message: String,
}

impl Coded {
    /// Makes an error about the experiment file or the command line.
    pub fn usage(message: impl Into<String>) -> anyhow::Error {
        Self { exit: Exit::Usage, message: message.into() }.into()
    }
}

impl fmt::Display for Coded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Coded {}

/// Returns the exit code of an error: that of the first cause that has one.
#[must_use]
pub fn code_of(error: &anyhow::Error) -> Exit {
    for cause in error.chain() {
        if let Some(coded) = cause.downcast_ref::<Coded>() {
            return coded.exit;
        }
        let store = match (cause.downcast_ref::<StoreError>(), cause.downcast_ref::<RunError>()) {
            (Some(error), _) | (None, Some(RunError::Store(error))) => Some(error),
            _ => None,
        };
        match store {
            Some(StoreError::InUse { .. } | StoreError::Claimed { .. }) => return Exit::InUse,
            Some(StoreError::NotPrivate { .. }) => return Exit::Usage,
            _ => {}
        }
        if cause.is::<StoreError>()
            || matches!(cause.downcast_ref::<RunError>(), Some(RunError::Record { .. }))
        {
            return Exit::Store;
        }
        if matches!(cause.downcast_ref::<RunError>(), Some(RunError::Store(_)))
            || matches!(cause.downcast_ref::<RebuildError>(), Some(RebuildError::Store(_)))
        {
            return Exit::Store;
        }
    }
    Exit::Failed
}

//! How a run is asked to end before its time.
//! Knows nothing of who asks: a signal, a key.

/// What is asked of a run; it only ever becomes more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Halt {
    /// Go on.
    #[default]
    No,
    /// Start nothing more; what is running ends and counts.
    AfterRunning,
    /// Drop what is running; what is done is kept.
    Now,
}

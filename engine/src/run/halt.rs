//! The requests that end a run early.
//! Knows nothing of their origin: a signal or a key.

/// A halt request; later requests can only be stronger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Halt {
    /// The run goes on.
    #[default]
    No,
    /// No further task starts; running tasks end and count.
    AfterRunning,
    /// No further task starts here; what the workers of a cluster have in hand is left to them. Without workers, running tasks are
    /// dropped.
    Leave,
    /// Running tasks are dropped; finished results are kept.
    Now,
}

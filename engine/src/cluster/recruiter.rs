//! The recruiter: brings workers, and knows whether more will come.
//! A trait, because workers are started by a job scheduler or by hand. Knows no job.

/// What a recruiter knows about workers that are not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// Nothing new.
    Unchanged,
    /// Workers may come; a sentence for the user.
    Waiting(String),
    /// No worker will come any more; a sentence for the user, with what to do.
    Nobody(String),
}

/// Brings the workers of a run.
pub trait Recruiter: Send {
    /// Starts workers. The dispatcher calls this once, when a task is ready to run. Returns a sentence for the user.
    fn recruit(&mut self) -> Result<String, String>;

    /// Returns what is known about workers that are not there. `present` has the members of the scheduler's array that are there,
    /// `ended` those that ended. The dispatcher calls this all the time: an answer that costs something is for the
    /// recruiter to limit.
    fn outlook(&mut self, present: &[(String, u32)], ended: &[(String, u32)]) -> Outlook;

    /// Ends the workers that have not ended by themselves. `ended` has the members of the scheduler's array that have.
    fn dismiss(&mut self, ended: &[(String, u32)]);

    /// Whether workers end with the run.
    fn ends_workers(&self) -> bool;
}

//! The effects of the executor's and the committer's reports on a run.
//! Knows neither threads nor workers.

use fewbits_store::StoreError;

use super::Coordinator;
use crate::event::Event;
use crate::ops::{OpError, Ops};
use crate::parts::Parts;
use crate::run::coordinator::RunError;
use crate::run::executor::{Outcome, Report};
use crate::run::job::{Job, JobError, JobResult};

impl<O: Ops> Coordinator<'_, O> {
    /// Handles a report of the executor.
    pub(super) fn reported(&mut self, report: Report<O::Artifact>) -> Result<(), RunError> {
        match report {
            Report::Began { number, on } => {
                if let Some(flight) = self.crew.flights.get_mut(&number) {
                    flight.on = Some(on.clone());
                }
                if let Some(job) = self.jobs.get(&number) {
                    self.state.began(job, Some(on));
                }
            }
            Report::Returned { number, from, because } => {
                if let Some(flight) = self.crew.flights.get_mut(&number) {
                    (flight.on, flight.progress) = (None, vec![]);
                }
                if let Some(job) = self.jobs.get(&number) {
                    let task = self.graph.name(job.task);
                    self.state.tell(Event::Returned { task, from, because });
                }
            }
            Report::Ended(number, outcome) => self.ended(number, outcome)?,
            Report::Differing { key, message } => {
                self.differing.insert(key);
                self.state.tell(Event::Warned { message });
            }
            Report::WorkerJoined { worker, jobs } => {
                self.crew.workers.push((worker.clone(), jobs));
                self.state.tell(Event::WorkerJoined { worker, jobs });
            }
            Report::WorkerLeft { worker, jobs, because } => {
                let at = self.crew.workers.iter().position(|(place, _)| *place == worker);
                at.map(|at| self.crew.workers.swap_remove(at));
                self.state.tell(Event::WorkerLeft { worker, jobs, because });
            }
            // The loop looks at the capacity after every message.
            Report::CapacityChanged => {}
            Report::Noted(message) => self.state.tell(Event::Noted { message }),
            Report::Warned(message) => self.state.tell(Event::Warned { message }),
            Report::Abandoned(message) => {
                self.state.tell(Event::Warned { message });
                self.stop();
            }
            Report::Broken(error @ StoreError::Claimed { .. }) => {
                self.claimed = Some(error);
                self.stop();
            }
            Report::Broken(error) => {
                self.store_error.get_or_insert_with(|| error.to_string());
                self.stop();
            }
        }
        Ok(())
    }

    fn ended(&mut self, number: u64, outcome: Outcome<O::Artifact>) -> Result<(), RunError> {
        let flight = self.crew.flights.remove(&number);
        let Some(job) = self.jobs.remove(&number) else {
            // A job of an earlier version that this one does not want: its result is true all the same.
            if let (Some(flight), Ok(done)) = (flight, outcome) {
                self.crew.commit(number, flight.key, done);
            }
            self.state.clear_unwanted();
            return Ok(());
        };
        if flight.is_some_and(|flight| flight.is_taken_over) {
            // It may have had other inputs of the same digests.
            self.state.clear_unwanted();
        }
        match outcome {
            Ok(done) => self.done(number, &job, done)?,
            Err(error) => self.undone(&job, &error)?,
        }
        self.state.sweep(&job);
        Ok(())
    }

    /// Handles a job's result: submits it to the store.
    fn done(&mut self, number: u64, job: &Job, done: JobResult<O::Artifact>) -> Result<(), RunError> {
        let (metrics, seconds) = (done.record.metrics.clone(), done.record.seconds);
        let parts = Parts::from_record(self.graph.kind(job.task).parts, &done.record.parts);
        self.saving.insert(number, job.task);
        let artifact = self.crew.commit(number, job.key, done);
        Ok(self.state.computed(job, metrics, seconds, parts, artifact)?)
    }

    /// Handles a job without a result.
    fn undone(&mut self, job: &Job, error: &JobError) -> Result<(), RunError> {
        match error {
            JobError::Op(OpError::Cancelled) => {
                self.state.cancelled(job.task);
                return Ok(());
            }
            JobError::Lost { key, .. } => {
                // A job of an earlier version may have had other inputs of the same digests.
                match job.input_of(key) {
                    Some(input) => self.state.lost(job.task, input)?,
                    None => self.state.send_back(job.task, None)?,
                }
                return Ok(());
            }
            JobError::Differs { key, .. } => self.state.drop_record(key)?,
            JobError::Store(error) => {
                // Every further task would fail with the same error.
                self.store_error.get_or_insert_with(|| error.to_string());
                self.stop();
            }
            JobError::Op(_) | JobError::Changed(_) => {}
        }
        self.state.failed(job.task, error.to_string());
        Ok(())
    }

    /// Handles records that reached the disk or failed to; after a failure their tasks fail and the run stops.
    pub(super) fn recorded(&mut self, numbers: &[u64], result: &Result<(), String>) {
        for number in numbers {
            let Some(task) = self.saving.remove(number) else { continue };
            match result {
                Ok(()) => self.state.recorded(task),
                Err(error) => self.state.refused(task, error),
            }
        }
        if let Err(error) = result {
            self.store_error.get_or_insert_with(|| error.clone());
            self.stop();
        }
    }
}

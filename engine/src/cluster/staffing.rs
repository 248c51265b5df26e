//! The staff of a run: finds workers that came, brings workers as long as tasks are ready, and ends them with the run.
//! Knows no job.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use fewbits_store::{Holder, MailReader, MailWriter, StoreError};

use super::dispatcher::{Dispatcher, Prospect};
use super::message::Order;
use super::recruiter::Outlook;
use super::roster::{Presence, RosterEntry};
use crate::ops::Ops;
use crate::run::executor::Report;

/// The time that workers get at the end of a run to say goodbye, and the pause between two looks for it.
const GOODBYE: Duration = Duration::from_secs(3);
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

impl<O: Ops> Dispatcher<O> {
    /// Finds new workers.
    pub(super) fn call_roll(&mut self) -> Result<(), StoreError> {
        for worker in self.exchange.workers()? {
            if !self.roster.contains_key(&worker) {
                let replies = MailReader::new(&self.exchange.results(&worker));
                let mut orders = MailReader::new(&self.exchange.jobs(&worker));
                if !orders.read::<Order>()?.is_empty() {
                    // This coordinator has written nothing to this worker.
                    return Err(StoreError::Claimed {
                        path: self.exchange.root().to_owned(),
                        holder: Holder::default(),
                    });
                }
                // The worker makes its mailboxes one after the other.
                let Ok(writer) = MailWriter::resume(&orders) else { continue };
                self.roster.insert(worker, RosterEntry::new(replies, Some(writer)));
            }
        }
        Ok(())
    }

    /// Brings workers, and ends the run if none will come.
    pub(super) fn recruit(&mut self) {
        if !self.is_wanted || self.prospect != Prospect::Good || self.has_left.load(Ordering::Relaxed) {
            return;
        }
        let is_there = |entry: &RosterEntry| matches!(entry.presence, Presence::Present | Presence::Unheard);
        let has_any = self.roster.values().any(is_there);
        if self.told.is_none() && !(self.recruitments > 0 && has_any) {
            let recruited = self.recruiter.recruit();
            self.told = Some(String::new());
            self.recruitments += 1;
            (self.report)(match recruited {
                Ok(note) => Report::Noted(note),
                Err(sentence) => {
                    self.prospect = Prospect::NoWorkers;
                    Report::Abandoned(sentence)
                }
            });
            return;
        }
        let (present, departed) = (self.members(Presence::Present), self.members(Presence::Departed));
        match self.recruiter.outlook(&present, &departed) {
            Outlook::Waiting(sentence) if self.told.as_ref() != Some(&sentence) => {
                self.told = Some(sentence.clone());
                (self.report)(Report::Warned(sentence));
            }
            Outlook::Nobody(sentence) if !has_any => {
                self.prospect = Prospect::NoWorkers;
                (self.report)(Report::Abandoned(sentence));
            }
            Outlook::Unchanged | Outlook::Waiting(_) | Outlook::Nobody(_) => {}
        }
    }

    /// Ends the workers, or leaves them.
    pub(super) fn end(mut self) {
        if self.prospect == Prospect::Broken {
            return;
        }
        if self.has_left.load(Ordering::Relaxed) {
            // The last assignments arrived just before.
            let _ = self.place().and_then(|()| self.send());
            return;
        }
        let ends_workers = self.recruiter.ends_workers();
        let numbers: Vec<u64> = self.open.keys().copied().collect();
        for number in numbers {
            self.call_off(number);
        }
        for entry in self.roster.values_mut().filter(|entry| entry.presence != Presence::Departed) {
            entry.outbox.extend(ends_workers.then_some(Order::End));
        }
        let _ = self.send();
        if self.is_settled && ends_workers {
            self.wait_for_goodbyes();
        }
        if ends_workers {
            let ended = self.members(Presence::Departed);
            self.recruiter.dismiss(&ended);
        }
        if self.is_settled {
            self.clean_up();
        }
    }

    /// Gives workers that were told to end a moment for it.
    fn wait_for_goodbyes(&mut self) {
        let start = Instant::now();
        while self.roster.values().any(RosterEntry::is_present) && start.elapsed() < GOODBYE {
            std::thread::sleep(BETWEEN_LOOKS);
            self.hear();
        }
    }

    /// Removes what no later run needs. Errors leave files that a later run removes.
    fn clean_up(&self) {
        for (worker, _) in self.roster.iter().filter(|(_, entry)| !entry.is_present()) {
            let _ = self.exchange.dismiss(worker);
        }
        if !self.roster.values().any(RosterEntry::is_present) {
            let _ = self.exchange.clear();
        }
    }

    /// Returns the members of the scheduler's array that are present, or have departed.
    pub(super) fn members(&self, presence: Presence) -> Vec<(String, u32)> {
        let entries = self.roster.values().filter(|entry| entry.presence == presence);
        entries.filter_map(|entry| entry.hello.as_ref()?.member.clone()).collect()
    }
}

//! The staff of a run: finds workers that came, and brings workers as long as tasks are ready.
//! Knows no job.

use std::sync::atomic::Ordering;

use fewbits_store::{Holder, MailReader, MailWriter, StoreError};

use super::dispatcher::{Dispatcher, Prospect};
use super::message::Order;
use super::recruiter::Outlook;
use super::roster::{Presence, RosterEntry};
use crate::ops::Ops;
use crate::run::executor::Report;

impl<O: Ops> Dispatcher<O> {
    /// Finds new workers.
    pub(super) fn call_roll(&mut self) -> Result<(), StoreError> {
        for worker in self.exchange.workers()? {
            if !self.roster.contains_key(&worker) {
                let replies = MailReader::new(&self.exchange.results(&worker));
                // The worker makes its mailboxes one after the other.
                let orders = MailReader::new(&self.exchange.jobs(&worker));
                let mut orders = orders;
                if !orders.read::<Order>()?.is_empty() {
                    // This coordinator has written nothing to this worker.
                    return Err(StoreError::Claimed {
                        path: self.exchange.root().to_owned(),
                        holder: Holder::default(),
                    });
                }
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
        if self.told.is_none() && !(self.has_recruited && has_any) {
            let recruited = self.recruiter.recruit();
            (self.told, self.has_recruited) = (Some(String::new()), true);
            (self.report)(match recruited {
                Ok(note) => Report::Noted(note),
                Err(sentence) => {
                    self.prospect = Prospect::NoWorkers;
                    Report::Abandoned(sentence)
                }
            });
            return;
        }
        let members = |is_wanted: &dyn Fn(Presence) -> bool| {
            let entries = self.roster.values().filter(|entry| is_wanted(entry.presence));
            entries.filter_map(|entry| entry.hello.as_ref()?.member.clone()).collect::<Vec<_>>()
        };
        let present = members(&|presence| presence == Presence::Present);
        let departed = members(&|presence| presence == Presence::Departed);
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
}

//! The signs of life of a worker: a thread that writes one at regular times, also while a job takes long.
//! Knows no job.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use fewbits_store::MailWriter;

use super::message::Reply;

/// The thread that gives signs of life.
pub(super) struct Beats {
    end: mpsc::Sender<()>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Beats {
    pub(super) fn start(replies: Arc<Mutex<MailWriter>>, every: Duration) -> Self {
        let (end, ended) = mpsc::channel();
        let beat = move || {
            while ended.recv_timeout(every) == Err(mpsc::RecvTimeoutError::Timeout) {
                // A missing sign tells the coordinator that this worker cannot write to the exchange.
                let _ = replies.lock().unwrap_or_else(PoisonError::into_inner).append(&[Reply::Beat], true);
            }
        };
        let thread = std::thread::Builder::new().name("beats".to_owned()).spawn(beat).ok();
        Self { end, thread }
    }

    pub(super) fn end(self) {
        drop(self.end);
        if let Some(thread) = self.thread {
            let _ = thread.join();
        }
    }
}

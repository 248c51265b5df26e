//! The mailbox of the driver: updates from other threads, and a bell that wakes the driver while it waits for keys. The
//! bell is a pipe, because one `poll` must wait for both the bell and the terminal.
//! Knows nothing of the content of updates.

use std::io::{self, PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

/// Sends updates to a mailbox.
pub struct Mail<T> {
    update: Sender<T>,
    bell: Bell,
}

/// Wakes the thread that waits at a mailbox.
#[derive(Clone)]
pub struct Bell {
    rung: Arc<AtomicBool>,
    pipe: Arc<PipeWriter>,
}

/// The receiving end of a mailbox.
pub struct Mailbox<T> {
    update: Receiver<T>,
    rung: Arc<AtomicBool>,
    pipe: PipeReader,
}

/// Creates a mailbox and its first sender.
pub fn mailbox<T>() -> io::Result<(Mail<T>, Mailbox<T>)> {
    let (update, inbox) = channel();
    let (reader, writer) = pipe()?;
    let rung = Arc::new(AtomicBool::new(false));
    let bell = Bell { rung: Arc::clone(&rung), pipe: Arc::new(writer) };
    Ok((Mail { update, bell }, Mailbox { update: inbox, rung, pipe: reader }))
}

impl<T> Mail<T> {
    /// Sends an update and rings the bell. Does nothing if the mailbox is gone, as while the dashboard closes.
    pub fn send(&self, update: T) {
        let _ = self.update.send(update);
        self.bell.ring();
    }

    /// Returns the bell alone, which wakes the driver without an update.
    #[must_use]
    pub fn bell(&self) -> Bell {
        self.bell.clone()
    }
}

impl<T> Clone for Mail<T> {
    fn clone(&self) -> Self {
        Self { update: self.update.clone(), bell: self.bell.clone() }
    }
}

impl Bell {
    /// Rings the bell. At most one byte is in the pipe, so a writer never blocks.
    pub fn ring(&self) {
        if !self.rung.swap(true, Ordering::SeqCst) {
            let _ = (&*self.pipe).write(&[0]);
        }
    }
}

impl<T> Mailbox<T> {
    /// Takes at most `most` pending updates. `rings` says whether `poll` found the pipe readable.
    pub fn take(&self, rings: bool, most: usize) -> Vec<T> {
        // The bell is reset before updates are taken, so that an update sent meanwhile rings again.
        if rings && (&self.pipe).read(&mut [0]).is_ok() {
            self.rung.swap(false, Ordering::SeqCst);
        }
        self.update.try_iter().take(most).collect()
    }
}

impl<T> AsFd for Mailbox<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    /// Waits for the bell; returns whether it rang.
    fn rings<T>(mailbox: &Mailbox<T>, most: Duration) -> bool {
        let most = Timespec { tv_sec: most.as_secs() as i64, tv_nsec: i64::from(most.subsec_nanos()) };
        poll(&mut [PollFd::new(mailbox, PollFlags::IN)], Some(&most)).unwrap() > 0
    }

    #[test]
    fn news_ring_once_until_they_are_taken() {
        let (mail, mailbox) = mailbox().unwrap();
        assert!(!rings(&mailbox, Duration::ZERO));
        for n in 0..100_000 {
            mail.send(n);
        }
        assert!(rings(&mailbox, Duration::ZERO));
        assert_eq!(mailbox.take(true, 3), [0, 1, 2]);
        assert!(!rings(&mailbox, Duration::ZERO));
        assert_eq!(mailbox.take(false, usize::MAX).len(), 99_997);
        mail.bell().ring();
        assert!(rings(&mailbox, Duration::ZERO) && mailbox.take(true, 1).is_empty());
    }

    #[test]
    fn no_news_is_left_without_a_ring() {
        let (mail, mailbox) = mailbox().unwrap();
        let senders: Vec<_> = (0..4)
            .map(|_| {
                let mail = mail.clone();
                thread::spawn(move || (0..10_000).for_each(|n| mail.send(n)))
            })
            .collect();
        let mut came = 0;
        while came < 40_000 {
            // A lost ring would leave an update in the mailbox, and this wait would time out.
            assert!(rings(&mailbox, Duration::from_secs(20)), "{came} came");
            came += mailbox.take(true, usize::MAX).len();
        }
        for sender in senders {
            sender.join().unwrap();
        }
        drop(mailbox);
        mail.send(0);
    }
}

//! Signals that ask the program to end: the first is passed on, the second ends it at once.
//! Listens on a thread of its own, so that it hears them whatever the others do.

use std::io::{IsTerminal, Write};
use std::thread;

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::exit::Exit;

/// Starts to listen; what is returned becomes true at the first signal.
pub fn listen() -> Result<watch::Receiver<bool>> {
    let (cancel, cancelled) = watch::channel(false);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("no async runtime")?;
    // Registered before the thread starts, so that none is missed.
    let signals = runtime.block_on(async { register() })?;
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || runtime.block_on(pass_on(signals, &cancel)))
        .context("signals cannot be received")?;
    Ok(cancelled)
}

fn register() -> Result<[Signal; 3]> {
    let on = |kind| signal(kind).context("signals cannot be received");
    Ok([on(SignalKind::interrupt())?, on(SignalKind::terminate())?, on(SignalKind::hangup())?])
}

async fn pass_on([mut interrupt, mut terminate, mut hangup]: [Signal; 3], cancel: &watch::Sender<bool>) {
    for first in [true, false] {
        tokio::select! {
            _ = interrupt.recv() => (),
            _ = terminate.recv() => (),
            _ = hangup.recv() => (),
        }
        if first {
            let _ = cancel.send(true);
            continue;
        }
        let mut terminal = std::io::stderr();
        if terminal.is_terminal() {
            // The live view hides the cursor while it draws.
            let _ = terminal.write_all(b"\x1b[?25h\n");
        }
        std::process::exit(Exit::Interrupted as i32);
    }
}

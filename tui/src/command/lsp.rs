//! `lsp`: the language server, on standard input and output.

use anyhow::Result;
use lsp_server::Connection;

use crate::cli::Global;
use crate::exit::Exit;
use crate::lsp::server::Server;

/// Serves an editor until it ends the session.
pub fn lsp(global: &Global) -> Result<Exit> {
    let (connection, threads) = Connection::stdio();
    let served = Server::start(global, &connection).and_then(|server| match server {
        Some(mut server) => server.serve(),
        None => Ok(true),
    });
    let is_shut_down = served?;
    // The threads end once the connection is gone.
    drop(connection);
    threads.join()?;
    // The protocol wants an error if the editor leaves without asking for the shutdown.
    Ok(if is_shut_down { Exit::Done } else { Exit::Failed })
}

//! The server: it reads the messages of an editor and answers them, one after the other.
//! Knows the protocol, and no field of experiments.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::Result;
use fewbits_ops::StandardOps;
use lsp_server::{Connection, ErrorCode, Message, Notification, Request, Response};
use lsp_types::notification::{
    DidChangeTextDocument, DidCloseTextDocument, DidOpenTextDocument, DidSaveTextDocument, Exit,
    Notification as _, PublishDiagnostics,
};
use lsp_types::request::{
    CodeActionRequest, Completion, DocumentSymbolRequest, FoldingRangeRequest, Formatting, GotoDefinition,
    HoverRequest, InlayHintRefreshRequest, InlayHintRequest, References, Rename, Request as _, Shutdown,
};
use lsp_types::{
    CodeActionParams, CompletionParams, DidChangeTextDocumentParams, DidCloseTextDocumentParams,
    DidOpenTextDocumentParams, DidSaveTextDocumentParams, DocumentFormattingParams, DocumentSymbolParams,
    DocumentSymbolResponse, FoldingRangeParams, GotoDefinitionParams, GotoDefinitionResponse, HoverParams,
    InlayHintParams, PublishDiagnosticsParams, ReferenceParams, RenameParams, TextDocumentItem, Uri,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use super::answers;
use super::document::Encoding;
use super::open_text::OpenText;
use super::template::Language;
use crate::cli::Global;

/// The time without a message after which the server looks whether the store changed.
const LOOK: Duration = Duration::from_secs(1);

/// The state of a server.
pub struct Server<'g> {
    global: &'g Global,
    connection: &'g Connection,
    messages: Receiver<Message>,
    encoding: Encoding,
    language: Arc<Language>,
    /// Whether the editor takes completions with stops for missing values.
    has_snippets: bool,
    /// Whether the editor supports `workspace/inlayHint/refresh`.
    refreshes_hints: bool,
    open: HashMap<String, OpenText>,
    /// The texts that changed since their faults were sent.
    changed: Vec<Uri>,
    /// The number of requests to the editor.
    requests_sent: i32,
    /// Whether the editor asked for the shutdown.
    is_shut_down: bool,
}

impl<'g> Server<'g> {
    /// Performs the initialize handshake; `None` if the editor closed the connection first.
    pub fn start(global: &'g Global, connection: &'g Connection) -> Result<Option<Self>> {
        let (id, params) = match connection.initialize_start() {
            Err(error) if error.channel_is_disconnected() => return Ok(None),
            greeted => greeted?,
        };
        let client = &params["capabilities"];
        let encodings = client["general"]["positionEncodings"].as_array();
        let is_utf8 = encodings.is_some_and(|all| all.iter().any(|encoding| encoding == "utf-8"));
        let encoding = if is_utf8 { Encoding::Utf8 } else { Encoding::Utf16 };
        let item = &client["textDocument"]["completion"]["completionItem"];
        let capabilities = json!({
            "positionEncoding": if is_utf8 { "utf-8" } else { "utf-16" },
            "textDocumentSync": { "openClose": true, "change": 2, "save": true },
            "completionProvider": { "triggerCharacters": ["(", ",", " ", ":", "\"", ".", "[", "{"] },
            "hoverProvider": true,
            "definitionProvider": true,
            "referencesProvider": true,
            "renameProvider": true,
            "documentSymbolProvider": true,
            "documentFormattingProvider": true,
            "foldingRangeProvider": true,
            "inlayHintProvider": true,
            "codeActionProvider": { "codeActionKinds": ["quickfix"] },
        });
        let info = json!({ "name": "fewbits", "version": env!("CARGO_PKG_VERSION") });
        connection.initialize_finish(id, json!({ "capabilities": capabilities, "serverInfo": info }))?;
        Ok(Some(Self {
            global,
            connection,
            messages: unbounded(connection),
            encoding,
            language: Arc::new(Language::new(&StandardOps::new(PathBuf::new(), PathBuf::new()))),
            has_snippets: item["snippetSupport"] == true,
            refreshes_hints: client["workspace"]["inlayHint"]["refreshSupport"] == true,
            open: HashMap::new(),
            changed: vec![],
            requests_sent: 0,
            is_shut_down: false,
        }))
    }

    /// Answers messages until the editor ends the session. Returns whether it asked for the shutdown before, as the protocol
    /// wants it.
    pub fn serve(&mut self) -> Result<bool> {
        loop {
            let mut next = match self.messages.recv_timeout(LOOK) {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => {
                    self.refresh_hints()?;
                    None
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(self.is_shut_down),
            };
            while let Some(message) = next {
                match message {
                    Message::Request(request) => {
                        let response = self.answer(request);
                        self.connection.sender.send(Message::Response(response))?;
                    }
                    Message::Notification(notification) if notification.method == Exit::METHOD => {
                        return Ok(self.is_shut_down);
                    }
                    Message::Notification(notification) => self.note(notification)?,
                    Message::Response(_) => {}
                }
                next = self.messages.try_recv().ok();
            }
            // No edit waits: an editor that types fast gets the faults of the last text.
            for uri in std::mem::take(&mut self.changed) {
                self.send_faults(uri)?;
            }
        }
    }

    fn note(&mut self, notification: Notification) -> Result<()> {
        let Notification { method, params } = notification;
        match method.as_str() {
            DidOpenTextDocument::METHOD => {
                let Ok(params) = read::<DidOpenTextDocumentParams>(params) else { return Ok(()) };
                let TextDocumentItem { uri, text, version, .. } = params.text_document;
                let open = OpenText::new(&path(&uri), text, version, self.encoding, self.global);
                self.open.insert(uri.to_string(), open);
                self.changed.push(uri);
            }
            DidChangeTextDocument::METHOD => {
                let Ok(params) = read::<DidChangeTextDocumentParams>(params) else { return Ok(()) };
                let uri = params.text_document.uri;
                if let Some(open) = self.open.get_mut(uri.as_str()) {
                    open.edit(params.content_changes, params.text_document.version);
                    if !self.changed.contains(&uri) {
                        self.changed.push(uri);
                    }
                }
            }
            DidSaveTextDocument::METHOD => {
                let Ok(params) = read::<DidSaveTextDocumentParams>(params) else { return Ok(()) };
                let uri = params.text_document.uri;
                if let Some(open) = self.open.get_mut(uri.as_str()) {
                    open.forget();
                    self.changed.push(uri);
                }
            }
            DidCloseTextDocument::METHOD => {
                let Ok(params) = read::<DidCloseTextDocumentParams>(params) else { return Ok(()) };
                let uri = params.text_document.uri;
                if self.open.remove(uri.as_str()).is_some() {
                    self.publish(PublishDiagnosticsParams { uri, diagnostics: vec![], version: None })?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn send_faults(&mut self, uri: Uri) -> Result<()> {
        let Some(open) = self.open.get_mut(uri.as_str()) else { return Ok(()) };
        let (version, diagnostics) = (Some(open.version), answers::diagnostics(open));
        self.publish(PublishDiagnosticsParams { uri, diagnostics, version })
    }

    fn publish(&self, faults: PublishDiagnosticsParams) -> Result<()> {
        let notification = Notification::new(PublishDiagnostics::METHOD.to_owned(), faults);
        self.connection.sender.send(Message::Notification(notification))?;
        Ok(())
    }

    /// Lets the editor ask for hints again, if a run stored results meanwhile.
    fn refresh_hints(&mut self) -> Result<()> {
        let outdated = self.open.values_mut().filter_map(|open| open.forget_outdated().then_some(())).count();
        if self.refreshes_hints && outdated > 0 {
            self.requests_sent += 1;
            let (id, method) = (self.requests_sent.into(), InlayHintRefreshRequest::METHOD.to_owned());
            self.connection.sender.send(Message::Request(Request::new(id, method, Json::Null)))?;
        }
        Ok(())
    }

    fn answer(&mut self, request: Request) -> Response {
        let Request { id, method, params } = request;
        if self.is_shut_down {
            let message = "the editor asked for the shutdown".to_owned();
            return Response::new_err(id, ErrorCode::InvalidRequest as i32, message);
        }
        let (language, has_snippets) = (Arc::clone(&self.language), self.has_snippets);
        let answer = match method.as_str() {
            Shutdown::METHOD => {
                self.is_shut_down = true;
                Ok(Json::Null)
            }
            Completion::METHOD => self.on(params, |open, params: CompletionParams| {
                let position = params.text_document_position.position;
                Some(answers::completions(open, position, &language, has_snippets))
            }),
            HoverRequest::METHOD => self.on(params, |open, params: HoverParams| {
                answers::hover(open, params.text_document_position_params.position)
            }),
            GotoDefinition::METHOD => self.on(params, |open, params: GotoDefinitionParams| {
                let at = params.text_document_position_params;
                answers::definition(open, at.text_document.uri, at.position)
                    .map(GotoDefinitionResponse::Scalar)
            }),
            References::METHOD => self.on(params, |open, params: ReferenceParams| {
                let at = params.text_document_position;
                let include_declaration = params.context.include_declaration;
                answers::references(open, &at.text_document.uri, at.position, include_declaration)
            }),
            Rename::METHOD => {
                let mut refused = None;
                let answer = self.on(params, |open, params: RenameParams| {
                    let at = params.text_document_position;
                    let edit = answers::renamed(open, at.text_document.uri, at.position, &params.new_name);
                    edit.map_err(|message| refused = Some(message)).ok()
                });
                refused.map_or(answer, Err)
            }
            DocumentSymbolRequest::METHOD => self.on(params, |open, _: DocumentSymbolParams| {
                Some(DocumentSymbolResponse::Nested(answers::symbols(open)))
            }),
            FoldingRangeRequest::METHOD => {
                self.on(params, |open, _: FoldingRangeParams| Some(answers::folding(open)))
            }
            Formatting::METHOD => {
                self.on(params, |open, _: DocumentFormattingParams| answers::laid_out(open))
            }
            InlayHintRequest::METHOD => {
                self.on(params, |open, params: InlayHintParams| Some(answers::hints(open, params.range)))
            }
            CodeActionRequest::METHOD => {
                self.on(params, |open, params: CodeActionParams| Some(answers::fixes(open, &params)))
            }
            _ => {
                let message = format!("{method} is not offered");
                return Response::new_err(id, ErrorCode::MethodNotFound as i32, message);
            }
        };
        match answer {
            Ok(answer) => Response::new_ok(id, answer),
            Err(message) => Response::new_err(id, ErrorCode::InvalidParams as i32, message),
        }
    }

    /// Answers a request about a text: null if it is not open or too large, or if there is nothing to say. The error says
    /// what is wrong with the parameters.
    fn on<P: DeserializeOwned, T: Serialize>(
        &mut self,
        params: Json,
        answer: impl FnOnce(&mut OpenText, P) -> Option<T>,
    ) -> Result<Json, String> {
        let uri = params["textDocument"]["uri"].as_str().unwrap_or_default().to_owned();
        let params = read::<P>(params)?;
        let open = self.open.get_mut(&uri).filter(|open| !open.is_too_large());
        let answer = open.and_then(|open| answer(open, params));
        serde_json::to_value(answer).map_err(|error| error.to_string())
    }
}

/// Moves the messages of a connection into a channel without a limit, so that it is known whether one waits: the
/// connection's own channel holds none.
fn unbounded(connection: &Connection) -> Receiver<Message> {
    let (send, messages) = channel();
    let from = connection.receiver.clone();
    std::thread::spawn(move || {
        // The channel of the connection ends with the input, and with the notification `exit`.
        for message in from {
            if send.send(message).is_err() {
                return;
            }
        }
    });
    messages
}

fn read<P: DeserializeOwned>(params: Json) -> Result<P, String> {
    serde_json::from_value(params).map_err(|error| error.to_string())
}

/// Returns the path of a file's address; percent signs are decoded.
fn path(uri: &Uri) -> PathBuf {
    let text = uri.path().as_str();
    let mut bytes = vec![];
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| byte == b'%') {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    PathBuf::from(String::from_utf8_lossy(&bytes).into_owned())
}

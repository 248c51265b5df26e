//! The server: it reads the messages of an editor and answers them, one after the other.
//! Knows the protocol, and nothing of experiments.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use fewbits_ops::StandardOps;
use lsp_server::{Connection, ErrorCode, Message, Notification, Request, Response};
use lsp_types::notification::{
    DidChangeTextDocument, DidCloseTextDocument, DidOpenTextDocument, Notification as _, PublishDiagnostics,
};
use lsp_types::request::{
    CodeActionRequest, Completion, DocumentSymbolRequest, FoldingRangeRequest, Formatting, GotoDefinition,
    HoverRequest, InlayHintRefreshRequest, InlayHintRequest, References, Rename, Request as _,
};
use lsp_types::{
    CodeActionParams, CompletionParams, DidChangeTextDocumentParams, DidCloseTextDocumentParams,
    DidOpenTextDocumentParams, DocumentFormattingParams, DocumentSymbolParams, DocumentSymbolResponse,
    FoldingRangeParams, GotoDefinitionParams, GotoDefinitionResponse, HoverParams, InlayHintParams,
    PublishDiagnosticsParams, ReferenceParams, RenameParams, TextDocumentItem, Uri,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use super::answers;
use super::document::Encoding;
use super::open_text::OpenText;
use super::template::Language;
use crate::cli::Global;

/// The time between two looks at the store, while the editor shows the counts of results.
const LOOK: Duration = Duration::from_secs(1);

/// The state of a server.
pub struct Server<'g> {
    global: &'g Global,
    connection: &'g Connection,
    encoding: Encoding,
    language: Arc<Language>,
    /// Whether the editor takes completions with stops for missing values.
    has_snippets: bool,
    /// Whether the editor asks for hints again if it is told to.
    refreshes_hints: bool,
    open: HashMap<String, OpenText>,
    /// The texts that changed since their faults were sent.
    changed: Vec<Uri>,
    /// The number of requests to the editor.
    asked: i32,
}

impl<'g> Server<'g> {
    /// Greets the editor; `None` if there is none.
    pub fn start(global: &'g Global, connection: &'g Connection) -> Result<Option<Self>> {
        let (id, asked) = match connection.initialize_start() {
            Err(error) if error.channel_is_disconnected() => return Ok(None),
            greeted => greeted?,
        };
        let client = &asked["capabilities"];
        let encodings = client["general"]["positionEncodings"].as_array();
        let is_utf8 = encodings.is_some_and(|all| all.iter().any(|encoding| encoding == "utf-8"));
        let encoding = if is_utf8 { Encoding::Utf8 } else { Encoding::Utf16 };
        let item = &client["textDocument"]["completion"]["completionItem"];
        let capabilities = json!({
            "positionEncoding": if is_utf8 { "utf-8" } else { "utf-16" },
            "textDocumentSync": { "openClose": true, "change": 2 },
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
            encoding,
            language: Arc::new(Language::new(&StandardOps::new(PathBuf::new(), PathBuf::new()))),
            has_snippets: item["snippetSupport"] == true,
            refreshes_hints: client["workspace"]["inlayHint"]["refreshSupport"] == true,
            open: HashMap::new(),
            changed: vec![],
            asked: 0,
        }))
    }

    /// Answers messages until the editor ends the session.
    pub fn serve(&mut self) -> Result<()> {
        loop {
            match self.connection.receiver.recv_timeout(LOOK) {
                Ok(Message::Request(request)) => {
                    if self.connection.handle_shutdown(&request)? {
                        return Ok(());
                    }
                    let response = self.answer(request);
                    self.connection.sender.send(Message::Response(response))?;
                }
                Ok(Message::Notification(told)) => self.note(told),
                Ok(Message::Response(_)) => {}
                Err(error) if error.is_timeout() => self.refresh_hints()?,
                Err(_) => return Ok(()),
            }
            // Faults are sent once no edit waits, so that an editor that types fast gets those of the last text.
            if self.connection.receiver.is_empty() {
                for uri in std::mem::take(&mut self.changed) {
                    self.send_faults(uri)?;
                }
            }
        }
    }

    fn note(&mut self, told: Notification) {
        match told.method.as_str() {
            DidOpenTextDocument::METHOD => {
                let Some(params) = params::<DidOpenTextDocumentParams>(told.params) else { return };
                let TextDocumentItem { uri, text, version, .. } = params.text_document;
                let opened = OpenText::new(&path(&uri), text, version, self.encoding, self.global);
                if let Ok(opened) = opened {
                    self.open.insert(uri.to_string(), opened);
                    self.changed.push(uri);
                }
            }
            DidChangeTextDocument::METHOD => {
                let Some(params) = params::<DidChangeTextDocumentParams>(told.params) else { return };
                let uri = params.text_document.uri;
                if let Some(open) = self.open.get_mut(uri.as_str()) {
                    open.edit(params.content_changes, params.text_document.version);
                    if !self.changed.contains(&uri) {
                        self.changed.push(uri);
                    }
                }
            }
            DidCloseTextDocument::METHOD => {
                let Some(params) = params::<DidCloseTextDocumentParams>(told.params) else { return };
                self.open.remove(params.text_document.uri.as_str());
            }
            _ => {}
        }
    }

    fn send_faults(&mut self, uri: Uri) -> Result<()> {
        let Some(open) = self.open.get_mut(uri.as_str()) else { return Ok(()) };
        let (version, diagnostics) = (Some(open.version), answers::diagnostics(open));
        let told = PublishDiagnosticsParams { uri, diagnostics, version };
        let told = Notification::new(PublishDiagnostics::METHOD.to_owned(), told);
        self.connection.sender.send(Message::Notification(told))?;
        Ok(())
    }

    /// Lets the editor ask for hints again, if a run stored results meanwhile.
    fn refresh_hints(&mut self) -> Result<()> {
        if self.refreshes_hints && self.open.values_mut().any(OpenText::forget_outdated) {
            self.asked += 1;
            let (id, method) = (self.asked.into(), InlayHintRefreshRequest::METHOD.to_owned());
            self.connection.sender.send(Message::Request(Request::new(id, method, Json::Null)))?;
        }
        Ok(())
    }

    fn answer(&mut self, request: Request) -> Response {
        let Request { id, method, params: asked } = request;
        let (language, has_snippets) = (Arc::clone(&self.language), self.has_snippets);
        let answered = match method.as_str() {
            Completion::METHOD => self.on(asked, |open, params: CompletionParams| {
                let position = params.text_document_position.position;
                Some(answers::completions(open, position, &language, has_snippets))
            }),
            HoverRequest::METHOD => self.on(asked, |open, params: HoverParams| {
                answers::described(open, params.text_document_position_params.position)
            }),
            GotoDefinition::METHOD => self.on(asked, |open, params: GotoDefinitionParams| {
                let at = params.text_document_position_params;
                answers::definition(open, at.text_document.uri, at.position)
                    .map(GotoDefinitionResponse::Scalar)
            }),
            References::METHOD => self.on(asked, |open, params: ReferenceParams| {
                let at = params.text_document_position;
                let is_whole = params.context.include_declaration;
                answers::references(open, &at.text_document.uri, at.position, is_whole)
            }),
            Rename::METHOD => match self.rename(asked) {
                Ok(edit) => Some(edit),
                Err(message) => return Response::new_err(id, ErrorCode::InvalidParams as i32, message),
            },
            DocumentSymbolRequest::METHOD => self.on(asked, |open, _: DocumentSymbolParams| {
                Some(DocumentSymbolResponse::Nested(answers::symbols(open)))
            }),
            FoldingRangeRequest::METHOD => {
                self.on(asked, |open, _: FoldingRangeParams| Some(answers::folding(open)))
            }
            Formatting::METHOD => self.on(asked, |open, _: DocumentFormattingParams| answers::laid_out(open)),
            InlayHintRequest::METHOD => self.on(asked, |open, _: InlayHintParams| Some(answers::hints(open))),
            CodeActionRequest::METHOD => {
                self.on(asked, |open, params: CodeActionParams| Some(answers::fixes(open, &params)))
            }
            _ => {
                let message = format!("{method} is not offered");
                return Response::new_err(id, ErrorCode::MethodNotFound as i32, message);
            }
        };
        Response::new_ok(id, answered.unwrap_or(Json::Null))
    }

    /// Answers a request about a text; `None` if it is not open, or if there is nothing to say.
    fn on<P: DeserializeOwned, T: Serialize>(
        &mut self,
        asked: Json,
        answer: impl FnOnce(&mut OpenText, P) -> Option<T>,
    ) -> Option<Json> {
        let uri = asked["textDocument"]["uri"].as_str()?.to_owned();
        let open = self.open.get_mut(&uri).filter(|open| !open.is_too_large())?;
        serde_json::to_value(answer(open, params(asked)?)?).ok()
    }

    fn rename(&mut self, asked: Json) -> Result<Json, String> {
        let params = params::<RenameParams>(asked).ok_or_else(answers::no_name)?;
        let at = params.text_document_position;
        let open = self.open.get_mut(at.text_document.uri.as_str()).ok_or_else(answers::no_name)?;
        let edit = answers::renamed(open, at.text_document.uri, at.position, &params.new_name)?;
        serde_json::to_value(edit).map_err(|error| error.to_string())
    }
}

fn params<P: DeserializeOwned>(params: Json) -> Option<P> {
    serde_json::from_value(params).ok()
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

//! The server: it reads the messages of an editor and answers them, one after the other.
//! Knows the protocol, and nothing of experiments.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use fewbits_engine::graph::base_of;
use fewbits_engine::ops::Ops;
use fewbits_engine::reading::Reading;
use fewbits_engine::text::fault::Fault;
use fewbits_engine::text::layout::{is_same, layout};
use fewbits_ops::StandardOps;
use lsp_server::{Connection, ErrorCode, Message, Notification, Request, Response};
use lsp_types::notification::{
    DidChangeTextDocument, DidCloseTextDocument, DidOpenTextDocument, Notification as _, PublishDiagnostics,
};
use lsp_types::request::{
    CodeActionRequest, Completion as CompletionRequest, DocumentSymbolRequest, Formatting, GotoDefinition,
    HoverRequest, InlayHintRequest, References, Rename, Request as _,
};
use lsp_types::{
    CodeAction, CodeActionKind, CodeActionOrCommand, CodeActionParams, CompletionItem, CompletionItemKind,
    CompletionParams, CompletionTextEdit, Diagnostic, DiagnosticSeverity, DocumentSymbol,
    DocumentSymbolParams, DocumentSymbolResponse, Documentation, GotoDefinitionParams,
    GotoDefinitionResponse, Hover, HoverContents, HoverParams, InlayHint, InlayHintLabel, InlayHintParams,
    Location, MarkupContent, MarkupKind, Position, PublishDiagnosticsParams, Range, ReferenceParams,
    RenameParams, SymbolKind, TextEdit, Uri, WorkspaceEdit,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use super::complete::{CompletionKind, complete};
use super::document::{Document, Encoding};
use super::hover::hover;
use super::names::{NameKind, Occurrence, occurrences};
use crate::cli::Global;
use crate::render::number::count;
use crate::session::data_dir;

/// The most bytes of a text that is read.
const MOST_BYTES: usize = 1 << 20;

/// A text that an editor has open.
struct Open {
    document: Document,
    ops: Arc<StandardOps>,
    /// The reading of the text as it is; `None` until it is needed.
    reading: Option<Reading<StandardOps>>,
    version: i32,
    /// The most tasks of an experiment.
    most: usize,
}

/// The state of a server.
pub struct Server<'g> {
    global: &'g Global,
    connection: &'g Connection,
    encoding: Encoding,
    open: HashMap<String, Open>,
    /// The texts that changed since their faults were sent.
    changed: Vec<Uri>,
}

impl<'g> Server<'g> {
    /// Greets the editor; `None` if there is none.
    pub fn start(global: &'g Global, connection: &'g Connection) -> Result<Option<Self>> {
        let (id, asked) = match connection.initialize_start() {
            Err(error) if error.channel_is_disconnected() => return Ok(None),
            greeted => greeted?,
        };
        let encodings = asked["capabilities"]["general"]["positionEncodings"].as_array().cloned();
        let is_utf8 = encodings.is_some_and(|all| all.iter().any(|encoding| encoding == "utf-8"));
        let encoding = if is_utf8 { Encoding::Utf8 } else { Encoding::Utf16 };
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
            "inlayHintProvider": true,
            "codeActionProvider": { "codeActionKinds": ["quickfix"] },
        });
        let info = json!({ "name": "fewbits", "version": env!("CARGO_PKG_VERSION") });
        connection.initialize_finish(id, json!({ "capabilities": capabilities, "serverInfo": info }))?;
        Ok(Some(Self { global, connection, encoding, open: HashMap::new(), changed: vec![] }))
    }

    /// Answers messages until the editor ends the session.
    pub fn serve(&mut self) -> Result<()> {
        while let Ok(message) = self.connection.receiver.recv() {
            match message {
                Message::Request(request) => {
                    if self.connection.handle_shutdown(&request)? {
                        return Ok(());
                    }
                    let response = self.answer(request);
                    self.connection.sender.send(Message::Response(response))?;
                }
                Message::Notification(told) => self.note(told),
                Message::Response(_) => {}
            }
            // Faults are sent once no edit waits, so that an editor that types fast gets those of the last text.
            if self.connection.receiver.is_empty() {
                for uri in std::mem::take(&mut self.changed) {
                    self.send_faults(uri)?;
                }
            }
        }
        Ok(())
    }

    fn note(&mut self, told: Notification) {
        match told.method.as_str() {
            DidOpenTextDocument::METHOD => {
                let Some(params) = params::<lsp_types::DidOpenTextDocumentParams>(told.params) else {
                    return;
                };
                let lsp_types::TextDocumentItem { uri, text, version, .. } = params.text_document;
                let file = path(&uri);
                let ops = StandardOps::new(data_dir(self.global), base_of(&file).to_path_buf());
                let document = Document::new(text, self.encoding);
                let most = self.global.max_tasks;
                let open = Open { document, ops: Arc::new(ops), reading: None, version, most };
                self.open.insert(uri.to_string(), open);
                self.changed.push(uri);
            }
            DidChangeTextDocument::METHOD => {
                let Some(params) = params::<lsp_types::DidChangeTextDocumentParams>(told.params) else {
                    return;
                };
                let uri = params.text_document.uri;
                if let Some(open) = self.open.get_mut(uri.as_str()) {
                    params.content_changes.into_iter().for_each(|change| open.document.edit(change));
                    (open.reading, open.version) = (None, params.text_document.version);
                    if !self.changed.contains(&uri) {
                        self.changed.push(uri);
                    }
                }
            }
            DidCloseTextDocument::METHOD => {
                let Some(params) = params::<lsp_types::DidCloseTextDocumentParams>(told.params) else {
                    return;
                };
                self.open.remove(params.text_document.uri.as_str());
            }
            _ => {}
        }
    }

    fn send_faults(&mut self, uri: Uri) -> Result<()> {
        let Some(open) = self.open.get_mut(uri.as_str()) else { return Ok(()) };
        let version = Some(open.version);
        let diagnostics = if open.document.text.len() > MOST_BYTES {
            let message = "this text is larger than 1 MiB, so it is not read".to_owned();
            vec![Diagnostic { message, severity: Some(DiagnosticSeverity::WARNING), ..Diagnostic::default() }]
        } else {
            open.read();
            let graph = open.reading.as_ref().map(|reading| &reading.graph);
            match graph {
                None => vec![],
                Some(Err(faults)) => faults.iter().map(|fault| diagnostic(&open.document, fault)).collect(),
                Some(Ok(graph)) => {
                    let warning = |message: &String| Diagnostic {
                        message: message.clone(),
                        severity: Some(DiagnosticSeverity::WARNING),
                        source: Some("fewbits".to_owned()),
                        ..Diagnostic::default()
                    };
                    graph.warnings.iter().map(warning).collect()
                }
            }
        };
        let told = PublishDiagnosticsParams { uri, diagnostics, version };
        let told = Notification::new(PublishDiagnostics::METHOD.to_owned(), told);
        self.connection.sender.send(Message::Notification(told))?;
        Ok(())
    }

    fn answer(&mut self, request: Request) -> Response {
        let Request { id, method, params: asked } = request;
        let answered = match method.as_str() {
            CompletionRequest::METHOD => self.on(asked, |open, params: CompletionParams| {
                Some(completions(open, params.text_document_position.position))
            }),
            HoverRequest::METHOD => self.on(asked, |open, params: HoverParams| {
                open.read();
                described(open, params.text_document_position_params.position)
            }),
            GotoDefinition::METHOD => self.on(asked, |open, params: GotoDefinitionParams| {
                let at = params.text_document_position_params;
                let name = open.name_at(at.position)?;
                let all = open.names();
                let defined =
                    all.iter().find(|other| is_same_name(other, &name) && other.defines.is_some())?;
                let range = open.document.range(defined.span);
                Some(GotoDefinitionResponse::Scalar(Location::new(at.text_document.uri, range)))
            }),
            References::METHOD => self.on(asked, |open, params: ReferenceParams| {
                let at = params.text_document_position;
                let name = open.name_at(at.position)?;
                let with = params.context.include_declaration;
                let all = open.names().into_iter().filter(|other| is_same_name(other, &name));
                let used = all.filter(|other| with || other.defines.is_none());
                let place = |other: Occurrence| {
                    Location::new(at.text_document.uri.clone(), open.document.range(other.span))
                };
                Some(used.map(place).collect::<Vec<_>>())
            }),
            Rename::METHOD => {
                let renamed = self.rename(asked);
                match renamed {
                    Ok(edit) => Some(edit),
                    Err(message) => return Response::new_err(id, ErrorCode::InvalidParams as i32, message),
                }
            }
            DocumentSymbolRequest::METHOD => self.on(asked, |open, _: DocumentSymbolParams| {
                Some(DocumentSymbolResponse::Nested(symbols(open)))
            }),
            Formatting::METHOD => self.on(asked, |open, _: lsp_types::DocumentFormattingParams| {
                let text = &open.document.text;
                let laid = layout(text).filter(|laid| is_same(text, laid))?;
                let whole = Range::new(Position::new(0, 0), open.document.position(text.len()));
                Some(if laid == *text { vec![] } else { vec![TextEdit::new(whole, laid)] })
            }),
            InlayHintRequest::METHOD => self.on(asked, |open, _: InlayHintParams| {
                open.read();
                Some(hints(open))
            }),
            CodeActionRequest::METHOD => self.on(asked, |open, params: CodeActionParams| {
                open.read();
                Some(fixes(open, &params))
            }),
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
        answer: impl FnOnce(&mut Open, P) -> Option<T>,
    ) -> Option<Json> {
        let uri = asked["textDocument"]["uri"].as_str()?.to_owned();
        let open = self.open.get_mut(&uri).filter(|open| open.document.text.len() <= MOST_BYTES)?;
        serde_json::to_value(answer(open, params(asked)?)?).ok()
    }

    /// Renames a node, an axis or a table. Names are no part of keys, so results stay.
    fn rename(&mut self, asked: Json) -> Result<Json, String> {
        let nothing = || "there is no name of a node, an axis or a table here".to_owned();
        let params = params::<RenameParams>(asked).ok_or_else(nothing)?;
        let at = params.text_document_position;
        let open = self.open.get_mut(at.text_document.uri.as_str()).ok_or_else(nothing)?;
        let name = open.name_at(at.position).ok_or_else(nothing)?;
        let new = params.new_name;
        let is_word = new.chars().all(|c| c.is_alphanumeric() || c == '_');
        if new.is_empty() || !is_word || new.starts_with(|c: char| c.is_numeric()) {
            return Err(format!("`{new}` is no name: letters, digits and `_`, and no digit first"));
        }
        let all = open.names();
        if all
            .iter()
            .any(|other| other.name == new && other.kind != NameKind::Table && other.defines.is_some())
        {
            return Err(format!("there is a `{new}` already"));
        }
        let same = all.into_iter().filter(|other| is_same_name(other, &name));
        let edits: Vec<TextEdit> =
            same.map(|other| TextEdit::new(open.document.range(other.span), new.clone())).collect();
        #[expect(clippy::mutable_key_type, reason = "the protocol's own type")]
        let changes = HashMap::from([(at.text_document.uri, edits)]);
        let edit = WorkspaceEdit { changes: Some(changes), ..WorkspaceEdit::default() };
        serde_json::to_value(edit).map_err(|error| error.to_string())
    }
}

impl Open {
    fn read(&mut self) -> &Reading<StandardOps> {
        let (text, ops, most) = (&self.document.text, &self.ops, self.most);
        self.reading.get_or_insert_with(|| Reading::new(text, &**ops, most))
    }

    fn names(&mut self) -> Vec<Occurrence> {
        let kinds = self.ops.kinds();
        let text = self.document.text.clone();
        let reading = self.read();
        occurrences(&text, &reading.value, kinds)
    }

    fn name_at(&mut self, position: Position) -> Option<Occurrence> {
        let offset = self.document.offset(position);
        self.names().into_iter().find(|name| name.span.start <= offset && offset <= name.span.end)
    }
}

fn is_same_name(one: &Occurrence, other: &Occurrence) -> bool {
    (one.kind, &one.name) == (other.kind, &other.name)
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

fn diagnostic(document: &Document, fault: &Fault) -> Diagnostic {
    let message = if fault.hint.is_empty() {
        fault.message.clone()
    } else {
        format!("{}; {}", fault.message, fault.hint)
    };
    Diagnostic {
        range: document.range(fault.span),
        severity: Some(DiagnosticSeverity::ERROR),
        source: Some("fewbits".to_owned()),
        message,
        ..Diagnostic::default()
    }
}

fn completions(open: &Open, position: Position) -> Vec<CompletionItem> {
    let offset = open.document.offset(position);
    let (word, found) = complete(&open.document.text, offset, &open.ops);
    let range = open.document.range(word);
    let item = |(at, found): (usize, super::complete::Completion)| CompletionItem {
        label: found.text.trim_end_matches([' ', ':']).to_owned(),
        kind: Some(match found.kind {
            CompletionKind::Field => CompletionItemKind::FIELD,
            CompletionKind::Variant => CompletionItemKind::ENUM_MEMBER,
            CompletionKind::Name(_) => CompletionItemKind::VARIABLE,
            CompletionKind::Metric => CompletionItemKind::PROPERTY,
        }),
        detail: Some(found.detail),
        documentation: (!found.about.is_empty()).then_some(Documentation::String(found.about)),
        // The order of the readers: what must be given comes first.
        sort_text: Some(format!("{at:04}")),
        text_edit: Some(CompletionTextEdit::Edit(TextEdit::new(range, found.text))),
        ..CompletionItem::default()
    };
    found.into_iter().enumerate().map(item).collect()
}

fn described(open: &mut Open, position: Position) -> Option<Hover> {
    let names = open.names();
    let offset = open.document.offset(position);
    let (span, value) = hover(&open.document.text, offset, open.reading.as_ref()?, &names)?;
    let contents = HoverContents::Markup(MarkupContent { kind: MarkupKind::Markdown, value });
    Some(Hover { contents, range: Some(open.document.range(span)) })
}

#[expect(deprecated, reason = "the protocol's type has a field that is no longer used")]
fn symbols(open: &mut Open) -> Vec<DocumentSymbol> {
    let names = open.names();
    let symbol = |name: &Occurrence| DocumentSymbol {
        name: name.name.clone(),
        detail: None,
        kind: match name.kind {
            NameKind::Axis => SymbolKind::ARRAY,
            NameKind::Node => SymbolKind::FUNCTION,
            NameKind::Table => SymbolKind::OBJECT,
        },
        tags: None,
        deprecated: None,
        range: open.document.range(name.defines.unwrap_or(name.span)),
        selection_range: open.document.range(name.span),
        children: None,
    };
    names.iter().filter(|name| name.defines.is_some()).map(symbol).collect()
}

/// Returns the number of tasks behind each node.
fn hints(open: &mut Open) -> Vec<InlayHint> {
    let names = open.names();
    let Some(Ok(graph)) = open.reading.as_ref().map(|reading| reading.graph.as_ref()) else { return vec![] };
    let hint = |name: &Occurrence| {
        let node = graph.experiment.node(&name.name)?;
        Some(InlayHint {
            position: open.document.position(name.defines?.end),
            label: InlayHintLabel::String(count(graph.tasks_of(node).count(), "task")),
            kind: None,
            text_edits: None,
            tooltip: None,
            padding_left: Some(true),
            padding_right: None,
            data: None,
        })
    };
    names.iter().filter(|name| name.kind == NameKind::Node).filter_map(hint).collect()
}

/// Returns an edit for each fault in a range whose hint names the right word.
fn fixes(open: &Open, params: &CodeActionParams) -> Vec<CodeActionOrCommand> {
    let Some(Err(faults)) = open.reading.as_ref().map(|reading| reading.graph.as_ref()) else {
        return vec![];
    };
    let fix = |fault: &Fault| {
        let range = open.document.range(fault.span);
        let is_within = range.start <= params.range.end && params.range.start <= range.end;
        let right = fault.hint.strip_prefix("did you mean `")?.strip_suffix("`?").filter(|_| is_within)?;
        let written = open.document.text.get(fault.span.range())?;
        // A name in a text or before its fields: only the word is replaced.
        let new = match written.split_once('(') {
            _ if written.starts_with('"') => format!("\"{right}\""),
            Some((_, rest)) => format!("{right}({rest}"),
            None => right.to_owned(),
        };
        #[expect(clippy::mutable_key_type, reason = "the protocol's own type")]
        let changes = HashMap::from([(params.text_document.uri.clone(), vec![TextEdit::new(range, new)])]);
        Some(CodeActionOrCommand::CodeAction(CodeAction {
            title: format!("write `{right}`"),
            kind: Some(CodeActionKind::QUICKFIX),
            diagnostics: Some(vec![diagnostic(&open.document, fault)]),
            edit: Some(WorkspaceEdit { changes: Some(changes), ..WorkspaceEdit::default() }),
            is_preferred: Some(true),
            ..CodeAction::default()
        }))
    };
    faults.iter().filter_map(fix).collect()
}

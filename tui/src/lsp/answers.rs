//! The answers to the requests of an editor about one text, in the types of the protocol.
//! Knows nothing of messages and their order.

use std::collections::HashMap;
use std::sync::Arc;

use fewbits_engine::spec::experiment::check_name;
use fewbits_engine::text::fault::{Fault, is_misspelt};
use fewbits_engine::text::fold::{Fold, FoldKind, folds};
use fewbits_engine::text::layout::{is_same, layout};
use fewbits_engine::text::value::{Struct, Value, ValueKind};
use lsp_types::{
    CodeAction, CodeActionKind, CodeActionOrCommand, CodeActionParams, CompletionItem, CompletionItemKind,
    CompletionTextEdit, Diagnostic, DiagnosticSeverity, DocumentSymbol, Documentation, FoldingRange,
    FoldingRangeKind, Hover, HoverContents, InlayHint, InlayHintLabel, InsertTextFormat, Location,
    MarkupContent, MarkupKind, Position, Range, SymbolKind, TextEdit, Uri, WorkspaceEdit,
};

use super::complete::{Completion, CompletionKind, complete};
use super::document::Document;
use super::hover::HoverContext;
use super::names::{NameKind, Occurrence};
use super::open_text::OpenText;
use super::results;
use super::template::Language;
use crate::render::number::count;

/// The variant that an experiment is.
const EXPERIMENT: &str = "Experiment";

/// Returns the faults of a text, or its warnings.
pub fn diagnostics(open: &mut OpenText) -> Vec<Diagnostic> {
    if open.is_too_large() {
        return vec![warning("this text is larger than 1 MiB, so it is not read")];
    }
    if !is_experiment(&open.read().expects.value) {
        return vec![];
    }
    match &open.read().graph {
        Ok(graph) => graph.warnings.iter().map(|message| warning(message)).collect(),
        Err(faults) => {
            let faults = faults.clone();
            faults.iter().map(|fault| diagnostic(&open.document, fault)).collect()
        }
    }
}

/// Whether a text may be an experiment; editors start the server for every text in RON.
fn is_experiment(value: &Value) -> bool {
    match &value.kind {
        ValueKind::Struct(Struct { name: Some(name), .. }) => {
            **name == *EXPERIMENT || is_misspelt(name, [EXPERIMENT])
        }
        ValueKind::Unreadable => true,
        _ => false,
    }
}

fn warning(message: &str) -> Diagnostic {
    Diagnostic {
        message: message.to_owned(),
        severity: Some(DiagnosticSeverity::WARNING),
        source: Some("fewbits".to_owned()),
        ..Diagnostic::default()
    }
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

/// Returns the fields, variants and names that are valid at a position. An editor with snippets gets the places of missing
/// values as stops.
pub fn completions(
    open: &OpenText,
    position: Position,
    language: &Language,
    has_snippets: bool,
) -> Vec<CompletionItem> {
    let offset = open.document.offset(position);
    let (word, found) = complete(&open.document.text, offset, &open.ops, language);
    let range = open.document.range(word);
    let item = |(at, found): (usize, Completion)| {
        let is_snippet = has_snippets && !found.template.holes.is_empty();
        let text = if is_snippet { found.template.snippet() } else { found.template.text };
        CompletionItem {
            label: found.label,
            kind: Some(match found.kind {
                CompletionKind::Field => CompletionItemKind::FIELD,
                CompletionKind::Variant => CompletionItemKind::ENUM_MEMBER,
                CompletionKind::Name(_) => CompletionItemKind::VARIABLE,
                CompletionKind::Metric => CompletionItemKind::PROPERTY,
                CompletionKind::Entry => CompletionItemKind::SNIPPET,
            }),
            detail: Some(found.detail),
            documentation: (!found.about.is_empty()).then_some(Documentation::String(found.about)),
            // The order of the readers: what must be given comes first.
            sort_text: Some(format!("{at:04}")),
            text_edit: Some(CompletionTextEdit::Edit(TextEdit::new(range, text))),
            insert_text_format: is_snippet.then_some(InsertTextFormat::SNIPPET),
            ..CompletionItem::default()
        }
    };
    found.into_iter().enumerate().map(item).collect()
}

/// Describes the name, field or variant at a position.
pub fn hover(open: &mut OpenText, position: Position) -> Option<Hover> {
    let names = open.names();
    let offset = open.document.offset(position);
    let text = open.document.text.clone();
    let ops = Arc::clone(&open.ops);
    let (reading, results) = open.read_with_results();
    let context = HoverContext { text: &text, reading, names: &names, results, ops: &ops };
    let (span, value) = context.hover(offset)?;
    let contents = HoverContents::Markup(MarkupContent { kind: MarkupKind::Markdown, value });
    Some(Hover { contents, range: Some(open.document.range(span)) })
}

/// Returns the place where the name at a position is defined.
pub fn definition(open: &mut OpenText, uri: Uri, position: Position) -> Option<Location> {
    let name = open.name_at(position)?;
    let all = open.names();
    let defined = all.iter().find(|other| is_same_name(other, &name) && other.defines.is_some())?;
    Some(Location::new(uri, open.document.range(defined.span)))
}

/// Returns the places of the name at a position; with `include_declaration`, that of its definition too.
pub fn references(
    open: &mut OpenText,
    uri: &Uri,
    position: Position,
    include_declaration: bool,
) -> Option<Vec<Location>> {
    let name = open.name_at(position)?;
    let all = open.names().into_iter().filter(|other| is_same_name(other, &name));
    let used = all.filter(|other| include_declaration || other.defines.is_none());
    Some(used.map(|other| Location::new(uri.clone(), open.document.range(other.span))).collect())
}

/// Renames a node, an axis or a table. Names are no part of keys, so results stay. The error says why `new` is no name.
pub fn renamed(
    open: &mut OpenText,
    uri: Uri,
    position: Position,
    new: &str,
) -> Result<WorkspaceEdit, String> {
    let name = open.name_at(position).ok_or("there is no name of a node, an axis or a table here")?;
    check_name(new, name.kind.word()).map_err(|(message, hint)| format!("{message}: {hint}"))?;
    let all = open.names();
    // Expressions name axes and nodes alike; tables have names of their own.
    let is_taken = |other: &Occurrence| {
        let of_tables = [other.kind, name.kind].map(|kind| kind == NameKind::Table);
        other.name == new && other.defines.is_some() && of_tables[0] == of_tables[1]
    };
    if name.name != new && all.iter().any(is_taken) {
        return Err(format!("there is a `{new}` already"));
    }
    let same = all.into_iter().filter(|other| is_same_name(other, &name));
    let edits = same.map(|other| TextEdit::new(open.document.range(other.span), new.to_owned())).collect();
    Ok(edit_of(uri, edits))
}

fn is_same_name(one: &Occurrence, other: &Occurrence) -> bool {
    (one.kind, &one.name) == (other.kind, &other.name)
}

fn edit_of(uri: Uri, edits: Vec<TextEdit>) -> WorkspaceEdit {
    #[expect(clippy::mutable_key_type, reason = "the protocol's own type")]
    let changes = HashMap::from([(uri, edits)]);
    WorkspaceEdit { changes: Some(changes), ..WorkspaceEdit::default() }
}

/// Returns the axes, nodes and tables of a text.
#[expect(deprecated, reason = "the protocol's type has a field that is no longer used")]
pub fn symbols(open: &mut OpenText) -> Vec<DocumentSymbol> {
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

/// Returns the parts of a text that an editor can fold: brackets and comments over several lines.
pub fn folding(open: &OpenText) -> Vec<FoldingRange> {
    let range = |fold: Fold| FoldingRange {
        start_line: fold.first as u32,
        end_line: fold.last as u32,
        kind: (fold.kind == FoldKind::Comment).then_some(FoldingRangeKind::Comment),
        ..FoldingRange::default()
    };
    folds(&open.document.text).into_iter().map(range).collect()
}

/// Returns the edit that lays a text out; `None` if it has mistakes of syntax.
pub fn laid_out(open: &OpenText) -> Option<Vec<TextEdit>> {
    let text = &open.document.text;
    let laid = layout(text).filter(|laid| is_same(text, laid))?;
    let whole = Range::new(Position::new(0, 0), open.document.position(text.len()));
    Some(if laid == *text { vec![] } else { vec![TextEdit::new(whole, laid)] })
}

/// Returns the number of tasks of each node in some lines, and of those whose results are stored.
pub fn hints(open: &mut OpenText, lines: Range) -> Vec<InlayHint> {
    let names = open.names();
    let (reading, results) = open.read_with_results();
    let Ok(graph) = &reading.graph else { return vec![] };
    let told = |name: &Occurrence| {
        let node = graph.experiment.node(&name.name)?;
        let stored = results.map(|results| results::tasks(&results[node]));
        Some((name.defines?.end, stored.unwrap_or_else(|| count(graph.tasks_of(node).count(), "task"))))
    };
    let told: Vec<(usize, String)> =
        names.iter().filter(|name| name.kind == NameKind::Node).filter_map(told).collect();
    let hint = |(end, words)| InlayHint {
        position: open.document.position(end),
        label: InlayHintLabel::String(words),
        kind: None,
        text_edits: None,
        tooltip: None,
        padding_left: Some(true),
        padding_right: None,
        data: None,
    };
    let is_within = |hint: &InlayHint| (lines.start.line..=lines.end.line).contains(&hint.position.line);
    told.into_iter().map(hint).filter(is_within).collect()
}

/// Returns an edit for each fault in a range whose hint names the right word.
pub fn fixes(open: &mut OpenText, params: &CodeActionParams) -> Vec<CodeActionOrCommand> {
    let Err(faults) = &open.read().graph else { return vec![] };
    let faults = faults.clone();
    let fix = |fault: &Fault| {
        let (place, right) = fault.respelling(&open.document.text)?;
        let (range, around) = (open.document.range(place), open.document.range(fault.span));
        if around.start > params.range.end || params.range.start > around.end {
            return None;
        }
        Some(CodeActionOrCommand::CodeAction(CodeAction {
            title: format!("write `{right}`"),
            kind: Some(CodeActionKind::QUICKFIX),
            diagnostics: Some(vec![diagnostic(&open.document, fault)]),
            edit: Some(edit_of(
                params.text_document.uri.clone(),
                vec![TextEdit::new(range, right.to_owned())],
            )),
            is_preferred: Some(true),
            ..CodeAction::default()
        }))
    };
    faults.iter().filter_map(fix).collect()
}

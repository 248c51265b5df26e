//! Completion within quotes: names of axes and nodes, metrics of a node.

use fewbits_engine::ops::Ops as _;
use fewbits_engine::reading::Expectations;
use fewbits_engine::text::fault::Span;
use fewbits_engine::text::value::{Value, ValueKind};
use fewbits_ops::StandardOps;

use super::complete::{
    Completion, CompletionKind, contains, innermost, is_key, is_word, map_around, named_nodes, text_of,
};
use super::names::{NameKind, occurrences};

/// Returns the quote that a place stands behind, if it stands in a text.
pub fn open_quote(before: &str) -> Option<usize> {
    let line = before.rfind('\n').map_or(0, |at| at + 1);
    let mut quote = None;
    for (at, c) in before[line..].char_indices() {
        match (c, quote) {
            ('"', None) => quote = Some(line + at),
            ('"', Some(_)) => quote = None,
            ('/', None) if before[line + at..].starts_with("//") => return None,
            _ => {}
        }
    }
    quote
}

/// Completes in a text in quotes: the name of an axis in `Axis("…")`, of a node in an input, names in expressions.
pub fn in_text(text: &str, word: Span, quote: usize, ops: &StandardOps) -> Vec<Completion> {
    if is_key(&text[..quote]) && map_around(&Expectations::new(&text[..quote], ops).value, quote).is_some() {
        return vec![];
    }
    let end = text[word.end..].find(['"', '\n']).map_or(text.len(), |at| word.end + at);
    let closed = if text[end..].starts_with('"') { "" } else { "\"" };
    let whole = format!("{}{closed}{}", &text[..end], &text[end..]);
    let expects = Expectations::new(&whole, ops);
    let names = occurrences(&whole, &expects.value, ops.kinds());
    let of = |kind: NameKind| {
        let defined = names.iter().filter(move |name| name.kind == kind && name.defines.is_some());
        let detail = match kind {
            NameKind::Axis => "an axis",
            NameKind::Node => "a node",
            NameKind::Table => "a table",
        };
        defined.map(move |name| Completion::new(&name.name, CompletionKind::Name(kind), detail))
    };
    let before = text[..quote].trim_end();
    if before.ends_with("Axis(") {
        return of(NameKind::Axis).collect();
    }
    if let Some(node) = text[quote + 1..word.start].strip_suffix('.') {
        let node = node.rsplit(|c: char| !is_word(c)).next().unwrap_or(node);
        return metrics(&expects.value, node, ops);
    }
    let within = |field: &str| expects.value.field(field).is_some_and(|value| contains(value, quote));
    if within("nodes") {
        let gives = port(&expects.value, quote, ops);
        let own = node_around(&expects.value, quote);
        let nodes = named_nodes(&expects.value, ops);
        let fits = |found: &Completion| {
            let kind = nodes.iter().find(|(name, _)| *name == found.label).map(|(_, kind)| kind);
            let fits = gives.is_none_or(|gives| kind.is_none_or(|kind| kind.output == Some(gives)));
            fits && own.is_none_or(|own| own != found.label)
        };
        return of(NameKind::Node).filter(fits).collect();
    }
    if within("show") {
        return of(NameKind::Table).collect();
    }
    if within("tables") || within("only") {
        return of(NameKind::Axis).chain(of(NameKind::Node)).collect();
    }
    vec![]
}

/// Returns the metrics of a node.
fn metrics(value: &Value, node: &str, ops: &StandardOps) -> Vec<Completion> {
    let nodes = named_nodes(value, ops);
    let Some((_, kind)) = nodes.iter().find(|(name, _)| name == node) else { return vec![] };
    let detail = format!("a metric of {}", kind.name);
    let metric = |metric: &&str| Completion::new(metric, CompletionKind::Metric, &detail);
    kind.metrics.iter().chain([&"seconds"]).map(metric).collect()
}

/// Returns the type of artifact that the input at a place needs; `None` if no input stands there.
fn port(value: &Value, offset: usize, ops: &StandardOps) -> Option<&'static str> {
    let ValueKind::Struct(body) = &innermost(value, offset)?.kind else { return None };
    let kind = ops.kinds().iter().find(|kind| body.name.as_deref() == Some(kind.name))?;
    let field = body.fields.iter().find(|field| field.value.span.start == offset)?;
    kind.all_inputs().find(|(port, _)| *port == &*field.name).map(|(_, gives)| gives)
}

/// Returns the name of the node around a place.
fn node_around(value: &Value, offset: usize) -> Option<&str> {
    let Some(ValueKind::Map(nodes)) = value.field("nodes").map(|nodes| &nodes.kind) else { return None };
    nodes.iter().find(|(_, node)| contains(node, offset)).and_then(|(key, _)| text_of(key))
}

//! The names of nodes, axes and tables in a text: where each is defined, and where it is used.
//! Knows no editor.

use std::collections::BTreeSet;

use fewbits_engine::ops::NodeKind;
use fewbits_engine::text::fault::Span;
use fewbits_engine::text::value::{Value, ValueKind};

/// The kind of a named thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NameKind {
    /// An axis.
    Axis,
    /// A node.
    Node,
    /// A table.
    Table,
}

impl NameKind {
    /// Returns the word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Axis => "axis",
            Self::Node => "node",
            Self::Table => "table",
        }
    }
}

/// A name at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// The kind of what it names.
    pub kind: NameKind,
    /// The name.
    pub name: String,
    /// Its place, without quotes.
    pub span: Span,
    /// The value that it names; `None` where the name is used.
    pub defines: Option<Span>,
}

/// Returns all names in a text; `value` is its whole value.
#[must_use]
pub fn occurrences(text: &str, value: &Value, kinds: &'static [NodeKind]) -> Vec<Occurrence> {
    let mut found = vec![];
    for (field, kind) in [("axes", NameKind::Axis), ("nodes", NameKind::Node), ("tables", NameKind::Table)] {
        for (key, named) in entries(value, field) {
            if let (ValueKind::Text(name), Some(span)) = (&key.kind, inside(text, key.span)) {
                let defines = Some(Span { start: key.span.start, end: named.span.end });
                found.push(Occurrence { kind, name: name.clone(), span, defines });
            }
        }
    }
    let of = |kind| -> BTreeSet<String> {
        found.iter().filter(|defined| defined.kind == kind).map(|defined| defined.name.clone()).collect()
    };
    let names = Names { text, nodes: of(NameKind::Node), axes: of(NameKind::Axis) };
    for (_, level) in entries(value, "axes") {
        names.axes_in(level, &mut found);
    }
    for (_, node) in entries(value, "nodes") {
        names.axes_in(node, &mut found);
        names.inputs_of(node, kinds, &mut found);
    }
    if let Some(ValueKind::List(shown)) = value.field("show").map(|shown| &shown.kind) {
        let spans = shown.iter().filter_map(|item| inside(text, item.span));
        found.extend(spans.map(|span| names.used(NameKind::Table, span)).collect::<Vec<_>>());
    }
    let expressions = entries(value, "tables").map(|(_, table)| table).chain(value.field("only"));
    for expression in expressions {
        expression.walk(&mut |value| {
            if let (ValueKind::Text(_), Some(span)) = (&value.kind, inside(text, value.span)) {
                names.words_in(span, &mut found);
            }
        });
    }
    found.sort_by_key(|found| found.span);
    found
}

fn entries<'v>(value: &'v Value, field: &str) -> impl Iterator<Item = (&'v Value, &'v Value)> + use<'v> {
    let entries = match value.field(field).map(|field| &field.kind) {
        Some(ValueKind::Map(entries)) => entries.as_slice(),
        _ => &[],
    };
    entries.iter().map(|(key, value)| (key, value))
}

/// Returns the place between the quotes of a plain text.
fn inside(text: &str, span: Span) -> Option<Span> {
    let raw = text.get(span.range())?;
    let is_plain = raw.len() >= 2 && raw.starts_with('"') && raw.ends_with('"') && !raw.contains('\\');
    is_plain.then_some(Span { start: span.start + 1, end: span.end - 1 })
}

struct Names<'t> {
    text: &'t str,
    nodes: BTreeSet<String>,
    axes: BTreeSet<String>,
}

impl Names<'_> {
    fn used(&self, kind: NameKind, span: Span) -> Occurrence {
        Occurrence { kind, name: self.text[span.range()].to_owned(), span, defines: None }
    }

    /// Finds `Axis("x")`.
    fn axes_in(&self, value: &Value, found: &mut Vec<Occurrence>) {
        value.walk(&mut |value| {
            let (Some(path), ValueKind::Struct(body)) = (value.axis(), &value.kind) else { return };
            let root = path.split('.').next().unwrap_or(path);
            let span = body.positional.first().and_then(|name| inside(self.text, name.span));
            if let (Some(span), true) = (span, self.axes.contains(root)) {
                found.push(self.used(NameKind::Axis, Span { end: span.start + root.len(), ..span }));
            }
        });
    }

    /// Finds the nodes that a node reads.
    fn inputs_of(&self, node: &Value, kinds: &'static [NodeKind], found: &mut Vec<Occurrence>) {
        let ValueKind::Struct(body) = &node.kind else { return };
        let kind = kinds.iter().find(|kind| body.name.as_deref() == Some(kind.name));
        let ports: Vec<&str> = kind.map_or(vec![], |kind| kind.all_inputs().map(|(port, _)| port).collect());
        let named =
            body.fields.iter().filter(|field| ports.contains(&&*field.name)).map(|field| &field.value);
        for value in named.chain(&body.positional) {
            if let (ValueKind::Text(name), Some(span)) = (&value.kind, inside(self.text, value.span))
                && self.nodes.contains(name)
            {
                found.push(self.used(NameKind::Node, span));
            }
        }
    }

    /// Finds names in an expression: `node.metric`, `axis` and `axis.field`.
    fn words_in(&self, span: Span, found: &mut Vec<Occurrence>) {
        let text = &self.text[span.range()];
        let mut at = 0;
        let mut before = ' ';
        while let Some(c) = text[at..].chars().next() {
            if c == '\'' {
                let end = text[at + 1..].find('\'').map_or(text.len(), |length| at + length + 2);
                (at, before) = (end, c);
                continue;
            }
            if !(c.is_alphabetic() || c == '_') || before.is_alphanumeric() || before == '_' {
                (at, before) = (at + c.len_utf8(), c);
                continue;
            }
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            let end = text[at..].find(|c| !is_word(c)).map_or(text.len(), |length| at + length);
            let (word, next) = (&text[at..end], text[end..].chars().next());
            let place = Span { start: span.start + at, end: span.start + end };
            if before != '.' && next == Some('.') && self.nodes.contains(word) {
                found.push(self.used(NameKind::Node, place));
            } else if before != '.' && next != Some('(') && self.axes.contains(word) {
                found.push(self.used(NameKind::Axis, place));
            }
            (at, before) = (end, 'a');
        }
    }
}

#[cfg(test)]
mod tests {
    use fewbits_engine::ops::Ops;
    use fewbits_engine::text::fault::Faults;
    use fewbits_ops::StandardOps;

    use super::*;

    #[test]
    fn names_are_found_where_they_are_used() {
        let text = r#"Experiment(name: "x", axes: {"e": [1], "kind": {"a": (f: Int(Axis("e")))}},
            only: ["e > 1 && kind.f != 'e'"],
            nodes: {"net": Train(data: "d"), "e2": Evaluate(model: "net", data: "d"), "s": Quantize(model: "net", format: Axis("kind.f"))},
            tables: {"t": Pivot(value: "net.loss - e2.accuracy", rows: ["e"])})"#;
        let value = Value::parse(text, &mut Faults::default());
        let kinds = StandardOps::new("".into(), "".into()).kinds();
        let all = occurrences(text, &value, kinds);
        let count = |name: &str| all.iter().filter(|found| found.name == name).count();
        assert_eq!((count("e"), count("kind"), count("net"), count("e2"), count("t")), (4, 3, 4, 2, 1));
        assert!(all.iter().all(|found| text[found.span.range()] == found.name));
    }
}

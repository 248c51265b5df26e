//! The parser of an experiment's text: from RON to the tree of values. It repairs syntax mistakes, so that one check
//! also finds the mistakes behind them.
//! Knows no experiment, only values.

use std::sync::Arc;

use ron2::ast::{Expr, StructBody, StructExpr, StructField, TupleElement};

use super::fault::{Fault, Faults, Span};
use super::value::{NamedValue, Struct, Value, ValueKind};
use super::{number, syntax};

/// The maximum number of syntax mistakes that one parse repairs.
const MOST_REPAIRS: usize = 20;

/// The byte-order mark that some editors put at the beginning of a UTF-8 file.
const BYTE_ORDER_MARK: char = '\u{feff}';

impl Value {
    /// Parses a text of one value and reports the faults of its syntax. If all mistakes can be repaired, the result
    /// is the value of the repaired text. Otherwise the result is [`ValueKind::Unreadable`] and only the first
    /// mistake is reported, because the later ones may follow from it.
    #[must_use]
    pub fn parse(text: &str, faults: &mut Faults) -> Self {
        let whole = Span { start: 0, end: text.len() };
        let unreadable = Self { span: whole, kind: ValueKind::Unreadable };
        if let Some(fault) = syntax::too_deep(text) {
            faults.extend([fault]);
            return unreadable;
        }
        // Editors on Windows begin a file with a byte-order mark. Spaces of the same length keep every place.
        let mut repaired = match text.strip_prefix(BYTE_ORDER_MARK) {
            Some(rest) => " ".repeat(BYTE_ORDER_MARK.len_utf8()) + rest,
            None => text.to_owned(),
        };
        let mut inserted: Vec<usize> = vec![];
        let mut mistakes: Vec<Fault> = vec![];
        loop {
            let (document, errors) = ron2::ast::parse_document_lossy(&repaired);
            let Some(error) = errors.iter().min_by_key(|error| error.span().start_offset) else {
                faults.extend(mistakes);
                let Some(expression) = &document.value else {
                    faults.add(whole, "the file is empty", "write `Experiment(name: …, nodes: {…})`");
                    return unreadable;
                };
                let mut found = Faults::default();
                let mut value = convert(expression, &mut found);
                value.move_back(&inserted);
                let back = |fault: Fault| Fault { span: fault.span.without(&inserted), ..fault };
                faults.extend(found.into_sorted().into_iter().map(back));
                return value;
            };
            let mistake = syntax::explain(
                &repaired,
                whole_chars(span_of(error.span()), &repaired),
                &error.kind().to_string(),
            );
            let mut fault = mistake.fault;
            fault.span = fault.span.without(&inserted);
            // A second mistake at the same place belongs to the first one: the repair there was incomplete.
            if mistakes.last().is_none_or(|last| last.span.start != fault.span.start) {
                mistakes.push(fault);
            }
            let Some((at, c)) = mistake.repair.filter(|_| inserted.len() < MOST_REPAIRS) else {
                faults.extend(mistakes.into_iter().take(1));
                return unreadable;
            };
            repaired.insert(at, c);
            inserted.push(at);
        }
    }
}

fn convert(expression: &Expr<'_>, faults: &mut Faults) -> Value {
    let span = span_of(expression.span());
    let kind = match expression {
        Expr::Unit(_) => ValueKind::Struct(Struct { name: None, positional: vec![], fields: vec![] }),
        Expr::Bool(bool) => ValueKind::Bool(bool.value),
        Expr::Number(number) => number::convert(&number.raw, span, faults),
        Expr::String(text) => ValueKind::Text(text.value.clone()),
        Expr::Option(option) => {
            let positional: Vec<Value> =
                option.value.iter().map(|value| convert(&value.expr, faults)).collect();
            let name = Some(if positional.is_empty() { "None" } else { "Some" }.into());
            ValueKind::Struct(Struct { name, positional, fields: vec![] })
        }
        Expr::Seq(seq) => ValueKind::List(seq.items.iter().map(|item| convert(&item.expr, faults)).collect()),
        Expr::Map(map) => ValueKind::Map(
            map.entries
                .iter()
                .map(|entry| (convert(&entry.key, faults), convert(&entry.value, faults)))
                .collect(),
        ),
        Expr::Tuple(tuple) => ValueKind::Struct(Struct {
            name: None,
            positional: elements(&tuple.elements, faults),
            fields: vec![],
        }),
        Expr::AnonStruct(body) => {
            ValueKind::Struct(Struct { name: None, positional: vec![], fields: fields(&body.fields, faults) })
        }
        Expr::Struct(body) => convert_struct(body, faults),
        Expr::Char(_) | Expr::Byte(_) | Expr::Bytes(_) => {
            faults.add(span, "characters and bytes have no use here", "write a text in double quotes");
            ValueKind::Unreadable
        }
        Expr::Error(_) => ValueKind::Unreadable,
    };
    Value { span, kind }
}

fn convert_struct(body: &StructExpr<'_>, faults: &mut Faults) -> ValueKind {
    let name = Some(body.name.name.to_string().into());
    let (positional, fields) = match &body.body {
        None => (vec![], vec![]),
        Some(StructBody::Tuple(tuple)) => (elements(&tuple.elements, faults), vec![]),
        Some(StructBody::Fields(named)) => (vec![], fields(&named.fields, faults)),
    };
    ValueKind::Struct(Struct { name, positional, fields })
}

fn elements(elements: &[TupleElement<'_>], faults: &mut Faults) -> Vec<Value> {
    elements.iter().map(|element| convert(&element.expr, faults)).collect()
}

fn fields(fields: &[StructField<'_>], faults: &mut Faults) -> Vec<NamedValue> {
    let mut read: Vec<NamedValue> = Vec::with_capacity(fields.len());
    for field in fields {
        let name: Arc<str> = field.name.name.to_string().into();
        let span = span_of(&field.name.span);
        if read.iter().any(|earlier| earlier.name == name) {
            faults.add(span, format!("`{name}` is given twice"), "remove one of the two");
            continue;
        }
        read.push(NamedValue { name, span, value: convert(&field.value, faults) });
    }
    read
}

fn span_of(span: &ron2::error::Span) -> Span {
    Span { start: span.start_offset, end: span.end_offset }
}

/// Widens a span to whole characters; the parser's offsets may be within a character.
fn whole_chars(span: Span, text: &str) -> Span {
    let start = (0..=span.start.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let end = (span.end..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    Span { start, end: end.max(start) }
}

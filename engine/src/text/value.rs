//! The tree of an experiment's text: every value with its place and its variant name.
//! Knows RON, and nothing of what the values mean.

use std::fmt;
use std::sync::Arc;

use ron2::ast::{Expr, StructBody, StructExpr, StructField, TupleElement};

use super::fault::{Fault, Faults, Span};
use super::{number, syntax};

/// So many mistakes of syntax are repaired to find those behind them.
const MOST_REPAIRS: usize = 20;

/// The mark that some editors put at the beginning of a UTF-8 file.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// A value as written, with its place.
#[derive(Clone, Debug)]
pub struct Value {
    /// Where it is written.
    pub span: Span,
    /// What it is.
    pub kind: Kind,
}

/// The kinds of values. Two are equal when they mean the same, wherever they are written.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Real(f64),
    /// `"text"`.
    Text(String),
    /// `[a, b]`.
    List(Vec<Value>),
    /// `{key: value}`, in the order written.
    Map(Vec<(Value, Value)>),
    /// `Name`, `Name()`, `Name(a)`, `Name(field: a)`, and the same without a name.
    Struct(Struct),
    /// Something that could not be read; its fault is already reported.
    Unreadable,
}

/// A struct or an enum's variant; `Name` and `Name()` are the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Struct {
    /// The name, if there is one.
    pub name: Option<Arc<str>>,
    /// Values without a name.
    pub positional: Vec<Value>,
    /// Values with a name, in the order written.
    pub fields: Vec<Field>,
}

/// A named value of a struct.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name.
    pub name: Arc<str>,
    /// Where the name is written.
    pub span: Span,
    /// Its value.
    pub value: Value,
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.value == other.value
    }
}

impl Value {
    /// Reads a text of one value and reports the faults of its syntax. Where they can be repaired, the value is
    /// that of the repaired text; else only the first is sure to be one, and the value is [`Kind::Unreadable`].
    #[must_use]
    pub fn parse(text: &str, faults: &mut Faults) -> Self {
        let whole = Span { start: 0, end: text.len() };
        let unreadable = Self { span: whole, kind: Kind::Unreadable };
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
            // A repair that needs another one at its place was half of one.
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

    /// Moves all places to where they were before the insertions.
    fn move_back(&mut self, inserted: &[usize]) {
        self.span = self.span.without(inserted);
        match &mut self.kind {
            Kind::List(items) => items.iter_mut().for_each(|item| item.move_back(inserted)),
            Kind::Map(entries) => entries.iter_mut().for_each(|(key, value)| {
                key.move_back(inserted);
                value.move_back(inserted);
            }),
            Kind::Struct(body) => {
                body.positional.iter_mut().for_each(|value| value.move_back(inserted));
                for field in &mut body.fields {
                    field.span = field.span.without(inserted);
                    field.value.move_back(inserted);
                }
            }
            Kind::Bool(_) | Kind::Int(_) | Kind::Real(_) | Kind::Text(_) | Kind::Unreadable => {}
        }
    }

    /// Returns the axis this value stands for: `x` of `Axis("x")`, `x.field` of `Axis("x.field")`.
    #[must_use]
    pub fn axis(&self) -> Option<&str> {
        let Kind::Struct(Struct { name: Some(name), positional, fields }) = &self.kind else { return None };
        match (&**name, positional.as_slice(), fields.as_slice()) {
            ("Axis", [Value { kind: Kind::Text(axis), .. }], []) => Some(axis),
            _ => None,
        }
    }

    /// Returns whether this is an `Axis(…)`, even one that does not say which.
    #[must_use]
    pub fn stands_for_axis(&self) -> bool {
        matches!(&self.kind, Kind::Struct(Struct { name: Some(name), .. }) if &**name == "Axis")
    }

    /// Returns a copy in which every `Axis(…)` is unreadable.
    #[must_use]
    pub fn without_axes(&self) -> Self {
        self.replace(&|value| {
            let gone = Self { span: value.span, kind: Kind::Unreadable };
            value.stands_for_axis().then_some(gone)
        })
    }

    /// Returns one field of a struct.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Self> {
        let Kind::Struct(body) = &self.kind else { return None };
        body.fields.iter().find(|field| *field.name == *name).map(|field| &field.value)
    }

    /// Returns the name of a value that is nothing but a name: `Nearest`, `Nearest()`.
    #[must_use]
    pub fn bare_name(&self) -> Option<&str> {
        match &self.kind {
            Kind::Struct(Struct { name: Some(name), positional, fields })
                if positional.is_empty() && fields.is_empty() =>
            {
                Some(name)
            }
            _ => None,
        }
    }

    /// Says what kind of value it is, with its article.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.kind {
            Kind::Bool(_) => "a truth value".to_owned(),
            Kind::Int(_) => "a whole number".to_owned(),
            Kind::Real(_) => "a decimal number".to_owned(),
            Kind::Text(_) => "a text".to_owned(),
            Kind::List(_) => "a list".to_owned(),
            Kind::Map(_) => "a map".to_owned(),
            Kind::Struct(Struct { name: Some(name), .. }) => format!("`{name}`"),
            Kind::Struct(_) => "a struct without a name".to_owned(),
            Kind::Unreadable => "something unreadable".to_owned(),
        }
    }

    /// Returns whether nothing in this value is unreadable.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        let mut is_readable = true;
        self.walk(&mut |value| is_readable &= !matches!(value.kind, Kind::Unreadable));
        is_readable
    }

    /// Returns a copy in which every decimal number that is whole is written as a whole number, so that values that
    /// mean the same have the same text: `1.0` as `1`, `-0.0` as `0`.
    #[must_use]
    pub fn with_whole_numbers(&self) -> Self {
        // Every binary64 number from −2^63 to below 2^63 that is whole is an `i64`.
        const BOUND: f64 = 9_223_372_036_854_775_808.0;
        self.replace(&|value| match value.kind {
            Kind::Real(real) if real.fract() == 0.0 && (-BOUND..BOUND).contains(&real) => {
                Some(Self { span: value.span, kind: Kind::Int(real as i64) })
            }
            _ => None,
        })
    }

    /// Calls `visit` on this value and every value in it, outermost first.
    pub fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Value)) {
        visit(self);
        match &self.kind {
            Kind::List(items) => items.iter().for_each(|item| item.walk(visit)),
            Kind::Map(entries) => entries.iter().for_each(|(_, value)| value.walk(visit)),
            Kind::Struct(body) => {
                body.positional.iter().for_each(|value| value.walk(visit));
                body.fields.iter().for_each(|field| field.value.walk(visit));
            }
            Kind::Bool(_) | Kind::Int(_) | Kind::Real(_) | Kind::Text(_) | Kind::Unreadable => {}
        }
    }

    /// Returns a copy in which every `Axis(…)` is replaced by what `resolve` says it stands for.
    #[must_use]
    pub fn substitute(&self, resolve: &impl Fn(&str) -> Option<Value>) -> Self {
        self.replace(&|value| value.axis().and_then(resolve))
    }

    /// Returns a copy in which the outermost values for which `with` gives another are replaced by it.
    fn replace(&self, with: &impl Fn(&Self) -> Option<Self>) -> Self {
        if let Some(value) = with(self) {
            return value;
        }
        let kind = match &self.kind {
            Kind::List(items) => Kind::List(items.iter().map(|item| item.replace(with)).collect()),
            Kind::Map(entries) => {
                Kind::Map(entries.iter().map(|(key, v)| (key.clone(), v.replace(with))).collect())
            }
            Kind::Struct(body) => Kind::Struct(Struct {
                name: body.name.clone(),
                positional: body.positional.iter().map(|value| value.replace(with)).collect(),
                fields: body
                    .fields
                    .iter()
                    .map(|field| Field { value: field.value.replace(with), ..field.clone() })
                    .collect(),
            }),
            other => other.clone(),
        };
        Self { span: self.span, kind }
    }
}

/// The value as RON text without spaces; numbers in their shortest form.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Bool(value) => write!(f, "{value}"),
            Kind::Int(value) => write!(f, "{value}"),
            Kind::Real(value) => write!(f, "{value:?}"),
            Kind::Text(value) => write!(f, "{value:?}"),
            Kind::List(items) => {
                f.write_str("[")?;
                separated(f, items, |f, item| write!(f, "{item}"))?;
                f.write_str("]")
            }
            Kind::Map(entries) => {
                f.write_str("{")?;
                separated(f, entries, |f, (key, value)| write!(f, "{key}:{value}"))?;
                f.write_str("}")
            }
            Kind::Struct(body) => write_struct(f, body),
            Kind::Unreadable => f.write_str("?"),
        }
    }
}

fn write_struct(f: &mut fmt::Formatter<'_>, body: &Struct) -> fmt::Result {
    f.write_str(body.name.as_deref().unwrap_or(""))?;
    if body.name.is_some() && body.positional.is_empty() && body.fields.is_empty() {
        return Ok(());
    }
    f.write_str("(")?;
    separated(f, &body.positional, |f, value| write!(f, "{value}"))?;
    separated(f, &body.fields, |f, field| write!(f, "{}:{}", field.name, field.value))?;
    f.write_str(")")
}

fn separated<T>(
    f: &mut fmt::Formatter<'_>,
    items: &[T],
    write: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(",")?;
        }
        write(f, item)?;
    }
    Ok(())
}

fn convert(expression: &Expr<'_>, faults: &mut Faults) -> Value {
    let span = span_of(expression.span());
    let kind = match expression {
        Expr::Unit(_) => Kind::Struct(Struct { name: None, positional: vec![], fields: vec![] }),
        Expr::Bool(bool) => Kind::Bool(bool.value),
        Expr::Number(number) => number::convert(&number.raw, span, faults),
        Expr::String(text) => Kind::Text(text.value.clone()),
        Expr::Option(option) => {
            let positional: Vec<Value> =
                option.value.iter().map(|value| convert(&value.expr, faults)).collect();
            let name = Some(if positional.is_empty() { "None" } else { "Some" }.into());
            Kind::Struct(Struct { name, positional, fields: vec![] })
        }
        Expr::Seq(seq) => Kind::List(seq.items.iter().map(|item| convert(&item.expr, faults)).collect()),
        Expr::Map(map) => Kind::Map(
            map.entries
                .iter()
                .map(|entry| (convert(&entry.key, faults), convert(&entry.value, faults)))
                .collect(),
        ),
        Expr::Tuple(tuple) => {
            Kind::Struct(Struct { name: None, positional: elements(&tuple.elements, faults), fields: vec![] })
        }
        Expr::AnonStruct(body) => {
            Kind::Struct(Struct { name: None, positional: vec![], fields: fields(&body.fields, faults) })
        }
        Expr::Struct(body) => convert_struct(body, faults),
        Expr::Char(_) | Expr::Byte(_) | Expr::Bytes(_) => {
            faults.add(span, "characters and bytes have no use here", "write a text in double quotes");
            Kind::Unreadable
        }
        Expr::Error(_) => Kind::Unreadable,
    };
    Value { span, kind }
}

fn convert_struct(body: &StructExpr<'_>, faults: &mut Faults) -> Kind {
    let name = Some(body.name.name.to_string().into());
    let (positional, fields) = match &body.body {
        None => (vec![], vec![]),
        Some(StructBody::Tuple(tuple)) => (elements(&tuple.elements, faults), vec![]),
        Some(StructBody::Fields(named)) => (vec![], fields(&named.fields, faults)),
    };
    Kind::Struct(Struct { name, positional, fields })
}

fn elements(elements: &[TupleElement<'_>], faults: &mut Faults) -> Vec<Value> {
    elements.iter().map(|element| convert(&element.expr, faults)).collect()
}

fn fields(fields: &[StructField<'_>], faults: &mut Faults) -> Vec<Field> {
    let mut read: Vec<Field> = Vec::with_capacity(fields.len());
    for field in fields {
        let name: Arc<str> = field.name.name.to_string().into();
        let span = span_of(&field.name.span);
        if read.iter().any(|earlier| earlier.name == name) {
            faults.add(span, format!("`{name}` is given twice"), "remove one of the two");
            continue;
        }
        read.push(Field { name, span, value: convert(&field.value, faults) });
    }
    read
}

fn span_of(span: &ron2::error::Span) -> Span {
    Span { start: span.start_offset, end: span.end_offset }
}

/// The parser's places may be within a character.
fn whole_chars(span: Span, text: &str) -> Span {
    let start = (0..=span.start.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let end = (span.end..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    Span { start, end: end.max(start) }
}

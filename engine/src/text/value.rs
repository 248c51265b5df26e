//! The tree of values of an experiment's text, each with its place and its variant name.
//! Knows how values are written as RON; does not know how RON is parsed or how values are used.

use std::fmt;
use std::sync::Arc;

use super::fault::Span;

/// A value as written, with its place.
#[derive(Clone, Debug)]
pub struct Value {
    /// The place of the value in the text.
    pub span: Span,
    /// The value without its place.
    pub kind: ValueKind,
}

/// The kinds of values. Equality ignores places.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueKind {
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
    /// A value that could not be read; its fault is already reported.
    Unreadable,
}

/// A struct or an enum's variant; `Name` and `Name()` are the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Struct {
    /// The name, if the struct has one.
    pub name: Option<Arc<str>>,
    /// The values without a name.
    pub positional: Vec<Value>,
    /// The values with a name, in the order written.
    pub fields: Vec<NamedValue>,
}

/// A named value of a struct.
#[derive(Clone, Debug)]
pub struct NamedValue {
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

impl PartialEq for NamedValue {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.value == other.value
    }
}

impl Value {
    /// Moves all places back to the text before the insertions.
    pub(super) fn move_back(&mut self, inserted: &[usize]) {
        self.span = self.span.without(inserted);
        match &mut self.kind {
            ValueKind::List(items) => items.iter_mut().for_each(|item| item.move_back(inserted)),
            ValueKind::Map(entries) => entries.iter_mut().for_each(|(key, value)| {
                key.move_back(inserted);
                value.move_back(inserted);
            }),
            ValueKind::Struct(body) => {
                body.positional.iter_mut().for_each(|value| value.move_back(inserted));
                for field in &mut body.fields {
                    field.span = field.span.without(inserted);
                    field.value.move_back(inserted);
                }
            }
            ValueKind::Bool(_)
            | ValueKind::Int(_)
            | ValueKind::Real(_)
            | ValueKind::Text(_)
            | ValueKind::Unreadable => {}
        }
    }

    /// Returns the path of an `Axis(…)`: `x` of `Axis("x")`, `x.field` of `Axis("x.field")`.
    #[must_use]
    pub fn axis(&self) -> Option<&str> {
        let ValueKind::Struct(Struct { name: Some(name), positional, fields }) = &self.kind else {
            return None;
        };
        match (&**name, positional.as_slice(), fields.as_slice()) {
            ("Axis", [Value { kind: ValueKind::Text(axis), .. }], []) => Some(axis),
            _ => None,
        }
    }

    /// Returns whether the value is an `Axis(…)`, even one without a valid axis name.
    #[must_use]
    pub fn stands_for_axis(&self) -> bool {
        matches!(&self.kind, ValueKind::Struct(Struct { name: Some(name), .. }) if &**name == "Axis")
    }

    /// Returns a copy in which every `Axis(…)` is replaced by [`ValueKind::Unreadable`].
    #[must_use]
    pub fn without_axes(&self) -> Self {
        self.replace(&|value| {
            let gone = Self { span: value.span, kind: ValueKind::Unreadable };
            value.stands_for_axis().then_some(gone)
        })
    }

    /// Returns the value of a struct's field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Self> {
        let ValueKind::Struct(body) = &self.kind else { return None };
        body.fields.iter().find(|field| *field.name == *name).map(|field| &field.value)
    }

    /// Returns the name of a value that is only a name: `Nearest`, `Nearest()`.
    #[must_use]
    pub fn bare_name(&self) -> Option<&str> {
        match &self.kind {
            ValueKind::Struct(Struct { name: Some(name), positional, fields })
                if positional.is_empty() && fields.is_empty() =>
            {
                Some(name)
            }
            _ => None,
        }
    }

    /// Returns the kind of the value in words, with its article.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.kind {
            ValueKind::Bool(_) => "a truth value".to_owned(),
            ValueKind::Int(_) => "a whole number".to_owned(),
            ValueKind::Real(_) => "a decimal number".to_owned(),
            ValueKind::Text(_) => "a text".to_owned(),
            ValueKind::List(_) => "a list".to_owned(),
            ValueKind::Map(_) => "a map".to_owned(),
            ValueKind::Struct(Struct { name: Some(name), .. }) => format!("`{name}`"),
            ValueKind::Struct(_) => "a struct without a name".to_owned(),
            ValueKind::Unreadable => "something unreadable".to_owned(),
        }
    }

    /// Returns whether the whole value could be read.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        let mut is_readable = true;
        self.walk(&mut |value| is_readable &= !matches!(value.kind, ValueKind::Unreadable));
        is_readable
    }

    /// Returns a copy in which every decimal number with a whole value is written as a whole number, so that equal
    /// values have the same text: `1.0` as `1`, `-0.0` as `0`.
    #[must_use]
    pub fn with_whole_numbers(&self) -> Self {
        // Every binary64 number from −2^63 to below 2^63 that is whole is an `i64`.
        const BOUND: f64 = 9_223_372_036_854_775_808.0;
        self.replace(&|value| match value.kind {
            ValueKind::Real(real) if real.fract() == 0.0 && (-BOUND..BOUND).contains(&real) => {
                Some(Self { span: value.span, kind: ValueKind::Int(real as i64) })
            }
            _ => None,
        })
    }

    /// Calls `visit` on this value and every value in it, outermost first; keys of maps are not visited.
    pub fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Value)) {
        visit(self);
        match &self.kind {
            ValueKind::List(items) => items.iter().for_each(|item| item.walk(visit)),
            ValueKind::Map(entries) => entries.iter().for_each(|(_, value)| value.walk(visit)),
            ValueKind::Struct(body) => {
                body.positional.iter().for_each(|value| value.walk(visit));
                body.fields.iter().for_each(|field| field.value.walk(visit));
            }
            ValueKind::Bool(_)
            | ValueKind::Int(_)
            | ValueKind::Real(_)
            | ValueKind::Text(_)
            | ValueKind::Unreadable => {}
        }
    }

    /// Returns a copy in which every `Axis(…)` is replaced by the value that `resolve` returns for its path; without
    /// one it stays.
    #[must_use]
    pub fn substitute(&self, resolve: &impl Fn(&str) -> Option<Value>) -> Self {
        self.replace(&|value| value.axis().and_then(resolve))
    }

    /// Returns a copy in which each outermost value with a replacement from `with` is replaced.
    fn replace(&self, with: &impl Fn(&Self) -> Option<Self>) -> Self {
        if let Some(value) = with(self) {
            return value;
        }
        let kind = match &self.kind {
            ValueKind::List(items) => ValueKind::List(items.iter().map(|item| item.replace(with)).collect()),
            ValueKind::Map(entries) => {
                ValueKind::Map(entries.iter().map(|(key, v)| (key.clone(), v.replace(with))).collect())
            }
            ValueKind::Struct(body) => ValueKind::Struct(Struct {
                name: body.name.clone(),
                positional: body.positional.iter().map(|value| value.replace(with)).collect(),
                fields: body
                    .fields
                    .iter()
                    .map(|field| NamedValue {
                        name: Arc::clone(&field.name),
                        span: field.span,
                        value: field.value.replace(with),
                    })
                    .collect(),
            }),
            other => other.clone(),
        };
        Self { span: self.span, kind }
    }
}

/// Writes the value as RON text without spaces, with numbers in their shortest form.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ValueKind::Bool(value) => write!(f, "{value}"),
            ValueKind::Int(value) => write!(f, "{value}"),
            ValueKind::Real(value) => write!(f, "{value:?}"),
            ValueKind::Text(value) => write!(f, "{value:?}"),
            ValueKind::List(items) => {
                f.write_str("[")?;
                separated(f, items, |f, item| write!(f, "{item}"))?;
                f.write_str("]")
            }
            ValueKind::Map(entries) => {
                f.write_str("{")?;
                separated(f, entries, |f, (key, value)| write!(f, "{key}:{value}"))?;
                f.write_str("}")
            }
            ValueKind::Struct(body) => write_struct(f, body),
            ValueKind::Unreadable => f.write_str("?"),
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

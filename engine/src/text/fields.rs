//! Reads typed parameters from values, field by field, so that every fault is reported at its place.
//! Knows the language's spelling rules, but no parameter.

use std::fmt::Debug;
use std::ops::RangeInclusive;

use super::fault::{Faults, Span, is_misspelt, suggest};
use super::mismatch::mismatch;
use super::note::{Asked, Need, Note};
use super::value::{NamedValue, Struct, Value, ValueKind};

/// A parameter that can be read from a value. The schema shows its `Debug` form as a default.
pub trait FromValue: Debug + Sized {
    /// Reads the value; returns `None` after a fault is reported.
    fn from_value(value: &Value, faults: &mut Faults) -> Option<Self>;
}

/// The fields of a struct or variant while they are read: a reader asks for each field it knows, then
/// [`Fields::finish`] reports the fields that were not asked for.
#[derive(Debug)]
pub struct Fields<'v> {
    owner: &'v str,
    span: Span,
    /// The unnamed value, which stands for the first field.
    first: Option<&'v Value>,
    named: Vec<&'v NamedValue>,
    asked: Vec<&'static str>,
    /// Whether a field was taken; after the first field, an unnamed value has no meaning.
    taken: bool,
    /// Whether the struct has two or more unnamed values. Then a field that seems to be missing is not reported: an
    /// unnamed value may be meant for it.
    crowded: bool,
    /// The notes about each field, for the schema.
    notes: Option<Vec<Asked>>,
    /// What fields mean, for the schema.
    about: Vec<(&'static str, &'static str)>,
}

/// A node's input: the name of another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputName {
    /// The field that contains the name.
    pub port: &'static str,
    /// The name of the node.
    pub node: String,
    /// Where the name is written.
    pub span: Span,
}

impl<'v> Fields<'v> {
    /// Opens the fields of a struct or variant; `owner` names it in messages.
    pub fn open(value: &'v Value, owner: &'v str, faults: &mut Faults) -> Option<Self> {
        let ValueKind::Struct(Struct { positional, fields, .. }) = &value.kind else {
            mismatch(value, &format!("`{owner}(…)`"), faults);
            return None;
        };
        if let Some(second) = positional.get(1) {
            faults.add(
                second.span,
                format!("`{owner}` takes one value without a name"),
                "give each its name: `name: value`",
            );
        }
        Some(Self {
            owner,
            span: value.span,
            first: positional.first(),
            named: fields.iter().collect(),
            asked: vec![],
            taken: false,
            crowded: positional.len() > 1,
            notes: faults.is_noting().then(Vec::new),
            about: vec![],
        })
    }

    /// Says what fields mean, each in a sentence. The schema and editors show it.
    pub fn about(&mut self, words: &[(&'static str, &'static str)]) {
        if self.notes.is_some() {
            self.about.extend_from_slice(words);
        }
    }

    /// Returns where the whole struct is written.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span
    }

    /// Takes the value of a field; an unnamed value counts as the first field.
    pub fn take(&mut self, name: &'static str) -> Option<&'v Value> {
        self.ask(name);
        if !self.taken {
            self.put_first(name);
        }
        let first = if self.taken { None } else { self.first.take() };
        self.taken = true;
        first.or_else(|| self.take_named(name))
    }

    /// Takes the value of a field that is never written without its name.
    pub fn take_named(&mut self, name: &'static str) -> Option<&'v Value> {
        self.ask(name);
        let named = self.named.iter().position(|field| *field.name == *name);
        named.map(|at| &self.named.remove(at).value)
    }

    /// Notes in words how the reader treats a missing field whose default is not a value of the language.
    pub fn otherwise(&mut self, name: &'static str, words: &str) {
        self.note(name, |asked| asked.need = Need::Otherwise(words.to_owned()));
    }

    /// Reads a field that must be given.
    pub fn required<T: FromValue>(&mut self, name: &'static str, faults: &mut Faults) -> Option<T> {
        self.note(name, |asked| asked.need = Need::Required);
        if let Some(value) = self.take(name) {
            return T::from_value(value, faults);
        }
        // A misspelt name is one fault, not two.
        if !self.crowded && !self.named.iter().any(|field| is_misspelt(&field.name, [name])) {
            faults.add(self.span, format!("`{}` needs `{name}`", self.owner), format!("add `{name}: …`"));
        }
        None
    }

    /// Reads a field that has a default.
    pub fn optional<T: FromValue>(
        &mut self,
        name: &'static str,
        default: T,
        faults: &mut Faults,
    ) -> Option<T> {
        self.note(name, |asked| asked.need = Need::Default(written(&default)));
        match self.take(name) {
            Some(value) => T::from_value(value, faults),
            None => Some(default),
        }
    }

    /// Reads a whole number within a range; `default` is used where the field is not given.
    pub fn whole(
        &mut self,
        name: &'static str,
        range: RangeInclusive<i64>,
        default: Option<i64>,
        faults: &mut Faults,
    ) -> Option<i64> {
        let before = self.value_of(name);
        let words = || match (*range.start(), *range.end()) {
            (least, i64::MAX) => format!("a whole number of at least {least}"),
            (least, most) => format!("a whole number from {least} to {most}"),
        };
        self.note(name, |asked| asked.must = words());
        let read = self.either(name, default, faults)?;
        if range.contains(&read) {
            return Some(read);
        }
        self.refuse(name, before, &words(), faults);
        None
    }

    /// Reads a field whose value must satisfy `holds`; `words` describes the condition in messages.
    pub fn such_that<T: FromValue>(
        &mut self,
        name: &'static str,
        default: Option<T>,
        words: &str,
        holds: impl Fn(&T) -> bool,
        faults: &mut Faults,
    ) -> Option<T> {
        let before = self.value_of(name);
        self.note(name, |asked| asked.must = words.into());
        let read = self.either(name, default, faults)?;
        if holds(&read) {
            return Some(read);
        }
        self.refuse(name, before, words, faults);
        None
    }

    /// Reads a field that must be given unless it has a default.
    fn either<T: FromValue>(
        &mut self,
        name: &'static str,
        default: Option<T>,
        faults: &mut Faults,
    ) -> Option<T> {
        match default {
            Some(default) => self.optional(name, default, faults),
            None => self.required(name, faults),
        }
    }

    /// Reports a field whose value does not satisfy its condition.
    fn refuse(&self, name: &str, value: Option<&Value>, words: &str, faults: &mut Faults) {
        let (span, found) = value.map_or((self.span, String::new()), |v| (v.span, format!(", not {v}")));
        faults.add(span, format!("`{name}` of `{}` must be {words}{found}", self.owner), "");
    }

    /// Reads a field that names an input node; `gives` is the type of artifact that the input node must produce.
    pub fn input(&mut self, port: &'static str, gives: &str, faults: &mut Faults) -> Option<InputName> {
        let span = self.span_of(port);
        self.note(port, |asked| asked.must = format!("the name of a node that gives a {gives}"));
        if self.value_of(port).is_some_and(|value| value.axis().is_some()) {
            self.take(port);
            faults.add(
                span,
                format!("`{port}` names a node and cannot be swept"),
                "sweep a parameter of the node it names instead, as in `Dataset(source: Axis(\"d\"))`",
            );
            return None;
        }
        self.required(port, faults).map(|node| InputName { port, node, span })
    }

    /// Returns whether a field is given.
    pub fn has(&mut self, name: &'static str) -> bool {
        self.ask(name);
        self.value_of(name).is_some()
    }

    /// Returns where the value of a field is written, or the whole struct where it is not given.
    #[must_use]
    pub fn span_of(&self, name: &str) -> Span {
        self.value_of(name).map_or(self.span, |value| value.span)
    }

    /// Reports the fields that were not asked for; returns whether there was none.
    pub fn finish(self, faults: &mut Faults) -> bool {
        if let Some(mut notes) = self.notes {
            for asked in &mut notes {
                let about = self.about.iter().find(|(name, _)| *name == asked.name);
                asked.about = about.map_or("", |(_, words)| words);
            }
            faults.note(self.span, || Note::Fields(notes));
        }
        let clean = self.first.is_none() && self.named.is_empty();
        if let Some(value) = self.first {
            faults.add(value.span, format!("`{}` takes no value", self.owner), "remove it");
        }
        for field in self.named {
            let hint = if self.asked.contains(&&*field.name) {
                "it is given without its name already: remove one of the two".to_owned()
            } else {
                suggest(&field.name, self.asked.iter().copied())
            };
            faults.add(field.span, format!("`{}` has no field `{}`", self.owner, field.name), hint);
        }
        clean
    }

    fn value_of(&self, name: &str) -> Option<&'v Value> {
        let first = if self.taken { None } else { self.first };
        first.or_else(|| self.named.iter().find(|field| *field.name == *name).map(|field| &field.value))
    }

    fn ask(&mut self, name: &'static str) {
        self.asked.push(name);
        self.note(name, |_| {});
    }

    /// Moves the note of this field before the earlier ones: an unnamed value stands for this field.
    fn put_first(&mut self, name: &str) {
        let notes = self.notes.as_deref_mut().unwrap_or_default();
        if let Some(at) = notes.iter().position(|asked| asked.name == name) {
            notes[..=at].rotate_right(1);
        }
    }

    /// Changes the note of a field, if notes are taken.
    fn note(&mut self, name: &'static str, say: impl FnOnce(&mut Asked)) {
        let Some(notes) = &mut self.notes else { return };
        let at = notes.iter().position(|asked| asked.name == name).unwrap_or_else(|| {
            let need = Need::Otherwise(String::new());
            notes.push(Asked { name, need, must: String::new(), about: "" });
            notes.len() - 1
        });
        say(&mut notes[at]);
    }
}

/// Returns a default as it is written in the language.
fn written(default: &impl Debug) -> String {
    format!("{default:?}").replace(" { ", "(").replace(" }", ")")
}

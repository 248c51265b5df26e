//! The schema of experiment files, made by the code that reads them: every reader is run on placeholder values while
//! its notes are recorded, so the schema cannot go stale.
//! Knows no field by name.

use std::fmt;

use serde::Serialize;

use crate::ops::Ops;
use crate::spec::axis::{Axes, Axis};
use crate::spec::experiment::Experiment;
use crate::spec::node::{Nodes, open};
use crate::spec::table_reader::TableReader;
use crate::text::fault::{Faults, Span};
use crate::text::note::{Asked, Need, Note};
use crate::text::value::{self, Struct, Value, ValueKind};

/// The schema of the language: every choice with its variants and fields.
#[derive(Debug, Serialize)]
pub struct Schema {
    /// The choices, outer ones before inner ones.
    pub choices: Vec<ChoiceSchema>,
}

/// A choice of variants, such as the ops or the formats.
#[derive(Debug, PartialEq, Serialize)]
pub struct ChoiceSchema {
    /// The name of the choice, with its article: `a format`.
    pub what: String,
    /// The description of the value, if it is no variant; else empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub words: String,
    /// The variants.
    pub variants: Vec<VariantSchema>,
}

/// A variant with its fields.
#[derive(Debug, PartialEq, Serialize)]
pub struct VariantSchema {
    /// The name.
    pub name: String,
    /// The fields, in the order read; an unnamed value stands for the first.
    pub fields: Vec<FieldSchema>,
    /// The metrics that a record of the node may have; empty if the variant is not a node.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub metrics: &'static [&'static str],
}

/// A field of a variant.
#[derive(Debug, PartialEq, Serialize)]
pub struct FieldSchema {
    /// The name.
    pub name: &'static str,
    /// The type of the value.
    pub value: ValueSchema,
    /// The condition on the value besides its type: `above 0`; empty if there is none.
    pub must: String,
    /// The default, or whether the field must be given.
    pub need: Need,
    /// What the field means, in a sentence.
    pub about: &'static str,
}

/// The type that a reader expects of a value.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueSchema {
    /// A type described by these words.
    Words(String),
    /// One of these names, which have no fields.
    Name(Vec<String>),
    /// A variant of the choice of this name.
    Choice(String),
    /// A list of this type.
    List(Box<ValueSchema>),
}

/// A position in a value that is read as a whole.
struct SchemaPosition<'r> {
    /// The depth of the position, which identifies it in the notes.
    depth: usize,
    /// Reads the whole value, with this value at the position.
    read: &'r dyn Fn(Value, &mut Faults),
}

impl Schema {
    /// Describes the language by running the readers of experiments, axes, nodes with their parameters, and tables.
    pub fn describe<O: Ops>(ops: &O) -> Self {
        let kinds = ops.kinds();
        let mut schema = Self { choices: vec![] };
        let read = |value, faults: &mut Faults| drop(Experiment::from_value(&value, kinds, faults));
        let fields = schema.fields(&SchemaPosition { depth: 0, read: &read }, "Experiment");
        schema.add(
            "an experiment",
            vec![VariantSchema { name: "Experiment".to_owned(), fields, metrics: &[] }],
        );
        let read =
            |value: Value, faults: &mut Faults| drop(Axis::from_value("axis", value.span, &value, faults));
        let words = schema.taken(&SchemaPosition { depth: 0, read: &read }).to_string();
        schema.choices.push(ChoiceSchema { what: "an axis".to_owned(), words, variants: vec![] });
        schema.taken(&SchemaPosition {
            depth: 0,
            read: &|value, faults| {
                if let Some(mut node) = open(&value, kinds, faults) {
                    ops.read_op(node.kind.name, &mut node.fields, faults);
                    node.fields.finish(faults);
                }
            },
        });
        let scope = TableReader { axes: &Axes::default(), nodes: &Nodes::default() };
        let read = |value: Value, faults: &mut Faults| drop(scope.read("table", value.span, &value, faults));
        schema.taken(&SchemaPosition { depth: 0, read: &read });
        for variant in schema.choices.iter_mut().flat_map(|choice| &mut choice.variants) {
            let kind = kinds.iter().find(|kind| kind.name == variant.name);
            variant.metrics = kind.map_or(&[], |kind| kind.metrics);
        }
        schema
    }

    /// Returns every name in the schema, each once: choices (without article), variants and fields.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.choices.iter().map(ChoiceSchema::noun).collect();
        let variants = || self.choices.iter().flat_map(|choice| &choice.variants);
        names.extend(variants().map(|variant| &*variant.name));
        names.extend(variants().flat_map(|variant| &variant.fields).map(|field| field.name));
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Keeps only the parts that a name means: a choice, variants, or fields with their owners.
    pub fn keep(&mut self, name: &str) {
        for choice in self.choices.iter_mut().filter(|choice| choice.noun() != name) {
            for variant in choice.variants.iter_mut().filter(|variant| variant.name != name) {
                variant.fields.retain(|field| field.name == name);
                variant.metrics = &[];
            }
            choice.variants.retain(|variant| variant.name == name || !variant.fields.is_empty());
        }
        self.choices.retain(|choice| choice.noun() == name || !choice.variants.is_empty());
    }

    fn add(&mut self, what: &str, variants: Vec<VariantSchema>) {
        self.choices.push(ChoiceSchema { what: what.to_owned(), words: String::new(), variants });
    }

    /// Finds the type that a reader expects at a position.
    fn taken(&mut self, place: &SchemaPosition<'_>) -> ValueSchema {
        let faults = place.look(ValueKind::Unreadable);
        match faults.notes(place.span()).next() {
            Some(Note::Expected { what, variants }) if !variants.is_empty() => {
                self.choice(place, what, variants)
            }
            Some(Note::Expected { what, .. }) if what == "a list" => {
                let read = |item, faults: &mut Faults| {
                    (place.read)(place.value(ValueKind::List(vec![item])), faults);
                };
                ValueSchema::List(Box::new(
                    self.taken(&SchemaPosition { depth: place.depth + 1, read: &read }),
                ))
            }
            Some(Note::Expected { what, .. }) => ValueSchema::Words(what.clone()),
            Some(Note::Fields(_)) | None => ValueSchema::Words("a value".to_owned()),
        }
    }

    fn choice(&mut self, place: &SchemaPosition<'_>, what: &str, names: &[String]) -> ValueSchema {
        let is_it = |choice: &ChoiceSchema| {
            choice.what == what && choice.variants.iter().map(|variant| &variant.name).eq(names)
        };
        if self.choices.iter().any(is_it) {
            return ValueSchema::Choice(what.to_owned());
        }
        // The choice is added before its variants are explored, because they may contain it.
        let at = self.choices.len();
        let variant = |name: &String| VariantSchema { name: name.clone(), fields: vec![], metrics: &[] };
        self.add(what, names.iter().map(variant).collect());
        for (number, name) in names.iter().enumerate() {
            let fields = self.fields(place, name);
            self.choices[at].variants[number].fields = fields;
        }
        if self.choices[at].variants.iter().all(|variant| variant.fields.is_empty()) {
            self.choices.remove(at);
            return ValueSchema::Name(names.to_vec());
        }
        ValueSchema::Choice(what.to_owned())
    }

    /// Finds the fields of a variant at a position.
    fn fields(&mut self, place: &SchemaPosition<'_>, name: &str) -> Vec<FieldSchema> {
        let asked = place.asked(&place.look(variant(name, vec![])));
        asked.into_iter().map(|asked| self.field(place, name, asked)).collect()
    }

    /// Finds the schema of a field. Its default was noted while the field was missing; its condition may only be
    /// noted when the field is given.
    fn field(
        &mut self,
        place: &SchemaPosition<'_>,
        owner: &str,
        Asked { name, need, must, about }: Asked,
    ) -> FieldSchema {
        let read = |value, faults: &mut Faults| {
            let field = value::NamedValue { name: name.into(), span: Span::default(), value };
            (place.read)(place.value(variant(owner, vec![field])), faults);
        };
        let within = SchemaPosition { depth: place.depth + 1, read: &read };
        let given =
            place.asked(&within.look(ValueKind::Unreadable)).into_iter().find(|asked| asked.name == name);
        let must = if must.is_empty() { given.map_or(must, |asked| asked.must) } else { must };
        debug_assert!(within.takes(&need), "{owner}.{name}: {need:?} is not written as it is read");
        FieldSchema { name, value: self.taken(&within), must, need, about }
    }
}

impl ChoiceSchema {
    /// Returns the name of the choice without its article: `format`.
    #[must_use]
    pub fn noun(&self) -> &str {
        self.what.split_once(' ').map_or(&*self.what, |(_, noun)| noun)
    }
}

impl SchemaPosition<'_> {
    fn span(&self) -> Span {
        Span { start: self.depth, end: self.depth }
    }

    fn value(&self, kind: ValueKind) -> Value {
        Value { span: self.span(), kind }
    }

    /// Runs the reader with this value at the position, and returns the faults with their notes.
    fn look(&self, kind: ValueKind) -> Faults {
        let mut faults = Faults::noting();
        (self.read)(self.value(kind), &mut faults);
        faults
    }

    /// Returns the fields that the reader asked for at the position.
    fn asked(&self, faults: &Faults) -> Vec<Asked> {
        let fields = faults.notes(self.span()).find_map(|note| match note {
            Note::Fields(fields) => Some(fields.clone()),
            Note::Expected { .. } => None,
        });
        fields.unwrap_or_default()
    }

    /// Returns whether a default, as written, parses and causes no fault beyond those of a missing value.
    fn takes(&self, need: &Need) -> bool {
        let Need::Default(text) = need else { return true };
        let mut faults = Faults::default();
        let value = Value::parse(text, &mut faults);
        let messages = |faults: Faults| faults.into_sorted().into_iter().map(|fault| fault.message);
        let without: Vec<String> = messages(self.look(ValueKind::Unreadable)).collect();
        faults.is_empty() && messages(self.look(value.kind)).all(|message| without.contains(&message))
    }
}

fn variant(name: &str, fields: Vec<value::NamedValue>) -> ValueKind {
    ValueKind::Struct(Struct { name: Some(name.into()), positional: vec![], fields })
}

impl FieldSchema {
    /// Returns the type of the value and the condition on it, in words.
    #[must_use]
    pub fn type_words(&self) -> String {
        match &*self.must {
            "" => self.value.to_string(),
            // A condition that starts with an article replaces the type; any other follows it.
            must if must.starts_with("a ") || must.starts_with("the ") => must.to_owned(),
            must => format!("{}, {must}", self.value),
        }
    }
}

impl fmt::Display for ValueSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words(words) | Self::Choice(words) => f.write_str(words),
            Self::Name(names) => match names.as_slice() {
                [rest @ .., last] if !rest.is_empty() => write!(f, "{} or {last}", rest.join(", ")),
                names => f.write_str(&names.concat()),
            },
            Self::List(item) => write!(f, "a list, each {item}"),
        }
    }
}

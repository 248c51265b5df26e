//! Templates: a variant with the fields that must be given, alone or as an entry of a map.
//! Knows no field by name: the schema says which ones are required, and of which type they are.

use fewbits_engine::ops::{NodeKind, Ops as _};
use fewbits_engine::schema::{FieldSchema, Schema, ValueSchema, VariantSchema};
use fewbits_engine::text::note::Need;
use fewbits_engine::text::value::{Value, ValueKind};
use fewbits_ops::StandardOps;

/// A text with places for what its author must choose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    /// The text.
    pub text: String,
    /// The places of missing values, in bytes.
    pub holes: Vec<usize>,
}

impl Template {
    /// Writes a variant of a choice with its required fields. An input is the last of `nodes` that gives what it needs.
    pub fn of(
        choice: &str,
        variant: &str,
        nodes: &[(String, &'static NodeKind)],
        language: &Language,
    ) -> Self {
        let mut template = Self::default();
        template.text += variant;
        let Some(described) = language.variant(choice, variant) else { return template };
        let required: Vec<&FieldSchema> =
            described.fields.iter().filter(|field| field.need == Need::Required).collect();
        if required.is_empty() {
            return template;
        }
        let kind = language.kinds.iter().find(|kind| kind.name == variant);
        let is_unnamed = described.fields.len() == 1 && kind.is_none();
        template.text += "(";
        for (at, field) in required.into_iter().enumerate() {
            template.text += if at > 0 { ", " } else { "" };
            if !is_unnamed {
                template.text += &format!("{}: ", field.name);
            }
            let gives = kind.and_then(|kind| kind.all_inputs().find(|(port, _)| *port == field.name));
            let fits = |kind: &NodeKind| gives.is_some_and(|(_, gives)| kind.output == Some(gives));
            let input = nodes.iter().rev().find(|(_, kind)| fits(kind)).map(|(node, _)| node.as_str());
            template.value(&field.value, input);
        }
        template.text += ")";
        template
    }

    /// Writes an entry of a map: a name and a variant.
    #[must_use]
    pub fn entry(self, name: &str) -> Self {
        let key = format!("\"{name}\": ");
        let holes = self.holes.into_iter().map(|hole| key.len() + hole).collect();
        Self { text: format!("{key}{},", self.text), holes }
    }

    /// Drops the comma behind an entry.
    pub fn drop_comma(&mut self) {
        self.text.truncate(self.text.trim_end_matches(',').len());
    }

    fn value(&mut self, value: &ValueSchema, known: Option<&str>) {
        let (open, close) = match value {
            ValueSchema::Words(words) => match words.split(' ').nth(1) {
                _ if known.is_some() => ("\"", "\""),
                Some("text" | "name" | "expression" | "expression,") => ("\"", "\""),
                Some("list") => ("[", "]"),
                _ => ("", ""),
            },
            ValueSchema::List(_) => ("[", "]"),
            ValueSchema::Name(_) | ValueSchema::Choice(_) => ("", ""),
        };
        self.text += open;
        match known {
            Some(known) => self.text += known,
            None => self.holes.push(self.text.len()),
        }
        self.text += close;
    }

    /// Returns the text with a numbered stop at each missing value, as editors take it.
    #[must_use]
    pub fn snippet(&self) -> String {
        let escaped = |text: &str| text.replace('\\', "\\\\").replace('$', "\\$").replace('}', "\\}");
        let mut snippet = String::new();
        let mut from = 0;
        for (at, &hole) in self.holes.iter().enumerate() {
            snippet += &format!("{}${}", escaped(&self.text[from..hole]), at + 1);
            from = hole;
        }
        snippet + &escaped(&self.text[from..])
    }
}

/// The language of experiments: its choices with their variants and fields.
pub struct Language {
    schema: Schema,
    kinds: &'static [NodeKind],
}

impl Language {
    /// Describes the language that the readers of ops read.
    pub fn new(ops: &StandardOps) -> Self {
        Self { schema: Schema::describe(ops), kinds: ops.kinds() }
    }

    /// Returns the description of a field of a variant of a choice, as far as the variant is written.
    pub fn field(&self, choice: &str, written: &Value, name: &str) -> Option<&FieldSchema> {
        let ValueKind::Struct(body) = &written.kind else { return None };
        let variant = self.variant(choice, body.name.as_deref()?)?;
        variant.fields.iter().find(|field| field.name == name)
    }

    fn variant(&self, choice: &str, variant: &str) -> Option<&VariantSchema> {
        let choice = self.schema.choices.iter().find(|known| known.what == choice)?;
        choice.variants.iter().find(|known| known.name == variant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_fields_are_written_and_marked() {
        let language = Language::new(&StandardOps::new("".into(), "".into()));
        let template = |choice: &str, variant: &str| Template::of(choice, variant, &[], &language);
        assert_eq!(template("a format", "Posit").snippet(), "Posit(n: $1, es: $2)");
        assert_eq!(template("a format", "E2M1").snippet(), "E2M1");
        assert_eq!(
            template("a kind of table", "Pareto").snippet(),
            "Pareto(minimize: \"$1\", maximize: \"$2\")"
        );
        let entry = template("a format", "Int").entry("a$}");
        assert_eq!(
            (&*entry.text, entry.snippet()),
            ("\"a$}\": Int(bits: ),", "\"a\\$\\}\": Int(bits: $1),".to_owned())
        );
    }
}

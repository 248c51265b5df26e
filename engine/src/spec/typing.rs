//! The types that written values have in expressions, and the conversion to CEL values.
//! Knows nothing of axes and metrics, only lists of values.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::expression::{ITEM, Literal};
use crate::text::fault::{is_misspelt, suggest};
use crate::text::value::{Struct, Value, ValueKind};

/// The common type of a list of values in expressions, with its fields and items: one expression must fit all values
/// of the list.
#[derive(Clone, Debug, PartialEq)]
pub enum Typing {
    /// Whole numbers only.
    Int,
    /// Numbers with at least one decimal: the whole ones become doubles, too.
    Double,
    /// Truth values only.
    Truth,
    /// Texts and names of variants without fields only: strings.
    Text(BTreeSet<String>),
    /// Lists only, with the type of their items.
    List(Box<Typing>),
    /// At least one struct. Structs and names without fields become maps of the fields and `kind`, the name; other
    /// values are converted one by one.
    Struct {
        /// The names of the structs.
        kinds: BTreeSet<String>,
        /// The type of each field.
        fields: BTreeMap<String, Typing>,
        /// Whether all values are structs or names.
        is_pure: bool,
    },
    /// Any other mixture: each value is converted on its own. Contains the texts among the values.
    Mixed(BTreeSet<String>),
}

impl Typing {
    /// Infers the type of a list of values.
    #[must_use]
    pub fn infer(values: &[&Value]) -> Self {
        let all = |is: fn(&Value) -> bool| values.iter().all(|value| is(value));
        let has_fields = |value: &&&Value| {
            matches!(value.kind, ValueKind::Struct(_))
                && value.bare_name().is_none()
                && !value.stands_for_axis()
        };
        if all(|value| matches!(value.kind, ValueKind::Int(_))) {
            Self::Int
        } else if all(|value| matches!(value.kind, ValueKind::Int(_) | ValueKind::Real(_))) {
            Self::Double
        } else if all(|value| matches!(value.kind, ValueKind::Bool(_))) {
            Self::Truth
        } else if all(|value| matches!(value.kind, ValueKind::List(_))) {
            let items = values.iter().flat_map(|value| match &value.kind {
                ValueKind::List(items) => items.as_slice(),
                _ => &[],
            });
            Self::List(Box::new(Self::infer(&items.collect::<Vec<_>>())))
        } else if values.iter().any(|value| has_fields(&value)) {
            Self::of_structs(values)
        } else {
            let texts: BTreeSet<String> =
                values.iter().filter_map(|value| text(value)).map(str::to_owned).collect();
            if all(|value| text(value).is_some()) { Self::Text(texts) } else { Self::Mixed(texts) }
        }
    }

    fn of_structs(values: &[&Value]) -> Self {
        let mut kinds = BTreeSet::new();
        let mut fields: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
        for value in values {
            let ValueKind::Struct(body) = &value.kind else { continue };
            kinds.extend(body.name.iter().map(ToString::to_string));
            for field in own_fields(body) {
                fields.entry(field.0.to_owned()).or_default().push(field.1);
            }
        }
        let fields = fields.into_iter().map(|(name, values)| (name, Self::infer(&values))).collect();
        let is_pure = values.iter().all(|value| matches!(value.kind, ValueKind::Struct(_)));
        Self::Struct { kinds, fields, is_pure }
    }

    /// Converts a value of the list to its CEL value.
    #[must_use]
    pub fn cel(&self, value: &Value) -> cel::Value {
        match &value.kind {
            ValueKind::Bool(value) => cel::Value::Bool(*value),
            ValueKind::Int(value) if *self == Self::Double => cel::Value::Float(*value as f64),
            ValueKind::Int(value) => cel::Value::Int(*value),
            ValueKind::Real(value) => cel::Value::Float(*value),
            ValueKind::Text(text) => string(text),
            ValueKind::List(items) => {
                let plain = Self::Mixed(BTreeSet::new());
                let typing = if let Self::List(typing) = self { typing } else { &plain };
                cel::Value::List(Arc::new(items.iter().map(|item| typing.cel(item)).collect()))
            }
            ValueKind::Struct(body) => match (self, value.bare_name()) {
                (Self::Struct { fields, .. }, _) => map(body, fields),
                (_, Some(name)) => string(name),
                _ => map(body, &BTreeMap::new()),
            },
            ValueKind::Map(_) | ValueKind::Unreadable => cel::Value::Null,
        }
    }

    /// Returns a message and a hint if no value can equal a literal although the comparison seems to intend it.
    /// `path` contains the names of the fields that lead to the values; `name` is the expression as written.
    #[must_use]
    pub fn never_equals(&self, name: &str, path: &[String], literal: &Literal) -> Option<(String, String)> {
        if let Some((first, rest)) = path.split_first() {
            return match self {
                Self::Struct { kinds, .. } if first == "kind" && rest.is_empty() => {
                    Self::Text(kinds.clone()).never_equals(name, rest, literal)
                }
                Self::Struct { fields, .. } => fields.get(first)?.never_equals(name, rest, literal),
                Self::List(items) if first == ITEM => items.never_equals(name, rest, literal),
                _ => None,
            };
        }
        let never = |what: &str, hint: String| {
            Some((format!("`{name}` has {what}, which are never equal to {literal}"), hint))
        };
        match (self, literal) {
            (Self::List(_), _) => never("lists", format!("compare an item: `{name}[0] == {literal}`")),
            (Self::Struct { is_pure: true, .. }, Literal::Text(_)) => {
                never("values with fields", format!("compare their name: `{name}.kind == {literal}`"))
            }
            (Self::Struct { is_pure: true, .. }, Literal::Number(_) | Literal::Truth(_)) => {
                never("values with fields", format!("compare one of the fields: `{name}.field == {literal}`"))
            }
            (Self::Int | Self::Double, Literal::Text(_) | Literal::Truth(_)) => {
                never("numbers", "compare them with a number".to_owned())
            }
            (Self::Truth, Literal::Text(_) | Literal::Number(_)) => {
                never("truth values", format!("write `{name}` or `!{name}`"))
            }
            (Self::Text(texts), Literal::Number(_) | Literal::Truth(_)) => {
                let example = texts.first().map_or("…", String::as_str);
                never("texts", format!("texts stand in single quotes: `{name} == '{example}'`"))
            }
            (Self::Text(texts) | Self::Mixed(texts), Literal::Text(text)) => {
                let valid = || texts.iter().map(String::as_str);
                (!texts.contains(text) && is_misspelt(text, valid()))
                    .then(|| (format!("`{name}` has no value '{text}'"), suggest(text, valid())))
            }
            // A number that is not a value of the axis is no fault: a constraint may compare with any number.
            (Self::Int | Self::Double, Literal::Number(_))
            | (Self::Truth, Literal::Truth(_))
            | (Self::Mixed(_), Literal::Number(_) | Literal::Truth(_))
            | (Self::Struct { is_pure: false, .. }, _) => None,
        }
    }
}

/// Returns the fields that are written in the struct itself. A field that stands for an axis is left out, because
/// expressions name that axis.
fn own_fields(body: &Struct) -> impl Iterator<Item = (&str, &Value)> {
    let own = body.fields.iter().filter(|field| !field.value.stands_for_axis());
    own.map(|field| (&*field.name, &field.value))
}

/// Returns the text of a value that is a string in expressions.
fn text(value: &Value) -> Option<&str> {
    match &value.kind {
        ValueKind::Text(text) => Some(text),
        _ => value.bare_name(),
    }
}

fn string(text: &str) -> cel::Value {
    cel::Value::String(Arc::new(text.to_owned()))
}

fn map(body: &Struct, typings: &BTreeMap<String, Typing>) -> cel::Value {
    let kind = body.name.iter().map(|name| ("kind".to_owned(), string(name)));
    let plain = Typing::Mixed(BTreeSet::new());
    let field =
        |(name, value): (&str, &Value)| (name.to_owned(), typings.get(name).unwrap_or(&plain).cel(value));
    cel::Value::from(kind.chain(own_fields(body).map(field)).collect::<HashMap<String, cel::Value>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::fault::Faults;

    fn read(text: &str) -> Vec<Value> {
        let ValueKind::List(values) = Value::parse(text, &mut Faults::default()).kind else {
            panic!("{text}")
        };
        values
    }

    fn typing(values: &[Value]) -> Typing {
        Typing::infer(&values.iter().collect::<Vec<_>>())
    }

    #[test]
    fn one_expression_fits_all_values() {
        let check = |text: &str, expected: &str| {
            let values = read(text);
            let typing = typing(&values);
            let seen: Vec<String> =
                values.iter().map(|value| format!("{:?}", typing.cel(value).type_of())).collect();
            assert_eq!(seen.join(" "), expected, "{text}");
        };
        check("[1, 2]", "Int Int");
        check("[1, 0.5]", "Float Float");
        check("[Nearest, \"x\"]", "String String");
        check("[Int(4), Ternary]", "Map Map");
        check("[true, 1]", "Bool Int");
    }

    #[test]
    fn names_are_maps_wherever_structs_stand_beside_them() {
        let of = |text: &str, path: &[&str]| {
            let values = read(text);
            let mut typing = typing(&values);
            for name in path {
                typing = match typing {
                    Typing::Struct { mut fields, .. } => fields.remove(*name).expect(name),
                    Typing::List(items) => *items,
                    other => panic!("{other:?}"),
                };
            }
            typing
        };
        let is_struct = |typing| matches!(typing, Typing::Struct { .. });
        assert!(is_struct(of("[(format: Int(4)), (format: Ternary)]", &["format"])));
        assert!(is_struct(of("[(a: (f: Ternary)), (a: (f: Int(4)))]", &["a", "f"])));
        assert!(is_struct(of("[[Ternary], [Int(4), F32]]", &["items"])));
        assert_eq!(of("[(lr: 1), (lr: 0.5)]", &["lr"]), Typing::Double);
        assert!(matches!(of("[(r: Nearest), (r: Stochastic)]", &["r"]), Typing::Text(_)));
        // A field that some values lack takes its type from the others.
        assert_eq!(of("[A(e: 1), B]", &["e"]), Typing::Int);
    }

    #[test]
    fn comparisons_that_never_hold_are_told() {
        let check = |values: &str, path: &[&str], literal: Literal, expected: Option<&str>| {
            let path: Vec<String> = path.iter().map(|name| (*name).to_owned()).collect();
            let told = typing(&read(values)).never_equals("x", &path, &literal);
            assert_eq!(told.as_ref().map(|(message, _)| message.as_str()), expected, "{values} {literal}");
        };
        let text = |text: &str| Literal::Text(text.to_owned());
        let number = || Literal::Number("1".to_owned());
        check("[0.1, 1]", &[], text("x"), Some("`x` has numbers, which are never equal to 'x'"));
        check("[0.1, 1]", &[], number(), None);
        check("[A, B]", &[], number(), Some("`x` has texts, which are never equal to 1"));
        check("[A, B]", &[], text("Zeta"), None);
        check("[Alpha, B]", &[], text("Alphe"), Some("`x` has no value 'Alphe'"));
        // Values beside structs are converted one by one.
        check("[1, (lr: 0.5)]", &[], number(), None);
        check("[\"a\", (lr: 0.5)]", &[], text("a"), None);
        check("[[16], [8]]", &[], number(), Some("`x` has lists, which are never equal to 1"));
        check("[[16], [8]]", &[ITEM], text("x"), Some("`x` has numbers, which are never equal to 'x'"));
        check("[[16], [8]]", &[ITEM], number(), None);
        check("[true]", &[], text("true"), Some("`x` has truth values, which are never equal to 'true'"));
        check(
            "[A(e: 1), B]",
            &[],
            text("B"),
            Some("`x` has values with fields, which are never equal to 'B'"),
        );
        check("[Float(e: 1), B]", &["kind"], text("Floot"), Some("`x` has no value 'Floot'"));
        check(
            "[(f: Int(4)), (f: B)]",
            &["f"],
            text("B"),
            Some("`x` has values with fields, which are never equal to 'B'"),
        );
        check("[(f: Int(4)), (f: B)]", &["f", "kind"], text("B"), None);
        check("[(f: 1)]", &["f"], text("1"), Some("`x` has numbers, which are never equal to '1'"));
    }
}

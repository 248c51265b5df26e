//! The preimage of a key: canonical JSON (RFC 8785) of op, version, parameters and the digests of what is read.
//! The text is stored with the result, so what explains a key is what made it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use fewbits_store::Digest;
use serde_json::Value;

use crate::ops::Identity;

/// Returns the preimage as text; `params` are the identity's parameters in canonical form.
#[must_use]
pub fn preimage(identity: &Identity, params: &str, inputs: &BTreeMap<String, Digest>) -> String {
    // Canonical JSON sorts names; these four are in order, and so is the map.
    let mut text = "{\"inputs\":{".to_owned();
    for (index, (name, digest)) in inputs.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        let _ = write!(text, "{comma}{}:\"{digest}\"", Value::from(name.as_str()));
    }
    let _ = write!(
        text,
        "}},\"op\":{},\"params\":{params},\"version\":{}}}",
        Value::from(identity.op),
        identity.version
    );
    text
}

/// One field in which two preimages differ.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Change {
    /// The field: `params.epochs`, `inputs.data.train`.
    pub field: String,
    /// Its value before, as JSON; none where it was absent.
    pub from: Option<String>,
    /// Its value now, as JSON; none where it is absent.
    pub to: Option<String>,
}

/// Returns the fields in which two preimages differ, by name.
#[must_use]
pub fn changes(from: &str, to: &str) -> Vec<Change> {
    let (before, after) = (flatten(from), flatten(to));
    let mut fields: Vec<&String> = before.keys().chain(after.keys()).collect();
    fields.sort_unstable();
    fields.dedup();
    fields
        .into_iter()
        .filter(|field| before.get(*field) != after.get(*field))
        .map(|field| Change {
            field: field.clone(),
            from: before.get(field).cloned(),
            to: after.get(field).cloned(),
        })
        .collect()
}

fn flatten(text: &str) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    if let Ok(Value::Object(object)) = serde_json::from_str(text) {
        for (name, value) in object {
            walk(name, &value, &mut fields);
        }
    }
    fields
}

fn walk(path: String, value: &Value, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(object) if !object.is_empty() => {
            for (name, value) in object {
                walk(format!("{path}.{name}"), value, into);
            }
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            for (index, value) in items.iter().enumerate() {
                walk(format!("{path}[{index}]"), value, into);
            }
        }
        leaf => {
            into.insert(path, leaf.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn example(epochs: u32) -> String {
        let identity = Identity { op: "train", version: 1, params: json!({ "lr": 0.001, "epochs": epochs }) };
        let params = serde_json_canonicalizer::to_string(&identity.params).expect("canonical");
        let inputs = ["data.train", "data.validation"];
        preimage(
            &identity,
            &params,
            &inputs.iter().map(|name| ((*name).to_owned(), Digest::of(name.as_bytes()))).collect(),
        )
    }

    #[test]
    fn the_text_is_canonical() {
        let text = example(5);
        let value: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(serde_json_canonicalizer::to_string(&value).expect("canonical"), text);
    }

    #[test]
    fn a_change_names_field_and_values() {
        let expected = Change {
            field: "params.epochs".to_owned(),
            from: Some("5".to_owned()),
            to: Some("10".to_owned()),
        };
        assert_eq!(changes(&example(5), &example(10)), [expected]);
        assert_eq!(changes(&example(5), &example(5)), []);
    }

    #[test]
    fn changes_go_into_structs_and_lists_of_structs() {
        let check = |from: Value, to: Value, expected: &[(&str, &str, &str)]| {
            let text = |value: Option<String>| value.unwrap_or("-".to_owned());
            let changes =
                changes(&json!({ "params": from }).to_string(), &json!({ "params": to }).to_string());
            let found: Vec<_> = changes.into_iter().map(|c| (c.field, text(c.from), text(c.to))).collect();
            let expected: Vec<_> = expected
                .iter()
                .map(|(f, a, b)| ((*f).to_owned(), (*a).to_owned(), (*b).to_owned()))
                .collect();
            assert_eq!(found, expected, "{from} {to}");
        };
        check(json!({ "a": { "b": 1 } }), json!({ "a": { "b": 2 } }), &[("params.a.b", "1", "2")]);
        check(json!({ "a": 1 }), json!({ "b": 1 }), &[("params.a", "1", "-"), ("params.b", "-", "1")]);
        check(json!({ "h": [64, 32] }), json!({ "h": [64] }), &[("params.h", "[64,32]", "[64]")]);
        check(json!([{ "k": 3 }, { "k": 5 }]), json!([{ "k": 3 }, { "k": 7 }]), &[("params[1].k", "5", "7")]);
        check(json!({ "a": {} }), json!({ "a": null }), &[("params.a", "{}", "null")]);
        check(json!({ "a": "1" }), json!({ "a": 1 }), &[("params.a", "\"1\"", "1")]);
    }
}

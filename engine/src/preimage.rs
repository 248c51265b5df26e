//! The preimage of a key: canonical JSON (RFC 8785) of op, version, parameters and input digests.
//! The store keeps the text with the record, so the explanation of a key uses the text that was hashed. Knows no op.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use fewbits_store::Digest;
use serde_json::Value;

/// Every whole number up to this magnitude is a binary64 number, and canonical JSON writes it digit by digit.
const MOST_EXACT: u64 = 1 << 53;

/// Returns the preimage of an op of this version with these inputs; `params` are its parameters in canonical form.
#[must_use]
pub fn preimage(op: &str, version: u32, params: &str, inputs: &BTreeMap<String, Digest>) -> String {
    // Canonical JSON sorts names; these four are written in sorted order, and the map is sorted.
    let mut text = String::with_capacity(params.len() + 96 * inputs.len() + 64);
    text.push_str("{\"inputs\":{");
    for (index, (name, digest)) in inputs.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        write_text(name, &mut text);
        let _ = write!(text, ":\"{digest}\"");
    }
    text.push_str("},\"op\":");
    write_text(op, &mut text);
    let _ = write!(text, ",\"params\":{params},\"version\":{version}}}");
    text
}

/// Returns a value as canonical JSON (RFC 8785).
pub fn canonical(value: &Value) -> serde_json::Result<String> {
    // The capacity suffices for most ops, so that the text is not reallocated while it grows.
    let mut text = String::with_capacity(256);
    write_canonical(value, &mut text)?;
    Ok(text)
}

/// Writes the common kinds of values directly; other numbers go to the crate, which is slower.
fn write_canonical(value: &Value, text: &mut String) -> serde_json::Result<()> {
    match value {
        Value::Object(object) => {
            let mut entries: Vec<(&String, &Value)> = object.iter().collect();
            entries.sort_unstable_by(|(a, _), (b, _)| utf16_order(a, b));
            text.push('{');
            for (index, (name, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_text(name, text);
                text.push(':');
                write_canonical(value, text)?;
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_canonical(item, text)?;
            }
            text.push(']');
        }
        Value::String(string) => write_text(string, text),
        Value::Number(number) => match whole(number) {
            Some(whole) if whole.unsigned_abs() < u128::from(MOST_EXACT) => {
                // Writing the digits of an `i128` takes several times as long.
                let _ = write!(text, "{}", whole as i64);
            }
            // Canonical JSON rounds numbers to binary64: a whole number that rounding would change is written as a
            // string, which equals no number, so that different parameters never share a key.
            Some(whole) if (whole as f64) as i128 != whole => {
                let _ = write!(text, "\"{whole}\"");
            }
            _ => text.push_str(&serde_json_canonicalizer::to_string(value)?),
        },
        Value::Null | Value::Bool(_) => {
            let _ = write!(text, "{value}");
        }
    }
    Ok(())
}

/// Compares names by their UTF-16 code units, the order of RFC 8785.
fn utf16_order(a: &str, b: &str) -> Ordering {
    // For ASCII names this is the order of bytes.
    if a.is_ascii() && b.is_ascii() { a.cmp(b) } else { a.encode_utf16().cmp(b.encode_utf16()) }
}

/// Returns a number as a whole number; `None` if it is not an integer type.
fn whole(number: &serde_json::Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

/// Writes a text in quotes.
fn write_text(string: &str, text: &mut String) {
    if string.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\') {
        text.push('"');
        text.push_str(string);
        text.push('"');
    } else {
        let _ = write!(text, "{}", Value::from(string));
    }
}

/// One field in which two preimages differ.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Change {
    /// The field: `params.epochs`, `inputs.data.train`.
    pub field: String,
    /// The value before, as JSON, or as in an experiment file where a variant took the place of another; `None` if the
    /// field was absent.
    pub from: Option<String>,
    /// The value now; `None` if the field is absent.
    pub to: Option<String>,
}

/// Returns the fields in which two preimages differ, sorted by name. Where a variant took the place of another, the whole
/// values differ: `format: Int(bits: 4) → E2M1`.
#[must_use]
pub fn changes(from: &str, to: &str) -> Vec<Change> {
    let values = [from, to].map(|text| serde_json::from_str(text).unwrap_or(Value::Null));
    let (mut before, mut after) = (fields(from), fields(to));
    for (path, values) in replaced("", [&values[0], &values[1]]) {
        let inside = |field: &str| {
            field.strip_prefix(&path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        for (value, fields) in values.into_iter().zip([&mut before, &mut after]) {
            fields.retain(|field, _| !inside(field));
            fields.insert(path.clone(), in_words(value));
        }
    }
    changed_fields(&before, &after)
}

/// Returns the differences between the fields of two preimages, sorted by name.
#[must_use]
pub fn changed_fields(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<Change> {
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

/// Returns the paths below `path` at which one variant took the place of another, each with both values.
fn replaced<'v>(path: &str, [from, to]: [&'v Value; 2]) -> Vec<(String, [&'v Value; 2])> {
    if let (Some(before), Some(after)) = (variant(from), variant(to))
        && before != after
        // Two names without fields are words, which differ as any other values.
        && (from.is_object() || to.is_object())
    {
        return vec![(path.to_owned(), [from, to])];
    }
    let (Value::Object(before), Value::Object(after)) = (from, to) else { return vec![] };
    let shared = before.iter().filter_map(|(name, value)| Some((name, value, after.get(name)?)));
    shared
        .flat_map(|(name, before, after)| {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            replaced(&path, [before, after])
        })
        .collect()
}

/// Returns the name of a variant, which begins with a capital; `None` for other values.
fn variant(value: &Value) -> Option<&str> {
    let name = match value {
        Value::String(name) => name.as_str(),
        Value::Object(fields) if fields.len() == 1 => fields.keys().next()?,
        _ => return None,
    };
    name.starts_with(|first: char| first.is_ascii_uppercase()).then_some(name)
}

/// Writes a value as an experiment file has it.
fn in_words(value: &Value) -> String {
    let fields = |fields: &serde_json::Map<String, Value>| {
        fields
            .iter()
            .map(|(name, value)| format!("{name}: {}", in_words(value)))
            .collect::<Vec<_>>()
            .join(", ")
    };
    match (value, variant(value)) {
        (Value::String(_), Some(name)) => name.to_owned(),
        (Value::Object(object), Some(name)) => match &object[name] {
            Value::Object(inner) => format!("{name}({})", fields(inner)),
            other => format!("{name}({})", in_words(other)),
        },
        (Value::Object(object), None) => format!("({})", fields(object)),
        (Value::Array(items), _) => {
            format!("[{}]", items.iter().map(in_words).collect::<Vec<_>>().join(", "))
        }
        (other, _) => other.to_string(),
    }
}

/// Returns the fields of a preimage with their values as JSON; structs and lists of structs are flattened.
#[must_use]
pub fn fields(text: &str) -> BTreeMap<String, String> {
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
        let params = canonical(&json!({ "lr": 0.001, "epochs": epochs })).expect("canonical");
        let inputs = ["data.train", "data.validation"];
        preimage(
            "train",
            1,
            &params,
            &inputs.iter().map(|name| ((*name).to_owned(), Digest::hash(name.as_bytes()))).collect(),
        )
    }

    #[test]
    fn the_text_is_canonical() {
        let text = example(5);
        let value: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(serde_json_canonicalizer::to_string(&value).expect("canonical"), text);
    }

    #[test]
    fn what_is_written_here_is_what_the_crate_writes() {
        let values = [
            json!({ "b": [1, -2, 3.5, 1e21, 1e-7, 0.1, -0.0, 1.0], "a": null, "ab": true, "A": false }),
            json!({ "q": "a \"quoted\" \\ line\n\u{1}\u{7f}", "é": "ü\u{10ffff}", "\u{e000}": 1, "\u{10000}": 2 }),
            json!([(1_u64 << 53) - 1, 1_u64 << 53, (1_u64 << 53) + 2, 1_u64 << 60, i64::MIN, [], {}, ""]),
        ];
        for value in values {
            let theirs = serde_json_canonicalizer::to_string(&value).expect("canonical");
            assert_eq!(canonical(&value).expect("canonical"), theirs);
        }
    }

    /// Python 3.11: `int(float(n)) == n` holds for the numbers written bare and for no other.
    #[test]
    fn whole_numbers_beyond_binary64_are_written_as_strings() {
        let check =
            |value: Value, expected: &str| assert_eq!(canonical(&value).expect("canonical"), expected);
        check(json!(9_007_199_254_740_991_i64), "9007199254740991");
        check(json!(9_007_199_254_740_992_i64), "9007199254740992");
        check(json!(9_007_199_254_740_993_i64), "\"9007199254740993\"");
        check(json!(-9_007_199_254_740_993_i64), "\"-9007199254740993\"");
        check(json!(9_007_199_254_740_994_i64), "9007199254740994");
        check(json!(1_732_752_000_000_000_001_i64), "\"1732752000000000001\"");
        // A multiple of 256 below 2^61 is exact; its shortest digits stand for no other binary64 number.
        check(json!(1_732_752_000_000_000_000_i64), "1732752000000000000");
        check(json!(i64::MAX), "\"9223372036854775807\"");
        check(json!(u64::MAX), "\"18446744073709551615\"");
        check(json!([1e300, 0.1]), "[1e+300,0.1]");
    }

    #[test]
    fn neighbours_beyond_2_53_have_different_texts() {
        for first in [(1_i64 << 53) - 3, 1_732_752_000_000_000_000, i64::MAX - 3, i64::MIN] {
            let texts: std::collections::BTreeSet<String> =
                (0..4).map(|step| canonical(&json!(first + step)).expect("canonical")).collect();
            assert_eq!(texts.len(), 4, "{texts:?}");
        }
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

    #[test]
    fn a_variant_that_took_the_place_of_another_is_one_change() {
        let of = |format: Value, scale: Value| {
            json!({ "params": { "format": format, "scale": scale, "tensors": "Weights" } }).to_string()
        };
        let int = of(
            json!({ "Int": { "bits": 4 } }),
            json!({ "Real": { "fit": "MaxAbs", "per": { "Block": 32 } } }),
        );
        let posit = of(json!({ "Posit": { "es": 0, "n": 4 } }), json!("None"));
        let found = changes(&int, &posit);
        let shown: Vec<String> = found
            .iter()
            .map(|c| {
                format!("{} {} {}", c.field, c.from.as_deref().unwrap_or("-"), c.to.as_deref().unwrap_or("-"))
            })
            .collect();
        assert_eq!(
            shown,
            [
                "params.format Int(bits: 4) Posit(es: 0, n: 4)",
                "params.scale Real(fit: MaxAbs, per: Block(32)) None"
            ]
        );
    }
}

//! The JSON form of metrics in events and run logs, for serde's `with`, and of single numbers: infinite numbers and NaN are texts.
//! Knows no metric by name.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value as Json;

/// Writes metrics; see [`json_number`].
pub fn serialize<S: Serializer>(metrics: &BTreeMap<String, f64>, to: S) -> Result<S::Ok, S::Error> {
    let metrics: BTreeMap<&String, Json> =
        metrics.iter().map(|(name, value)| (name, json_number(*value))).collect();
    metrics.serialize(to)
}

/// Reads metrics. A value that is no number is skipped: earlier run logs have null for infinite numbers and NaN.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, f64>, D::Error> {
    let metrics = BTreeMap::<String, Json>::deserialize(from)?;
    Ok(metrics.into_iter().filter_map(|(name, value)| Some((name, number_of(&value)?))).collect())
}

/// Returns a number as JSON. JSON has no infinite numbers and no NaN: they become the texts `"Infinity"`,
/// `"-Infinity"` and `"NaN"`, as in JavaScript and Protocol Buffers.
#[must_use]
pub fn json_number(value: f64) -> Json {
    match value {
        _ if value.is_nan() => Json::from("NaN"),
        f64::INFINITY => Json::from("Infinity"),
        f64::NEG_INFINITY => Json::from("-Infinity"),
        _ => Json::from(value),
    }
}

/// Reads a number written by [`json_number`]; returns `None` for any other value.
#[must_use]
pub fn number_of(json: &Json) -> Option<f64> {
    match json.as_str() {
        Some("NaN") => Some(f64::NAN),
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        Some(_) => None,
        None => json.as_f64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_reads_back_every_number() {
        for value in [0.1, -0.0, 5e-324, f64::MAX, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            let text = json_number(value).to_string();
            let read = number_of(&serde_json::from_str(&text).unwrap()).unwrap();
            assert_eq!(read.to_bits(), value.to_bits(), "{text}");
        }
        assert_eq!(number_of(&Json::from("inf")), None);
    }
}

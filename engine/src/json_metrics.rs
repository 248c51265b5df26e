//! The JSON form of metrics in events and run logs, for serde's `with`: infinite numbers and NaN are texts.
//! Knows no metric by name.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value as Json;

use crate::table::flat::{json_number, number_of};

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
